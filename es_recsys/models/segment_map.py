"""Where users lie among their segments, by what they did: read by the segments themselves and by the two towers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from es_recsys.features import ItemFacts, users_of
from es_recsys.models.grouping import squared_distances
from es_recsys.models.ranking import best
from es_recsys.models.tastes import scaled_features

__all__ = ["SegmentMap"]

_NEAREST = 3


@dataclass(frozen=True, slots=True, eq=False)
class SegmentMap:
    """A user lies at x = (taste, features): the signed mean of the items met, beside habits.

    tastes (n_items, t) float32 of the items; scale (2, f) of the features; centres (k, t + f) of the segments; spread: the mean
    of |x - c|^2 over all users; share: how much the features of users count beside what they like.
    """

    tastes: NDArray[np.float32]
    scale: NDArray[np.float64]
    centres: NDArray[np.float64]
    spread: float
    share: float
    facts: ItemFacts

    def __len__(self) -> int:
        return len(self.centres)

    def where(
        self, users: NDArray[np.int64], items: NDArray[np.int64], weights: NDArray[np.floating[Any]], n: int
    ) -> NDArray[np.float64]:
        """(n, t + f): where n users lie by their events. users, items (m,) places; weights (m,) signed. Time tells nothing."""
        signed = np.asarray(weights, np.float64)
        mass = np.bincount(users, weights=np.abs(signed), minlength=n)
        rows = self.tastes[items] * signed[:, None]
        sums = np.stack([np.bincount(users, weights=column, minlength=n) for column in rows.T], axis=1)
        told = users_of(users, items, signed, n, self.facts)
        return np.hstack([sums / np.maximum(mass, 1e-12)[:, None], scaled_features(told, self.scale, self.share)])

    def members(
        self, items: NDArray[np.int64], weights: NDArray[np.floating[Any]]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Of one user the three nearest segments, and how much of each they are, summing to 1; none where nothing is liked."""
        if not (weights > 0).any():
            return np.zeros(0, np.int64), np.zeros(0)
        where = self.where(np.zeros(len(items), np.int64), items, weights, 1)
        distances = squared_distances(where, self.centres)[0]
        numbers = best(-distances, _NEAREST)
        closeness = np.exp(2.0 * (distances[numbers[0]] - distances[numbers]) / self.spread)
        return numbers, closeness / closeness.sum()

    def nearest(self, items: NDArray[np.int64], weights: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
        """(n,) nearest segment of each user, -1 where nothing is liked. items, weights (n, l), weight 0 for no event."""
        users, events = np.nonzero(weights)
        distances = squared_distances(self.where(users, items[users, events], weights[users, events], len(items)), self.centres)
        return np.where((weights > 0).any(axis=1), distances.argmin(axis=1), -1)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `from_arrays` reads back."""
        numbers = {"spread": np.array([self.spread]), "share": np.array([self.share])}
        return {"tastes": self.tastes, "scale": self.scale, "centres": self.centres, **numbers, **self.facts.arrays()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        facts = ItemFacts.from_arrays(arrays)
        spread, share = float(arrays["spread"][0]), float(arrays["share"][0])
        return cls(arrays["tastes"], arrays["scale"], arrays["centres"], spread, share, facts)
