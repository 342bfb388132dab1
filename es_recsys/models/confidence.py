"""How sure an event makes us: BM25 weighting of a user's items, as text retrieval weights a document's words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Confidence", "idf"]


@dataclass(frozen=True, slots=True)
class Confidence:
    """BM25 weighting of the items of a history.

    Confidence of an item in a history (Robertson and Walker 1994, with a user for the document):

        scale * idf[i] * w (k1 + 1) / (w + k1 (1 - b + b * length / mean_length))

    w >= 0 is the total weight of the user's events on i, length the user's total. scale: about the mean confidence,
    where 1 is that of an item which the user never touched. k1: how late repeated events saturate. b: how much less each
    item of a long history counts.
    """

    scale: float = 25.0
    k1: float = 1.2
    b: float = 0.2

    def of(
        self, weights: NDArray[np.float64], lengths: NDArray[np.float64], mean_length: float, idf: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Return the signed confidence (n,) float32 of items.

        A disliked item (w < 0) gets minus the confidence of its size, and at least 1, so that it
        always speaks against the item."""
        size = np.abs(weights)
        norm = 1.0 - self.b + self.b * lengths / max(mean_length, 1e-12)
        value = self.scale * idf * size * (self.k1 + 1.0) / np.maximum(size + self.k1 * norm, 1e-12)
        return np.where(weights < 0, -np.maximum(value, 1.0), value).astype(np.float32)


def idf(users_of_item: NDArray[np.int64], n_users: int) -> NDArray[np.float64]:
    """Return the inverse document frequency of each item, (n_items,) float64 > 0, rarer items higher.

    It is scaled so that it is 1 for the mean event.
    """
    value = np.log1p((n_users - users_of_item + 0.5) / (users_of_item + 0.5))
    total = users_of_item.sum()
    mean = float((value * users_of_item).sum() / total) if total else 1.0
    result: NDArray[np.float64] = value / max(mean, 1e-12)
    return result
