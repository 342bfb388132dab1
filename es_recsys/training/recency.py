"""Newness at the moment of a split in time, so that it can be weighed beside the models."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from es_recsys.dataset import Interactions, ItemTable
from es_recsys.evaluation.holdout_split import HoldoutSplit
from es_recsys.models.base import Model, TrainingCallback, rows_of_all_items
from es_recsys.models.types import HistoryBatch
from es_recsys.search.retrievers import RECENCY

__all__ = ["Recency", "RecencyConfig", "recency_of"]

# Share of the items of which it must be known since when they are there.
_DATED = 0.5
_HOUR_S = 3_600.0


@dataclass(frozen=True, slots=True)
class RecencyConfig:
    """pivot_hours: age at which an item scores a half. moment: epoch seconds at which ages are taken."""

    pivot_hours: float = 720.0
    moment: float = math.inf


class Recency(Model):
    """What the retriever `recency` scores at a moment, the same for every history; what came later scores nothing.

    score[j] = pivot / (pivot + age of j)
    """

    name: ClassVar[str] = RECENCY
    config_class: ClassVar[type] = RecencyConfig
    kind: ClassVar[str] = "neighbours"

    def fit(
        self, data: Interactions, rng: Generator, items: ItemTable | None = None, callback: TrainingCallback | None = None
    ) -> Self:
        """Score the items; return itself. `rng` isn't used."""
        created = items.created if items is not None else np.zeros(0)
        ages = self.config.moment - created
        there = ages >= 0.0  # not NaN either
        pivot = self.config.pivot_hours * _HOUR_S
        scores = np.where(there, pivot / (pivot + np.where(there, ages, 0.0)), 0.0).astype(np.float32)
        if items is None:
            return self._set_learned([], {"scores": scores})
        ids, rows = rows_of_all_items(data, items, scores[:, None])
        return self._set_learned(ids, {"scores": rows[:, 0]})

    def _all_scores(self, batch: HistoryBatch) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = self._arrays["scores"]
        return scores

    def _contributions(self, batch: HistoryBatch, item_idx: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.zeros((len(batch.items), len(item_idx)))


def recency_of(part: HoldoutSplit, items: ItemTable | None, pivot_hours: float) -> Recency | None:
    """Return what is new at the moment of a split in time; None for another split, and where few items have a date."""
    moment = part.rule.moment
    if items is None or not math.isfinite(moment) or not np.isfinite(items.created).mean() >= _DATED:
        return None
    return Recency(RecencyConfig(pivot_hours, moment)).fit(part.train, np.random.default_rng(0), items)
