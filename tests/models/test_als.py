"""Folding in, against the library's own and against the closed form."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from es_recsys.dataset import History, Interactions
from es_recsys.errors import MissingExtra, ModelError
from es_recsys.models import ALS, ALSConfig
from es_recsys.models.confidence import Confidence, idf

Make = Callable[..., Interactions]
FACTORS, ITEMS = 6, 30
CONFIG = ALSConfig(factors=FACTORS, regularization=0.05, iterations=6, confidence=Confidence(8.0, 1.2, 0.3), threads=1)


@pytest.fixture(scope="module")
def data(interactions: Make) -> Interactions:
    rng = np.random.default_rng(8)
    users = {}
    for user in range(40):
        items = rng.choice(15, 8, replace=False) + 15 * (user % 2)
        users[f"u{user}"] = [(f"i{item:02}", float(rng.choice([1, 2, -1], p=[0.6, 0.3, 0.1]))) for item in items]
    return interactions(users)


@pytest.fixture(scope="module")
def model(data: Interactions) -> ALS:
    return ALS(CONFIG).fit(data, np.random.default_rng(1))


def confidences(data: Interactions, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n_items,) signed, by the documented formula, of a history with these total weights (0 for not there)."""
    users, items = len(data.user_ids), len(data.item_ids)
    lengths = np.bincount(data.users, np.abs(data.weights), users)
    likers = np.bincount(data.items[data.weights > 0], minlength=items)
    rarity = np.log1p((users - likers + 0.5) / (likers + 0.5))
    rarity /= (rarity * likers).sum() / likers.sum()
    how = CONFIG.confidence
    norm = 1 - how.b + how.b * np.abs(weights).sum() / lengths.mean()
    value = how.scale * rarity * np.abs(weights) * (how.k1 + 1) / (np.abs(weights) + how.k1 * norm)
    signed: NDArray[np.float64] = np.where(weights < 0, -np.maximum(value, 1), value) * (weights != 0)
    return signed


def solved(factors: NDArray[np.float32], confidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """Minimum of Hu et al.'s cost for one user, over all items: sum c (p - x.y)^2 + regularization |x|^2."""
    y, sure = factors.astype(np.float64), np.where(confidence == 0, 1, np.abs(confidence))
    liked = (confidence > 0).astype(float)
    found: NDArray[np.float64] = np.linalg.solve(
        y.T @ np.diag(sure) @ y + CONFIG.regularization * np.eye(FACTORS), y.T @ (sure * liked)
    )
    return found


def folded(model: ALS, history: History) -> NDArray[np.float32]:
    vector = model.user_vector(history)
    assert vector is not None
    return vector


def total(history: History, ids: list[str]) -> NDArray[np.float64]:
    weights = np.zeros(len(ids))
    for item_id, weight in zip(history.item_ids, history.weights, strict=True):
        if item_id in ids:
            weights[ids.index(item_id)] += weight
    return weights


HISTORIES = [
    History.of(["i03"]),
    History.of(["i03", "i07", "i03", "i14"]),
    History(("i03", "i20", "i05"), np.array([1, -1, 2], np.float32), np.arange(3.0)[::-1]),
    History(("i01", "?", "i02", "i02"), np.array([1, 9, 1, -1], np.float32), np.arange(4.0)[::-1]),
]


@pytest.mark.parametrize("history", HISTORIES, ids=lambda one: " ".join(one.item_ids))
def test_folding_in_is_the_closed_form(model: ALS, data: Interactions, history: History) -> None:
    expected = solved(model.item_vectors, confidences(data, total(history, list(model.item_ids))))
    vector = folded(model, history)
    assert vector.shape == (FACTORS,) and vector.dtype == np.float32
    np.testing.assert_allclose(vector, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("history", HISTORIES, ids=lambda one: " ".join(one.item_ids))
def test_folding_in_agrees_with_the_library(model: ALS, data: Interactions, history: History) -> None:
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy import sparse

    library = AlternatingLeastSquares(factors=FACTORS, regularization=CONFIG.regularization, num_threads=1)
    library.item_factors = model.item_vectors
    row = sparse.csr_matrix(confidences(data, total(history, list(model.item_ids))).astype(np.float32)[None, :])
    np.testing.assert_allclose(folded(model, history), library.recalculate_user([0], row)[0], atol=1e-3)


def test_item_vectors_are_in_the_order_of_the_ids(model: ALS) -> None:
    assert model.item_vectors.shape == (ITEMS, FACTORS) and model.item_vectors.dtype == np.float32
    vector = folded(model, HISTORIES[1])
    ids = list(model.item_ids)
    np.testing.assert_allclose(model.score(HISTORIES[1], ids), model.item_vectors @ vector, rtol=1e-5, atol=1e-6)
    other = ids[::-3]
    np.testing.assert_allclose(model.score(HISTORIES[1], other), (model.item_vectors @ vector)[::-1][::3], rtol=1e-5, atol=1e-6)


def test_it_finds_the_half_of_the_shop_that_a_user_likes(model: ALS) -> None:
    scores = model.score(History.of(["i20", "i24"]), [f"i{item:02}" for item in range(ITEMS)])
    assert scores[15:].mean() > 0.2 and abs(scores[:15].mean()) < 0.1


def test_reasons_add_up_to_the_score(model: ALS) -> None:
    from es_recsys.models.types import encode

    for history in HISTORIES:
        shares = model._contributions(encode(history, model.item_ids), np.array([9]))[:, 0]
        assert shares.sum() == pytest.approx(float(model.score(history, [model.item_ids[9]])[0]), abs=1e-5)


def test_the_older_of_a_history_fade(model: ALS, data: Interactions) -> None:
    fading, history = model.with_config(replace(CONFIG, half_life=1.0)), History.of(["i03", "i20"])
    weights = total(History(("i03", "i20"), np.array([0.5, 1], np.float32), np.zeros(2)), list(model.item_ids))
    np.testing.assert_allclose(folded(fading, history), solved(model.item_vectors, confidences(data, weights)), rtol=1e-4)
    assert fading.fingerprint != model.fingerprint
    assert model.config.half_life == math.inf


@pytest.mark.parametrize("half_life", [4.0, math.inf])
def test_settings_survive_saving(model: ALS, tmp_path: Path, half_life: float) -> None:
    model.with_config(replace(CONFIG, half_life=half_life)).save(tmp_path / "m")
    assert ALS.load(tmp_path / "m").config == replace(CONFIG, half_life=half_life)


def test_the_number_of_threads_changes_nothing(model: ALS, data: Interactions) -> None:
    other = ALS(replace(CONFIG, threads=2)).fit(data, np.random.default_rng(1))
    np.testing.assert_array_equal(other.item_vectors, model.item_vectors)


def test_without_a_liked_item_there_is_nothing_to_learn(interactions: Make) -> None:
    # What was liked and disliked alike says nothing either.
    for events in ([("a", -1.0)], [("a", 1.0), ("a", -1.0)]):
        with pytest.raises(ModelError, match=r"no positive events.*events load"):
            ALS(CONFIG).fit(interactions({"u": events}), np.random.default_rng(0))


def test_without_the_library_it_says_which_extra(data: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "implicit.cpu.als", None)
    with pytest.raises(MissingExtra, match="implicit"):
        ALS(CONFIG).fit(data, np.random.default_rng(0))


def test_rare_items_are_surer_and_dislikes_never_below_one() -> None:
    rarity = idf(np.array([1, 10, 90]), 100)
    assert rarity[0] > rarity[1] > rarity[2] > 0
    assert (rarity * [1, 10, 90]).sum() / 101 == pytest.approx(1)
    signed = Confidence(scale=0.1).of(np.array([1.0, -1.0]), np.ones(2), 1.0, np.ones(2))
    assert signed[0] == pytest.approx(0.1) and signed[1] == -1
    assert idf(np.zeros(2, np.int64), 5).min() > 0
