"""The inverse of a large symmetric positive definite matrix, in the place of the matrix itself."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["extra_bytes", "invert"]

_BLOCK = 1024


def extra_bytes(n: int, block: int = _BLOCK) -> int:
    """Bytes that `invert` takes beside the matrix: two panels, the products of one block of rows, and small blocks."""
    return 4 * (3 * n * block) + 8 * 4 * block * block


def invert(matrix: NDArray[np.float32], block: int = _BLOCK, tell: Callable[[int, int], None] | None = None) -> None:
    """Writes the inverse of `matrix` (n, n) float32, symmetric and positive definite, over it.

    Blocks K of rows are swept one after the other (Goodnight 1979, "A Tutorial on the SWEEP Operator"): with
    S = A[K, K]^-1 and the rest R,

        A[R, R] -= A[R, K] S A[K, R],      A[R, K] = A[R, K] S,      A[K, K] = -S

    and when all are swept, A is minus the inverse. Only the lower triangle is kept up on the way, so n^3 multiplications
    and additions together, as Cholesky's way, nearly all of them in products of blocks; and as no call is given the
    matrix as a whole, no 32-bit index limits its size. The small inverses are in float64. tell(done, total): called after
    each block; what it raises ends the work. Raises LinAlgError where the matrix isn't positive definite.
    """
    n = len(matrix)
    cuts = [*range(0, n, block), n]
    product = np.empty((min(block, n), n), np.float32)
    for done, (begin, end) in enumerate(pairwise(cuts), 1):
        panel = _panel(matrix, begin, end)
        inner = _inverse(panel[begin:end])
        swept = panel @ inner.astype(np.float32)
        for top, bottom in pairwise(cuts):
            if top == begin:
                continue
            out = product[: bottom - top, :bottom]
            np.matmul(swept[top:bottom], panel[:bottom].T, out=out)
            rows = matrix[top:bottom, :bottom]
            if top < begin:
                rows -= out
                continue
            # The swept block's own columns get the panel itself.
            rows[:, :begin] -= out[:, :begin]
            rows[:, end:] -= out[:, end:]
        matrix[begin:end, :begin] = swept[:begin].T
        matrix[end:, begin:end] = swept[end:]
        matrix[begin:end, begin:end] = -inner
        if tell is not None:
            tell(done, len(cuts) - 1)
    for begin, end in pairwise(cuts):
        np.negative(matrix[begin:end, :end], out=matrix[begin:end, :end])
        matrix[:end, begin:end] = _panel(matrix, begin, end)[:end]


def _panel(matrix: NDArray[np.float32], begin: int, end: int) -> NDArray[np.float32]:
    """Columns begin to end, (n, end - begin), out of the lower triangle; of the block on the diagonal both."""
    panel = np.empty((len(matrix), end - begin), np.float32)
    panel[:begin] = matrix[begin:end, :begin].T
    panel[end:] = matrix[end:, begin:end]
    corner = np.tril(matrix[begin:end, begin:end])
    panel[begin:end] = corner + np.tril(corner, -1).T
    return panel


def _inverse(corner: NDArray[np.float32]) -> NDArray[np.float64]:
    """Through Cholesky's factor, which also tells that the block is positive definite."""
    factor = np.linalg.inv(np.linalg.cholesky(corner.astype(np.float64)))
    result: NDArray[np.float64] = factor.T @ factor
    return result
