"""The popularity dial: from what few know to what most like. Scores stay; only the order changes.

Each row counts (1 - |dial|) * score / best score + dial * log(1 + count) / log(1 + largest count of the store): what is shown
is traded against how popular it is in the linear way of Abdollahpouri et al. 2019, "Managing popularity bias in recommender
systems with personalized re-ranking". The logarithm keeps the few most popular items from being all that counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from es_recsys.search.request import ScoredIds, Scorer

__all__ = ["popularity_shares", "values_with_popularity"]


def values_with_popularity(values: NDArray[np.float64], popularity: NDArray[np.float64], dial: float) -> NDArray[np.float64]:
    """Return what each row counts (n,). values (n,): scores over the best one. popularity (n,): 0 to 1. dial: -1 to 1."""
    # Rounded, so that rows that count the same keep their order whatever the last bit of a sum says.
    counted: NDArray[np.float64] = np.round((1.0 - abs(dial)) * values + dial * popularity, 12)
    return counted


def popularity_shares(product_ids: Sequence[str], most_popular: ScoredIds, popularity_of: Scorer | None) -> NDArray[np.float64]:
    """Return how popular each product is (n,), 0 to 1, on a logarithmic scale; 0 where nothing was counted.

    most_popular: best first. popularity_of: the same score of any products; without it what is not among these counts 0.
    """
    if not most_popular or most_popular[0][1] <= 0.0:
        return np.zeros(len(product_ids))
    if popularity_of is not None:
        counts = np.asarray(popularity_of(product_ids), np.float64)
    else:
        known = dict(most_popular)
        counts = np.array([known.get(product_id, 0.0) for product_id in product_ids], np.float64)
    largest = float(most_popular[0][1])
    shares: NDArray[np.float64] = np.log1p(np.clip(counts, 0.0, largest)) / np.log1p(largest)
    return shares
