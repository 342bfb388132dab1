"""The inverse of a large symmetric positive definite matrix, in the place of the matrix itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["extra_bytes", "invert"]

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
