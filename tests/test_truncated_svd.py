from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from es_recsys.linear_algebra import truncated_svd


def test_agrees_with_the_exact_decomposition() -> None:
    rng = np.random.default_rng(0)
    matrix = sparse.random(300, 120, 0.05, random_state=1, format="csr")
    left, values, right = truncated_svd(matrix, 10, rng, rounds=30)
    exact = np.linalg.svd(matrix.toarray(), full_matrices=False)
    np.testing.assert_allclose(values, exact[1][:10], rtol=1e-6)
    np.testing.assert_allclose(left.T @ left, np.eye(10), atol=1e-8)
    np.testing.assert_allclose(np.abs((right * exact[2][:10].T).sum(axis=0)), 1.0, atol=1e-4)
    best = exact[0][:, :10] * exact[1][:10] @ exact[2][:10]
    np.testing.assert_allclose(left * values @ right.T, best, atol=1e-4)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (3, 7), (7, 3)])
def test_the_rank_is_cut_to_what_there_is(shape: tuple[int, int]) -> None:
    matrix = np.random.default_rng(2).normal(size=shape)
    left, values, right = truncated_svd(matrix, 50, np.random.default_rng(0))
    assert (left.shape, values.shape, right.shape) == ((shape[0], min(shape)), (min(shape),), (shape[1], min(shape)))
    np.testing.assert_allclose(left * values @ right.T, matrix, atol=1e-9)


def test_signs_are_settled() -> None:
    matrix = np.random.default_rng(3).normal(size=(40, 30))
    one, other = (truncated_svd(matrix, 5, np.random.default_rng(seed), rounds=60)[2] for seed in (1, 2))
    np.testing.assert_allclose(one, other, atol=1e-6)
