"""Sparse random projection: long sparse vectors as short dense ones with nearly the same cosines.

Each item has a few coordinates of +1 or -1 out of `dims` (Kane and Nelson 2014, "Sparser Johnson-Lindenstrauss transforms"),
so two unit vectors' inner product is kept up to an error with a standard deviation of about 1 / sqrt(dims). Where there
are no more items than dims each has a coordinate of its own, and nothing is lost.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from es_recsys.models.cooccurrence import Rows

__all__ = ["coordinates", "project", "project_rows"]

_EACH = 16
_BLOCK = 4_096


def coordinates(n_items: int, dims: int, rng: np.random.Generator) -> NDArray[np.int16]:
    """(n_items, s) int16 coordinates of each item, from 1, negative where it counts -1; dims <= 32,767."""
    if n_items <= dims:
        return np.arange(1, n_items + 1, dtype=np.int16)[:, None]
    each = min(_EACH, dims)
    # One coordinate in each of `each` equal parts, so that an item never hits one twice.
    bounds = np.linspace(0, dims, each + 1).astype(np.int64)
    chosen = rng.integers(bounds[:-1], bounds[1:], (n_items, each)) + 1
    signed: NDArray[np.int64] = chosen * rng.choice([-1, 1], (n_items, each))
    return signed.astype(np.int16)


def project(items: NDArray[np.int64], values: NDArray[np.float64], plan: NDArray[np.int16], dims: int) -> NDArray[np.float32]:
    """(dims,) float32 unit vector of one sparse vector; zeros where nothing is left of it."""
    chosen = plan[items].astype(np.int64)
    weights = np.sign(chosen) * values[:, None]
    total = np.bincount(np.abs(chosen).ravel() - 1, weights=weights.ravel(), minlength=dims)
    length = float(np.sqrt((total**2).sum()))
    return (total / length if length > 1e-12 else total * 0.0).astype(np.float32)


def project_rows(rows: Rows, plan: NDArray[np.int16], dims: int) -> NDArray[np.float32]:
    """(n, dims) float32 unit vectors of sparse rows, a row of zeros for an empty one."""
    from scipy import sparse

    n, each = plan.shape
    signs, columns = np.sign(plan).astype(np.float32), np.abs(plan).astype(np.int64) - 1
    basis = sparse.csr_matrix((signs.ravel(), columns.ravel(), np.arange(0, n * each + 1, each)), shape=(n, dims))
    matrix = sparse.csr_matrix((rows.values, rows.items, rows.starts), shape=(len(rows.starts) - 1, n))
    vectors = np.zeros((len(rows.starts) - 1, dims), np.float32)
    for begin in range(0, len(vectors), _BLOCK):
        dense = (matrix[begin : begin + _BLOCK] @ basis).toarray()
        length = np.linalg.norm(dense, axis=1, keepdims=True)
        vectors[begin : begin + _BLOCK] = np.divide(dense, length, out=np.zeros_like(dense), where=length > 1e-12)
    return vectors
