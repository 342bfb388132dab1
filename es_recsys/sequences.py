"""Sequences of what users liked, oldest first, as arrays; and windows of them in batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import Interactions

__all__ = ["UserSequences", "batches", "cells", "user_sequences"]

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


def user_sequences(data: Interactions) -> UserSequences:
    """Return positive events; of one item several times in a row the strongest; each user's newest thousand."""
    positive = data.weights > 0
    users, items = data.users[positive].astype(np.int64), data.items[positive].astype(np.int64)
    strengths, times = np.sqrt(data.weights[positive]), data.times[positive]
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
    """Return each pair of a user and an item once, by user and then item, with the strongest of their events.

    Returns users, items (k,) int64, strengths (k,).
    """
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


def batches(
    sequences: UserSequences, max_length: int, batch_events: int, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Yield batches of windows of up to max_length + 1 events, in which each event is a target once.

    Each batch has items (b, l) int64, filled with -1 after the end, and strengths (b, l) float32. Windows are cut at random,
    batched with others of about their length, about `batch_events` events a batch, in random order.
    """
    begins, ends = _windows(sequences, max_length, rng)
    sizes = ends - begins
    # A little noise, so that windows meet others every time; those of one length would never.
    order = np.argsort(sizes + 2.0 * rng.random(len(sizes)), kind="stable")
    cuts = _cuts(sizes[order], batch_events)
    for batch in rng.permutation(len(cuts) - 1).tolist():
        chosen = order[cuts[batch] : cuts[batch + 1]]
        at = begins[chosen, None] + np.arange(int(sizes[chosen].max()))
        inside = at < ends[chosen, None]
        at = np.where(inside, at, 0)
        yield np.where(inside, sequences.items[at], -1), np.where(inside, sequences.strengths[at], np.float32(0.0))


def _windows(sequences: UserSequences, max_length: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the windows begin and end.

    Neighbours share an event: the last target of one is the first input of the next.
    """
    lengths = np.diff(sequences.starts)
    short = np.flatnonzero((lengths >= 2) & (lengths <= max_length + 1))
    begins, ends = [sequences.starts[short]], [sequences.starts[short + 1]]
    for user in np.flatnonzero(lengths > max_length + 1).tolist():
        begin, end = int(sequences.starts[user]), int(sequences.starts[user + 1])
        cuts = np.arange(begin + int(rng.integers(1, max_length + 1)), end - 1, max_length)
        cuts = np.concatenate([[begin], cuts, [end - 1]])
        cuts = cuts[np.concatenate([[True], np.diff(cuts) > 0])]
        begins.append(cuts[:-1])
        ends.append(cuts[1:] + 1)
    return np.concatenate(begins), np.concatenate(ends)


def _cuts(sizes: NDArray[np.int64], batch_events: int) -> list[int]:
    cuts, begin = [0], 0
    longest = np.maximum.accumulate(sizes) if len(sizes) else sizes
    for row, size in enumerate(longest.tolist()):
        if (row + 1 - begin) * size >= batch_events:
            begin = row + 1
            cuts.append(begin)
    if cuts[-1] < len(sizes):
        cuts.append(len(sizes))
    return cuts
