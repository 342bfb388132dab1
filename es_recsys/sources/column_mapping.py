"""Which column holds which field: renames, usual names, constants, dropped columns, and what to say when a column is missing."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import chain, islice
from typing import Any

from es_recsys.errors import InputError
from es_recsys.sources.column_aliases import (
    EVENT_ALIASES,
    RATING_COLUMNS,
    InferredColumns,
    infer_columns,
    item_aliases,
    normalize_name,
    normalize_path,
)
from es_recsys.sources.headerless import looks_like_data, no_header_command
from es_recsys.sources.option_pairs import quoted
from es_recsys.sources.rejected_rows import RejectedRows
from es_recsys.sources.tables import Row, Table

__all__ = ["DROPPED", "ColumnMapping", "get_path", "resolve_columns"]

DROPPED = "-"
"""Stands for the column's name where a field, or every column of a name or pattern, is left out."""

_SAMPLE_ROWS = 100
_NESTED_FIELDS = ("user_id", "session_id", "item_id", "query")


@dataclass(frozen=True)
class ColumnMapping:
    """What each of our fields is called in the files.

    fields: names of ours. renames: ours -> theirs; a dotted name reaches into an object; "-" leaves the field and the column
    of that name out, which may be a pattern (`nutrient_*`). constants: ours -> a value for lines that have none. required:
    groups of which each line needs at least one. in_header: the same, looked for in a whole header alone; unless it has one of
    stand_ins, the first parts of names of columns that may say the same. free: whether other columns are kept (attributes of
    items). inferred: which columns of one file are fields under usual names.
    """

    fields: tuple[str, ...]
    renames: Mapping[str, str] = dataclasses.field(default_factory=dict)
    constants: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    required: tuple[tuple[str, ...], ...] = ()
    in_header: tuple[tuple[str, ...], ...] = ()
    stand_ins: frozenset[str] = frozenset()
    free: bool = False
    inferred: InferredColumns = dataclasses.field(default_factory=InferredColumns)
    dropped: tuple[str, ...] = dataclasses.field(init=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "dropped", tuple(field for field, column in self.renames.items() if column == DROPPED))
        if self.free:
            return
        forms = ((self.renames, "--columns", "FIELD=COLUMN"), (self.constants, "--constant", "FIELD=VALUE"))
        for given, option, form in forms:
            for name in given:
                if name not in self.fields:
                    raise InputError(
                        f"{option}: there is no field {name!r}.{_did_you_mean(name, self.fields)}",
                        f"The fields are {', '.join(self.fields)}; write {option} {form}.",
                    )

    @property
    def renamed(self) -> dict[str, str]:
        """Renames without what is dropped."""
        return {field: column for field, column in self.renames.items() if column != DROPPED}

    def column_of(self, name: str) -> str:
        """Return the column of a field, `-` where it is dropped."""
        return self.renames.get(name) or self.inferred.found.get(name, name)

    def columns_of(self, name: str) -> tuple[str, ...]:
        """Return the columns that a field is read from; of several that are filled in one row the last counts."""
        column = self.column_of(name)
        if column == DROPPED:
            return ()
        # What is guessed from the first lines doesn't hide a column of the field's own name in later ones.
        return (column, name) if name in self.inferred.found and name not in self.renames else (column,)

    def is_dropped(self, name: str) -> bool:
        """Return whether a column is dropped; never where a field or an attribute is read from it by name."""
        if not self.dropped or name in self.renamed.values():
            return False
        return any(fnmatchcase(name, pattern) or self.inferred.found.get(pattern) == name for pattern in self.dropped)

    def for_file(self, table: Table, names: Sequence[str], nested: frozenset[str]) -> ColumnMapping:
        """Return this mapping with what is inferred of one file. names: its columns; nested: those that hold objects."""
        columns = self
        if not table.header:
            numbers = {field: f"column{column}" if column.isdigit() else column for field, column in self.renames.items()}
            columns = replace(self, renames=numbers)
        claimed = {*columns.renamed.values(), *self.fields}
        free = {name: normalize_name(name) for name in names if name not in claimed | nested and "." not in name.rstrip(".")}
        wanted = [
            field for field in self.fields if field not in names and field not in columns.renamed and field not in self.constants
        ]
        if self.free:
            return replace(columns, inferred=infer_columns(wanted, free, item_aliases(names)))
        inferred = infer_columns(wanted, free, EVENT_ALIASES)
        # Trackers put what an event is about into an object: properties.product_id.
        inner = {name: normalize_path(name) for name in names if name not in claimed and "." in name.rstrip(".")}
        deep = infer_columns(
            [field for field in wanted if field in _NESTED_FIELDS and field not in inferred.found], inner, EVENT_ALIASES
        )
        inferred = InferredColumns({**inferred.found, **deep.found}, ambiguous={**inferred.ambiguous, **deep.ambiguous})
        return replace(columns, inferred=inferred)._as_ratings(names)

    def _as_ratings(self, names: Sequence[str]) -> ColumnMapping:
        """Take a file of events that has ratings and no event types as one of ratings."""
        value = self.column_of("value")
        untyped = not (_has_column(names, self.column_of("event_type")) or "event_type" in {*self.constants, *self.renames})
        rated = value in names and normalize_name(value) in RATING_COLUMNS
        return replace(self, constants={**self.constants, "event_type": "rating"}) if untyped and rated else self

    def check(self, table: Table, names: Sequence[str], *, complete: bool) -> str | None:
        """Raise InputError where a required column is not among `names`; return a remark on others named but absent.

        complete: `names` is a whole header, so a column that was asked for and isn't there is an error.
        """
        groups = self.required if not complete or self._stands_in(names) else (*self.required, *self.in_header)
        missing = [
            group
            for group in groups
            if not any(name in self.constants or _has_column(names, self.column_of(name)) for name in group)
        ]
        if missing:
            raise self._missing(table, missing[0], names, missing[1:])
        absent = [column for column in self.renamed.values() if not _has_column(names, column)]
        if absent and complete:
            raise InputError(
                f"{table.path} has no column {absent[0]!r}.{_did_you_mean(absent[0], names)}",
                f"It has: {_abbreviated(names)}. See --columns.",
            )
        return f"{table.path}: no line of the first {_SAMPLE_ROWS} has {', '.join(absent)} (--columns)." if absent else None

    def _stands_in(self, names: Sequence[str]) -> bool:
        return any(name.split(".")[0] in self.stand_ins for name in names)

    def notes(self, table: Table, names: Sequence[str], before: ColumnMapping) -> Iterator[str]:
        """Yield what was inferred of a file, each kind in one line."""
        parts = [f"`{column}` as {field}" for field, column in self.inferred.found.items() if field not in self.dropped]
        if parts:
            rating = ", each line as a rating" if "event_type" in self.constants and "event_type" not in before.constants else ""
            yield f"{table.path}: read {', '.join(parts)}{rating}; --columns changes it."
        for field, choices in self.inferred.ambiguous.items():
            if not any(field in group for group in self.required):
                either = " or ".join(f"`{name}`" for name in choices)
                remedy = f"--columns {field}={quoted(choices[0])}"
                yield f"{table.path}: {field} could be {either}, and is left empty; {remedy} says which."
        for pattern in self.dropped:
            if pattern not in self.fields and not any(fnmatchcase(name, pattern) for name in names):
                yield f"{table.path} has no column {pattern!r} to leave out."

    def _missing(
        self, table: Table, group: tuple[str, ...], names: Sequence[str], others: Sequence[tuple[str, ...]]
    ) -> InputError:
        guessed = f" (taken to be separated by {table.separator})" if table.separator is not None else ""
        if table.columns is not None and table.header and looks_like_data(names):
            separator = table.separator.text if table.separator is not None else None
            return InputError(
                f"{table.path} has no header line, it seems{guessed}: its first line is {_abbreviated(names)}.",
                f"If so, say what its columns are, counted from 1: {no_header_command(names, not self.free, separator)}",
            )
        wanted = " or ".join(self.column_of(name) if self.column_of(name) != DROPPED else name for name in group)
        also = f" Missing too: {', '.join(' or '.join(other) for other in others)}." if others else ""
        return InputError(
            f"{table.path} has no column {wanted}; it has: {_abbreviated(names)}{guessed}.",
            f"{self._remedy(table, group, names)}{also}",
        )

    def _remedy(self, table: Table, group: tuple[str, ...], names: Sequence[str]) -> str:
        for field in group:
            if field in self.inferred.ambiguous:
                choices = self.inferred.ambiguous[field]
                return f"It could be {' or '.join(choices)}: say which, --columns {field}={quoted(choices[0])}."
        if not table.header:
            return f"Say which it is, counted from 1: --columns {group[0]}=1."
        hint = next(((name, near) for name in group if (near := _closest(name, names))), None)
        if hint is not None:
            return f"If it is called {hint[1]!r} there, say --columns {hint[0]}={quoted(hint[1])}."
        if group == ("event_type",):
            return "Name it with --columns event_type=NAME, or say what all lines are: --constant event_type=view."
        if group == ("timestamp",):
            return "Name it with --columns timestamp=NAME, or where there are no times say --no-timestamps."
        if len(names) == 1 and table.columns is not None:
            return "If its cells are separated otherwise, say --separator; if it has no header line, --no-header."
        return f"Name it with --columns {group[0]}=NAME."


def resolve_columns(
    table: Table, columns: ColumnMapping, rejected: RejectedRows | None = None
) -> tuple[ColumnMapping, Iterator[Row]]:
    """Return the column mapping of one file, and its rows.

    The names are those of its header, or of its first rows together where it has none.

    Raises InputError where a required column is not there. rejected: is told what was guessed.
    """
    first = list(islice(table.rows, _SAMPLE_ROWS))
    rows = chain(first, table.rows)
    seen = list(dict.fromkeys(chain.from_iterable(_column_names(row.values) for row in first)))
    names = list(table.columns) if table.columns is not None else seen
    # UBI documents bring their own names; where there is no line at all, the rejected rows say why.
    attributes_of_ubi = table.columns is not None and any(name.startswith("event_attributes") for name in names)
    if "action_name" in names or attributes_of_ubi or (table.columns is None and (not first or "user_query" in names)):
        return columns, rows
    found = columns.for_file(table, names, _nested_columns(first))
    try:
        remark = found.check(table, names, complete=table.columns is not None)
    except InputError as error:
        known = sum(found.column_of(field) in names for field in found.fields)
        if (key := _wrapped_list(first)) is None or known > 1 or found.renames:
            raise
        raise InputError(
            f"{table.path} is one JSON document.", f"Write one object a line, for example with: jq -c '.{key}[]'"
        ) from error
    if rejected is not None:
        for text in (*found.notes(table, names, columns), *((remark,) if remark else ())):
            rejected.note(text)
    return found, rows


def _wrapped_list(first: Sequence[Row]) -> str | None:
    """Return the name of the list that holds all objects of a file, where it is one object itself."""
    values = first[0].values if len(first) == 1 else {}
    wrapped = (key for key, each in values.items() if isinstance(each, list) and each and set(map(type, each)) == {dict})
    return next(wrapped, None)


def _nested_columns(first: Sequence[Row]) -> frozenset[str]:
    """Return columns that hold an object, or a list of objects, in one of the first rows."""
    cells = chain.from_iterable(row.values.items() for row in first)
    return frozenset(
        name for name, value in cells if any(isinstance(each, dict) for each in (value if isinstance(value, list) else [value]))
    )


def get_path(values: Mapping[str, Any], name: str) -> Any:
    """Return the value of a column, or of a dotted path into objects; None where it is not there."""
    if name in values or "." not in name:
        return values.get(name)
    value: Any = values
    for part in name.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def _column_names(values: Mapping[str, Any], prefix: str = "", depth: int = 3) -> Iterator[str]:
    for key, value in values.items():
        yield prefix + str(key)
        if isinstance(value, dict) and depth:
            yield from _column_names(value, f"{prefix}{key}.", depth - 1)


def _has_column(names: Sequence[str], column: str) -> bool:
    # The header of a Parquet file shows an object, not what is in it.
    return column in names or ("." in column and column.split(".")[0] in names)


def _closest(name: str, names: Sequence[str]) -> str | None:
    plain = {normalize_name(column): column for column in reversed(names)}
    if normalize_name(name) in plain:
        return plain[normalize_name(name)]
    close = difflib.get_close_matches(normalize_name(name), list(plain), n=1, cutoff=0.6)
    return plain[close[0]] if close else None


def _did_you_mean(name: str, names: Sequence[str]) -> str:
    near = _closest(name, names)
    return f" Did you mean {near!r}?" if near else ""


def _abbreviated(names: Sequence[str]) -> str:
    shown = ", ".join(names[:20])
    return f"{shown}, ..." if len(names) > 20 else shown
