"""Diversity: maximal marginal relevance. Scores stay; only the order changes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["diversify", "labels_of", "similarities"]


def diversify(scores: Sequence[float], similarity: NDArray[np.float64], diversity: float) -> list[int]:
    """Return the order of the rows by maximal marginal relevance (Carbonell and Goldstein, 1998).

    scores: (n,) best first. similarity: (n, n), from -1 to 1. Each step takes the row with the largest
    (1 - diversity) * score / best score - diversity * similarity to the most similar row taken before. 0 keeps the order.
    """
    n = len(scores)
    if diversity <= 0.0 or n < 2:
        return list(range(n))
    relevance = np.asarray(scores, np.float64)
    relevance = relevance / max(float(np.abs(relevance).max()), 1e-12)
    nearest = np.zeros(n)
    left = np.ones(n, bool)
    taken: list[int] = []
    for _ in range(n):
        gain = (1.0 - diversity) * relevance - diversity * nearest
        # Rounded, so that rows that are equally good keep their order whatever the last bit of a sum says.
        row = int(np.argmax(np.where(left, np.round(gain, 12), -np.inf)))
        nearest = similarity[row].copy() if not taken else np.maximum(nearest, similarity[row])
        taken.append(row)
        left[row] = False
    return taken


def similarities(vectors: Sequence[NDArray[np.float32] | None], labels: Sequence[Collection[str]]) -> NDArray[np.float64]:
    """Return the similarity (n, n) of items: the cosine of their vectors where both have one, else that of their labels.

    labels: categories and brand of each item, compared by the Jaccard index; 0 where there are none.
    """
    n = len(vectors)
    found = np.zeros((n, n))
    sets = [frozenset(each) for each in labels]
    for i in range(n):
        for j in range(i):
            either = len(sets[i] | sets[j])
            found[i, j] = found[j, i] = len(sets[i] & sets[j]) / either if either else 0.0
    known = [i for i, vector in enumerate(vectors) if vector is not None]
    if known:
        rows = np.stack([np.asarray(vectors[i], np.float64) for i in known])
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        found[np.ix_(known, known)] = rows @ rows.T
    return found


def labels_of(source: Mapping[str, Any]) -> list[str]:
    """Return an item's categories and brand."""
    brand = source.get("brand")
    return [*source.get("categories", ()), *([f"brand:{brand}"] if brand else [])]
