"""Repeat purchases: what is bought again, how likely, and after how many days."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from es_recsys import artefact
from es_recsys.item_ids import ItemIds

__all__ = ["DuePurchase", "RepeatPurchases"]

_NAME = "repeat_purchases"
_PRIOR = 5.0
_LEAST_RATE = 0.05
_LEAST_DAYS, _SPREAD = 0.5, (0.3, 1.5)


class DuePurchase(NamedTuple):
    """An item that a user bought and may buy again.

    rate: share of its buyers who do. interval_days: after how many days half of them have. days_since: since the user's last
    purchase of it. score: how likely it is bought now, a density by day.
    """

    item_id: str
    rate: float
    interval_days: float
    days_since: float
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class RepeatPurchases:
    """The aggregate time distribution of repeat purchases.

    Of Bhagat, Muralidharan, Lobzhanidze and Vishwanath 2018, "Buy it again: modeling repeat purchase recommendations". An item
    has a repeat rate r (buyers who bought it on two days or more, over all buyers), and a log-normal distribution of the days
    between two purchases of one buyer. t days after the last purchase

        score = r * lognormal(t; mu, sigma)

    which is highest about when the next one is due. Rates and means are shrunk towards those of all items by 5 buyers and 5
    intervals; items with a rate below .05 are left out. rates, means (of log days), (n_items,) float64; spread: sigma of all.
    """

    item_ids: ItemIds
    rates: NDArray[np.float64]
    means: NDArray[np.float64]
    spread: float

    @classmethod
    def count(cls, purchases: Iterable[tuple[str, str, float]]) -> Self:
        """Count purchases: (user, product, days since 1970). Those of one user and product on one day are one."""
        days: dict[tuple[str, str], set[int]] = {}
        for user, item_id, day in purchases:
            days.setdefault((item_id, user), set()).add(math.floor(day))
        buyers: dict[str, int] = {}
        repeaters: dict[str, int] = {}
        logs: dict[str, list[float]] = {}
        for (item_id, _), own in days.items():
            buyers[item_id] = buyers.get(item_id, 0) + 1
            ordered = sorted(own)
            if len(ordered) > 1:
                repeaters[item_id] = repeaters.get(item_id, 0) + 1
                logs.setdefault(item_id, []).extend(math.log(b - a) for a, b in pairwise(ordered))
        every = np.array([one for own in logs.values() for one in own])
        overall = sum(repeaters.values()) / max(len(days), 1)
        mean = float(every.mean()) if len(every) else 0.0
        names = sorted(repeaters)
        rates = [(repeaters[name] + _PRIOR * overall) / (buyers[name] + _PRIOR) for name in names]
        means = [(sum(logs[name]) + _PRIOR * mean) / (len(logs[name]) + _PRIOR) for name in names]
        spread = float(np.clip(every.std(), *_SPREAD)) if len(every) else 1.0
        return cls(ItemIds.of(names), np.array(rates), np.array(means), spread)

    def due(self, last: Mapping[str, float]) -> list[DuePurchase]:
        """Return what is bought again of the items, what is due most first. last: product -> days since it was bought."""
        found = []
        for item_id, idx in zip(last, self._indices(tuple(last)), strict=True):
            if idx >= 0 and self.rates[idx] >= _LEAST_RATE:
                rate, mean, since = float(self.rates[idx]), float(self.means[idx]), last[item_id]
                score = rate * _lognormal(max(since, _LEAST_DAYS), mean, self.spread)
                found.append(DuePurchase(item_id, rate, math.exp(mean), since, score))
        return sorted(found, key=lambda one: (-one.score, one.item_id))

    def _indices(self, item_ids: Sequence[str]) -> list[int]:
        return [int(idx) for idx in self.item_ids.find(item_ids).tolist()]

    def save(self, folder: Path) -> None:
        """Write the figures. Raises ModelError."""
        artefact.save(
            folder, _NAME, {"spread": self.spread}, {**self.item_ids.arrays(), "rates": self.rates, "means": self.means}
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the figures, memory-mapped. Raises ModelError."""
        found = artefact.load(folder, _NAME)
        with artefact.described(folder):
            arrays = found.arrays
            return cls(ItemIds.from_arrays(arrays), arrays["rates"], arrays["means"], float(found.params["spread"]))


def _lognormal(t: float, mean: float, spread: float) -> float:
    """Return the density at t > 0 of what has a normal logarithm."""
    z = (math.log(t) - mean) / spread
    return math.exp(-0.5 * z * z) / (t * spread * math.sqrt(2.0 * math.pi))
