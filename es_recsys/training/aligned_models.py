"""Models that know different items, asked with the item_idx of one list of ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from es_recsys.item_ids import ItemIds
from es_recsys.models.base import Model
from es_recsys.models.types import HistoryBatch
from es_recsys.top_k import ScoredItems

__all__ = ["AlignedModel"]


class AlignedModel:
    """A model asked with item_idx, and answering with item_idx, of the list `ids`.

    An item that only the model knows has the item_idx len(ids) + its item_idx in the model; models that read the same catalogue
    agree in these too.
    """

    def __init__(self, model: Model, ids: ItemIds) -> None:
        self._model, self._n = model, len(ids)
        self._there: NDArray[np.int64] | None = None
        if not _same(model.item_ids, ids):
            self._there = model.item_ids.find(list(ids))
            known = np.flatnonzero(self._there >= 0)
            self._back = self._n + np.arange(len(model.item_ids), dtype=np.int64)
            self._back[self._there[known]] = known

    def recommend_idx(self, batch: HistoryBatch, n: int, exclude: Sequence[NDArray[np.int64]]) -> list[ScoredItems]:
        """Return what `Model.recommend_idx` does, with item_idx of `ids`."""
        if self._there is None:
            return self._model.recommend_idx(batch, n, exclude)
        lists = self._model.recommend_idx(self._translated(batch), n, [self._known(item_idx) for item_idx in exclude])
        return [(self._back[item_idx], scores) for item_idx, scores in lists]

    def score_idx(self, batch: HistoryBatch, item_idx: Sequence[NDArray[np.int64]]) -> list[NDArray[np.float32]]:
        """Return what `Model.score_idx` does, for item_idx of `ids`; 0 for an item that the model doesn't know."""
        if self._there is None:
            inside = [at < self._n for at in item_idx]
            found = self._model.score_idx(batch, [at[here] for at, here in zip(item_idx, inside, strict=True)])
        else:
            moved = [self._model_idx(at) for at in item_idx]
            inside = [at >= 0 for at in moved]
            found = self._model.score_idx(self._translated(batch), [at[here] for at, here in zip(moved, inside, strict=True)])
        return [_spread(scores, here) for scores, here in zip(found, inside, strict=True)]

    def _model_idx(self, item_idx: NDArray[np.int64]) -> NDArray[np.int64]:
        assert self._there is not None
        beyond = item_idx - self._n
        moved = np.where(beyond < len(self._model.item_ids), beyond, -1)
        here = item_idx < self._n
        moved[here] = self._there[item_idx[here]]
        return moved

    def _known(self, item_idx: NDArray[np.int64]) -> NDArray[np.int64]:
        moved = self._model_idx(item_idx)
        return moved[moved >= 0]

    def _translated(self, batch: HistoryBatch) -> HistoryBatch:
        assert self._there is not None
        items = self._there[batch.items]
        kept = items >= 0
        return replace(batch.where(kept), items=items[kept])


def _same(one: ItemIds, other: ItemIds) -> bool:
    mine, theirs = one.arrays(), other.arrays()
    return all(np.array_equal(mine[name], theirs[name]) for name in ("ids_offsets", "ids_blob"))


def _spread(scores: NDArray[np.float32], here: NDArray[np.bool_]) -> NDArray[np.float32]:
    if here.all():
        return scores
    spread = np.zeros(len(here), np.float32)
    spread[here] = scores
    return spread
