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

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "KEPT_SHARE",
    "MIN_SHARE",
    "MIN_SILHOUETTE",
    "Interests",
    "allocate_slots",
    "find_interests",
    "find_interests_of_users",
    "nearest_interest",
]

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
    return find_interests_of_users(field, [(vectors, weights)], most)[0]


def find_interests_of_users(
    field: str, liked: Sequence[tuple[NDArray[np.float32], NDArray[np.float64]]], most: int = 4
) -> list[Interests | None]:
    """Return `find_interests` of each of many users, which cost less together. liked: vectors and weights."""
    sorted_liked = [_sorted(vectors, weights) for vectors, weights in liked]
    users = _LikedItems.of(sorted_liked)
    best = np.full(len(liked), -np.inf)
    labels = np.zeros(users.weights.shape, np.int64)
    for k in range(2, most + 1):
        able = np.flatnonzero(users.counts // _MIN_ITEMS >= k)
        if not len(able):
            break
        some = users.take(able)
        found = _merge_small(some, _cluster(some, k))
        values = np.where(found.max(axis=1, initial=0) > 0, _silhouette(some, found), -np.inf)
        better = (values >= MIN_SILHOUETTE) & (values > best[able] + 1e-9)
        best[able[better]], labels[able[better]] = values[better], found[better]
    return [
        None if value == -np.inf else _interests(field, rows, weights, own[: len(rows)])
        for value, (rows, weights), own in zip(best.tolist(), sorted_liked, labels, strict=True)
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _LikedItems:
    """The liked items of u users, at most n each.

    counts (u,): how many each has. weights (u, n): 0 where there is none. cosines (u, n, n) of the items. All that clustering
    computes of centres follows from these: a centre is a sum of items.
    """

    counts: NDArray[np.int64]
    weights: NDArray[np.float64]
    cosines: NDArray[np.float64]

    @classmethod
    def of(cls, liked: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> _LikedItems:
        counts = np.array([len(weights) for _, weights in liked], np.int64)
        n = int(counts.max(initial=0))
        weights, cosines = np.zeros((len(liked), n)), np.zeros((len(liked), n, n))
        for user, (rows, own) in enumerate(liked):
            weights[user, : len(own)] = own
            cosines[user, : len(own), : len(own)] = rows @ rows.T
        return cls(counts, weights, cosines)

    def take(self, users: NDArray[np.int64]) -> _LikedItems:
        """Return some of the users."""
        if len(users) == len(self.counts):
            return self  # those are all, in their order
        return _LikedItems(self.counts[users], self.weights[users], self.cosines[users])

    @property
    def there(self) -> NDArray[np.bool_]:
        """Whether there is an item, (u, n)."""
        return np.arange(self.weights.shape[1]) < self.counts[:, None]

    def products(self, sums: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the inner products (u, n, k) of items with sums (u, n, k) of items, and the lengths (u, k) of the sums."""
        products = self.cosines @ sums
        return products, np.sqrt(np.maximum((sums * products).sum(axis=1), 1e-24))

    def memberships(self, labels: NDArray[np.int64], k: int) -> NDArray[np.float64]:
        """Return the weight (u, n, k) of each item in its cluster, 0 in the others."""
        found: NDArray[np.float64] = (labels[:, :, None] == np.arange(k)) * self.weights[:, :, None]
        return found


def _sorted(vectors: NDArray[np.float32], weights: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the items of one user in an order of their own, the heaviest first."""
    weights, rows = np.asarray(weights, np.float64), np.asarray(vectors, np.float64)
    order = np.lexsort((*rows.T[:4], -weights)) if len(rows) else np.zeros(0, np.int64)
    return rows[order], weights[order]


def _cluster(users: _LikedItems, k: int) -> NDArray[np.int64]:
    """Return the labels (u, n), from 0, of spherical k-means."""
    u, n = users.weights.shape
    there, every = users.there, np.arange(u)
    seeds = np.zeros((u, 1), np.int64)
    nearest_seed = users.cosines[every, 0]
    while seeds.shape[1] < k:
        # The heaviest of the far ones: one odd view shouldn't open a cluster.
        distance = np.where(there, np.round((1.0 - nearest_seed) * np.sqrt(users.weights), 9), -np.inf)
        seed = distance.argmax(axis=1)
        seeds = np.column_stack([seeds, seed])
        nearest_seed = np.maximum(nearest_seed, users.cosines[every, seed])
    # Where two seeds are the same item, a cluster may have no item; its centre stays at the seed.
    sums = np.zeros((u, n, k))
    sums[every[:, None], seeds, np.arange(k)] = 1.0
    labels = np.zeros((u, n), np.int64)
    moving, some = every, users
    for iteration in range(_MAX_ITERATIONS):
        products, lengths = some.products(sums[moving])
        nearest = np.round(products / lengths[:, None, :], 9).argmax(axis=2)
        if iteration:
            still = np.asarray(((nearest != labels[moving]) & there[moving]).any(axis=1))
            if not still.all():
                moving, nearest = moving[still], nearest[still]
                some = users.take(moving)
        if not len(moving):
            break
        labels[moving] = nearest
        members = some.memberships(nearest, k)
        empty = np.asarray(~members.any(axis=1))
        if empty.any():
            members = np.where(empty[:, None, :], sums[moving], members)
        sums[moving] = members
    return np.where(there, labels, 0)


def _merge_small(users: _LikedItems, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Merge clusters that are too small into the nearest; labels are numbered from 0."""
    k = int(labels.max(initial=0)) + 1
    total, there = users.weights.sum(axis=1), users.there
    labels = labels.copy()
    for _ in range(k - 1):
        in_cluster = (labels[:, :, None] == np.arange(k)) & there[:, :, None]
        counts, members = in_cluster.sum(axis=1), users.memberships(labels, k)
        shares = members.sum(axis=1) / total[:, None]
        small = (counts > 0) & ((shares < MIN_SHARE) | (counts < _MIN_ITEMS)) & ((counts > 0).sum(axis=1) > 1)[:, None]
        merged = np.flatnonzero(small.any(axis=1))
        if not len(merged):
            break
        least = np.where(small[merged], shares[merged], np.inf).argmin(axis=1)
        own, every = members[merged], np.arange(len(merged))
        products, lengths = users.take(merged).products(own)
        near = (products * own[every, :, least][:, :, None]).sum(axis=1) / lengths
        near[counts[merged] == 0] = -np.inf
        near[every, least] = -np.inf
        labels[merged] = np.where(labels[merged] == least[:, None], near.argmax(axis=1)[:, None], labels[merged])
    used = ((labels[:, :, None] == np.arange(k)) & there[:, :, None]).any(axis=1)
    renumbered = np.take_along_axis(np.cumsum(used, axis=1) - 1, labels, axis=1)
    return np.where(there, renumbered, 0)


def _silhouette(users: _LikedItems, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the weighted mean silhouettes (u,) with the distance 1 - cosine; an item's weight counts in mean distances, too."""
    k = int(labels.max(initial=0)) + 1
    members = users.memberships(labels, k)
    counts = (members > 0.0).sum(axis=1)
    distance = np.maximum(1.0 - users.cosines, 0.0)
    sums, weights = distance @ members, members.sum(axis=1)
    own = labels[:, :, None]
    of_own = np.take_along_axis(weights, labels, axis=1)
    within = np.take_along_axis(sums, own, axis=2)[:, :, 0] / np.maximum(of_own - users.weights, 1e-12)
    between = np.where(counts[:, None, :] > 0, sums / np.maximum(weights, 1e-12)[:, None, :], np.inf)
    np.put_along_axis(between, own, np.inf, axis=2)
    nearest = between.min(axis=2)
    nearest = np.where(np.isinf(nearest), within, nearest)  # of one cluster alone
    value = (nearest - within) / np.maximum(np.maximum(within, nearest), 1e-12)
    value = np.where(np.take_along_axis(counts, labels, axis=1) == 1, 0.0, value)
    found: NDArray[np.float64] = (value * users.weights).sum(axis=1) / users.weights.sum(axis=1)
    return found


def _interests(field: str, rows: NDArray[np.float64], weights: NDArray[np.float64], labels: NDArray[np.int64]) -> Interests:
    """Return the interests of one user. labels (n,): the cluster of each item."""
    k = int(labels.max()) + 1
    members = (labels == np.arange(k)[:, None]) * weights
    shares = members.sum(axis=1) / weights.sum()
    totals = members @ rows
    lengths = np.sqrt(np.einsum("kd,kd->k", totals, totals))
    centres = totals / np.where(lengths > 1e-12, lengths, 1.0)[:, None]
    largest = np.argsort(-shares, kind="stable")
    return Interests(field, centres[largest].astype(np.float32), shares[largest])


def nearest_interest(similarity: NDArray[np.float64]) -> list[int]:
    """Return the interest that each item is nearest to, -1 for none. similarity: (n, k), of items with interests."""
    found: list[int] = np.where(similarity.max(axis=1) > 0.0, similarity.argmax(axis=1), -1).tolist()
    return found


def allocate_slots(
    order: Sequence[int],
    interest_of: Sequence[int],
    shares: NDArray[np.float64],
    personalization: float = 1.0,
    n: int | None = None,
) -> list[int]:
    """Return `order`, or the first n of it, with the interests' slots kept.

    order: rows, best first. interest_of: interest of each of them, -1 for none. shares: of each interest. personalization: 0
    (none are kept) to 1.
    """
    due = (KEPT_SHARE * personalization * shares).tolist()
    queues: list[list[int]] = [[] for _ in due]
    for rank, interest in enumerate(interest_of):
        if interest >= 0:
            queues[interest].append(rank)
    taken, served = [False] * len(order), [0] * len(due)
    heads = [0] * len(due)
    found: list[int] = []
    first = 0
    while len(found) < (len(order) if n is None else min(n, len(order))):
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
    queues: Sequence[Sequence[int]], heads: Sequence[int], served: Sequence[int], due: Sequence[float], slots: int
) -> int | None:
    """Return the next rank of the interest that is furthest below its due, None where none is."""
    most, found = 0, None
    for interest, share in enumerate(due):
        lacking = math.floor(share * slots + 0.5) - served[interest]
        if lacking > most and heads[interest] < len(queues[interest]):
            most, found = lacking, queues[interest][heads[interest]]
    return found
