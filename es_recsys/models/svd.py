"""Truncated singular value decomposition of a large sparse matrix, by random projection."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["truncated_svd"]

_MORE = 16


def truncated_svd(
    matrix: Any, rank: int, rng: np.random.Generator, rounds: int = 6
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The `rank` largest singular values and vectors: U (n, rank), s (rank,) largest first, V (m, rank), float64.

    matrix: (n, m), sparse or dense, anything with `@` and `.T`; rank is cut to min(n, m). Randomised subspace iteration
    (Halko, Martinsson and Tropp 2011, algorithms 4.4 and 5.1), `rounds` times with a few directions to spare; the signs
    are such that the largest entry of each column of V is positive, so the result is the same for the same generator.
    """
    n, m = matrix.shape
    rank = min(rank, n, m)
    if rank == 0:
        return np.zeros((n, 0)), np.zeros(0), np.zeros((m, 0))
    basis = rng.normal(size=(m, min(rank + _MORE, n, m)))
    for _ in range(rounds):
        across, _ = np.linalg.qr(matrix @ basis)
        basis, _ = np.linalg.qr(matrix.T @ across)
    # matrix @ basis = Q R, so the small R has the singular values of the matrix within the basis.
    left, values, right = np.linalg.svd(matrix @ basis, full_matrices=False)
    v = basis @ right.T[:, :rank]
    signs = np.sign(v[np.abs(v).argmax(axis=0), np.arange(rank)])
    signs[signs == 0] = 1.0
    return left[:, :rank] * signs, values[:rank], v * signs
