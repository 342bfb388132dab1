"""What models share whose items lie where their content puts them, so that one without events has a place."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.models.folded import FactorModel
from es_recsys.models.histories import HistoryBatch
from es_recsys.models.neighbours import recent_weights
from es_recsys.types import Interactions, ItemTable

__all__ = ["OfContent", "over_union"]


class OfContent(FactorModel):
    """Unit vectors e(i) of items, and of a user the decayed signed mean of what they did:

        u = sum_h w_h d_h e(i_h) / sum_h |w_h| d_h        d_h = 2 ** (-p_h / half_life) * 2 ** (-a_h / half_life_days)

    over events h with weights w_h, items i_h, places p_h (0 for the newest) and ages a_h (days before it). `config` has
    half_life and half_life_days.
    """

    def _users(self, batch: HistoryBatch) -> NDArray[np.float32]:
        weights = recent_weights(batch, self.config.half_life, self.config.half_life_days)
        users = np.zeros((len(batch), self.item_vectors.shape[1]), np.float32)
        for user, (begin, end) in enumerate(zip(batch.starts[:-1].tolist(), batch.starts[1:].tolist(), strict=True)):
            vectors, mine = self.item_vectors[batch.items[begin:end]], weights[begin:end]
            if ((mine > 0) & vectors.any(axis=1)).any():
                users[user] = mine @ vectors / np.abs(mine).sum()
        return users

    def _contributions(self, batch: HistoryBatch, place: int) -> NDArray[np.float64]:
        if not self._users(batch).any():
            return np.zeros(len(batch.items))
        alike: NDArray[np.float64] = (self.item_vectors[batch.items] @ self.item_vectors[place]).astype(np.float64)
        return recent_weights(batch, self.config.half_life, self.config.half_life_days) * alike


def over_union(data: Interactions, items: ItemTable, rows: NDArray[np.float32]) -> tuple[list[str], NDArray[np.float32]]:
    """Ids of all items, those with events alone as well, in sorted order; and `rows` (n, d) of the table in the place of
    each, zeros for an item that the table hasn't."""
    ids: NDArray[Any] = np.union1d(data.item_ids, items.item_ids)
    spread = np.zeros((len(ids), rows.shape[1]), np.float32)
    spread[np.searchsorted(ids, items.item_ids)] = rows
    return ids.tolist(), spread
