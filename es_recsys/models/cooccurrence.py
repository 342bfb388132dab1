"""Counts of items that the same users had, as sparse rows, made block by block so that memory stays flat."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.models.ranking import decay
from es_recsys.models.sequences import UserSequences, cells

__all__ = ["Counting", "Rows", "corrected", "count", "counts", "joined", "prune"]

_BLOCK = 8_000_000


@dataclass(frozen=True, slots=True)
class Counting:
    """How pairs are counted.

    window: how many events apart a pair may be; None for the whole history, in any order and without decay.
    decay: factor a further step apart. backward: what a pair counts towards the item that came first (1 for no
    direction, 0 for forward only). user_power: a user with m events counts m ** -user_power (Paudel et al. 2016 walk
    with power 1, a plain count has 0). half_life_days: age at which a pair counts half.
    """

    window: int | None = None
    decay: float = 1.0
    backward: float = 1.0
    user_power: float = 0.75
    half_life_days: float = math.inf


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Sparse rows: starts (n + 1,) int64, items (m,) int32, values (m,) float32, in each row by item."""

    starts: NDArray[np.int64]
    items: NDArray[np.int32]
    values: NDArray[np.float32]


def count(seq: UserSequences, how: Counting, keep: int, target_power: float) -> Rows:
    """Counts C (n_items, n_items) float32 without the diagonal; of each row the `keep` highest by
    C[i, j] / popularity[j] ** target_power."""
    discount = np.maximum(seq.popularity, 1.0) ** -target_power
    return joined(prune(block, discount, keep) for block in counts(seq, how))


def counts(seq: UserSequences, how: Counting) -> Iterator[Rows]:
    """C block by block: some rows, then the rows after them. Rows aren't in the order of their items."""
    return _whole(seq, how) if how.window is None else _windowed(seq, how, how.window)


def joined(blocks: Iterable[Rows]) -> Rows:
    """Blocks of rows one after the other, each row in the order of its items."""
    done = [_by_item(block) for block in blocks]
    if not done:
        return _nothing(0)
    starts = np.concatenate([[0], np.cumsum(np.concatenate([np.diff(one.starts) for one in done]))])
    return Rows(starts, np.concatenate([one.items for one in done]), np.concatenate([one.values for one in done]))


def corrected(rows: Rows, popularity: NDArray[np.float64], source_power: float, target_power: float) -> Rows:
    """C[i, j] / (popularity[i] ** source_power * popularity[j] ** target_power) in the place of C[i, j]."""
    popularity = np.maximum(popularity, 1.0)
    source = np.repeat(popularity**-source_power, np.diff(rows.starts))
    values = rows.values * source * (popularity**-target_power)[rows.items]
    return Rows(rows.starts, rows.items, values.astype(np.float32))


def prune(rows: Rows, discount: NDArray[np.float64] | None, keep: int) -> Rows:
    """Of each row the `keep` entries with the highest value * discount of their item (None: 1 for all); of equal ones the
    first."""
    ranked = rows.values if discount is None else rows.values * discount[rows.items]
    kept = np.ones(len(ranked), bool)
    sizes = np.diff(rows.starts)
    for row in np.flatnonzero(sizes > keep).tolist():
        part = slice(int(rows.starts[row]), int(rows.starts[row + 1]))
        values = ranked[part]
        ordered = values.copy()
        ordered.partition(len(values) - keep)
        least = ordered[len(values) - keep]
        chosen = values >= least
        surplus = int(np.count_nonzero(chosen)) - keep
        if surplus > 0:
            chosen[np.flatnonzero(values == least)[-surplus:]] = False
        kept[part] = chosen
    return Rows(_starts(np.minimum(sizes, keep)), rows.items[kept], rows.values[kept])


def _whole(seq: UserSequences, how: Counting) -> Iterator[Rows]:
    """C = X^T D X, where X (n_users, n_items) holds each user's strongest event on an item and D the users' powers."""
    from scipy import sparse

    n_users, n_items = len(seq.lengths), len(seq.popularity)
    users, items, strength = cells(seq, seq.strengths * _root_age(seq, how))
    if not len(users):
        yield _nothing(n_items)
        return
    x = sparse.csr_matrix((strength, (users, items)), shape=(n_users, n_items))
    weighted = (strength * _user_factor(seq, how)[users]).astype(np.float32)
    left = sparse.csr_matrix((weighted, (items, users)), shape=(n_items, n_users))
    work = np.bincount(items, weights=np.diff(x.indptr)[users], minlength=n_items)
    for begin, end in _blocks(work):
        yield _without_diagonal((left[begin:end] @ x).tocsr(), begin)


def _windowed(seq: UserSequences, how: Counting, window: int) -> Iterator[Rows]:
    """C[i, j] = sum over users and pairs (p, q) of their events, 0 < |p - q| <= window, i at p and j at q."""
    from scipy import sparse

    n_items = len(seq.popularity)
    by_item = np.argsort(seq.items, kind="stable")
    bounds = np.searchsorted(seq.items[by_item], np.arange(n_items + 1))
    value = (seq.strengths * _root_age(seq, how)).astype(np.float32)
    source = (value * _user_factor(seq, how)[seq.users]).astype(np.float32)
    ends = np.cumsum(seq.lengths)
    after = how.decay ** np.arange(window)
    of_step = np.concatenate([how.backward * after[::-1], [0.0], after]).astype(np.float32)
    merge = sparse.identity(n_items, np.float32, format="csr")
    for begin, end in _blocks(seq.popularity * 2 * window):
        p = by_item[bounds[begin] : bounds[end]]
        user = seq.users[p]
        first = np.maximum(p - window, ends[user] - seq.lengths[user])
        sizes = np.minimum(p + window + 1, ends[user]) - first
        stops = np.concatenate([[0], np.cumsum(sizes)])
        # q runs from `first` of each p on; p's are in the order of their items, so the rows need no sorting.
        q = np.arange(stops[-1]) + np.repeat(first - stops[:-1], sizes)
        values = of_step[q - np.repeat(p - window, sizes)] * value[q] * np.repeat(source[p], sizes)
        starts = stops[bounds[begin : end + 1] - bounds[begin]]
        pairs = sparse.csr_matrix((values, seq.items[q], starts), shape=(end - begin, n_items))
        # The product with the identity adds up repeated pairs without sorting them first.
        yield _without_diagonal(pairs @ merge, begin)


def _by_item(rows: Rows) -> Rows:
    from scipy import sparse

    # Each row is sorted by itself, which is several times faster than all entries together.
    width = int(rows.items.max(initial=0)) + 1
    matrix = sparse.csr_matrix((rows.values.copy(), rows.items.copy(), rows.starts), shape=(len(rows.starts) - 1, width))
    matrix.sort_indices()
    return Rows(rows.starts, matrix.indices.astype(np.int32, copy=False), matrix.data)


def _user_factor(seq: UserSequences, how: Counting) -> NDArray[np.float64]:
    return np.maximum(seq.lengths, 1).astype(np.float64) ** -how.user_power


def _root_age(seq: UserSequences, how: Counting) -> NDArray[np.float64]:
    # A pair's age is the mean of its two events', so each brings the root of its decay.
    return np.sqrt(decay(seq.days, how.half_life_days))


def _blocks(work: NDArray[Any]) -> Iterator[tuple[int, int]]:
    """Ranges of rows with about _BLOCK units of work each."""
    block = (np.cumsum(work) / _BLOCK).astype(np.int64)
    cuts = [0, *(np.flatnonzero(np.diff(block)) + 1).tolist(), len(work)]
    yield from ((a, b) for a, b in pairwise(cuts) if a < b)


def _nothing(n: int) -> Rows:
    return Rows(np.zeros(n + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))


def _starts(sizes: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Where rows of these sizes begin, and where the last one ends."""
    starts = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=starts[1:])
    return starts


def _without_diagonal(block: Any, begin: int) -> Rows:
    sizes = np.diff(block.indptr)
    # Pairs are many, so nothing of 8 bytes is made of all of them, and what is rare is looked for, not what is usual.
    row = np.repeat(np.arange(begin, begin + len(sizes), dtype=np.int32), sizes)
    gone = block.indices == row
    if len(block.data) and block.data.min() <= 0:
        gone |= block.data <= 0
    lost = np.bincount(row[np.flatnonzero(gone)] - begin, minlength=len(sizes))
    kept = np.logical_not(gone, out=gone)
    items, values = block.indices[kept], block.data[kept]
    return Rows(_starts(sizes - lost), items.astype(np.int32, copy=False), values.astype(np.float32, copy=False))
