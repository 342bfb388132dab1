"""The form of files that are said to be of a named format: found by their columns, checked, and put into the options."""

from __future__ import annotations

import codecs
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from es_recsys.errors import InputError
from es_recsys.sources.column_aliases import normalize_name
from es_recsys.sources.column_mapping import DROPPED
from es_recsys.sources.input_files import InputFile, Paths, SpooledTable, as_paths, detect_format
from es_recsys.sources.named_formats.datasets import DATASETS
from es_recsys.sources.named_formats.exports import EXPORTS
from es_recsys.sources.named_formats.form import Form, NamedFormat
from es_recsys.sources.read_options import ReadOptions
from es_recsys.sources.rejected_rows import RejectedRows
from es_recsys.sources.tables import open_tables

__all__ = ["FORMATS", "resolve_format"]

FORMATS: Mapping[str, NamedFormat] = {one.name: one for one in (*DATASETS, *EXPORTS)}

_SAMPLE_ROWS = 20
_SHOWN = 12
_BLOCK = 1 << 20


def resolve_format(options: ReadOptions, kind: str, paths: Paths) -> ReadOptions:
    """Return the options with what their named format says of these files; the same options where none is named.

    kind: "items" or "events". What the options say themselves goes before what the format says.

    Raises InputError for a format that there isn't, files that have none of its forms, or several, and files that can't be read.
    """
    if options.format is None:
        return options
    named = _named(options.format, kind)
    files = [_File(path, options) for path in as_paths(paths)]
    forms = [file.form_of(named, kind) for file in files]
    other = next((idx for idx, form in enumerate(forms) if form is not forms[0]), None)
    if other is not None:
        raise InputError(
            f"{files[0].path} is {forms[0].file} of {named.name}, {files[other].path} is {forms[other].file}.",
            "They are read differently: load one after the other.",
        )
    encodings = list(dict.fromkeys(file.encoding(forms[0]) for file in files))
    if len(encodings) > 1:
        raise InputError(f"Some of the files are UTF-8, others {forms[0].encoding}.", "Load one after the other.")
    names = files[0].columns if forms[0].rows is None and not forms[0].cells else None
    return _with_form(options, named, forms[0], names, encodings[0])


def _named(name: str, kind: str) -> NamedFormat:
    named = FORMATS.get(name)
    if named is None:
        near = difflib.get_close_matches(name.lower(), FORMATS, n=1, cutoff=0.6)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise InputError(f"There is no format {name!r}.{hint}", f"--format may be {', '.join(FORMATS)}.")
    if not named.forms(kind):
        other = "items" if kind == "events" else "events"
        raise InputError(f"{named.title} has no {kind}.", f"It has {other}: es-recsys {other} load --format {named.name} FILE.")
    return named


@dataclass(frozen=True)
class _File:
    """A file that is looked at. options: as a person gave them."""

    path: Path | SpooledTable
    options: ReadOptions

    @cached_property
    def source(self) -> InputFile:
        if isinstance(self.path, SpooledTable):
            raise InputError("--format is of files, not of an index or a table.", "Name the columns with --columns instead.")
        return detect_format(self.path, self.options.encoding)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns of its header, or of its first objects; none where it has no header that can be read."""
        try:
            return self._sample(self.options)[0]
        except InputError:
            return ()

    def first_cells(self, form: Form) -> Sequence[str]:
        """Return the cells of the first line, read as the form says."""
        try:
            return self._sample(replace(self._options(form), header=False))[1]
        except InputError:
            return ()

    def encoding(self, form: Form) -> str | None:
        """Return the encoding of its text, None for UTF-8."""
        if self.options.encoding is not None or form.encoding is None or self._is_utf8:
            return self.options.encoding
        return form.encoding

    def form_of(self, named: NamedFormat, kind: str) -> Form:
        """Return the form that it has. Raises InputError where it has none of them."""
        form = next((form for form in named.forms(kind) if self._has(form)), None)
        if form is not None:
            return form
        other = "events" if kind == "items" else "items"
        wrong = next((form for form in named.forms(other) if self._has(form)), None)
        if wrong is not None:
            raise InputError(
                f"{self.path} is {wrong.file} of {named.name}, which has {other}.",
                f"Load it with: es-recsys {other} load --format {named.name} {self.path}",
            )
        expected = "; or ".join(map(str, named.forms(kind)))
        raise InputError(
            f"{self.path} is none of the files of {kind} that {named.name} has. Expected: {expected}. Found: {self._found()}.",
            "Give one of these files; or leave --format out, and name the columns of your own with --columns.",
        )

    def _has(self, form: Form) -> bool:
        if form.cells:
            if self.source.format != "csv":
                return False
            cells = self.first_cells(form)
            fits = (re.fullmatch(pattern, cell.strip()) for pattern, cell in zip(form.cells.values(), cells, strict=False))
            return len(cells) == len(form.cells) and all(fits)
        there = set(map(normalize_name, self.columns))
        return there.issuperset(map(normalize_name, form.known_by)) and there.isdisjoint(map(normalize_name, form.unlike))

    def _found(self) -> str:
        names = self.columns
        if not names:
            return "no columns that can be read"
        return f"the columns {', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''}"

    def _options(self, form: Form) -> ReadOptions:
        return replace(
            self.options, separator=self.options.separator or form.separator, encoding=self.encoding(form), transform=None
        )

    def _sample(self, options: ReadOptions) -> tuple[tuple[str, ...], Sequence[str]]:
        """Return the names of columns, and the cells of the first line that can be read."""
        self.source  # noqa: B018 (raises for a file that can't be read)
        tables = open_tables((self.source.path,), options, RejectedRows(write=False))
        try:
            table = next(tables)
            rows = [row.values for row in islice(table.rows, _SAMPLE_ROWS)]
        finally:
            tables.close()
        names = table.columns or tuple(dict.fromkeys(name for row in rows for name in row))
        return tuple(names), [str(value) for value in rows[0].values()] if rows else ()

    @cached_property
    def _is_utf8(self) -> bool:
        if self.source.format != "csv" or self.source.encoding is not None:
            return True
        decoder = codecs.getincrementaldecoder("utf-8")()
        stream, _ = self.source.open()
        try:
            with stream:
                for block in _blocks(stream):
                    decoder.decode(block)
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
        return True


def _blocks(stream: Any) -> Iterator[bytes]:
    while block := stream.read(_BLOCK):
        yield block


def _with_form(
    options: ReadOptions, named: NamedFormat, form: Form, names: Sequence[str] | None, encoding: str | None
) -> ReadOptions:
    """Return the options as the form completes them. names: columns of the file, None where the form makes others of them."""
    columns = form.columns if names is None else _columns_there(form.columns, names)
    return replace(
        options,
        format=None,
        columns={**columns, **options.columns},
        constants={**form.constants, **options.constants},
        separator=options.separator or form.separator,
        names=tuple(form.cells),
        header=options.header and not form.cells,
        encoding=encoding,
        list_separators={**form.lists, **options.list_separators},
        day_first=form.day_first if options.day_first is None else options.day_first,
        timestamps=options.timestamps and form.timestamps,
        actions={**form.actions, **options.actions},
        rating_scale=options.rating_scale or form.rating_scale,
        transform=form.rows,
        notes=(f"--format {named.name}: read as {form.file}", *form.notes),
    )


def _columns_there(columns: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """Return the columns that a file has, in its own spelling."""
    spelled = {normalize_name(name): name for name in reversed(names)}
    found: dict[str, str] = {}
    for field, column in columns.items():
        plain = normalize_name(field if column == DROPPED else column)
        if column == DROPPED:
            if any(fnmatchcase(name, field) for name in names):
                found[field] = DROPPED
            elif plain in spelled:
                found[spelled[plain]] = DROPPED
        elif column in names or column.split(".")[0] in names:
            found[field] = column
        elif plain in spelled:
            found[field] = spelled[plain]
    return found
