"""BSPM against dense matrices of its formulas."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from es_recsys.dataset import History, Interactions
from es_recsys.models.bspm import BSPM, BSPMConfig
from es_recsys.models.types import encode

USERS, N, K = 60, 40, 6
Make = Callable[..., Interactions]


@pytest.fixture(scope="module")
def x() -> NDArray[np.float64]:
    rng = np.random.default_rng(5)
    likes = rng.random((USERS, N)) < np.where(np.arange(USERS)[:, None] % 4 == np.arange(N) % 4, 0.5, 0.1)
    return np.where(likes, rng.choice([1.0, 4.0], likes.shape), 0.0)


@pytest.fixture(scope="module")
def data(x: NDArray[np.float64], interactions: Make) -> Interactions:
    rows = {f"u{user}": [(f"i{item:02}", row[item]) for item in np.flatnonzero(row)] for user, row in enumerate(x)}
    return interactions(rows)


def parts(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """P, its first eigenvectors, and the roots of the items' degrees."""
    r = np.sqrt(x)
    of_user, of_item = r.sum(1, keepdims=True), r.sum(0)
    r = r / np.sqrt(of_user * of_item)
    p = r.T @ r
    return p, np.linalg.eigh(p)[1][:, ::-1][:, :K], np.sqrt(of_item)


def kernel(model: BSPM) -> NDArray[np.float32]:
    ids = list(model.item_ids)
    return np.stack([model.score(History.of([item]), ids) for item in ids])


def fitted(model: BSPM, data: Interactions, monkeypatch: pytest.MonkeyPatch) -> BSPM:
    # Enough rounds for eigenvectors that can be compared.
    monkeypatch.setattr("es_recsys.models.bspm._ROUNDS", 60)
    return model.fit(data, np.random.default_rng(0))


def test_without_sharpening_it_is_the_linear_and_the_ideal_low_pass_filter(
    x: NDArray[np.float64], data: Interactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    p, v, roots = parts(x)
    expected = p + 0.3 * (v / roots[:, None]) @ (v * roots[:, None]).T
    np.testing.assert_allclose(kernel(fitted(BSPM(BSPMConfig(K, 0.3, 0.0)), data, monkeypatch)), expected, atol=1e-5)


def test_it_sharpens_both_terms_through_all_frequencies(
    x: NDArray[np.float64], data: Interactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    p, v, roots = parts(x)
    values = np.linalg.eigvalsh(p)[::-1]
    blurred = p + 0.3 * (v / roots[:, None]) @ (v * roots[:, None]).T
    rest = np.exp(-2.0 * values[K - 1] / 2)
    sharpen = rest * np.eye(N) + (v * (np.exp(-2.0 * values[:K]) - rest)) @ v.T
    model = fitted(BSPM(BSPMConfig(K, 0.3, 2.0)), data, monkeypatch)
    np.testing.assert_allclose(kernel(model), blurred @ sharpen, atol=1e-5)


def test_settings_of_the_asking_need_no_training(data: Interactions) -> None:
    model = BSPM(BSPM.with_param(BSPM.default_config(False, False), "factors", K)).fit(data, np.random.default_rng(0))
    config = BSPM.with_param(model.config, "low_pass", 0.9)
    again = BSPM(config).fit(data, np.random.default_rng(0))
    np.testing.assert_array_equal(kernel(model.with_config(config)), kernel(again))
    assert {"low_pass", "half_life"} <= BSPM.inference_params and "factors" not in BSPM.inference_params


def test_a_history_sums_what_its_events_say_and_halves_the_older(data: Interactions) -> None:
    model = BSPM(BSPMConfig(K, half_life=2.0)).fit(data, np.random.default_rng(0))
    table = kernel(model)
    history = History(("i03", "i08", "i11"), np.array([2, -1, 1], np.float32), np.zeros(3))
    expected = 2 * 2**-1 * table[3] - 2**-0.5 * table[8] + table[11]
    scores = model.score(history, list(model.item_ids))
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-6)
    shares = model._contributions(encode(history, model.item_ids), np.array([20]))[:, 0]
    assert shares[[0, 2]] == pytest.approx([table[3, 20], table[11, 20]], rel=1e-4)


def test_a_small_store_keeps_few_frequencies(interactions: Make) -> None:
    model = BSPM().fit(interactions({f"u{user}": ["a", "b", f"c{user}"] for user in range(6)}), np.random.default_rng(0))
    assert model._arrays["vectors"].shape == (8, 1)
    assert {item for item, _ in model.recommend(History.of(["a"]), 2, {"a"})} >= {"b"}


def test_nothing_positive_learns_nothing(interactions: Make) -> None:
    model = BSPM().fit(interactions({"u": [("a", -1), ("b", -1)], "v": [("a", -1)]}), np.random.default_rng(0))
    assert model.recommend(History.of(["a"])) == []
