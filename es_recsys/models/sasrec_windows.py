"""The sequences that SASRec is trained on: windows of what each user liked, in batches of about the same length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from es_recsys.models.sequences import sequences
from es_recsys.types import Interactions

__all__ = ["Held", "Lines", "batches", "hold_out", "lines"]


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """What each of n users liked, oldest first: starts (n + 1,) int64 into items (m,) int64 and strengths (m,) float32."""

    starts: NDArray[np.int64]
    items: NDArray[np.int64]
    strengths: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def popularity(self, n_items: int) -> NDArray[np.int64]:
        """(n_items,) int64 events of each item."""
        return np.bincount(self.items, minlength=n_items)


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Lines whose last item was taken away: before has the rest of them, targets (n,) int64 the items."""

    before: Lines
    targets: NDArray[np.int64]


def lines(data: Interactions, ordered: bool, rng: np.random.Generator) -> Lines:
    """Positive events as models read them (sequences.py); where order tells nothing, each user's in a random one."""
    seq = sequences(data)
    items, strengths = seq.items, seq.strengths
    if not ordered:
        order = np.lexsort((rng.random(len(items)), seq.users))
        items, strengths = items[order], strengths[order]
    starts = np.concatenate([[0], np.cumsum(seq.lengths)]).astype(np.int64)
    return Lines(starts, items, strengths)


def hold_out(every: Lines, rng: np.random.Generator, users: int) -> tuple[Lines, Held]:
    """The lines without the last item of up to `users` random users who liked at least three different ones, and these.

    The last item is new to its user, as an answer leaves out what is known.
    """
    lengths = np.diff(every.starts)
    chosen: list[int] = []
    for user in rng.permutation(np.flatnonzero(lengths >= 3)).tolist():
        if len(chosen) == users:
            break
        mine = every.items[every.starts[user] : every.starts[user + 1]]
        if mine[-1] not in mine[:-1] and len(np.unique(mine)) >= 3:
            chosen.append(user)
    held = np.sort(np.array(chosen, np.int64))
    last = every.starts[held + 1] - 1
    keep = np.ones(len(every.items), bool)
    keep[last] = False
    shorter = lengths.copy()
    shorter[held] -= 1
    starts = np.concatenate([[0], np.cumsum(shorter)]).astype(np.int64)
    rest = Lines(starts, every.items[keep], every.strengths[keep])
    mine = np.concatenate([np.arange(rest.starts[user], rest.starts[user + 1]) for user in held] or [np.zeros(0, np.int64)])
    before = Lines(np.concatenate([[0], np.cumsum(shorter[held])]).astype(np.int64), rest.items[mine], rest.strengths[mine])
    return rest, Held(before, every.items[last])


def batches(
    of: Lines, length: int, tokens: int, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Each event once as a target: windows of up to length + 1 events, a random cut first, batched with others of about
    their length, about `tokens` events a batch, in random order.

    Yields items (b, l) int64, filled with -1 after the end, and strengths (b, l) float32.
    """
    begins, ends = _windows(of, length, rng)
    sizes = ends - begins
    # A little noise, so that windows meet others every time; those of one length would never.
    order = np.argsort(sizes + 2.0 * rng.random(len(sizes)), kind="stable")
    cuts = _cuts(sizes[order], tokens)
    for batch in rng.permutation(len(cuts) - 1).tolist():
        chosen = order[cuts[batch] : cuts[batch + 1]]
        at = begins[chosen, None] + np.arange(int(sizes[chosen].max()))
        inside = at < ends[chosen, None]
        at = np.where(inside, at, 0)
        yield np.where(inside, of.items[at], -1), np.where(inside, of.strengths[at], np.float32(0.0))


def _windows(of: Lines, length: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the windows begin and end. Neighbours share an event: the last target of one is the first input of the next."""
    lengths = np.diff(of.starts)
    short = np.flatnonzero((lengths >= 2) & (lengths <= length + 1))
    begins, ends = [of.starts[short]], [of.starts[short + 1]]
    for user in np.flatnonzero(lengths > length + 1).tolist():
        begin, end = int(of.starts[user]), int(of.starts[user + 1])
        cuts = np.arange(begin + int(rng.integers(1, length + 1)), end - 1, length)
        cuts = np.concatenate([[begin], cuts, [end - 1]])
        cuts = cuts[np.concatenate([[True], np.diff(cuts) > 0])]
        begins.append(cuts[:-1])
        ends.append(cuts[1:] + 1)
    return np.concatenate(begins), np.concatenate(ends)


def _cuts(sizes: NDArray[np.int64], tokens: int) -> list[int]:
    cuts, begin = [0], 0
    longest = np.maximum.accumulate(sizes) if len(sizes) else sizes
    for place, size in enumerate(longest.tolist()):
        if (place + 1 - begin) * size >= tokens:
            begin = place + 1
            cuts.append(begin)
    if cuts[-1] < len(sizes):
        cuts.append(len(sizes))
    return cuts
