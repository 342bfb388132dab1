"""Where users lie among their segments, by what they did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from es_recsys.features import ItemProperties
from es_recsys.models.clustering import squared_distances
from es_recsys.models.item_embeddings import embed_users
from es_recsys.models.types import HistoryBatch
from es_recsys.models.user_features import scaled, user_features
from es_recsys.top_k import top_k

__all__ = ["SEGMENT_FEATURES", "SegmentMap", "placed"]

SEGMENT_FEATURES = ("frequency", "value", "conversion", "price_level", "popularity", "freshness", "breadth")
"""Columns of USER_COLUMNS that tell segments apart, besides what the users like."""

_NEAREST = 3


@dataclass(frozen=True, slots=True, eq=False)
class SegmentMap:
    """Where users lie, and which segments are near.

    A user lies at x = (taste, features): the signed mean of their items' embeddings, beside features as of the newest event. A
    feature that a history does not tell is taken for the mean.

    tastes (n_items, t) float32 of the items; scale (2, f) of the features; centres (k, t + f) of the segments; spread: the mean
    of |x - c|^2 over all users; share: how much the features of users count beside what they like.
    """

    tastes: NDArray[np.float32]
    scale: NDArray[np.float64]
    centres: NDArray[np.float64]
    spread: float
    share: float
    properties: ItemProperties

    def where(self, batch: HistoryBatch, told: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return where n users lie (n, t + f). told: their `user_features`."""
        return placed(batch, told, self.tastes, self.scale, self.share)

    def members(self, batch: HistoryBatch) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the three segments nearest to one user, and how much of each they are, summing to 1.

        Empty arrays where nothing is liked.
        """
        if not (batch.weights > 0).any():
            return np.zeros(0, np.int64), np.zeros(0)
        where = self.where(batch, user_features(batch, self.properties))
        distances = squared_distances(where, self.centres)[0]
        numbers = top_k(-distances, _NEAREST)
        closeness = np.exp(2.0 * (distances[numbers[0]] - distances[numbers]) / self.spread)
        return numbers, closeness / closeness.sum()

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `from_arrays` reads back."""
        numbers = {"spread": np.array([self.spread]), "share": np.array([self.share])}
        return {"tastes": self.tastes, "scale": self.scale, "centres": self.centres, **numbers, **self.properties.arrays()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        properties = ItemProperties.from_arrays(arrays)
        spread, share = float(arrays["spread"][0]), float(arrays["share"][0])
        return cls(arrays["tastes"], arrays["scale"], arrays["centres"], spread, share, properties)


def placed(
    batch: HistoryBatch, told: NDArray[np.float32], tastes: NDArray[np.float32], scale: NDArray[np.float64], share: float
) -> NDArray[np.float64]:
    """Return where n users lie (n, t + f); all features together vary by `share` of what tastes can."""
    features = scaled(told, scale, SEGMENT_FEATURES) * np.sqrt(share / len(SEGMENT_FEATURES))
    return np.hstack([embed_users(batch, tastes), features])
