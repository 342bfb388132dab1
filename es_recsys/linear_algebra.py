"""Sparse rows, ridge regression, and the decomposition and inversion of large matrices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CSR", "extra_bytes", "invert", "ridge", "truncated_svd"]


@dataclass(frozen=True, slots=True, eq=False)
class CSR:
    """Compressed sparse rows, as in scipy.

    indptr (n + 1,) int64, indices (m,) int32 ascending in each row, data (m,) float32.
    A plain record of arrays, which may be memory-mapped.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    data: NDArray[np.float32]


_MORE = 16


def truncated_svd(
    matrix: Any, rank: int, rng: np.random.Generator, rounds: int = 6
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the `rank` largest singular values and vectors: U (n, rank), s (rank,) largest first, V (m, rank), float64.

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


def ridge(x: NDArray[np.float64], y: NDArray[np.float64], penalty: float) -> NDArray[np.float64]:
    """Return the weights W (c, d) of the ridge regression x W ~ y (Hoerl and Kennard 1970).

    x: (n, c); y: (n, d); penalty: as a share of the mean sum of squares of a column of x.
    """
    gram = x.T @ x
    gram[np.diag_indices_from(gram)] += max(penalty * np.trace(gram) / max(len(gram), 1), 1e-12)
    return np.asarray(np.linalg.solve(gram, x.T @ y), np.float64)


_ROWS = 512


def extra_bytes(n: int) -> int:
    """Return how many bytes `invert` takes beside the matrix: one block of rows, copied, and what BLAS works in."""
    return 4 * n * _ROWS + (64 << 20)


def invert(matrix: NDArray[np.float32], factorised: Callable[[], None] = lambda: None) -> None:
    """Write the inverse of `matrix` (n, n) float32 over it, through Cholesky's factor (LAPACK's potrf and potri).

    Only the lower triangle is read. factorised: called when a third of the work is done; what it raises ends the work. Raises
    LinAlgError where the matrix isn't positive definite.
    """
    from scipy.linalg import lapack

    n = len(matrix)
    if not n:
        return
    # The lower triangle by rows is the upper one by columns, LAPACK's order, so nothing is copied.
    factor, info = lapack.spotrf(matrix.T, lower=0, clean=0, overwrite_a=1)
    if info == 0:
        factorised()
        _, info = lapack.spotri(factor, lower=0, overwrite_c=1)
    if info != 0:
        raise np.linalg.LinAlgError("The matrix is not positive definite.")
    for begin in range(0, n, _ROWS):
        end = min(begin + _ROWS, n)
        matrix[:begin, begin:end] = matrix[begin:end, :begin].T
        corner = np.tril(matrix[begin:end, begin:end])
        matrix[begin:end, begin:end] = corner + np.tril(corner, -1).T
