"""What a named format is: rows that say how its files of items and of events are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from es_recsys.sources.list_cells import ListFormat
from es_recsys.sources.tables import Row

__all__ = ["Form", "NamedFormat", "RowTransform", "Rows", "Values", "each", "first_of_each"]

_SHOWN = 6

Rows = Iterator[Row]
Values = dict[str, Any]

RowTransform = Callable[[Rows], Rows]
"""Rows as a file has them -> rows with columns of ours, as many as the file holds; the same ones whenever it is read."""


@dataclass(frozen=True, slots=True)
class Form:
    """One form of a file of items or of events, and how it is read.

    file: what its makers call it. known_by: columns of its header (of its objects, in JSON) that tell it, in any spelling.
    unlike: columns that none of its files has. cells: of a file without a header, in its place: name of each column -> a regular
    expression that its values match.

    columns: field -> column, of which only those are read that a file has; "-" leaves a column out. constants: field -> value.
    separator, encoding, lists, day_first, timestamps, actions: as in `ReadOptions`; the encoding counts where a file isn't UTF-8.
    rating_scale: the worst and the best rating. rows: makes other rows of those of the file. notes: what a person should know.
    """

    file: str
    known_by: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    cells: Mapping[str, str] = field(default_factory=dict)
    unlike: tuple[str, ...] = ()
    constants: Mapping[str, Any] = field(default_factory=dict)
    separator: str | None = None
    encoding: str | None = None
    lists: Mapping[str, ListFormat] = field(default_factory=dict)
    day_first: bool | None = None
    timestamps: bool = True
    actions: Mapping[str, str] = field(default_factory=dict)
    rating_scale: str | None = None
    rows: RowTransform | None = None
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return how the form is told, for messages."""
        if self.cells:
            between = {"\t": "tabs", ",": "commas"}.get(self.separator or ",", repr(self.separator))
            names = ", ".join(islice(self.cells, _SHOWN)) + (", ..." if len(self.cells) > _SHOWN else "")
            return f"{self.file} ({len(self.cells)} columns between {between}, no header: {names})"
        return f"{self.file} (with {', '.join(self.known_by)})"


@dataclass(frozen=True, slots=True)
class NamedFormat:
    """A well-known data set or export. title: what it is; items, events: the forms of its files, the first that fits counts."""

    name: str
    title: str
    items: tuple[Form, ...] = ()
    events: tuple[Form, ...] = ()

    def forms(self, kind: str) -> tuple[Form, ...]:
        """Return the forms of its "items" or its "events"."""
        return self.items if kind == "items" else self.events


def each(change: Callable[[Values], Values | Sequence[Values]]) -> Callable[[Rows], Rows]:
    """Return the transform that makes one row, or several, of each."""

    def changed(rows: Rows) -> Rows:
        for row in rows:
            made = change(row.values)
            for values in (made,) if isinstance(made, dict) else made:
                yield row._replace(values=values)

    return changed


def first_of_each(rows: Rows) -> Rows:
    """Yield the rows of items whose content differs from that of the row before of the same item. Memory: a number an item."""
    seen: dict[str, int] = {}
    for row in rows:
        item_id, content = str(row.values.get("item_id")), hash(repr(row.values))
        if seen.get(item_id) != content:
            seen[item_id] = content
            yield row
