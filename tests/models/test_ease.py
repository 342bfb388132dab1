"""EASE against its closed form and what that form promises."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from es_recsys.dataset import History, Interactions
from es_recsys.errors import ModelError, OutOfTime
from es_recsys.models import ease
from es_recsys.models.base import TrainingCallback
from es_recsys.models.ease import EASE, EASEConfig, memory_needed

RNG = np.random.default_rng(0)
N = 12


@pytest.fixture
def x() -> NDArray[np.bool_]:
    return np.random.default_rng(2).random((40, N)) < np.linspace(0.7, 0.1, N)


@pytest.fixture
def data(x: NDArray[np.bool_], interactions: Callable[..., Interactions]) -> Interactions:
    return interactions({f"u{user}": [f"i{item:02}" for item in np.flatnonzero(row)] for user, row in enumerate(x)})


def exact(x: NDArray[np.bool_], regularization: float) -> NDArray[np.float64]:
    inverse = np.linalg.inv(x.T.astype(float) @ x + regularization * np.eye(N))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


def rows(model: EASE) -> NDArray[np.float32]:
    ids = list(model.item_ids)
    return np.stack([model.score(History.of([item]), ids) for item in ids])


def test_the_weights_are_the_closed_form(x: NDArray[np.bool_], data: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    np.testing.assert_allclose(rows(EASE(EASEConfig(5.0)).fit(data, RNG)), exact(x, 5.0), rtol=1e-4, atol=1e-6)
    monkeypatch.setattr(ease, "_ROWS", 5)
    np.testing.assert_allclose(rows(EASE(EASEConfig(5.0)).fit(data, RNG)), exact(x, 5.0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("needed", [True, False])
def test_between_steps_it_reports_and_may_be_given_up(data: Interactions, needed: bool) -> None:
    told: list[tuple[int, int]] = []

    def tell(done: int, total: int, figures: Mapping[str, float]) -> None:
        told.append((done, total))

    callback = TrainingCallback(tell, deadline=time.process_time() - 1.0, required=needed)
    if not needed:
        with pytest.raises(OutOfTime, match="ease was not whole"):
            EASE().fit(data, RNG, None, callback)
        assert told == [(1, 3)]
        return
    late = EASE().fit(data, RNG, None, callback)
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert late.fingerprint == EASE().fit(data, RNG).fingerprint


def test_no_other_weights_reconstruct_better(x: NDArray[np.bool_], data: Interactions) -> None:
    def loss(weights: NDArray[np.floating]) -> float:
        return float(((x - x @ weights) ** 2).sum() + 5.0 * (weights**2).sum())

    found = rows(EASE(EASEConfig(5.0)).fit(data, RNG)).astype(np.float64)
    for seed in range(10):
        step = np.random.default_rng(seed).normal(0, 0.01, (N, N))
        np.fill_diagonal(step, 0)
        assert loss(found) < loss(found + step)


def test_the_strongest_stay_whatever_their_sign(x: NDArray[np.bool_], data: Interactions) -> None:
    cut, whole = rows(EASE(EASEConfig(5.0, neighbours=4)).fit(data, RNG)), exact(x, 5.0)
    assert (cut < 0).any() and ((cut != 0).sum(axis=1) == 4).all()
    for own, full in zip(cut, whole, strict=True):
        kept = own != 0
        np.testing.assert_allclose(own[kept], full[kept], rtol=1e-4)
        assert np.abs(full[kept]).min() >= np.abs(full[~kept]).max()


def test_items_without_events_have_no_weights(interactions: Callable[..., Interactions]) -> None:
    model = EASE().fit(interactions({"u": ["a", "b", ("c", -1)], "v": ["a", "b"]}), RNG)
    assert model._arrays["starts"].tolist() == [0, 1, 2, 2]


def test_dislikes_alone_bring_nothing_up(x: NDArray[np.bool_], data: Interactions) -> None:
    model = EASE(EASEConfig(5.0)).fit(data, RNG)
    item = int(np.argwhere(exact(x, 5.0) < -1e-3)[0][0])
    disliked = History((f"i{item:02}",), np.array([-1], np.float32), np.zeros(1))
    assert model.recommend(disliked) == [] and (model.score(disliked, list(model.item_ids)) <= 0).all()


def test_memory_is_checked_before_any_is_taken(data: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = memory_needed(N, EASEConfig().neighbours)
    monkeypatch.setattr(ease, "available_memory", lambda: needed - 1)
    with pytest.raises(ModelError, match=r"12 items needs .* MiB .*available\. Train bspm or covisitation instead"):
        EASE().fit(data, RNG)
    for known in (needed, None):
        monkeypatch.setattr(ease, "available_memory", lambda known=known: known)
        EASE().fit(data, RNG)


@pytest.mark.parametrize("neighbours", [10, 2_000])
def test_it_takes_no_more_than_it_says(neighbours: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ease, "_ROWS", 64)
    n = 1_500
    rng = np.random.default_rng(4)
    data = Interactions(
        np.array(["u", "v"]),
        np.array([f"i{item:04}" for item in range(n)]),
        np.zeros(900, np.int32),
        rng.choice(n, 900, replace=False).astype(np.int32),
        np.ones(900, np.float32),
        np.arange(900.0),
    )
    tracemalloc.start()
    try:
        EASE(EASEConfig(neighbours=neighbours)).fit(data, RNG)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 4 * n * n < peak <= memory_needed(n, neighbours)


@pytest.mark.parametrize("regularization", [0.0, -1.0])
def test_a_regularization_that_is_too_small_is_refused(data: Interactions, regularization: float) -> None:
    with pytest.raises(ModelError, match=r"regularization of .*higher"):
        EASE(EASEConfig(regularization)).fit(data, RNG)


def test_where_rounding_leaves_it_singular_the_error_says_so(data: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    # As rounding can leave it: not positive definite.
    monkeypatch.setattr(ease, "_gram", lambda seq: np.zeros((N, N), np.float32) - np.float32(1e-3))
    with pytest.raises(ModelError, match=r"regularization of 0\.0001.*higher"):
        EASE(EASEConfig(1e-4)).fit(data, RNG)
