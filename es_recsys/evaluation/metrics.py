"""Ranking metrics on arrays of item indices.

Lists have item indices, best first; targets are the relevant items of each list, each once. Of u users and lists of at most n
items:

NDCG       sum of gain / log2(rank + 1) over the list, over the best sum that the targets allow (Järvelin and Kekäläinen 2002)
recall     share of the targets that are in the list
hit rate   1 where any target is in the list
MRR        1 / rank of the first target in the list
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["dcg", "discounts", "gains_of", "hit_rate", "ideal_dcg", "ndcg", "ndcg_of_scores", "recall", "reciprocal_rank"]

Lists = Sequence[NDArray[np.int64]]


def discounts(n: int) -> NDArray[np.float64]:
    """Return (n,) float64 1 / log2(rank + 1) of the ranks 1 to n."""
    return 1.0 / np.log2(np.arange(2, n + 2))


def dcg(gains: NDArray[Any]) -> NDArray[np.float64]:
    """Return the discounted cumulative gain (...,) float64 of gains (..., n), best rank first."""
    return np.asarray(gains @ discounts(gains.shape[-1]), np.float64)


def ideal_dcg(gains: Sequence[float] | NDArray[Any], n: int) -> float:
    """Return the DCG@n of a list that begins with the targets, the largest gain first.

    gains: of the targets, in any order.
    """
    return float(dcg(np.sort(np.asarray(gains, np.float64))[::-1][:n]))


def gains_of(items: NDArray[np.int64], targets: NDArray[np.int64], gains: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the gain (n,) of each of `items`, 0 for one that is no target.

    gains: of the targets, in their order.
    """
    order = np.argsort(targets, kind="stable")
    at = np.minimum(np.searchsorted(targets[order], items), len(targets) - 1)
    return np.where(targets[order][at] == items, gains[order][at], 0.0)


def ndcg(lists: Lists, targets: Lists, n: int, gains: Sequence[NDArray[np.float64]] = ()) -> NDArray[np.float64]:
    """Return NDCG@n (u,) float64 with linear gains, all 1 unless given."""
    gains = gains or [np.ones(len(own)) for own in targets]
    each = zip(lists, targets, gains, strict=True)
    found = np.array([float(dcg(gains_of(items[:n], own, gain))) for items, own, gain in each])
    result: NDArray[np.float64] = found / np.array([ideal_dcg(gain, n) for gain in gains])
    return result


def recall(lists: Lists, targets: Lists, n: int) -> NDArray[np.float64]:
    """Return recall@n (u,) float64."""
    return np.array([hits.sum() / len(own) for hits, own in zip(_hits(lists, targets, n), targets, strict=True)], np.float64)


def hit_rate(lists: Lists, targets: Lists, n: int) -> NDArray[np.float64]:
    """Return 1 where any target is in the first n items, else 0: (u,) float64."""
    return np.array([hits.any() for hits in _hits(lists, targets, n)], np.float64)


def reciprocal_rank(lists: Lists, targets: Lists, n: int) -> NDArray[np.float64]:
    """Return 1 / rank of the first target among the first n items, 0 without one: (u,) float64."""
    return np.array([1.0 / (1 + hits.argmax()) if hits.any() else 0.0 for hits in _hits(lists, targets, n)], np.float64)


def ndcg_of_scores(
    scores: NDArray[Any], gains: NDArray[Any], ideal: NDArray[np.float64], n: int, there: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Return NDCG@n (q,) float64 of candidates ranked by their scores; ties in the order given.

    scores, gains (q, c): of each candidate; ideal (q,): DCG@n of the best list; there (q, c): False in the padding.
    """
    if there is not None:
        scores = np.where(there, scores, -np.inf)
    top = np.argsort(-scores, axis=1, kind="stable")[:, :n]
    return np.asarray(dcg(np.take_along_axis(gains, top, axis=1)) / ideal, np.float64)


def _hits(lists: Lists, targets: Lists, n: int) -> list[NDArray[np.bool_]]:
    return [np.isin(items[:n], own) for items, own in zip(lists, targets, strict=True)]
