"""Several interests of one user: clusters of what they liked, each asked for by itself, none drowned by the largest.

One vector a user lies between their interests, where there may be nothing of either (Pal et al. 2020, "PinnerSage"). So the
liked items' vectors are clustered: spherical k-means (Dhillon and Modha 2001) for 2 up to `most` clusters, begun with the
heaviest item and then the ones farthest from those before; the number is the one with the best mean silhouette by cosine
(Rousseeuw 1987), weighted as the items are, and stays 1 where that is below `SEPARATE`. An interest with less than
`REAL` of the weight is no interest; its items join the nearest.

Each interest is a kNN leg of its own, with a small weight times its share, so it brings its own candidates and tells how near
every candidate is. In the answer, the order by score stays but for one rule: after each place, an interest whose items
have fewer of the places so far than `KEPT` of its share (times how much the user counts), rounded, is served next with its
best item. Scores and parts stay as they are; only the order among the first `POOL` changes, the same for all pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["KEPT", "REAL", "SEPARATE", "Interests", "find_interests", "spread"]

REAL = 0.1
SEPARATE = 0.15
KEPT = 0.7
_LEAST_ITEMS = 2
_ROUNDS = 20


@dataclass(frozen=True, slots=True, eq=False)
class Interests:
    """k >= 2 interests, the largest first. field: the vector field that they live in. vectors (k, d) float32 unit; shares
    (k,) float64, summing to 1."""

    field: str
    vectors: NDArray[np.float32]
    shares: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.shares)


def find_interests(field: str, vectors: NDArray[np.float32], weights: NDArray[np.float64], most: int = 4) -> Interests | None:
    """Interests behind liked items; None where there is one.

    vectors (n, d) float32 unit rows; weights (n,) float64 > 0. The order of the rows doesn't matter.
    """
    weights = np.asarray(weights, np.float64)
    rows = np.asarray(vectors, np.float64)
    order = np.lexsort((*rows.T[:4], -weights)) if len(rows) else np.zeros(0, np.int64)
    rows, weights = rows[order], weights[order]
    alike = rows @ rows.T
    best: tuple[float, NDArray[np.int64]] | None = None
    for k in range(2, min(most, len(rows) // _LEAST_ITEMS) + 1):
        labels = _merged(rows, weights, _cluster(rows, weights, alike, k))
        if labels.max() == 0:
            continue
        value = _silhouette(alike, labels, weights)
        if value >= SEPARATE and (best is None or value > best[0] + 1e-9):
            best = value, labels
    if best is None:
        return None
    centres, shares = _centres(rows, weights, best[1])
    largest = np.argsort(-shares, kind="stable")
    return Interests(field, centres[largest].astype(np.float32), shares[largest])


def spread(order: Sequence[int], belongs: Sequence[int], shares: NDArray[np.float64], personalization: float = 1.0) -> list[int]:
    """`order` with the interests' places kept.

    order: rows, best first. belongs: interest of each row of `order`, -1 for none. personalization: 0 (none are kept) to 1.
    """
    due = KEPT * personalization * shares
    queues: list[list[int]] = [[] for _ in shares]
    for place, interest in enumerate(belongs):
        if interest >= 0:
            queues[interest].append(place)
    taken, served = [False] * len(order), np.zeros(len(shares))
    heads = [0] * len(shares)
    found: list[int] = []
    first = 0
    while len(found) < len(order):
        owed = _owed(queues, heads, served, due, len(found) + 1)
        if owed is None:
            while taken[first]:
                first += 1
        place = first if owed is None else owed
        taken[place] = True
        found.append(order[place])
        interest = belongs[place]
        if interest >= 0:
            served[interest] += 1
            while heads[interest] < len(queues[interest]) and taken[queues[interest][heads[interest]]]:
                heads[interest] += 1
    return found


def _owed(
    queues: Sequence[Sequence[int]], heads: Sequence[int], served: NDArray[np.float64], due: NDArray[np.float64], places: int
) -> int | None:
    """The next row of the interest that is furthest below its due, None where none is."""
    lacking = np.floor(due * places + 0.5) - served
    for interest in np.argsort(-lacking, kind="stable").tolist():
        if lacking[interest] >= 1.0 and heads[interest] < len(queues[interest]):
            return int(queues[interest][heads[interest]])
    return None


def _cluster(rows: NDArray[np.float64], weights: NDArray[np.float64], alike: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    """Labels (n,) from 0 of spherical k-means."""
    seeds = [0]
    while len(seeds) < k:
        # The heaviest of the far ones: one odd view shouldn't open a cluster.
        distance = (1.0 - alike[:, seeds].max(axis=1)) * np.sqrt(weights)
        seeds.append(int(np.argmax(np.round(distance, 9))))
    centres = rows[seeds]
    labels = np.zeros(len(rows), np.int64)
    for _ in range(_ROUNDS):
        now = np.argmax(np.round(rows @ centres.T, 9), axis=1)
        if (now == labels).all() and _ > 0:
            break
        labels = now
        centres = np.stack([_unit((weights[labels == c, None] * rows[labels == c]).sum(axis=0), centres[c]) for c in range(k)])
    return labels


def _merged(rows: NDArray[np.float64], weights: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The labels with clusters that are too small given to the nearest, numbered from 0."""
    total = weights.sum()
    while True:
        names, labels = np.unique(labels, return_inverse=True)
        if len(names) == 1:
            return labels
        shares = np.bincount(labels, weights=weights) / total
        counts = np.bincount(labels)
        small = np.flatnonzero((shares < REAL) | (counts < _LEAST_ITEMS))
        if not len(small):
            return labels
        least = int(small[np.argmin(shares[small])])
        centres, _ = _centres(rows, weights, labels)
        near = centres @ centres[least]
        near[least] = -np.inf
        labels = np.where(labels == least, int(np.argmax(near)), labels)


def _silhouette(alike: NDArray[np.float64], labels: NDArray[np.int64], weights: NDArray[np.float64]) -> float:
    """Weighted mean silhouette with the distance 1 - cosine; a cluster's items weigh in its mean distances, too."""
    k = int(labels.max()) + 1
    member = np.zeros((len(labels), k))
    member[np.arange(len(labels)), labels] = weights
    distance = np.maximum(1.0 - alike, 0.0)
    sums, masses = distance @ member, member.sum(axis=0)
    own = np.arange(len(labels)), labels
    inside = sums[own] / np.maximum(masses[labels] - weights, 1e-12)
    outside = sums / masses
    outside[own] = np.inf
    nearest = outside.min(axis=1)
    value = (nearest - inside) / np.maximum(np.maximum(inside, nearest), 1e-12)
    alone = np.bincount(labels)[labels] == 1
    return float(np.where(alone, 0.0, value) @ weights / weights.sum())


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
