"""Several interests of one user: clusters of what they liked.

One vector a user lies between their interests, where there may be nothing of either (Pal et al. 2020, "PinnerSage"). So the
liked items' vectors are clustered: spherical k-means (Dhillon and Modha 2001) for 2 to `most` clusters, begun with the
heaviest item and then the ones farthest from those before. The number of clusters is the one with the best mean silhouette by
cosine (Rousseeuw 1987), weighted as the items are; there is one interest where that is below `MIN_SILHOUETTE`. A cluster with
less than `MIN_SHARE` of the weight joins the nearest.

Each interest is a kNN retriever of its own, with a small weight times its share, and keeps slots of an answer. The order by score
stays but for one rule: after each slot, an interest whose items have fewer of the slots so far than `KEPT_SHARE` of its share
(times personalization), rounded, is served next with its best item. Scores and parts stay as they are; only the order changes,
the same for all pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["KEPT_SHARE", "MIN_SHARE", "MIN_SILHOUETTE", "Interests", "allocate_slots", "find_interests"]

MIN_SHARE = 0.1
MIN_SILHOUETTE = 0.15
KEPT_SHARE = 0.7
_MIN_ITEMS = 2
_MAX_ITERATIONS = 20


@dataclass(frozen=True, slots=True, eq=False)
class Interests:
    """k >= 2 interests, largest first.

    field: their vector field. vectors (k, d) float32 unit; shares (k,) float64, summing to 1.
    """

    field: str
    vectors: NDArray[np.float32]
    shares: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.shares)


def find_interests(field: str, vectors: NDArray[np.float32], weights: NDArray[np.float64], most: int = 4) -> Interests | None:
    """Return the interests behind liked items; None where there is one alone.

    vectors (n, d) float32 unit rows; weights (n,) float64 > 0. The order of the rows doesn't matter.
    """
    weights = np.asarray(weights, np.float64)
    rows = np.asarray(vectors, np.float64)
    order = np.lexsort((*rows.T[:4], -weights)) if len(rows) else np.zeros(0, np.int64)
    rows, weights = rows[order], weights[order]
    cosines = rows @ rows.T
    best: tuple[float, NDArray[np.int64]] | None = None
    for k in range(2, min(most, len(rows) // _MIN_ITEMS) + 1):
        labels = _merge_small(rows, weights, _cluster(rows, weights, cosines, k))
        if labels.max() == 0:
            continue
        value = _silhouette(cosines, labels, weights)
        if value >= MIN_SILHOUETTE and (best is None or value > best[0] + 1e-9):
            best = value, labels
    if best is None:
        return None
    centres, shares = _centres(rows, weights, best[1])
    largest = np.argsort(-shares, kind="stable")
    return Interests(field, centres[largest].astype(np.float32), shares[largest])


def _cluster(rows: NDArray[np.float64], weights: NDArray[np.float64], cosines: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    """Return the labels (n,), from 0, of spherical k-means."""
    seeds = [0]
    while len(seeds) < k:
        # The heaviest of the far ones: one odd view shouldn't open a cluster.
        distance = (1.0 - cosines[:, seeds].max(axis=1)) * np.sqrt(weights)
        seeds.append(int(np.argmax(np.round(distance, 9))))
    centres = rows[seeds]
    labels = np.zeros(len(rows), np.int64)
    for iteration in range(_MAX_ITERATIONS):
        nearest = np.argmax(np.round(rows @ centres.T, 9), axis=1)
        if iteration and (nearest == labels).all():
            break
        labels = nearest
        centres = np.stack([_unit((weights[labels == c, None] * rows[labels == c]).sum(axis=0), centres[c]) for c in range(k)])
    return labels


def _merge_small(rows: NDArray[np.float64], weights: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Merge clusters that are too small into the nearest; labels are numbered from 0."""
    total = weights.sum()
    while True:
        names, labels = np.unique(labels, return_inverse=True)
        if len(names) == 1:
            return labels
        shares = np.bincount(labels, weights=weights) / total
        counts = np.bincount(labels)
        small = np.flatnonzero((shares < MIN_SHARE) | (counts < _MIN_ITEMS))
        if not len(small):
            return labels
        least = int(small[np.argmin(shares[small])])
        centres, _ = _centres(rows, weights, labels)
        near = centres @ centres[least]
        near[least] = -np.inf
        labels = np.where(labels == least, int(np.argmax(near)), labels)


def _silhouette(cosines: NDArray[np.float64], labels: NDArray[np.int64], weights: NDArray[np.float64]) -> float:
    """Return the weighted mean silhouette with the distance 1 - cosine; a cluster's items weigh in its mean distances, too."""
    k = int(labels.max()) + 1
    membership = np.zeros((len(labels), k))
    membership[np.arange(len(labels)), labels] = weights
    distance = np.maximum(1.0 - cosines, 0.0)
    sums, cluster_weights = distance @ membership, membership.sum(axis=0)
    own = np.arange(len(labels)), labels
    within = sums[own] / np.maximum(cluster_weights[labels] - weights, 1e-12)
    between = sums / cluster_weights
    between[own] = np.inf
    nearest = between.min(axis=1)
    value = (nearest - within) / np.maximum(np.maximum(within, nearest), 1e-12)
    singleton = np.bincount(labels)[labels] == 1
    return float(np.where(singleton, 0.0, value) @ weights / weights.sum())


def _centres(
    rows: NDArray[np.float64], weights: NDArray[np.float64], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    k = int(labels.max()) + 1
    totals = np.stack([(weights[labels == c, None] * rows[labels == c]).sum(axis=0) for c in range(k)])
    shares = np.bincount(labels, weights=weights, minlength=k) / weights.sum()
    return np.stack([_unit(total, total) for total in totals]), shares


def _unit(vector: NDArray[np.float64], otherwise: NDArray[np.float64]) -> NDArray[np.float64]:
    length = float(np.sqrt(vector @ vector))
    return vector / length if length > 1e-12 else otherwise


def allocate_slots(
    order: Sequence[int], interest_of: Sequence[int], shares: NDArray[np.float64], personalization: float = 1.0
) -> list[int]:
    """Return `order` with the interests' slots kept.

    order: rows, best first. interest_of: interest of each of them, -1 for none. shares: of each interest. personalization: 0
    (none are kept) to 1.
    """
    due = KEPT_SHARE * personalization * shares
    queues: list[list[int]] = [[] for _ in shares]
    for rank, interest in enumerate(interest_of):
        if interest >= 0:
            queues[interest].append(rank)
    taken, served = [False] * len(order), np.zeros(len(shares))
    heads = [0] * len(shares)
    found: list[int] = []
    first = 0
    while len(found) < len(order):
        owed = _owed_rank(queues, heads, served, due, len(found) + 1)
        if owed is None:
            while taken[first]:
                first += 1
        rank = first if owed is None else owed
        taken[rank] = True
        found.append(order[rank])
        interest = interest_of[rank]
        if interest >= 0:
            served[interest] += 1
            while heads[interest] < len(queues[interest]) and taken[queues[interest][heads[interest]]]:
                heads[interest] += 1
    return found


def _owed_rank(
    queues: Sequence[Sequence[int]], heads: Sequence[int], served: NDArray[np.float64], due: NDArray[np.float64], slots: int
) -> int | None:
    """Return the next rank of the interest that is furthest below its due, None where none is."""
    lacking = np.floor(due * slots + 0.5) - served
    for interest in np.argsort(-lacking, kind="stable").tolist():
        if lacking[interest] >= 1.0 and heads[interest] < len(queues[interest]):
            return int(queues[interest][heads[interest]])
    return None
