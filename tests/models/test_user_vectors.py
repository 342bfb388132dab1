"""Random projection: cosines are kept about as well as the number of dimensions allows, one vector at a time or all at once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.linear_algebra import CSR
from es_recsys.models.user_vectors import coordinates, project, project_rows


def sparse(n: int, n_items: int, each: int, seed: int) -> CSR:
    rng = np.random.default_rng(seed)
    items = np.concatenate([np.sort(rng.choice(n_items, each, replace=False)) for _ in range(n)])
    return CSR(np.arange(0, n * each + 1, each), items.astype(np.int64), rng.normal(size=n * each).astype(np.float32))


def dense(rows: CSR, n_items: int) -> np.ndarray:
    whole = np.zeros((len(rows.indptr) - 1, n_items))
    for row, (begin, end) in enumerate(zip(rows.indptr[:-1], rows.indptr[1:], strict=True)):
        whole[row, rows.indices[begin:end]] = rows.data[begin:end]
    return whole / np.linalg.norm(whole, axis=1, keepdims=True)


def test_cosines_are_kept() -> None:
    n_items, dims = 5_000, 256
    rows = sparse(60, n_items, 40, 1)
    whole, short = dense(rows, n_items), project_rows(rows, coordinates(n_items, dims, np.random.default_rng(2)), dims)
    off = (short @ short.T - whole @ whole.T)[np.triu_indices(60, 1)]
    assert abs(off.mean()) < 0.01 and off.std() < 1.3 / np.sqrt(dims)
    np.testing.assert_allclose(np.linalg.norm(short, axis=1), 1.0, atol=1e-6)


def test_nothing_is_lost_where_there_is_room() -> None:
    rows = sparse(20, 60, 8, 3)
    short = project_rows(rows, coordinates(60, 64, np.random.default_rng(0)), 64)
    np.testing.assert_allclose(short @ short.T, dense(rows, 60) @ dense(rows, 60).T, atol=1e-6)


@given(st.integers(1, 300), st.integers(2, 64), st.integers(0, 99))
def test_one_row_is_projected_as_all_are(n_items: int, dims: int, seed: int) -> None:
    rows = sparse(5, n_items, min(4, n_items), seed)
    plan = coordinates(n_items, dims, np.random.default_rng(seed))
    assert plan.min() >= -dims and plan.max() <= dims and (plan != 0).all()
    together = project_rows(rows, plan, dims)
    for row, (begin, end) in enumerate(zip(rows.indptr[:-1], rows.indptr[1:], strict=True)):
        alone = project(rows.indices[begin:end], rows.data[begin:end].astype(np.float64), plan, dims)
        np.testing.assert_allclose(alone, together[row], atol=1e-5)


def test_an_empty_row_has_no_direction() -> None:
    plan = coordinates(10, 4, np.random.default_rng(0))
    assert not project(np.zeros(0, np.int64), np.zeros(0), plan, 4).any()
    nothing = CSR(np.zeros(2, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))
    assert project_rows(nothing, plan, 4).tolist() == [[0.0] * 4]
