"""What models of neighbours share: sparse rows of weights from item to item, summed over a history."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from es_recsys.item_ids import ItemIds
from es_recsys.linear_algebra import CSR
from es_recsys.models.base import Model
from es_recsys.models.types import HistoryBatch

__all__ = ["Neighbours", "by_liked", "of_liked"]


class Neighbours(Model):
    """Base of models of sparse weights from item to item.

    A sparse matrix W (n_items, n_items) float32, by rows. A history scores

        score[j] = sum over its events h of recent_weights[h] * W[i_h, j]

    so a dislike subtracts what it goes with. Where weights are below zero, dislikes alone still bring nothing up.

    A child's config has half_life, after how many later events one of the history counts half (Ludewig and Jannach 2018
    give the newest the most), and half_life_days, the same in days.
    """

    kind: ClassVar[str] = "neighbours"
    inference_params: ClassVar[frozenset[str]] = frozenset({"half_life", "half_life_days"})
    _cached: tuple[tuple[bytes, ...], NDArray[np.float32]] | None = None

    def _learned(self, item_ids: ItemIds, rows: CSR) -> None:
        self._ids, self._fingerprint, self._cached = item_ids, None, None
        self._arrays = {"starts": rows.indptr, "items": rows.indices, "values": rows.data}

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
        starts, size = self._arrays["starts"], len(self.item_ids)
        begins, ends = starts[batch.items], starts[batch.items + 1]
        rows = [slice(b, e) for b, e in zip(begins.tolist(), ends.tolist(), strict=True)]
        if not rows:
            return np.zeros(size, np.float32)
        items = np.concatenate([self._arrays["items"][row] for row in rows])
        values = np.concatenate([self._arrays["values"][row] for row in rows])
        values = values * np.repeat(self._event_weights(batch), ends - begins)
        return of_liked(batch, np.bincount(items, weights=values, minlength=size).astype(np.float32))

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


def of_liked(batch: HistoryBatch, scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the scores of one user, none above 0 where nothing in the history is liked.

    What a disliked item repels isn't therefore what they like.
    """
    return scores if (batch.weights > 0).any() else np.minimum(scores, 0)


def by_liked(batch: HistoryBatch, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what each event adds to scores (m, t), without what a dislike adds: only a liked item is an explanation."""
    return np.where(batch.weights[:, None] > 0, shares, np.minimum(shares, 0.0))
