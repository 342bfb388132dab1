"""Columns of many events as arrays, ids as numbers: some 30 bytes an event, whatever the length of the ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from es_recsys.batching import batched
from es_recsys.events.schema import EVENTS
from es_recsys.events.store import EventStore

__all__ = ["LabelEncoder", "read_columns", "read_columns_of"]

_PAGE = 50_000
_ACTORS = 200


class LabelEncoder:
    """Numbers values in the order in which they come, from 0."""

    def __init__(self) -> None:
        self._codes: dict[Any, int] = {}

    def encode(self, values: Sequence[Any]) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        """Return (n,) int32; a value that is new gets the next number."""
        codes = self._codes
        for value in set(values).difference(codes):
            codes[value] = len(codes)
        return np.fromiter(map(codes.__getitem__, values), np.int32, len(values))

    @property
    def values(self) -> list[Any]:
        """Return the values by number."""
        return list(self._codes)


def read_columns(
    store: EventStore, columns: Sequence[sa.ColumnElement[Any]], *conditions: sa.ColumnElement[bool], last: int | None = None
) -> Iterator[tuple[tuple[Any, ...], ...]]:
    """Yield pages of events that satisfy the conditions, in row order, as one tuple a column; `row_no` is the first.

    last: the last row that is read; without it what is there at the start, so that the pages belong together.
    """
    after, last = 0, store.last_row if last is None else last
    wanted = sa.select(EVENTS.c.row_no, *columns).where(EVENTS.c.store == store.store, *conditions)
    query = wanted.order_by(EVENTS.c.row_no).limit(_PAGE)
    while after < last:
        with store.database.reading() as connection:
            found = connection.execute(query.where(EVENTS.c.row_no > after, EVENTS.c.row_no <= last))
            page = _fetch_rows(found)
        if not page:
            return
        yield tuple(zip(*page, strict=True))
        after = page[-1][0]


def read_columns_of(
    store: EventStore, columns: Sequence[sa.ColumnElement[Any]], actors: Sequence[str], last: int
) -> Iterator[tuple[tuple[Any, ...], ...]]:
    """Yield the events of some actors up to the row `last`, as `read_columns` does, actor by actor."""
    event = EVENTS.c
    # With a bound of its own for rows, SQLite would rather go through all of them.
    wanted = sa.select(event.row_no, *columns).where(event.store == store.store)
    for some in batched(actors, _ACTORS):
        with store.database.reading() as connection:
            found = connection.execute(wanted.where(event.actor.in_(some)).order_by(event.actor, event.row_no))
            page = [row for row in _fetch_rows(found) if row[0] <= last]
        if page:
            yield tuple(zip(*page, strict=True))


def _fetch_rows(found: sa.CursorResult[Any]) -> list[tuple[Any, ...]]:
    """Return the driver's own rows, as objects that name their columns cost three times as much."""
    return [] if found.cursor is None else list(found.cursor.fetchall())
