"""User-kNN against its formula, and what of a user it keeps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from es_recsys.dataset import History, Interactions
from es_recsys.models import UserKNN, UserKNNConfig, load_models, save_models
from es_recsys.models.types import encode
from es_recsys.models.user_vectors import coordinates, history_positives, pack, positives, project, project_rows, select, unpack

Make = Callable[..., Interactions]
RNG = np.random.default_rng

USERS = {
    "ann": ["a", "b", "c", "d"],
    "bob": ["a", "b", ("e", 4.0)],
    "cat": ["c", ("x", -1.0), "f"],
    "dan": ["g", "h"],
}


def by_hand(asked: dict[str, float], model: UserKNN, data: Interactions) -> dict[str, float]:
    """The formula of the docstring, one user and one item at a time; `asked` has the net weights of the asker's items."""
    names = data.item_ids.tolist()
    rarity = dict(zip(names, model._arrays["idf"].tolist(), strict=True))
    popularity = dict(zip(names, model._arrays["popularity"].tolist(), strict=True))

    def x(likes: dict[str, float]) -> dict[str, float]:
        last = len(likes) - 1
        return {
            item: math.copysign(math.sqrt(abs(weight)), weight) * rarity[item] * 2 ** -((last - place) / model.config.half_life)
            for place, (item, weight) in enumerate(likes.items())
        }

    mine, scores = x(asked), dict.fromkeys(names, 0.0)
    for user in range(len(data.user_ids)):
        theirs: dict[str, float] = {}
        for at in np.flatnonzero(data.users == user):
            theirs[names[data.items[at]]] = theirs.get(names[data.items[at]], 0.0) + float(data.weights[at])
        theirs = {item: weight for item, weight in theirs.items() if weight > 0}
        both = x(theirs)
        cosine = sum(mine.get(item, 0.0) * value for item, value in both.items())
        cosine /= math.hypot(*mine.values()) * math.hypot(*both.values())
        for item, weight in theirs.items():
            vote = max(cosine, 0.0) ** model.config.power * math.sqrt(weight)
            scores[item] += vote / popularity[item] ** model.config.target_power
    return scores


@pytest.mark.parametrize(
    "config", [UserKNNConfig(), UserKNNConfig(power=2.0, target_power=0.4, half_life=2.0), UserKNNConfig(power=0.5)]
)
def test_scores_are_those_of_the_formula(interactions: Make, config: UserKNNConfig) -> None:
    data = interactions(USERS)
    model = UserKNN(config).fit(data, RNG(1))
    history = History(("a", "c", "g", "a"), np.array([1, 2, -1, 1], np.float32), np.arange(3, -1, -1.0))
    expected = by_hand({"c": 2.0, "g": -1.0, "a": 2.0}, model, data)
    assert dict(zip(data.item_ids.tolist(), model.score(history, data.item_ids.tolist()).tolist(), strict=True)) == pytest.approx(
        expected, rel=1e-5
    )


def test_few_neighbours_are_the_most_similar_ones(interactions: Make) -> None:
    model = UserKNN(UserKNNConfig(neighbours=1)).fit(interactions(USERS), RNG(1))
    assert {item for item, _ in model.recommend(History.of(["c", "d"]))} == {"a", "b", "c", "d"}


def test_the_newest_items_of_a_user_are_kept(interactions: Make) -> None:
    data = interactions({"u": ["a", "b", "a", "c", ("b", -3.0)], "v": [("a", -1.0)]})
    rows, popularity = positives(data, 1)
    assert data.item_ids[rows.indices].tolist() == ["c"] and rows.indptr.tolist() == [0, 1, 1]
    assert popularity.tolist() == [1, 0, 1]
    rows, _ = positives(data, 5)
    assert data.item_ids[rows.indices].tolist() == ["a", "c"]
    assert rows.data.tolist() == pytest.approx([math.sqrt(2), 1.0])


def test_a_stored_user_is_the_asking_one(interactions: Make) -> None:
    """What is kept of a user at training equals what the same history says when it asks."""
    data = interactions({"u": ["a", "b", ("a", 2.0), "c"]})
    rows, _ = positives(data, 100)
    model = UserKNN().fit(data, RNG(0))
    history = History(("a", "b", "a", "c"), np.array([1, 1, 2, 1], np.float32), np.arange(3, -1, -1.0))
    items, strengths = history_positives(encode(history, model.item_ids))
    assert items.tolist() == rows.indices.tolist()
    assert strengths == pytest.approx(rows.data)
    ((_, vector, _, _),) = model.users()
    np.testing.assert_allclose(model.search_vector(history), vector, atol=1e-6)


def shop(users: int = 900, items: int = 300) -> Interactions:
    rng = RNG(3)
    rows = sorted(
        (u, p, int(i)) for u in range(users) for p, i in enumerate(rng.choice(items, 8, replace=False) // 3 * (u % 3 + 1) % items)
    )
    u, p, i = (np.array(column) for column in zip(*rows, strict=True))
    ids = np.array([f"i{n:03}" for n in range(items)])
    return Interactions(
        np.array([f"u{n:03}" for n in range(users)]),
        ids,
        u.astype(np.int32),
        i.astype(np.int32),
        np.ones(len(u), np.float32),
        p.astype(float),
        False,
    )


def test_among_those_found_it_answers_as_among_all() -> None:
    """The two halves of a served answer: who is near by vector, then what these users like."""
    data = shop()
    model = UserKNN(UserKNNConfig(dims=64, candidates=60, neighbours=20)).fit(data, RNG(2))
    served, users = model.to_serve(), list(model.users())
    vectors = np.stack([vector for _, vector, _, _ in users])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)
    for user in range(0, 60, 7):
        history = History.of(data.item_ids[data.items[data.users == user]].tolist())
        asked = served.search_vector(history)
        assert asked is not None
        near = np.argsort(-(vectors @ asked), kind="stable")[: served.candidates]
        found = served.among([unpack(pack(users[place][2], users[place][3])) for place in near])
        items = data.item_ids.tolist()
        np.testing.assert_allclose(found.score(history, items), model.score(history, items), rtol=1e-5, atol=1e-7)
        first = model.recommend(history, 1)[0][0]
        assert found.explain(history, first) == model.explain(history, first) != ()


def test_what_is_served_holds_nothing_of_any_user(tmp_path: Path) -> None:
    model = UserKNN(UserKNNConfig(dims=64)).fit(shop(), RNG(2))
    save_models({"userknn": model}, tmp_path)
    served = load_models(tmp_path, ("userknn",))["userknn"]
    assert isinstance(served, UserKNN)
    assert list(served.users()) == []
    assert served.recommend(History.of(["i001"])) == []
    for path in (tmp_path / "userknn").glob("*.npy"):
        assert len(np.load(path)) in (0, 1) or path.name.startswith(("ids_", "idf", "popularity", "coordinates")), path
    np.testing.assert_array_equal(served.search_vector(History.of(["i001"])), model.search_vector(History.of(["i001"])))


def test_a_dislike_makes_others_similar(interactions: Make) -> None:
    model = UserKNN().fit(interactions(USERS), RNG(0))
    liked = model.score(History.of(["a", "c"]), ["d", "f"])
    history = History(("a", "c"), np.array([1, -1], np.float32), np.array([1.0, 0.0]))
    assert model.score(history, ["f"])[0] == 0.0 < liked[1]
    assert model.score(history, ["e"])[0] > model.score(history, ["d"])[0]


@settings(max_examples=25)
@given(st.integers(8, 60), st.integers(0, 2**31))
def test_a_projection_keeps_cosines(dims: int, seed: int) -> None:
    """Exactly where each item has its own dimension; else the same for a row alone and among others."""
    rng, n = RNG(seed), 40
    plan = coordinates(n, dims, rng)
    assert (np.abs(plan) <= dims).all() and (plan != 0).all()
    rows, _ = positives(shop(20, n), 100)
    vectors = project_rows(rows, plan, dims)
    for user in range(3):
        own = select(rows, np.array([user]))
        alone = project(own.indices.astype(np.int64), own.data.astype(np.float64), plan, dims)
        np.testing.assert_allclose(alone, vectors[user], atol=1e-5)
    if dims >= n:
        dense = np.zeros((20, n))
        dense[np.repeat(np.arange(20), np.diff(rows.indptr)), rows.indices] = rows.data
        dense /= np.linalg.norm(dense, axis=1, keepdims=True)
        np.testing.assert_allclose(vectors @ vectors.T, dense @ dense.T, atol=1e-5)


def test_many_dimensions_find_the_same_neighbours_as_all_of_them() -> None:
    data, history = shop(), History.of(["i010", "i020", "i030", "i040"])
    exact = UserKNN(UserKNNConfig(dims=512, candidates=200, neighbours=50)).fit(data, RNG(0))
    rough = UserKNN(UserKNNConfig(dims=128, candidates=200, neighbours=50)).fit(data, RNG(0))
    top = [{item for item, _ in model.recommend(history, 20)} for model in (exact, rough)]
    assert len(top[0] & top[1]) >= 14


def test_asking_settings_need_no_training() -> None:
    model = UserKNN(UserKNNConfig(dims=64)).fit(shop(200), RNG(2))
    changed = replace(model.config, power=2.0, target_power=0.4, neighbours=10)
    again = UserKNN(changed).fit(shop(200), RNG(2))
    history = History.of(["i010", "i020"])
    assert model.with_config(changed).recommend(history) == again.recommend(history)
