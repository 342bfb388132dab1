"""Counts of the items that the same users had, as sparse rows, and item vectors made of them.

The counts are made block by block, so that memory stays flat.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.linear_algebra import CSR, truncated_svd
from es_recsys.sequences import UserSequences, cells

__all__ = ["CooccurrenceConfig", "corrected", "count", "counts", "joined", "prune", "spectral_vectors"]

_BLOCK = 8_000_000
_SPECTRAL_NEIGHBOURS = 300
_SPECTRAL_DIAGONAL = 0.3


@dataclass(frozen=True, slots=True)
class CooccurrenceConfig:
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


def count(seq: UserSequences, how: CooccurrenceConfig, keep: int, target_power: float) -> CSR:
    """Return counts C (n_items, n_items) float32 without the diagonal, pruned.

    Of each row the `keep` highest by C[i, j] / popularity[j] ** target_power stay.
    """
    discount = np.maximum(seq.popularity, 1.0) ** -target_power
    return joined(prune(block, discount, keep) for block in counts(seq, how))


def spectral_vectors(seq: UserSequences, how: CooccurrenceConfig, dims: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return vectors of items (n_items, dims) float64 of length 1, near where the items are had together.

    They are U S of the truncated singular value decomposition U S V^T of

        D^(-1/2) C D^(-1/2) + .3 I

    where C counts pairs as `how` says, in both directions, and D has its row sums. The diagonal keeps the directions in which
    neighbours are opposites out of the first ones. An item without a pair is only like itself: zeros.
    """
    from scipy import sparse

    n_items = len(seq.popularity)
    rows = count(seq, how, _SPECTRAL_NEIGHBOURS, 0.5)
    vectors = np.zeros((n_items, dims))
    if not len(rows.indices):
        return vectors
    matrix = sparse.csr_matrix((rows.data, rows.indices, rows.indptr), shape=(n_items, n_items))
    scale = np.asarray(matrix.sum(axis=1)).ravel()
    scale = sparse.diags(np.where(scale > 0, scale, 1.0) ** -0.5)
    near = scale @ (matrix + matrix.T) @ scale * 0.5 + _SPECTRAL_DIAGONAL * sparse.eye(n_items)
    left, values, _ = truncated_svd(near.tocsr(), dims, rng)
    vectors[:, : len(values)] = left * values * (np.diff(rows.indptr) > 0)[:, None]
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0.0, lengths, 1.0)


def counts(seq: UserSequences, how: CooccurrenceConfig) -> Iterator[CSR]:
    """Yield C block by block: some rows, then the rows after them. CSR aren't in the order of their items."""
    return _whole(seq, how) if how.window is None else _windowed(seq, how, how.window)


def joined(blocks: Iterable[CSR]) -> CSR:
    """Return blocks of rows one after the other, each row in the order of its items."""
    done = [_by_item(block) for block in blocks]
    if not done:
        return _nothing(0)
    starts = np.concatenate([[0], np.cumsum(np.concatenate([np.diff(one.indptr) for one in done]))])
    return CSR(starts, np.concatenate([one.indices for one in done]), np.concatenate([one.data for one in done]))


def corrected(rows: CSR, popularity: NDArray[np.float64], source_power: float, target_power: float) -> CSR:
    """Return C[i, j] / (popularity[i] ** source_power * popularity[j] ** target_power) for counts C."""
    popularity = np.maximum(popularity, 1.0)
    source = np.repeat(popularity**-source_power, np.diff(rows.indptr))
    values = rows.data * source * (popularity**-target_power)[rows.indices]
    return CSR(rows.indptr, rows.indices, values.astype(np.float32))


def prune(rows: CSR, discount: NDArray[np.float64] | None, keep: int) -> CSR:
    """Return of each row the `keep` entries with the highest value * discount of their item; of equal ones the first.

    discount: None for 1 for all.
    """
    ranked = rows.data if discount is None else rows.data * discount[rows.indices]
    kept = np.ones(len(ranked), bool)
    sizes = np.diff(rows.indptr)
    for row in np.flatnonzero(sizes > keep).tolist():
        part = slice(int(rows.indptr[row]), int(rows.indptr[row + 1]))
        values = ranked[part]
        ordered = values.copy()
        ordered.partition(len(values) - keep)
        least = ordered[len(values) - keep]
        chosen = values >= least
        surplus = int(np.count_nonzero(chosen)) - keep
        if surplus > 0:
            chosen[np.flatnonzero(values == least)[-surplus:]] = False
        kept[part] = chosen
    return CSR(_starts(np.minimum(sizes, keep)), rows.indices[kept], rows.data[kept])


def _whole(seq: UserSequences, how: CooccurrenceConfig) -> Iterator[CSR]:
    """Yield C = X^T D X by blocks of rows.

    X (n_users, n_items) holds each user's strongest event on an item, and D the users' powers.
    """
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


def _windowed(seq: UserSequences, how: CooccurrenceConfig, window: int) -> Iterator[CSR]:
    """Yield C by blocks of rows, counted within windows.

    C[i, j] = sum over users and pairs (p, q) of their events, 0 < |p - q| <= window, i at p and j at q.
    """
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


def _by_item(rows: CSR) -> CSR:
    from scipy import sparse

    # Each row is sorted by itself, which is several times faster than all entries together.
    width = int(rows.indices.max(initial=0)) + 1
    matrix = sparse.csr_matrix((rows.data.copy(), rows.indices.copy(), rows.indptr), shape=(len(rows.indptr) - 1, width))
    matrix.sort_indices()
    return CSR(rows.indptr, matrix.indices.astype(np.int32, copy=False), matrix.data)


def _user_factor(seq: UserSequences, how: CooccurrenceConfig) -> NDArray[np.float64]:
    return np.maximum(seq.lengths, 1).astype(np.float64) ** -how.user_power


def _root_age(seq: UserSequences, how: CooccurrenceConfig) -> NDArray[np.float64]:
    # A pair's age is the mean of its two events', so each brings the root of its decay.
    return np.sqrt(np.exp2(-seq.days / how.half_life_days))


def _blocks(work: NDArray[Any]) -> Iterator[tuple[int, int]]:
    """Yield ranges of rows with about _BLOCK units of work each."""
    block = (np.cumsum(work) / _BLOCK).astype(np.int64)
    cuts = [0, *(np.flatnonzero(np.diff(block)) + 1).tolist(), len(work)]
    yield from ((a, b) for a, b in pairwise(cuts) if a < b)


def _nothing(n: int) -> CSR:
    return CSR(np.zeros(n + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))


def _starts(sizes: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Return where rows of these sizes begin, and where the last one ends."""
    starts = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=starts[1:])
    return starts


def _without_diagonal(block: Any, begin: int) -> CSR:
    sizes = np.diff(block.indptr)
    # Pairs are many, so nothing of 8 bytes is made of all of them, and what is rare is looked for, not what is usual.
    row = np.repeat(np.arange(begin, begin + len(sizes), dtype=np.int32), sizes)
    gone = block.indices == row
    if len(block.data) and block.data.min() <= 0:
        gone |= block.data <= 0
    lost = np.bincount(row[np.flatnonzero(gone)] - begin, minlength=len(sizes))
    kept = np.logical_not(gone, out=gone)
    items, values = block.indices[kept], block.data[kept]
    return CSR(_starts(sizes - lost), items.astype(np.int32, copy=False), values.astype(np.float32, copy=False))
