"""Groups of users: how many there are, who is in which, and none of them small."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import MissingExtra

__all__ = ["LEAST_USERS", "group", "merged", "squared_distances"]

LEAST_USERS = 20
"""Fewer could be told from each other, so a group of them is neither reported nor kept."""

_COUNTS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 30)
_FITTED, _SCORED = 10_000, 2_000
_TRIES = 4
# As many as scikit-learn goes at most: thirty were once too few for the means to stay the same.
_ROUNDS = 300


def group(
    rows: NDArray[np.float64], most: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64], dict[int, float]]:
    """Group (n,) int64 of each row, centres (k, d) float64, and the silhouette of each number of groups that was tried.

    K-means (Lloyd 1982, seeded by Arthur and Vassilvitskii 2007) for each number of groups; the one with the best mean
    silhouette (Rousseeuw 1987) on a sample is taken, then groups under twenty are merged into what is nearest. One group
    of all where there are too few users for two. Needs scikit-learn: MissingExtra without it.
    """
    n = len(rows)
    if n < 2 * LEAST_USERS or not (rows != rows[:1]).any():
        return np.zeros(n, np.int64), rows.mean(axis=0, keepdims=True), {}
    seed = int(rng.integers(2**31))
    fitted = rows[np.sort(rng.permutation(n)[:_FITTED])]
    scored = fitted[np.sort(rng.permutation(len(fitted))[:_SCORED])]
    tried: dict[int, float] = {}
    distinct = len(np.unique(fitted, axis=0))
    for k in (k for k in _COUNTS if k <= min(most, n // LEAST_USERS, distinct)):
        score = _silhouette(scored, _kmeans(fitted, k, seed), seed)
        if score is not None:
            tried[k] = score
    best = max(tried, key=lambda k: (round(tried[k], 6), -k), default=1)
    centres = _kmeans(rows, best, seed)
    return *merged(rows, centres), tried


def merged(rows: NDArray[np.float64], centres: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return each row's nearest centre, where no centre has fewer than twenty rows.

    The smallest goes, and its rows to what is
    nearest then, until all have enough. The centres move to the means of their rows until these stay the same; largest
    group first."""
    groups = np.full(len(rows), -1)
    rounds = _ROUNDS
    while True:
        nearest = squared_distances(rows, centres).argmin(axis=1)
        sizes = np.bincount(nearest, minlength=len(centres))
        if len(centres) > 1 and sizes.min() < LEAST_USERS:
            centres, groups = np.delete(centres, sizes.argmin(), axis=0), np.full(len(rows), -1)
        elif rounds == 0 or (nearest == groups).all():
            break
        else:
            centres, groups = np.stack([rows[nearest == number].mean(axis=0) for number in range(len(centres))]), nearest
            rounds -= 1
    order = np.argsort(-sizes, kind="stable")
    return np.argsort(order)[nearest], centres[order]


def squared_distances(rows: NDArray[Any], centres: NDArray[Any]) -> NDArray[Any]:
    """Return the squared Euclidean distances, (n, k)."""
    squares = (rows**2).sum(axis=1)[:, None] - 2.0 * rows @ centres.T + (centres**2).sum(axis=1)[None, :]
    result: NDArray[Any] = np.maximum(squares, 0.0)
    return result


def _kmeans(rows: NDArray[np.float64], k: int, seed: int) -> NDArray[np.float64]:
    try:
        from sklearn.cluster import KMeans
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtra("scikit-learn", "train") from error
    if k == 1:
        whole: NDArray[np.float64] = rows.mean(axis=0, keepdims=True)
        return whole
    # One thread: sums in another order would end in other groups.
    with threadpool_limits(1):
        found: NDArray[np.float64] = KMeans(k, n_init=_TRIES, random_state=seed).fit(rows).cluster_centers_
    return found


def _silhouette(rows: NDArray[np.float64], centres: NDArray[np.float64], seed: int) -> float | None:
    from sklearn.metrics import silhouette_score

    groups = squared_distances(rows, centres).argmin(axis=1)
    return float(silhouette_score(rows, groups)) if 1 < len(np.unique(groups)) < len(rows) else None
