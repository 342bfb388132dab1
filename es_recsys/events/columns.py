"""Columns of many events as arrays, ids as numbers: some 30 bytes an event, whatever the length of the ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from es_recsys.events.schema import EVENTS
from es_recsys.events.store import EventStore

__all__ = ["LabelEncoder", "read_columns"]

_PAGE = 50_000


class LabelEncoder:
    """Numbers values in the order in which they come, from 0."""

    def __init__(self) -> None:
        self._codes: dict[Any, int] = {}

    def encode(self, values: tuple[Any, ...]) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
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
            # The driver's own rows, as objects that name their columns cost three times as much.
            page = [] if found.cursor is None else found.cursor.fetchall()
        if not page:
            return
        yield tuple(zip(*page, strict=True))
        after = page[-1][0]
