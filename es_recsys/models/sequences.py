"""The positive part of the interactions as one sequence a user, as the counting of co-occurrence reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.types import Interactions

__all__ = ["UserSequences", "cells", "take", "user_sequences"]

# Older events of one user are left out of the counts: pairs grow with the square of a user's events.
LONGEST = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class UserSequences:
    """Sorted by user, then oldest first.

    users, items (m,) int64; strengths (m,) float32, the square root of the event's weight; days (m,) float64 before the
    newest event of all (0 where there is no time); lengths (n_users,) int64 events of each user; popularity (n_items,)
    float64 events of each item.
    """

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    strengths: NDArray[np.float32]
    days: NDArray[np.float64]
    lengths: NDArray[np.int64]
    popularity: NDArray[np.float64]

    @property
    def starts(self) -> NDArray[np.int64]:
        """(n_users + 1,) where each user's events begin."""
        return np.concatenate([[0], np.cumsum(self.lengths)]).astype(np.int64)


def take(data: Interactions, keep: NDArray[np.bool_]) -> Interactions:
    """The interactions where `keep` is True, with the same ids."""
    return Interactions(
        data.user_ids,
        data.item_ids,
        data.users[keep],
        data.items[keep],
        data.weights[keep],
        data.times[keep],
        data.timed,
        None if data.kinds is None else data.kinds[keep],
        data.event_types,
        None if data.values is None else data.values[keep],
    )


def user_sequences(data: Interactions) -> UserSequences:
    """Positive events; of one item several times in a row the strongest; each user's newest thousand."""
    positive = take(data, data.weights > 0)
    users, items = positive.users.astype(np.int64), positive.items.astype(np.int64)
    strengths, times = np.sqrt(positive.weights), positive.times
    if len(users):
        first = np.ones(len(users), bool)
        first[1:] = (users[1:] != users[:-1]) | (items[1:] != items[:-1])
        runs = np.flatnonzero(first)
        strengths = np.maximum.reduceat(strengths, runs)
        users, items, times = users[runs], items[runs], times[runs]
        recent = _from_newest(users) < LONGEST
        users, items, strengths, times = users[recent], items[recent], strengths[recent], times[recent]
    days = (times.max(initial=-np.inf) - times) / 86_400.0 if data.timed else np.zeros(len(times))
    lengths = np.bincount(users, minlength=len(data.user_ids))
    popularity = np.bincount(items, minlength=len(data.item_ids)).astype(np.float64)
    return UserSequences(users, items, strengths.astype(np.float32), days, lengths, popularity)


def cells(
    seq: UserSequences, strengths: NDArray[np.floating[Any]]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.floating[Any]]]:
    """Pairs of a user and an item, each once, by user and then item, with the strongest of their events: users, items
    (k,) int64, strengths (k,)."""
    n_items = len(seq.popularity)
    cell = seq.users * n_items + seq.items
    order = np.argsort(cell, kind="stable")
    cell, first = np.unique(cell[order], return_index=True)
    if not len(cell):
        return cell, cell, np.zeros(0, strengths.dtype)
    return cell // n_items, cell % n_items, np.maximum.reduceat(strengths[order], first)


def _from_newest(users: NDArray[np.int64]) -> NDArray[np.int64]:
    ends = np.cumsum(np.bincount(users))
    result: NDArray[np.int64] = ends[users] - 1 - np.arange(len(users))
    return result
