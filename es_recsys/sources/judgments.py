"""Relevance judgments: which item is how good an answer to which query."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from es_recsys.errors import InputError
from es_recsys.sources.input_files import MAX_LINE, InputFile, detect_format, read_lines
from es_recsys.sources.read_options import ReadOptions
from es_recsys.sources.row_errors import InvalidValue
from es_recsys.sources.separators import parse_separator
from es_recsys.sources.tables import read_rows
from es_recsys.values import parse_id

__all__ = ["read_judgments"]

_ALIASES = {
    "query": ("query", "user_query", "query_text", "q"),
    "item_id": ("item_id", "doc_id", "document_id", "product_id", "item"),
    "grade": ("grade", "relevance", "label", "judgment", "rating", "score"),
}
_ALL_ALIASES = frozenset(name for names in _ALIASES.values() for name in names) | {"query_id"}

_Numbered = Iterator[tuple[int, dict[str, Any]]]


def read_judgments(
    path: str | Path, *, columns: Mapping[str, str] | None = None, separator: str | None = None
) -> dict[str, dict[str, float]]:
    """Read relevance judgments: query -> item_id -> grade (finite, >= 0).

    From JSON lines, TSV or CSV, Parquet too, gzipped or not.

    columns: query, item_id, grade -> name in the file; without it the usual names are found (doc_id, label, ...). A file
    without a header line has the columns query, item_id, grade, or four with a query_id before them. In TSV quotes are
    ordinary characters. The last grade of a pair counts. A judgment that can't be read would falsify every figure, so
    the first bad line raises InputError.
    """
    source = detect_format(Path(path))
    given = dict(columns or {})
    if unknown := sorted(set(given) - set(_ALIASES)):
        raise InputError(f"--columns: judgments have no field {unknown[0]!r}.", f"The fields are {', '.join(_ALIASES)}.")
    if source.format == "csv":
        rows = _text_rows(source, separator, set(given.values()))
    else:
        rows = ((row.line, row.values) for row in read_rows(path))
    judged: dict[str, dict[str, float]] = {}
    names: dict[str, str] | None = None
    for number, values in rows:
        names = names or _columns_of(source.path, values, given)
        try:
            query, item_id, grade = _judgment(values, names)
        except InvalidValue as bad:
            raise InputError(f"{source.path} line {number}, {bad.field}: {bad.reason}.", "Mend or remove the line.") from None
        judged.setdefault(query, {})[item_id] = grade
    if not judged:
        raise InputError(f"{source.path} has no judgments.", "Give lines of query, item_id, grade.")
    return judged


def _judgment(values: Mapping[str, Any], names: Mapping[str, str]) -> tuple[str, str, float]:
    query, item_id, grade = (values.get(names[name]) for name in ("query", "item_id", "grade"))
    if not isinstance(query, str) or not query.strip():
        raise InvalidValue("query", "is missing" if query is None or query == "" else "is not text")
    try:
        text = parse_id(item_id)
    except ValueError:
        raise InvalidValue("item_id", "is not an id") from None
    if text is None:
        raise InvalidValue("item_id", "is missing")
    try:
        number = float(grade)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise InvalidValue("grade", "is not a number") from None
    if isinstance(grade, bool) or not math.isfinite(number) or number < 0:
        raise InvalidValue("grade", "is not a finite number of at least 0")
    return query.strip(), text, number


def _columns_of(path: Path, values: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for ours, usual in _ALIASES.items():
        choice = (given[ours],) if ours in given else usual
        name = next((name for name in choice if name in values), None)
        if name is None:
            raise InputError(f"{path} has no column {choice[0]}; it has: {', '.join(values)}.", f"Say --columns {ours}=ITS_NAME.")
        found[ours] = name
    return found


def _text_rows(source: InputFile, separator: str | None, named: set[str]) -> _Numbered:
    """Yield rows of a TSV, whose quotes mean nothing; or of a CSV with a header, which other code reads."""
    stream, _ = source.open()
    with stream:
        numbered = read_lines(stream, source.path)
        number, first = next(((number, line) for number, line in numbered if line is None or line.strip()), (1, None))
        wanted = parse_separator(separator).text if separator else ("\t" if source.tabs or b"\t" in (first or b"") else ",")
        if wanted == "\t":
            cells = ((number, _split_tabs(source.path, number, line)) for number, line in chain([(number, first)], numbered))
            yield from _tsv_rows(source.path, ((number, cells) for number, cells in cells if any(cells)), named)
            return
    if not _is_header((first or b"").decode("utf-8", "replace").replace('"', "").strip().split(wanted), named):
        raise InputError(f"{source.path} has no header line.", "Begin a CSV with query,item_id,grade, or separate it by tabs.")
    yield from ((row.line, row.values) for row in read_rows(source.path, ReadOptions(separator=wanted)))


def _tsv_rows(path: Path, numbered: Iterator[tuple[int, list[str]]], named: set[str]) -> _Numbered:
    number, first = next(numbered)
    header = [cell.strip() for cell in first]
    if not _is_header(header, named):
        usual = {3: ["query", "item_id", "grade"], 4: ["query_id", "query", "item_id", "grade"]}
        if len(first) not in usual:
            raise InputError(
                f"{path} has no header, and {len(first)} columns.", "Without a header they are query, item_id, grade."
            )
        header = usual[len(first)]
        numbered = chain([(number, first)], numbered)
    for number, cells in numbered:
        if len(cells) != len(header):
            raise InputError(f"{path} line {number} has {len(cells)} columns, not {len(header)}.", "Mend or remove the line.")
        yield number, dict(zip(header, cells, strict=True))


def _is_header(cells: list[str], named: set[str]) -> bool:
    # A query may be a usual name itself ("rating"), so two cells must be names.
    return len({cell.strip() for cell in cells} & (_ALL_ALIASES | named)) >= 2


def _split_tabs(path: Path, number: int, line: bytes | None) -> list[str]:
    if line is None:
        raise InputError(f"{path} line {number} is longer than {MAX_LINE >> 20} MiB.", "Mend or remove the line.")
    try:
        return line.decode("utf-8").rstrip("\r\n").split("\t")
    except UnicodeDecodeError as wrong:
        raise InputError(f"{path} line {number} is not UTF-8 (byte {wrong.start + 1}).", "Save the file as UTF-8.") from None
