"""What models of neighbours share: sparse rows of weights from item to item, summed over a history."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import History
from es_recsys.item_ids import ItemIds
from es_recsys.linear_algebra import CSR
from es_recsys.models.base import Model
from es_recsys.models.types import NEW_ITEM_DISCOUNT, HistoryBatch, NewItems, ranges

__all__ = ["Neighbours", "by_liked", "of_liked"]

# What the scores of one history may take, of every user that a client has at hand; an item and its score, or a score alone.
_MOST_BYTES, _ENTRY_BYTES, _SCORE_BYTES = 120_000, 12, 4
# Entries of a row that new items are mixed of, and of a new row: the weakest ones cost most and say least.
_MIXED = 200
# Of a product that is there at once: 12 bytes each.
_ENTRIES = 4_000_000
# Entries that are summed and scores that are there at once, for a block of users: 20 bytes each at most.
_PRODUCTS, _CELLS = 8_000_000, 4_000_000
_MOST_NEW = 0.25

_Lookup = Callable[[NDArray[np.int64]], NDArray[np.float32]]


class Neighbours(Model):
    """Base of models of sparse weights from item to item.

    A sparse matrix W (n_items, n_items) float32, by rows. A history scores

        score[j] = sum over its events h of recent_weights[h] * W[i_h, j]

    so a dislike subtracts what it goes with. Where weights are below zero, dislikes alone still bring nothing up.

    A child's config has half_life, after how many later events one of the history counts half (Ludewig and Jannach 2018
    give the newest the most), and half_life_days, the same in days.
    """

    kind: ClassVar[str] = "neighbours"
    takes_new_items: ClassVar[bool] = True
    inference_params: ClassVar[frozenset[str]] = frozenset({"half_life", "half_life_days"})
    _cached: tuple[tuple[bytes, ...], NDArray[np.float32]] | None = None

    def _learned(self, item_ids: ItemIds, rows: CSR) -> None:
        self._ids, self._fingerprint, self._cached = item_ids, None, None
        self._arrays = {"starts": rows.indptr, "items": rows.indices, "values": rows.data}

    def add_new_items(self, new: NewItems) -> Self:
        """Add a column and a row for each new item.

        A row gets the strongest of the new columns, in proportion to how many there are but a quarter of its entries at most, as
        each costs every answer; a new row has a few hundred entries, as new items are many and in few histories.
        """
        from scipy import sparse

        arrays, n, most = self._arrays, len(new.item_ids), self.config.neighbours
        at = np.searchsorted(np.array(new.item_ids), np.array(self.item_ids[:]))
        sizes = np.diff(arrays["starts"])
        known = sparse.csr_matrix((arrays["values"], (np.repeat(at, sizes), at[arrays["items"]])), shape=(n, n))
        share = min(len(new.new) / max(n - len(new.new), 1), _MOST_NEW)
        strong = NEW_ITEM_DISCOUNT * _strongest(known, _MIXED)
        columns = _strongest_product(strong, new.mixtures.T.tocsr(), max(math.ceil(most * share), 1))
        spread = sparse.csr_matrix((np.ones(len(new.new)), (np.arange(len(new.new)), new.new)), shape=(len(new.new), n))
        whole = known + columns @ spread
        rows = spread.T @ _strongest_product(new.mixtures, _strongest(whole.tocsr(), _MIXED), min(most, _MIXED))
        # What comes of an item is never itself.
        whole = (whole + rows - sparse.diags(rows.diagonal())).tocsr().astype(np.float32)
        whole.eliminate_zeros()
        whole.sort_indices()
        found = CSR(whole.indptr.astype(np.int64), whole.indices.astype(np.int32), whole.data)
        self._learned(ItemIds.of(new.item_ids), found)
        return self

    def scorer(self, history: History) -> Callable[[Sequence[str]], NDArray[np.float32]]:
        return _HistoryScores(self, history)

    def nonzero_scores(self, history: History) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the item_idx, ascending, of all items with a score other than 0, and these raw scores."""
        scores = self._all_scores(self._encoded(history))
        items = np.flatnonzero(scores)
        return items, scores[items]

    def _event_weights(self, batch: HistoryBatch) -> NDArray[np.float64]:
        return batch.recent_weights(self.config.half_life, self.config.half_life_days)

    def _all_scores(self, batch: HistoryBatch) -> NDArray[np.float32]:
        # An answer asks for the best of a history, and then for what it says of candidates.
        key = tuple(part.tobytes() for part in (batch.items, batch.weights, batch.recency_rank, batch.ages))
        cached = self._cached
        if cached is None or cached[0] != key:
            cached = key, self._summed(batch)
            cached[1].setflags(write=False)
            self._cached = cached
        return cached[1]

    def _summed(self, batch: HistoryBatch) -> NDArray[np.float32]:
        at, lengths = ranges(self._arrays["starts"], batch.items)
        items = self._arrays["items"][at]
        values = self._arrays["values"][at] * np.repeat(self._event_weights(batch), lengths)
        return of_liked(batch, np.bincount(items, weights=values, minlength=len(self.item_ids)).astype(np.float32))

    def scores_of_users(self, batch: HistoryBatch) -> Iterator[NDArray[np.float32]]:
        """Yield the scores of each user: a sparse product for a block of users, which takes a third of summing for each."""
        if len(batch) == 1:
            yield self._all_scores(batch)
            return
        entries = np.concatenate([[0], np.cumsum(np.diff(self._arrays["starts"])[batch.items])])[batch.starts]
        users, begin = max(_CELLS // max(len(self.item_ids), 1), 1), 0
        while begin < len(batch):
            end = int(np.searchsorted(entries, entries[begin] + _PRODUCTS, side="right")) - 1
            end = min(max(end, begin + 1), begin + users, len(batch))
            part = batch.some(begin, end)
            for user, scores in enumerate(self._product(part)):
                yield of_liked(part.one(user), scores)
            begin = end

    def _product(self, batch: HistoryBatch) -> NDArray[np.float32]:
        """Return the sums (u, n_items) of u histories, made as `_summed` makes them, in the same order."""
        from scipy import sparse

        distinct, rows = np.unique(batch.items, return_inverse=True)
        at, sizes = ranges(self._arrays["starts"], distinct)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        known = (self._arrays["values"][at].astype(np.float64), self._arrays["items"][at], starts)
        events = (self._event_weights(batch), rows, batch.starts)
        weights = sparse.csr_matrix(events, shape=(len(batch), len(distinct)))
        found = weights @ sparse.csr_matrix(known, shape=(len(distinct), len(self.item_ids)))
        return np.asarray(found.toarray(), np.float32)

    def _contributions(self, batch: HistoryBatch, item_idx: NDArray[np.int64]) -> NDArray[np.float64]:
        starts = self._arrays["starts"]
        shares = np.zeros((len(batch.items), len(item_idx)))
        for event, item in enumerate(batch.items.tolist()):
            row = slice(int(starts[item]), int(starts[item + 1]))
            items = self._arrays["items"][row]
            if len(items):
                at = np.minimum(np.searchsorted(items, item_idx), len(items) - 1)
                shares[event] = np.where(items[at] == item_idx, self._arrays["values"][row][at], 0.0)
        return by_liked(batch, shares * self._event_weights(batch)[:, None])


def _strongest(matrix: Any, most: int) -> Any:
    """Return a scipy CSR matrix with the `most` entries of each row that are furthest from 0."""
    from scipy import sparse

    starts, kept = matrix.indptr.tolist(), np.ones(matrix.nnz, bool)
    for row in np.flatnonzero(np.diff(matrix.indptr) > most).tolist():
        own = slice(starts[row], starts[row + 1])
        sizes = np.abs(matrix.data[own])
        least = np.partition(sizes, -most)[-most]
        larger = sizes > least
        # Of those that are alike the first ones.
        larger[np.flatnonzero(sizes == least)[: most - np.count_nonzero(larger)]] = True
        kept[own] = larger
    ends = np.concatenate([[0], np.cumsum(kept)])[matrix.indptr]
    return sparse.csr_matrix((matrix.data[kept], matrix.indices[kept], ends), shape=matrix.shape)


def _strongest_product(left: Any, right: Any, most: int) -> Any:
    """Return what `_strongest` does of the product of two CSR matrices, which is too large to be there at once."""
    from scipy import sparse

    entries = np.concatenate([[0], np.cumsum(np.diff(right.indptr)[left.indices])])[left.indptr]
    blocks, begin = [], 0
    while begin < left.shape[0]:
        end = max(int(np.searchsorted(entries, entries[begin] + _ENTRIES, side="right")) - 1, begin + 1)
        blocks.append(_strongest(left[begin:end] @ right, most))
        begin = end
    return sparse.vstack(blocks, "csr") if blocks else left @ right


class _HistoryScores:
    """What a model says of a history, kept from the first call on where that takes at most `_MOST_BYTES`."""

    def __init__(self, model: Neighbours, history: History) -> None:
        self._model, self._history = model, history
        self._kept: _Lookup | None = None

    def __call__(self, item_ids: Sequence[str]) -> NDArray[np.float32]:
        """Return the raw score (n,) of each item; 0 for an item that the model doesn't know."""
        item_idx = self._model.item_ids.find(item_ids)
        lookup = self._kept or self._read()
        return np.where(item_idx >= 0, lookup(item_idx), np.float32(0.0))

    def _read(self) -> _Lookup:
        items, scores = self._model.nonzero_scores(self._history)
        entries, known = len(items), len(self._model.item_ids)
        if entries * _ENTRY_BYTES < known * _SCORE_BYTES:
            size, lookup = entries * _ENTRY_BYTES, partial(_sparse_scores, items, scores)
        else:
            whole = np.zeros(known, np.float32)
            whole[items] = scores
            size, lookup = known * _SCORE_BYTES, partial(np.take, whole)
        if size <= _MOST_BYTES:
            self._kept = lookup
        return lookup


def _sparse_scores(items: NDArray[np.int64], scores: NDArray[np.float32], item_idx: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the score (n,) of each item_idx; 0 for one that is not among items, which ascend."""
    if not len(items):
        return np.zeros(len(item_idx), np.float32)
    at = np.minimum(np.searchsorted(items, item_idx), len(items) - 1)
    return np.where(items[at] == item_idx, scores[at], np.float32(0.0))


def of_liked(batch: HistoryBatch, scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the scores of one user, none above 0 where nothing in the history is liked.

    What a disliked item repels isn't therefore what they like.
    """
    return scores if (batch.weights > 0).any() else np.minimum(scores, 0)


def by_liked(batch: HistoryBatch, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what each event adds to scores (m, t), without what a dislike adds: only a liked item is an explanation."""
    return np.where(batch.weights[:, None] > 0, shares, np.minimum(shares, 0.0))
