"""Metrics of ranked lists beyond accuracy: coverage, novelty, diversity, popularity and the Gini coefficient.

coverage      share of the catalogue that is in any list
novelty       mean self-information of the listed items, -log2 of the share of users who have an event on it, in bits
              (Zhou et al. 2010); an item that nobody knows counts like one that one user knows
diversity     mean over a list's pairs of 1 - similarity (Ziegler et al. 2005): the cosine of content vectors, cut at 0, else the
              Jaccard index of categories
popularity    mean share of users of the listed items over that of the items the user knows: above 1, the lists lean towards
              what is popular more than the user does (Abdollahpouri et al. 2019)
gini          of how often each item of the catalogue is listed: 0 where all are alike, 1 where one is in every list
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import Interactions, ItemTable
from es_recsys.item_ids import ItemIds

__all__ = ["BEYOND_ACCURACY", "Catalogue", "gini"]

BEYOND_ACCURACY = ("novelty", "diversity", "popularity")


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """All items that can be in an answer, with the popularity and content that the metrics need; item_idx as in `ids`.

    share (n,) float64: the part of the training's users who have a positive event on the item. vectors (n, d) float32 unit
    rows or None; categories: of each item, or None.
    """

    ids: ItemIds
    share: NDArray[np.float64]
    users: int
    vectors: NDArray[np.float32] | None = None
    categories: Sequence[frozenset[str]] | None = None

    @classmethod
    def of(cls, train: Interactions, items: ItemTable | None = None) -> Catalogue:
        """Build the catalogue of the items of the table and of the interactions.

        Items are similar by the first vectors of the table that any item has, else by categories.
        """
        names = sorted({*train.item_ids.tolist(), *(items.item_ids.tolist() if items is not None else ())})
        ids = ItemIds.of(names)
        own_idx = ids.find(train.item_ids.tolist())
        liked = train.weights > 0
        cells = np.unique(train.users[liked].astype(np.int64) * max(len(names), 1) + own_idx[train.items[liked]])
        users = max(len(np.unique(train.users[liked])), 1)
        counts = np.bincount(cells % max(len(names), 1), minlength=len(names))
        return cls(ids, counts / users, users, *_contents(ids, items))

    def coverage(self, lists: Sequence[Sequence[str]]) -> float:
        """Return the share of the catalogue that is in any list."""
        listed = {item for own in lists for item in own}
        return len(listed) / len(self.ids) if len(self.ids) else 0.0

    def gini(self, lists: Sequence[Sequence[str]]) -> float:
        """Return how unevenly the positions of the lists are spread over the catalogue (Gini coefficient)."""
        item_idx = self.ids.find([item for own in lists for item in own])
        return gini(np.bincount(item_idx[item_idx >= 0], minlength=len(self.ids)))

    def novelty(self, lists: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Return the mean self-information of each list's items (n_lists,), bits; NaN for an empty list."""
        bits = -np.log2(np.maximum(self.share, 1.0 / self.users))
        return np.array([_mean(bits[self._places(own)]) for own in lists])

    def popularity(self, lists: Sequence[Sequence[str]], known: Sequence[Collection[str]]) -> NDArray[np.float64]:
        """Return the popularity of each list's items over that of the items the user knows (n_lists,), a ratio.

        NaN for an empty list, or a user of whom nothing is known.
        """
        found = np.full(len(lists), np.nan)
        for row, (own, before) in enumerate(zip(lists, known, strict=True)):
            own_share = _mean(self.share[self._places(sorted(before))])
            if own_share > 0:
                found[row] = _mean(self.share[self._places(own)]) / own_share
        return found

    def diversity(self, lists: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Return the mean of 1 - similarity over each list's pairs of items (n_lists,) in [0, 1].

        NaN for a list with fewer than two items that have content.
        """
        return np.array([self._spread(self._places(own)) for own in lists])

    def cold(self, at_most: int) -> frozenset[str]:
        """Return the items on which no more than `at_most` users have a positive event."""
        return frozenset(self.ids.take(np.flatnonzero(self.share * self.users <= at_most + 1e-9)))

    def _places(self, items: Sequence[str]) -> NDArray[np.int64]:
        item_idx = self.ids.find(list(items))
        return item_idx[item_idx >= 0]

    def _spread(self, item_idx: NDArray[np.int64]) -> float:
        if self.vectors is not None:
            rows = self.vectors[item_idx]
            rows = rows[rows.any(axis=1)]
            if len(rows) >= 2:
                alike = np.maximum(rows @ rows.T, 0.0)[np.triu_indices(len(rows), 1)]
                return float(1.0 - alike.mean())
            return float("nan")
        if self.categories is None:
            return float("nan")
        sets = [labels for idx in item_idx.tolist() if (labels := self.categories[idx])]
        pairs = [len(a & b) / len(a | b) for i, a in enumerate(sets) for b in sets[i + 1 :]]
        return 1.0 - _mean(np.array(pairs)) if pairs else float("nan")


def gini(counts: NDArray[np.int64]) -> float:
    """Return the Gini coefficient of counts >= 0: half the relative mean difference."""
    total, n = float(counts.sum()), len(counts)
    if not n or total <= 0:
        return 0.0
    rising = np.sort(counts).astype(np.float64)
    return float((2 * np.arange(1, n + 1) - n - 1) @ rising / (n * total))


def _contents(ids: ItemIds, items: ItemTable | None) -> tuple[NDArray[np.float32] | None, Sequence[frozenset[str]] | None]:
    if items is None:
        return None, None
    own_idx = ids.find(items.item_ids.tolist())
    for rows in items.vectors.values():
        if rows.any():
            vectors = np.zeros((len(ids), rows.shape[1]), np.float32)
            vectors[own_idx] = rows
            return vectors, None
    if not any(items.categories):
        return None, None
    categories = [frozenset[str]()] * len(ids)
    for at, labels in zip(own_idx.tolist(), items.categories, strict=True):
        categories[at] = frozenset(labels)
    return None, categories


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")
