"""Folding in, against the criterion that it maximises and against the users that the library itself learns."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from es_recsys.errors import MissingExtra, ModelError
from es_recsys.models.bpr import BPR, BPRConfig
from es_recsys.models.histories import encode
from es_recsys.types import History, Interactions

Make = Callable[..., Interactions]
CONFIG = BPRConfig(factors=6, iterations=150, regularization=0.05)


@pytest.fixture(scope="module")
def data(interactions: Make) -> Interactions:
    rng = np.random.default_rng(8)
    users = {}
    for user in range(60):
        items = rng.choice(15, 8, replace=False) + 15 * (user % 2)
        users[f"u{user}"] = [(f"i{item:02}", float(rng.choice([1, 2, -1], p=[0.6, 0.3, 0.1]))) for item in items]
    return interactions(users)


@pytest.fixture(scope="module")
def model(data: Interactions) -> BPR:
    return BPR(CONFIG).fit(data, np.random.default_rng(1))


def folded(model: BPR, history: History) -> NDArray[np.float32]:
    vector = model.vector(history)
    assert vector is not None
    return vector


HISTORIES = [
    History.of(["i03"]),
    History.of(["i03", "i07", "i03", "i14"]),
    History(("i03", "i20", "i05"), np.array([1, -1, 2], np.float32), np.arange(3.0)[::-1]),
    History(("i01", "?", "i02"), np.array([1, 9, 3], np.float32), np.arange(3.0)[::-1]),
]


@pytest.mark.parametrize("history", HISTORIES, ids=lambda one: " ".join(one.item_ids))
def test_folding_in_is_where_the_criterion_is_flat(model: BPR, data: Interactions, history: History) -> None:
    """The gradient of sum_h |w_h| (mean_j of s z / 2 - z^2 / 8) - regularization / 2 |x|^2, pair by pair, is zero there;
    z = x . (y_h - y_j) + b_h - b_j, and s is the sign of w_h."""
    ids = model.item_ids
    rows = model.item_vectors.astype(np.float64)
    liked: NDArray[np.float64] = np.zeros((len(data.user_ids), len(ids)))
    np.add.at(liked, (data.users, data.items), data.weights)
    drawn = (liked > 0).sum(axis=0) / (liked > 0).sum()
    x = folded(model, history).astype(np.float64)[:-1]
    gradient = np.zeros(6)
    for item_id, weight in zip(history.item_ids, history.weights.tolist(), strict=True):
        if item_id in ids:
            apart = rows[ids.find([item_id])[0]] - rows
            z = apart[:, :-1] @ x + apart[:, -1]
            slope = np.sign(weight) / 2 - z / 4
            gradient += abs(weight) * ((drawn * slope) @ apart[:, :-1] - CONFIG.regularization * x)
    np.testing.assert_allclose(gradient, 0.0, atol=1e-5)


def test_a_user_folded_in_prefers_what_the_one_learned_prefers(model: BPR, data: Interactions) -> None:
    from implicit.cpu.bpr import BayesianPersonalizedRanking
    from scipy import sparse

    liked: NDArray[np.float32] = np.zeros((len(data.user_ids), len(data.item_ids)), np.float32)
    np.add.at(liked, (data.users, data.items), data.weights)
    library = BayesianPersonalizedRanking(
        factors=6,
        iterations=150,
        regularization=0.05,
        learning_rate=CONFIG.learning_rate,
        num_threads=1,
        random_state=int(np.random.default_rng(1).integers(2**31)),
    )
    library.fit(sparse.csr_matrix((liked > 0).astype(np.float32)), show_progress=False)
    learned = library.user_factors @ library.item_factors.T
    for user in range(0, 60, 7):
        events = data.users == user
        history = History(
            tuple(data.item_ids[data.items[events]].tolist()), data.weights[events], np.zeros(int(events.sum()), np.float64)
        )
        scores = model.score(history, list(model.item_ids))
        assert np.corrcoef(scores, learned[user])[0, 1] > 0.8


def test_the_mean_drawn_item_is_the_origin(model: BPR, data: Interactions) -> None:
    liked: NDArray[np.float64] = np.zeros((len(data.user_ids), len(data.item_ids)))
    np.add.at(liked, (data.users, data.items), data.weights)
    np.testing.assert_allclose((liked > 0).sum(axis=0) @ model.item_vectors, 0.0, atol=1e-4)
    assert folded(model, HISTORIES[0])[-1] == 1.0


def test_the_scale_of_weights_changes_nothing(model: BPR) -> None:
    one = HISTORIES[2]
    other = replace(one, weights=one.weights * np.float32(5))
    np.testing.assert_allclose(folded(model, other), folded(model, one), rtol=1e-5)


def test_it_finds_the_half_of_the_shop_that_a_user_likes(model: BPR) -> None:
    scores = model.score(History.of(["i20", "i24"]), [f"i{item:02}" for item in range(30)])
    assert scores[15:].mean() > 0.3 and scores[:15].mean() < -0.3


def test_the_older_of_a_history_fade(model: BPR) -> None:
    fading = model.with_config(replace(CONFIG, half_life=1.0))
    halved = History(("i03", "i20"), np.array([0.5, 1], np.float32), np.zeros(2))
    np.testing.assert_allclose(folded(fading, History.of(["i03", "i20"])), folded(model, halved), rtol=1e-5)
    assert fading.fingerprint != model.fingerprint


def test_reasons_and_biases_add_up_to_the_score(model: BPR) -> None:
    """The score without the item's own bias is what the shares sum to, less what the biases take off: the same
    criterion solved with biases of zero gives the shares alone."""
    unbiased = BPR(CONFIG)
    vectors, covariance = model.item_vectors.copy(), model._arrays["covariance"].copy()
    vectors[:, -1], covariance[:, -1], covariance[-1] = 0.0, 0.0, 0.0
    unbiased._ids, unbiased._arrays = model.item_ids, {"vectors": vectors, "covariance": covariance}
    for history in (HISTORIES[0], HISTORIES[1], HISTORIES[3]):
        batch = encode(history, model.item_ids)
        assert model._shares(batch, 9).sum() == pytest.approx(float(unbiased.score(history, ["i09"])[0]), abs=1e-5)


def test_an_item_that_nobody_liked_has_no_place(interactions: Make) -> None:
    data = interactions({"u": ["a", "b", ("c", -1.0)], "v": ["b", "a"]})
    model = BPR(CONFIG).fit(data, np.random.default_rng(0))
    assert not model.item_vectors[2].any()
    assert model.vector(History.of(["c"])) is None


@pytest.mark.parametrize("half_life", [4.0, math.inf])
def test_settings_survive_saving(model: BPR, tmp_path: Path, half_life: float) -> None:
    config = replace(CONFIG, half_life=half_life)
    model.with_config(config).save(tmp_path / "m")
    assert BPR.load(tmp_path / "m").config == config


def test_without_a_liked_item_there_is_nothing_to_learn(interactions: Make) -> None:
    for events in ([("a", -1.0)], [("a", 1.0), ("a", -1.0)]):
        with pytest.raises(ModelError, match=r"no positive events.*events load"):
            BPR(CONFIG).fit(interactions({"u": events}), np.random.default_rng(0))


def test_without_the_library_it_says_which_extra(data: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "implicit.cpu.bpr", None)
    with pytest.raises(MissingExtra, match="implicit"):
        BPR(CONFIG).fit(data, np.random.default_rng(0))
