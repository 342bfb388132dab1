"""Raw scores of retrievers on scales that can be added."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["scaled_products", "scaled_scores"]


def scaled_scores(scale: str, scores: NDArray[np.float64], best: float) -> NDArray[np.float64]:
    """Return Elasticsearch's `_score` (n,) on the scale of a retriever.

    cosine: `_score` is (1 + cos) / 2; below 0 an item is unlike, which counts like having no vector.
    dot: `_score` is 1 + cos, or below 1 for what is unlike.
    inner: `_score` is 1 + x for an inner product x >= 0, else 1 / (1 - x); over `best`, within [-1, 1].
    best: over `best`, within [0, 1].
    """
    if scale == "cosine":
        return np.clip(2.0 * scores - 1.0, 0.0, 1.0)
    if scale == "dot":
        return np.clip(scores - 1.0, 0.0, 1.0)
    if scale == "inner":
        # A filtered scan of a flat index also returns documents without a vector, with the score 0.
        there = scores > 0.0
        raw = np.where(scores >= 1.0, scores - 1.0, 1.0 - 1.0 / np.where(there, scores, 1.0))
        return np.where(there, np.clip(raw / best, -1.0, 1.0), 0.0)
    return np.minimum(scores / best, 1.0)


def scaled_products(scale: str, products: NDArray[np.float64], best: float) -> NDArray[np.float64]:
    """Return inner products (n,) on the scale of a retriever, as `scaled_scores` returns Elasticsearch's `_score`; NaN stays."""
    if scale in ("cosine", "dot"):
        return np.clip(products, 0.0, 1.0)
    return np.clip(products / best, -1.0, 1.0) if scale == "inner" else products
