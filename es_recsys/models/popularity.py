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
from es_recsys.models.base import Model, TrainingCallback
from es_recsys.models.types import HistoryBatch, decay, take
from es_recsys.top_k import top_scores

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
        newest = float(data.times[data.weights > 0].max(initial=-math.inf))
        counted = self._sums(data, newest)
        return self._set_counted(data.item_ids.tolist(), counted, _events_of_items(data), newest, data.timed)

    def with_events(self, added: Interactions, removed: Interactions) -> Self | None:
        """Return what `fit` counts when some events came and others went; None where that takes all of them.

        The sums are kept in float64 and only fade until there is a newer event, so nothing is lost however often this is done.
        """
        newest = float(self._arrays["newest"][0]) if "newest" in self._arrays else math.nan
        gone = removed.times[removed.weights > 0].max(initial=-math.inf)
        if math.isnan(newest) or (removed.timed and gone >= newest):
            return None
        before, newest = newest, max(newest, float(added.times[added.weights > 0].max(initial=-math.inf)))
        known = list(self.item_ids)
        item_ids = sorted({*known, *added.item_ids.tolist()})
        codes = {item_id: code for code, item_id in enumerate(item_ids)}
        sums, events = np.zeros((2, len(item_ids))), np.zeros(len(item_ids), np.int64)
        own = np.array([codes[item_id] for item_id in known], np.int64)
        age = np.array([(newest - before) / 86_400.0 if added.timed else 0.0])
        events[own] = self._arrays["events"]
        for row, half_life in enumerate(self._half_lives):
            sums[row, own] = self._arrays["sums"][row] * decay(age, half_life)
        for data, sign in ((added, 1), (removed, -1)):
            theirs = np.array([codes[item_id] for item_id in data.item_ids.tolist()], np.int64)
            sums[:, theirs] += sign * self._sums(data, newest)
            events[theirs] += sign * _events_of_items(data)
        there = events > 0
        if not there.any():
            return None
        names = [item_id for item_id, has in zip(item_ids, there.tolist(), strict=True) if has]
        return type(self)(self.config)._set_counted(names, sums[:, there], events[there], newest, added.timed)

    @property
    def _half_lives(self) -> tuple[float, float]:
        return self.config.half_life_days, self.config.trend_half_life_days

    def _sums(self, data: Interactions, newest: float) -> NDArray[np.float64]:
        """Return (2, n_items) the weights of positive events, decayed until `newest` by each half-life."""
        liked = take(data, data.weights > 0)
        days = (newest - liked.times) / 86_400.0
        shares = [decay(days, half_life) if data.timed else np.ones(len(days)) for half_life in self._half_lives]
        return np.stack([np.bincount(liked.items, liked.weights * share, minlength=len(data.item_ids)) for share in shares])

    def _set_counted(
        self, item_ids: list[str], sums: NDArray[np.float64], events: NDArray[np.int64], newest: float, timed: bool
    ) -> Self:
        counts, recent = sums.astype(np.float32)
        arrays = {"counts": counts, "recent": recent if timed else np.zeros_like(counts)}
        return self._set_learned(item_ids, {**arrays, "sums": sums, "events": events, "newest": np.array([newest])})

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

    def _contributions(self, batch: HistoryBatch, item_idx: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.zeros((len(batch.items), len(item_idx)))


def _events_of_items(data: Interactions) -> NDArray[np.int64]:
    return np.bincount(data.items, minlength=len(data.item_ids)).astype(np.int64)
