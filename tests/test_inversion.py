"""The inverse in place against numpy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys import linear_algebra
from es_recsys.linear_algebra import extra_bytes, invert


@given(n=st.integers(0, 40), rows=st.integers(1, 50), seed=st.integers(0, 9))
def test_it_is_the_inverse_for_blocks_of_any_size(n: int, rows: int, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(2 * n + 3, n))
    matrix = (x.T @ x + np.eye(n)).astype(np.float32)
    expected = np.linalg.inv(matrix.astype(np.float64))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linear_algebra, "_ROWS", rows)
        invert(matrix)
    np.testing.assert_allclose(matrix, expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(matrix, matrix.T)


def test_only_the_lower_triangle_is_read() -> None:
    x = np.random.default_rng(1).normal(size=(30, 12))
    matrix = (x.T @ x).astype(np.float32)
    half = np.tril(matrix) + np.triu(np.full_like(matrix, np.nan), 1)
    invert(matrix)
    invert(half)
    np.testing.assert_array_equal(half, matrix)


def test_it_may_be_ended_once_the_matrix_is_factorised() -> None:
    class Ended(Exception):
        pass

    def end() -> None:
        raise Ended

    with pytest.raises(Ended):
        invert(np.eye(3, dtype=np.float32), end)


@pytest.mark.parametrize("diagonal", [[1, 2, 0, 1], [1, 2, 3, -1]])
def test_what_is_not_positive_definite_is_refused(diagonal: list[float]) -> None:
    with pytest.raises(np.linalg.LinAlgError):
        invert(np.diag(diagonal).astype(np.float32))


def test_what_it_takes_beside_the_matrix_grows_with_its_side_alone() -> None:
    assert extra_bytes(40_000) - extra_bytes(20_000) == extra_bytes(60_000) - extra_bytes(40_000)
    assert extra_bytes(100_000) < 4 * 100_000**2 / 20
