"""Arrays that models share: histories of users, and the best of scores."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import History, Interactions
from es_recsys.event_types import EVENT_TYPES
from es_recsys.item_ids import ItemIds

__all__ = ["LAST", "NEW_ITEM_DISCOUNT", "HistoryBatch", "NewItems", "decay", "encode", "ranges", "sample_users", "take"]


def decay(ages: NDArray[np.float64], half_life: float) -> NDArray[np.float64]:
    """Return 2 ** (-age / half_life); an infinite half-life forgets nothing."""
    if np.isinf(half_life):
        return np.ones(len(ages))
    result: NDArray[np.float64] = np.exp2(-ages / half_life)
    return result


# As many events as a profile keeps; a longer history is cut to its newest.
LAST = 300
_DAY = 86_400.0

NEW_ITEM_DISCOUNT = 0.5
"""What a guess for an item without events counts (see `new_items`)."""

_CODES = {name: code for code, name in enumerate(EVENT_TYPES)}


@dataclass(frozen=True, slots=True, eq=False)
class NewItems:
    """Items without events as mixtures of those with events (see `new_items`).

    item_ids (n,): of all items, ascending. new (m,): where the new ones are there. mixtures (m, n): scipy CSR, rows summing to 1.
    """

    item_ids: list[str]
    new: NDArray[np.int64]
    mixtures: Any


@dataclass(frozen=True, slots=True, eq=False)
class HistoryBatch:
    """Histories of n users, one after the other, oldest event first; events on unknown items are left out.

    starts (n + 1,) int64 where each user begins; items (m,) int64 item_idx: positions in the model's ids; weights (m,) float32
    signed; recency_rank (m,) float64 how many events came after (0 for the newest); ages (m,) float64 days before
    the newest (events, where there is no time). queries: what each user searched for, () where nobody did. type_idx (m,) int8
    positions of the events' types in EVENT_TYPES, -1 where a type is not known, None where none is; newest (n,) float64 epoch
    seconds of each user's newest event, NaN where it is not known or there is no time, None where none is. followed: the authors
    whom each user follows, () where nobody does or it is not known.
    """

    starts: NDArray[np.int64]
    items: NDArray[np.int64]
    weights: NDArray[np.float32]
    recency_rank: NDArray[np.float64]
    ages: NDArray[np.float64]
    queries: tuple[tuple[str, ...], ...] = ()
    type_idx: NDArray[np.int8] | None = None
    newest: NDArray[np.float64] | None = None
    followed: tuple[tuple[str, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.starts) - 1

    @classmethod
    def of(cls, histories: Sequence[History], ids: ItemIds) -> HistoryBatch:
        """Return histories encoded for a model with these ids."""
        lengths = np.array([min(len(history.item_ids), LAST) for history in histories], np.int64)
        starts = _starts(lengths)
        items = ids.find([item_id for history in histories for item_id in history.item_ids[-LAST:]])
        type_idx = None
        if any(history.event_types for history in histories):
            each = zip(histories, lengths.tolist(), strict=True)
            named = [history.event_types[-LAST:] or ("",) * length for history, length in each]
            type_idx = np.array([_CODES.get(kind, -1) for own in named for kind in own], np.int8)
        return cls(
            starts,
            items,
            np.concatenate([np.zeros(0, np.float32), *(np.asarray(one.weights[-LAST:], np.float32) for one in histories)]),
            (np.repeat(starts[1:], lengths) - 1 - np.arange(len(items))).astype(np.float64),
            np.concatenate([np.zeros(0), *(np.asarray(one.ages[-LAST:], np.float64) for one in histories)]),
            tuple(history.queries for history in histories) if any(history.queries for history in histories) else (),
            type_idx,
            np.array([history.newest for history in histories], np.float64),
        ).where(items >= 0)

    @classmethod
    def of_rows(cls, data: Interactions, rows: NDArray[np.int64], lengths: NDArray[np.int64]) -> HistoryBatch:
        """Return rows of `data` as histories, items by item_idx of `data`.

        rows (m,): those of each user together, as they follow each
        other; lengths (n,): how many each has."""
        starts = _starts(lengths)
        recency_rank = (np.repeat(starts[1:], lengths) - 1 - np.arange(len(rows))).astype(np.float64)
        type_idx = None
        if data.type_idx is not None:
            type_idx = np.array([_CODES[name] for name in data.event_types], np.int8)[data.type_idx[rows]]
        ages, newest = recency_rank, None
        if data.timed:
            times = data.times[rows]
            newest = np.full(len(lengths), -np.inf)
            np.maximum.at(newest, np.repeat(np.arange(len(lengths)), lengths), times)
            newest[lengths == 0] = np.nan
            ages = (np.repeat(newest, lengths) - times) / _DAY
        items, weights = data.items[rows].astype(np.int64), data.weights[rows].astype(np.float32)
        return cls(starts, items, weights, recency_rank, ages, (), type_idx, newest)

    @classmethod
    def of_users(cls, data: Interactions, users: NDArray[np.int64], length: int = LAST) -> HistoryBatch:
        """Return the newest events of some users of `data`, `length` at most."""
        begins, ends = np.searchsorted(data.users, users), np.searchsorted(data.users, users, side="right")
        begins = np.maximum(begins, ends - length)
        return cls.of_rows(data, spans(begins, ends - begins), ends - begins)

    def recent_weights(self, half_life: float, half_life_days: float) -> NDArray[np.float64]:
        """Return the decayed weight (m,) float64 of each event.

        It is w_h * 2 ** (-p_h / half_life) * 2 ** (-a_h / half_life_days), with the event's signed weight w_h,
        its recency rank p_h (0 for the newest) and its age a_h in days.
        """
        result: NDArray[np.float64] = self.weights * decay(self.recency_rank, half_life) * decay(self.ages, half_life_days)
        return result

    def searched(self, user: int) -> tuple[str, ...]:
        """Return what one of the users searched for, oldest first."""
        return self.queries[user] if self.queries else ()

    def one(self, user: int) -> HistoryBatch:
        """Return the history of one of the users."""
        return self.some(user, user + 1)

    def some(self, begin: int, end: int) -> HistoryBatch:
        """Return the users from `begin` to `end`, left out."""
        part = slice(int(self.starts[begin]), int(self.starts[end]))
        newest = None if self.newest is None else self.newest[begin:end]
        starts = self.starts[begin : end + 1] - self.starts[begin]
        return self._with(starts, part, self.queries[begin:end], newest, self.followed[begin:end])

    def where(self, kept: NDArray[np.bool_]) -> HistoryBatch:
        """Return the same users with the events at which `kept` (m,) is True."""
        starts = np.concatenate([[0], np.cumsum(kept)])[self.starts]
        return self._with(starts, kept, self.queries, self.newest, self.followed)

    def last(self, length: int) -> HistoryBatch:
        """Return the same users with their newest `length` events."""
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
        followed: tuple[tuple[str, ...], ...],
    ) -> HistoryBatch:
        type_idx = None if self.type_idx is None else self.type_idx[part]
        items, weights, ages = self.items[part], self.weights[part], self.ages[part]
        return HistoryBatch(starts, items, weights, self.recency_rank[part], ages, queries, type_idx, newest, followed)


def encode(history: History, ids: ItemIds) -> HistoryBatch:
    """Return one history as a batch of one user."""
    return HistoryBatch.of([history], ids)


def _starts(lengths: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    starts = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    return starts


def spans(begins: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return begin, begin + 1, ... of each of n ranges of these sizes, one range after the other."""
    before = np.cumsum(sizes) - sizes
    result: NDArray[np.int64] = np.arange(int(sizes.sum())) + np.repeat(begins - before, sizes)
    return result


def ranges(starts: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the entries of these rows are, one row after the other, and how many each has."""
    sizes = starts[rows + 1] - starts[rows]
    return spans(starts[rows], sizes), sizes


def take(data: Interactions, keep: NDArray[np.bool_]) -> Interactions:
    """Return the interactions where `keep` (n_events,) is True, with the same ids."""
    return Interactions(
        data.user_ids,
        data.item_ids,
        data.users[keep],
        data.items[keep],
        data.weights[keep],
        data.times[keep],
        data.timed,
        None if data.type_idx is None else data.type_idx[keep],
        data.event_types,
        None if data.values is None else data.values[keep],
    )


def sample_users(data: Interactions, max_events: int, rng: np.random.Generator, always: Collection[str] = ()) -> Interactions:
    """Return the interactions of a random part of the users, about `max_events` of them; all where there are no more.

    always: user_ids whose interactions are among them in any case.
    """
    if len(data.items) <= max_events:
        return data
    drawn = rng.random(len(data.user_ids)) < max_events / len(data.items)
    return take(data, (drawn | np.isin(data.user_ids, list(always)))[data.users])
