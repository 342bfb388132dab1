"""What the towers learn from: pieces of histories, and the items that came next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from es_recsys.models.histories import HistoryBatch
from es_recsys.models.sequences import take
from es_recsys.types import Interactions

__all__ = ["Example", "Held", "Stream", "hold_out"]

_LEAST = 30
_ALIKE = 16


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """histories of b users; targets (b, t) int64 places, -1 for none; users (b,) int64, who they are."""

    histories: HistoryBatch
    targets: NDArray[np.int64]
    users: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Users for the early stop: their histories, their known items and those to be found, as n arrays of places."""

    histories: HistoryBatch
    known: tuple[NDArray[np.int64], ...]
    targets: tuple[NDArray[np.int64], ...]
    users: NDArray[np.int64]


class Stream:
    """The events of a training in the order of users and time, cut into examples anew in each epoch.

    ordered: an example is a user's events before a random moment, and the next `targets` items that were liked; without
    order it is a random set of their items, and a random part of the others.
    """

    def __init__(self, data: Interactions, *, ordered: bool, targets: int, history: int) -> None:
        self._events = events = take(data, data.weights != 0)
        self._items, self._weights = events.items.astype(np.int64), events.weights
        self._starts = np.searchsorted(events.users, np.arange(len(data.user_ids) + 1)).astype(np.int64)
        self._ordered, self._targets, self._history = ordered, targets, history
        lengths = np.diff(self._starts)
        liked = np.bincount(events.users[events.weights > 0], minlength=len(lengths))
        # As many pieces as it takes for each liked event to be a target once, on average.
        times = np.where((lengths >= 2) & (liked >= 1), -(-liked // targets), 0)
        self._users = np.repeat(np.arange(len(lengths)), np.minimum(times, 50))

    def __len__(self) -> int:
        return len(self._users)

    def epoch(self, rng: np.random.Generator, size: int) -> Iterator[Example]:
        """Batches of `size` examples."""
        order = None if self._ordered else _shuffled(self._starts, rng)
        users = rng.permutation(self._users)
        starts, ends = self._starts[users], self._starts[users + 1]
        cuts = starts + 1 + (rng.random(len(users)) * (ends - starts - 1)).astype(np.int64)
        lengths = np.minimum(cuts - starts if self._ordered else ends - starts, self._history)
        # Pieces of like length share a batch, so that little of it is padding.
        near = np.lexsort((lengths, np.arange(len(users)) // (_ALIKE * size)))
        batches = [near[begin : begin + size] for begin in range(0, len(near), size)]
        for place in rng.permutation(len(batches)).tolist():
            yield self._example(users[batches[place]], cuts[batches[place]], order)

    def held(self, users: NDArray[np.int64], targets: tuple[NDArray[np.int64], ...]) -> Held:
        """The whole history of some users, and what is to be found."""
        known = tuple(
            np.unique(self._items[b:e][self._weights[b:e] > 0])
            for b, e in zip(self._starts[users].tolist(), self._starts[users + 1].tolist(), strict=True)
        )
        return Held(HistoryBatch.of_users(self._events, users, self._history), known, targets, users)

    def _example(self, users: NDArray[np.int64], cuts: NDArray[np.int64], order: NDArray[np.int64] | None) -> Example:
        starts, ends = self._starts[users], self._starts[users + 1]
        wanted = cuts[:, None] + np.arange(self._targets)
        inside = wanted < ends[:, None]
        wanted = np.where(inside, wanted, 0)
        begins = np.maximum(starts, cuts - self._history)
        lengths = cuts - begins
        if order is not None:
            # All that is not to be found is known: round from the cut's end to its beginning.
            sizes = ends - starts
            lengths = np.minimum(np.maximum(sizes - self._targets, 1), self._history)
            offsets = np.repeat(cuts - starts + self._targets, lengths) + _within(lengths)
            offsets = np.where(np.repeat(sizes <= self._targets, lengths), np.repeat(cuts - starts - 1, lengths), offsets)
            at = order[np.repeat(starts, lengths) + offsets % np.repeat(sizes, lengths)]
            wanted = order[wanted]
        else:
            at = np.repeat(begins, lengths) + _within(lengths)
        batch = HistoryBatch.of_rows(self._events, at, lengths)
        # What is known already is left out of answers, so it is nothing to find.
        n_items = int(self._items.max()) + 1
        known = np.repeat(np.arange(len(users)), lengths) * n_items + batch.items
        new = ~np.isin(np.arange(len(users))[:, None] * n_items + self._items[wanted], known)
        return Example(batch, np.where(inside & new & (self._weights[wanted] > 0), self._items[wanted], -1), users)


def hold_out(
    data: Interactions, rng: np.random.Generator, most: int, *, ordered: bool, history: int
) -> tuple[Interactions, Held]:
    """What is learned from, and up to `most` users (a tenth at most) of whom the newest item, or a random fifth of them,
    is kept back. Nobody where these would be too few to tell anything. An item that nobody else is left with isn't kept back:
    without an event it would have no id to learn."""
    starts = np.searchsorted(data.users, np.arange(len(data.user_ids) + 1))
    most = min(most, len(data.user_ids) // 10)
    most = most if most >= _LEAST else 0
    keep = np.ones(len(data.items), bool)
    left = np.bincount(data.items[data.weights > 0], minlength=len(data.item_ids))
    users: list[int] = []
    targets: list[NDArray[np.int64]] = []
    for user in rng.permutation(len(data.user_ids)).tolist():
        if len(users) >= most:
            break
        events = np.arange(starts[user], starts[user + 1])
        liked = events[data.weights[events] > 0]
        items = np.unique(data.items[liked])
        if len(items) < 3:
            continue
        if ordered:
            out = data.items[liked[-1:]]
            # From the first time that the item was there, so that it isn't among what is known.
            held = events[events >= events[data.items[events] == out[0]][0]]
        else:
            out = rng.choice(items, max(1, len(items) // 5), replace=False)
            held = events[np.isin(data.items[events], out)]
        gone, taken = np.unique(data.items[held][data.weights[held] > 0], return_counts=True)
        if len(held) == len(events) or (left[gone] <= taken).any():
            continue
        left[gone] -= taken
        keep[held] = False
        users.append(user)
        targets.append(np.sort(out).astype(np.int64))
    rest = take(data, keep)
    stream = Stream(rest, ordered=True, targets=1, history=history)
    return rest, stream.held(np.array(users, np.int64), tuple(targets))


def _within(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, ... for each of the lengths, one after the other."""
    begins = np.cumsum(lengths) - lengths
    return np.arange(int(lengths.sum())) - np.repeat(begins, lengths)


def _shuffled(starts: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """The events of each user in random order."""
    users = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    return np.lexsort((rng.random(len(users)), users)).astype(np.int64)
