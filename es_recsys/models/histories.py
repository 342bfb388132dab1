"""Histories as arrays: what the models' sums run over, one user or many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from es_recsys.event_types import EVENT_TYPES
from es_recsys.models.ids import ItemIds
from es_recsys.types import History, Interactions

__all__ = ["LAST", "HistoryBatch", "encode"]

# As many events as a profile keeps; a longer history is cut to its newest.
LAST = 300
_DAY = 86_400.0
_CODES = {name: place for place, name in enumerate(EVENT_TYPES)}


@dataclass(frozen=True, slots=True, eq=False)
class HistoryBatch:
    """Histories of n users, one after the other, oldest event first; events on unknown items are left out.

    starts (n + 1,) int64 where each user begins; items (m,) int64 places in the model's ids; weights (m,) float32
    signed; places (m,) float64 events between this one and the newest (0 for the newest); ages (m,) float64 days before
    the newest (events, where there is no time). queries: what each user searched for, () where nobody did. kinds (m,) int8
    places of the events' types in EVENT_TYPES, -1 where a type is not known, None where none is; newest (n,) float64 epoch
    seconds of each user's newest event, NaN where it is not known or there is no time, None where none is.
    """

    starts: NDArray[np.int64]
    items: NDArray[np.int64]
    weights: NDArray[np.float32]
    places: NDArray[np.float64]
    ages: NDArray[np.float64]
    queries: tuple[tuple[str, ...], ...] = ()
    kinds: NDArray[np.int8] | None = None
    newest: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.starts) - 1

    @classmethod
    def of(cls, histories: Sequence[History], ids: ItemIds) -> HistoryBatch:
        """Encodes histories for a model with these ids."""
        parts = [encode(history, ids) for history in histories]
        starts = _starts([len(part.items) for part in parts])
        if not parts:
            return cls(starts, *_empty())
        join = np.concatenate
        return cls(
            starts,
            join([p.items for p in parts]),
            join([p.weights for p in parts]),
            join([p.places for p in parts]),
            join([p.ages for p in parts]),
            _told([history.queries for history in histories]),
            _joined(parts),
            np.array([history.newest for history in histories], np.float64),
        )

    @classmethod
    def of_rows(cls, data: Interactions, rows: NDArray[np.int64], lengths: NDArray[np.int64]) -> HistoryBatch:
        """Rows of `data` as histories, items in its own places. rows (m,): those of each user together, as they follow each
        other; lengths (n,): how many each has."""
        starts = _starts(lengths)
        places = (np.repeat(starts[1:], lengths) - 1 - np.arange(len(rows))).astype(np.float64)
        kinds = None
        if data.kinds is not None:
            kinds = np.array([_CODES[name] for name in data.event_types], np.int8)[data.kinds[rows]]
        ages, newest = places, None
        if data.timed:
            times = data.times[rows]
            newest = np.full(len(lengths), -np.inf)
            np.maximum.at(newest, np.repeat(np.arange(len(lengths)), lengths), times)
            newest[lengths == 0] = np.nan
            ages = (np.repeat(newest, lengths) - times) / _DAY
        items, weights = data.items[rows].astype(np.int64), data.weights[rows].astype(np.float32)
        return cls(starts, items, weights, places, ages, (), kinds, newest)

    @classmethod
    def of_users(cls, data: Interactions, users: NDArray[np.int64], length: int = LAST) -> HistoryBatch:
        """The newest events of some users of `data`, `length` at most."""
        begins, ends = np.searchsorted(data.users, users), np.searchsorted(data.users, users, side="right")
        begins = np.maximum(begins, ends - length)
        lengths = ends - begins
        within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        return cls.of_rows(data, np.repeat(begins, lengths) + within, lengths)

    def searched(self, user: int) -> tuple[str, ...]:
        """What one of the users searched for, oldest first."""
        return self.queries[user] if self.queries else ()

    def one(self, user: int) -> HistoryBatch:
        """The history of one of the users."""
        return self.some(user, user + 1)

    def some(self, begin: int, end: int) -> HistoryBatch:
        """The users from `begin` to `end`, left out."""
        part = slice(int(self.starts[begin]), int(self.starts[end]))
        newest = None if self.newest is None else self.newest[begin:end]
        return self._with(self.starts[begin : end + 1] - self.starts[begin], part, self.queries[begin:end], newest)

    def where(self, kept: NDArray[np.bool_]) -> HistoryBatch:
        """The same users with the events at which `kept` (m,) is True."""
        starts = np.concatenate([[0], np.cumsum(kept)])[self.starts]
        return self._with(starts, kept, self.queries, self.newest)

    def last(self, length: int) -> HistoryBatch:
        """The same users with their newest `length` events."""
        lengths = np.diff(self.starts)
        if lengths.max(initial=0) <= length:
            return self
        return self.where(np.repeat(self.starts[1:], lengths) - np.arange(len(self.items)) <= length)

    def _with(
        self,
        starts: NDArray[np.int64],
        part: slice | NDArray[np.bool_],
        queries: tuple[tuple[str, ...], ...],
        newest: NDArray[np.float64] | None,
    ) -> HistoryBatch:
        kinds = None if self.kinds is None else self.kinds[part]
        return HistoryBatch(
            starts, self.items[part], self.weights[part], self.places[part], self.ages[part], queries, kinds, newest
        )


def encode(history: History, ids: ItemIds) -> HistoryBatch:
    """One history as a batch of one user."""
    names = history.item_ids[-LAST:]
    items = ids.find(names)
    known = items >= 0
    places = np.arange(len(names) - 1, -1, -1, dtype=np.float64)
    weights = np.asarray(history.weights[-LAST:], np.float32)
    ages = np.asarray(history.ages[-LAST:], np.float64)
    kinds = np.array([_CODES[kind] for kind in history.kinds[-LAST:]], np.int8)[known] if history.kinds else None
    starts = np.array([0, int(known.sum())], np.int64)
    told, newest = _told([history.queries]), np.array([history.newest], np.float64)
    return HistoryBatch(starts, items[known], weights[known], places[known], ages[known], told, kinds, newest)


def _starts(lengths: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    starts = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    return starts


def _joined(parts: Sequence[HistoryBatch]) -> NDArray[np.int8] | None:
    """The types of all events, -1 for those of users of whom they are not known."""
    if all(part.kinds is None for part in parts):
        return None
    return np.concatenate([np.full(len(p.items), -1, np.int8) if p.kinds is None else p.kinds for p in parts])


def _told(queries: Sequence[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    return tuple(queries) if any(queries) else ()


def _empty() -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    return np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0), np.zeros(0)
