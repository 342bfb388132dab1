"""What most people like, lately; and what more people like than usual."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from es_recsys.dataset import Interactions, ItemTable
from es_recsys.models.base import Model, TrainingCallback, top_scores
from es_recsys.models.types import HistoryBatch, decay, take

__all__ = ["Popularity", "PopularityConfig"]


@dataclass(frozen=True, slots=True)
class PopularityConfig:
    """Half-lives in days of the counts; stores without time count all events alike."""

    half_life_days: float = 30.0
    trend_half_life_days: float = 3.0


class Popularity(Model):
    """What most people like, lately.

    Sum of the weights w of positive events, each halved every `half_life_days` before T, the newest event of all (as Ding and
    Li 2005, "Time weight collaborative filtering", let ratings fade):

        score[j] = sum over events on j at t of w * 2 ** (-(T - t) / half_life_days)

    The same for every history, also an empty one; `explain` therefore names nothing.
    """

    name: ClassVar[str] = "popularity"
    config_class: ClassVar[type] = PopularityConfig
    kind: ClassVar[str] = "neighbours"

    def fit(
        self, data: Interactions, rng: Generator, items: ItemTable | None = None, callback: TrainingCallback | None = None
    ) -> Self:
        """Count; return itself. `rng` isn't used."""
        liked = take(data, data.weights > 0)
        days = (liked.times.max(initial=-math.inf) - liked.times) / 86_400.0
        halves = (self.config.half_life_days, self.config.trend_half_life_days)
        counts, recent = (
            np.bincount(
                liked.items,
                weights=liked.weights * (decay(days, half_life) if data.timed else 1.0),
                minlength=len(data.item_ids),
            ).astype(np.float32)
            for half_life in halves
        )
        return self._set_learned(
            data.item_ids.tolist(), {"counts": counts, "recent": recent if data.timed else np.zeros_like(counts)}
        )

    def trending(self, n: int = 100, exclude: Collection[str] = frozenset()) -> list[tuple[str, float]]:
        """Return items with more recent events than their usual rate explains.

        They are by (recent - expected) / sqrt(expected + 1); none in a store without time.

        A steady rate r gives a decayed count of r * half_life / ln 2, so `expected` is the long count scaled to the
        short half-life.
        """
        expected = self._arrays["counts"] * (self.config.trend_half_life_days / self.config.half_life_days)
        surplus = ((self._arrays["recent"] - expected) / np.sqrt(expected + 1.0)).astype(np.float32)
        left_out = self.item_ids.find(list(exclude))
        item_idx, scores = top_scores(surplus, n, left_out[left_out >= 0])
        return list(zip(self.item_ids.take(item_idx), scores.tolist(), strict=True))

    def _all_scores(self, batch: HistoryBatch) -> NDArray[np.float32]:
        counts: NDArray[np.float32] = self._arrays["counts"]
        return counts

    def _contributions(self, batch: HistoryBatch, item_idx: int) -> NDArray[np.float64]:
        return np.zeros(len(batch.items))
