"""The documented formula of the ensemble, by hand, and that `recommend` keeps to it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from es_recsys.dataset import History, Interactions
from es_recsys.models import ALS, DEPTHS, ALSConfig, CoVisitation, Model, ensemble_parts, recommend


@pytest.fixture(scope="module")
def models(interactions: Callable[..., Interactions]) -> dict[str, Model]:
    rng = np.random.default_rng(2)
    users = {f"u{user}": [f"i{item:03}" for item in (rng.zipf(1.3, 12) * (user + 1)) % 500] for user in range(150)}
    data = interactions(users)
    als = ALSConfig(factors=8, iterations=4, threads=1)
    return {"covisitation": CoVisitation().fit(data, rng), "als": ALS(als).fit(data, rng)}


def test_parts_are_shares_of_the_own_best() -> None:
    raw = {"a": np.array([4.0, 2.0, -1.0], np.float32), "b": np.array([0.0, 5.0, 10.0], np.float32)}
    parts = ensemble_parts(raw, {"a": 4.0, "b": 20.0}, {"a": 0.75, "b": 0.25})
    assert parts["a"].tolist() == [0.75, 0.375, -0.1875]
    assert parts["b"].tolist() == [0.0, 0.0625, 0.125]
    assert parts["a"].dtype == np.float64


def test_a_model_with_an_empty_list_or_no_weight_gives_nothing() -> None:
    raw = {"a": np.array([1.0]), "b": np.array([1.0]), "c": np.array([1.0])}
    assert set(ensemble_parts(raw, {"a": 1.0, "c": 0.0}, {"a": 0.5, "b": 0.3, "c": 0.2})) == {"a"}
    assert set(ensemble_parts(raw, {"a": 1.0, "b": 1.0}, {"a": 1.0, "b": 0.0, "d": 0.4})) == {"a"}


HISTORIES = [
    History.of(["i001", "i002", "i010"]),
    History.of(["i044"]),
    History(("i001", "i003", "i004"), np.array([2, -1, 1], np.float32), np.arange(3.0)[::-1]),
]


@pytest.mark.parametrize("history", HISTORIES, ids=lambda one: " ".join(one.item_ids))
@pytest.mark.parametrize(
    "weights", [{"covisitation": 0.7, "als": 0.3}, {"covisitation": 0.0, "als": 1.0}, {"covisitation": 1.0}], ids=str
)
def test_recommend_is_the_formula(models: dict[str, Model], history: History, weights: dict[str, float]) -> None:
    exclude = frozenset(history.item_ids)
    used = {name: weight for name, weight in weights.items() if weight}
    own = {name: models[name].recommend(history, DEPTHS[models[name].kind], exclude) for name in used}
    totals = {}
    for item_id in {item_id for one in own.values() for item_id, _ in one}:
        totals[item_id] = sum(
            weight * float(models[name].score(history, [item_id])[0]) / own[name][0][1] for name, weight in used.items()
        )
    expected = sorted(totals.items(), key=lambda pair: (-pair[1], pair[0]))[:20]
    found = recommend(models, weights, history, 20, exclude)
    assert [score for _, score in found] == pytest.approx([score for _, score in expected], rel=1e-5)
    assert [item_id for item_id, _ in found] == [item_id for item_id, _ in expected]
    assert found[0][1] <= 1 + 1e-6 and not exclude & {item_id for item_id, _ in found}


def test_who_says_nothing_gets_nothing(models: dict[str, Model]) -> None:
    for history in (History(), History.of(["?"])):
        assert recommend(models, {"covisitation": 0.5, "als": 0.5}, history) == []


def test_one_model_answers_where_the_other_has_nothing(models: dict[str, Model]) -> None:
    alone = CoVisitation().fit(lonely(), np.random.default_rng(0))
    found = recommend({"covisitation": alone, "als": models["als"]}, {"covisitation": 0.5, "als": 0.5}, History.of(["i001"]), 5)
    assert len(found) == 5 and found[0][1] == pytest.approx(0.5)


def lonely() -> Interactions:
    return Interactions(
        np.array(["u"]), np.array(["z"]), np.zeros(1, np.int32), np.zeros(1, np.int32), np.ones(1, np.float32), np.zeros(1), False
    )
