"""Histories as arrays: what the models' sums run over, one user or many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from es_recsys.models.ids import ItemIds
from es_recsys.types import History

__all__ = ["LAST", "Batch", "encode"]

# As many events as a profile keeps; a longer history is cut to its newest.
LAST = 300


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Histories of n users, one after the other, oldest event first; events on unknown items are left out.

    starts (n + 1,) int64 where each user begins; items (m,) int64 places in the model's ids; weights (m,) float32
    signed; places (m,) float64 events between this one and the newest (0 for the newest); ages (m,) float64 days before
    the newest (events, where there is no time). queries: what each user searched for, () where nobody did.
    """

    starts: NDArray[np.int64]
    items: NDArray[np.int64]
    weights: NDArray[np.float32]
    places: NDArray[np.float64]
    ages: NDArray[np.float64]
    queries: tuple[tuple[str, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.starts) - 1

    @classmethod
    def of(cls, histories: Sequence[History], ids: ItemIds) -> Batch:
        """Encodes histories for a model with these ids."""
        parts = [encode(history, ids) for history in histories]
        starts = np.zeros(len(parts) + 1, np.int64)
        np.cumsum([len(part.items) for part in parts], out=starts[1:])
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
        )

    def searched(self, user: int) -> tuple[str, ...]:
        """What one of the users searched for, oldest first."""
        return self.queries[user] if self.queries else ()

    def one(self, user: int) -> Batch:
        """The history of one of the users."""
        part = slice(int(self.starts[user]), int(self.starts[user + 1]))
        size = np.array([0, part.stop - part.start], np.int64)
        queries = self.queries[user : user + 1]
        return Batch(size, self.items[part], self.weights[part], self.places[part], self.ages[part], queries)

    def some(self, begin: int, end: int) -> Batch:
        """The users from `begin` to `end`, left out."""
        part = slice(int(self.starts[begin]), int(self.starts[end]))
        starts = self.starts[begin : end + 1] - self.starts[begin]
        queries = self.queries[begin:end]
        return Batch(starts, self.items[part], self.weights[part], self.places[part], self.ages[part], queries)


def encode(history: History, ids: ItemIds) -> Batch:
    """One history as a batch of one user."""
    names = history.item_ids[-LAST:]
    items = ids.find(names)
    known = items >= 0
    places = np.arange(len(names) - 1, -1, -1, dtype=np.float64)
    weights = np.asarray(history.weights[-LAST:], np.float32)
    ages = np.asarray(history.ages[-LAST:], np.float64)
    count = int(known.sum())
    starts = np.array([0, count], np.int64)
    return Batch(starts, items[known], weights[known], places[known], ages[known], _told([history.queries]))


def _told(queries: Sequence[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    return tuple(queries) if any(queries) else ()


def _empty() -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    return np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0), np.zeros(0)
