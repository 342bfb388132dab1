"""Find the nearest of many vectors by a sketch of each, then by the vectors of the few that may be it.

A sketch is the first coordinates of a vector after a rotation into the principal axes of all (of their second moment, since inner
products are asked for, not distances). Content vectors have most of their length in few of their axes, so that products of
sketches rank nearly as those of the vectors do; whether they do is measured when the sketches are made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.top_k import highest

__all__ = ["OVERSAMPLING", "VectorSketch", "best_of", "multiply"]

OVERSAMPLING = 4
"""How many times as many items sketches find as are wanted."""

_AXES = 128
_LEAST_RECALL = 0.95
_QUERIES, _NEAREST = 32, 100
_MOST_VECTORS = 200_000
_SAMPLE = 20_000
_BLOCK = 10_000
# BLAS multiplies a matrix by fewer vectors faster one at a time.
_FEW = 2


@dataclass(frozen=True, slots=True, eq=False)
class VectorSketch:
    """Sketches of n vectors (d,).

    axes: (d, m) float32, orthonormal. coordinates: (n, m) float32.
    """

    axes: NDArray[np.float32]
    coordinates: NDArray[np.float32]

    @classmethod
    def of(cls, vectors: NDArray[np.floating[Any]]) -> VectorSketch | None:
        """Return the sketches of vectors (n, d) with 128 axes.

        None where it wouldn't pay: there are more than 200,000 vectors, which a graph finds quicker, fewer than axes, or it finds
        less than 95 % of the 100 nearest to sums of three of the vectors.
        """
        n, d = vectors.shape
        if n > _MOST_VECTORS or d <= _AXES:
            return None
        some = np.asarray(vectors[:: max(n // _SAMPLE, 1)], np.float32)
        some = some[some.any(axis=1)]
        if len(some) < _AXES:
            return None
        axes = np.linalg.eigh(some.T.astype(np.float64) @ some)[1][:, -_AXES:].astype(np.float32)
        sketch = cls(axes, np.zeros((0, _AXES), np.float32))
        return sketch.of_others(vectors) if _recall(sketch.of_others(some), some) >= _LEAST_RECALL else None

    def of_others(self, vectors: NDArray[np.floating[Any]]) -> VectorSketch:
        """Return the sketches of other vectors (n, d) along the same axes."""
        blocks = [vectors[start : start + _BLOCK].astype(np.float32) @ self.axes for start in range(0, len(vectors), _BLOCK)]
        return VectorSketch(self.axes, np.concatenate([np.zeros((0, self.axes.shape[1]), np.float32), *blocks]))

    def take(self, rows: NDArray[np.int64]) -> VectorSketch:
        """Return the sketches of these vectors."""
        return VectorSketch(self.axes, self.coordinates[rows])

    def products(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return about the inner products (k, n) of queries (k, d) with the vectors."""
        return multiply(self.coordinates, queries @ self.axes)


def multiply(rows: NDArray[np.floating[Any]], queries: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the inner products (k, n) of queries (k, d) with rows (n, d)."""
    exact = rows.astype(np.float32, copy=False)
    if len(queries) <= _FEW:
        return np.stack([exact @ query for query in queries])
    found: NDArray[np.float32] = queries @ exact.T
    return found


def best_of(rows: NDArray[np.int64], scores: NDArray[np.float32], n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the n rows with the highest scores, and these, highest first."""
    order = np.argsort(-scores, kind="stable")[:n]
    return rows[order], scores[order]


def _recall(sketch: VectorSketch, vectors: NDArray[np.float32]) -> float:
    """Return which part of the nearest of mixed queries the sketch finds; others as near as the last count, too."""
    queries = vectors[np.random.default_rng(0).integers(len(vectors), size=(_QUERIES, 3))].sum(axis=1)
    near = 0
    for query, scores in zip(queries, sketch.products(queries), strict=True):
        exact = vectors @ query
        rows = highest(scores, _NEAREST * OVERSAMPLING)
        _, found = best_of(rows, exact[rows], _NEAREST)
        near += int((found >= np.sort(exact)[-_NEAREST:][0] - 1e-6).sum())
    return near / (len(queries) * min(_NEAREST, len(vectors)))
