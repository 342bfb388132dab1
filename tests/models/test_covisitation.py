"""The formula of co-visitation, worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from es_recsys.cooccurrence import CooccurrenceConfig
from es_recsys.dataset import History, Interactions
from es_recsys.models import CoVisitation, CoVisitationConfig, Model, neighbours
from es_recsys.models.types import HistoryBatch

Make = Callable[..., Interactions]
RNG = np.random.default_rng(0)
# No user power and no popularity power: what is left are the counts.
BARE = CoVisitationConfig(CooccurrenceConfig(user_power=0), 0, 0)


def table(model: CoVisitation) -> dict[str, dict[str, float]]:
    """What each item alone brings."""
    return {item: {other: round(w, 5) for other, w in model.recommend(History.of([item]))} for item in model.item_ids}


def fitted(data: Interactions, counting: CooccurrenceConfig, source: float = 0, target: float = 0, **more: float) -> CoVisitation:
    return CoVisitation(CoVisitationConfig(counting, source, target, **more)).fit(data, RNG)  # type: ignore[arg-type]


def test_without_a_window_pairs_are_users_who_had_both(interactions: Make) -> None:
    data = interactions({"u": ["a", "b", "c"], "v": ["b", "a"], "w": ["a", "a", "b"]})
    assert table(CoVisitation(BARE).fit(data, RNG)) == {"a": {"b": 3, "c": 1}, "b": {"a": 3, "c": 1}, "c": {"a": 1, "b": 1}}


def test_a_window_counts_near_pairs_less_with_each_step(interactions: Make) -> None:
    data = interactions({"u": ["a", "b", "c", "d"]})
    seen = table(fitted(data, CooccurrenceConfig(window=2, decay=0.5, backward=1, user_power=0)))
    assert seen["a"] == {"b": 1, "c": 0.5}
    assert seen["b"] == {"a": 1, "c": 1, "d": 0.5}


def test_direction_lets_the_first_bring_the_next(interactions: Make) -> None:
    data = interactions({"u": ["a", "b"], "v": ["a", "b"]})
    assert table(fitted(data, CooccurrenceConfig(window=1, backward=0.25, user_power=0))) == {"a": {"b": 2}, "b": {"a": 0.5}}
    assert table(fitted(data, CooccurrenceConfig(window=1, backward=0, user_power=0))) == {"a": {"b": 2}, "b": {}}


def test_a_window_ends_with_the_user(interactions: Make) -> None:
    data = interactions({"u": ["a", "b"], "v": ["c", "d"]})
    assert table(fitted(data, CooccurrenceConfig(window=5, user_power=0))) == {
        "a": {"b": 1},
        "b": {"a": 1},
        "c": {"d": 1},
        "d": {"c": 1},
    }


def test_repeats_in_a_row_are_one_event(interactions: Make) -> None:
    data = interactions({"u": [("a", 1), ("a", 4), "b", "b"]})
    # The strongest counts, by the root of its weight.
    assert table(fitted(data, CooccurrenceConfig(window=1, backward=0, user_power=0)))["a"] == {"b": 2}


def test_long_histories_count_less(interactions: Make) -> None:
    data = interactions({"u": ["a", "b", "c", "d"], "v": ["a", "b"]})
    seen = table(fitted(data, CooccurrenceConfig(window=1, backward=0, user_power=0.5)))
    assert seen["a"]["b"] == pytest.approx(4**-0.5 + 2**-0.5, abs=1e-5)


def test_old_pairs_count_less(interactions: Make) -> None:
    data = interactions({"u": [("a", 1, 0), ("b", 1, 10)], "v": [("c", 1, 20), ("d", 1, 20)]}, timed=True)
    for window in (None, 3):
        seen = table(fitted(data, CooccurrenceConfig(window=window, user_power=0, half_life_days=10)))
        assert seen["a"]["b"] == pytest.approx(2**-1.5, abs=1e-5)  # 20 and 10 days: 15 on average
        assert seen["c"]["d"] == 1


def test_popularity_is_corrected_on_both_sides(interactions: Make) -> None:
    data = interactions({"u": ["a", "b"], "v": ["b", "a"], "w": ["a", "c"], "x": ["a"]})
    seen = table(fitted(data, CooccurrenceConfig(user_power=0), source=0.5, target=0.25))
    assert seen["a"]["b"] == pytest.approx(2 / (4**0.5 * 2**0.25), abs=1e-5)
    assert seen["b"]["a"] == pytest.approx(2 / (2**0.5 * 4**0.25), abs=1e-5)
    assert seen["a"]["c"] == pytest.approx(1 / 4**0.5, abs=1e-5)


def test_disliked_events_make_no_pairs(interactions: Make) -> None:
    data = interactions({"u": ["a", ("b", -1), "c"]})
    assert table(CoVisitation(BARE).fit(data, RNG)) == {"a": {"c": 1}, "b": {}, "c": {"a": 1}}


def test_of_a_row_the_best_after_the_correction_stay(interactions: Make) -> None:
    data = interactions({"u": ["a", "b"], "v": ["a", "b"], "w": ["a", "c"], "x": ["b"], "y": ["b"], "z": ["b"]})
    assert set(table(fitted(data, CooccurrenceConfig(user_power=0), neighbours=1))["a"]) == {"b"}
    # 2 / 5 ** 0.9 < 1
    assert set(table(fitted(data, CooccurrenceConfig(user_power=0), target=0.9, neighbours=1))["a"]) == {"c"}


def test_a_history_is_a_signed_sum_that_forgets(interactions: Make) -> None:
    data = interactions({"u": ["a", "x"], "v": ["b", "x"], "w": ["c", "x"], "y": ["c", "z"]})
    model = fitted(data, CooccurrenceConfig(user_power=0), half_life=2, half_life_days=10)
    history = History(("a", "b", "c"), np.array([1, -0.5, 3], np.float32), np.array([20.0, 5.0, 0.0]))
    expected = 1 * 2**-1 * 2**-2 - 0.5 * 2**-0.5 * 2**-0.5 + 3
    assert model.score(history, ["x", "z", "a"]) == pytest.approx([expected, 3, 0], rel=1e-6)
    assert model.explain(history, "x") == ("c", "a")
    plain = fitted(data, CooccurrenceConfig(user_power=0))
    assert plain.score(history, ["x"])[0] == pytest.approx(1 - 0.5 + 3)


def test_a_place_counts_events_on_unknown_items_too(interactions: Make) -> None:
    model = fitted(interactions({"u": ["a", "x"]}), CooccurrenceConfig(user_power=0), half_life=1)
    assert model.score(History.of(["a", "?", "?"]), ["x"])[0] == pytest.approx(0.25)


@pytest.mark.parametrize("products", [1, 40, 8_000_000])
def test_a_block_of_users_gets_what_each_gets_alone(interactions: Make, monkeypatch: pytest.MonkeyPatch, products: int) -> None:
    rng = np.random.default_rng(1)
    ids = [f"i{number:02d}" for number in range(40)]
    model = CoVisitation(BARE).fit(interactions({f"u{user}": rng.choice(ids, 9).tolist() for user in range(30)}), RNG)
    liked = [History.of(rng.choice(ids, size).tolist()) for size in (7, 0, 1, 30)]
    mixed = [History(one.item_ids, rng.choice([-1.0, 2.0], len(one.item_ids)).astype(np.float32), one.ages) for one in liked]
    disliked = History(("i03",), np.array([-1], np.float32), np.zeros(1))
    batch = HistoryBatch.of([*liked, History.of(["unknown"]), *mixed, disliked, History()], model.item_ids)
    monkeypatch.setattr(neighbours, "_PRODUCTS", products)
    together = list(model.scores_of_users(batch))
    for user, alone in enumerate(Model.scores_of_users(model, batch)):
        np.testing.assert_array_equal(together[user], alone)
    assert len(together) == len(batch)


@pytest.mark.parametrize("half_life", [3.0, math.inf])
def test_settings_survive_saving(interactions: Make, tmp_path: Path, half_life: float) -> None:
    config = CoVisitationConfig(CooccurrenceConfig(7, 0.5, 0.25, 0.1, half_life), 0.3, 0.1, 50, half_life, half_life)
    CoVisitation(config).fit(interactions({"u": ["a", "b"]}), RNG).save(tmp_path / "m")
    assert CoVisitation.load(tmp_path / "m").config == config


def test_nothing_positive_learns_nothing(interactions: Make) -> None:
    for counting in (CooccurrenceConfig(), CooccurrenceConfig(window=3)):
        assert table(fitted(interactions({"u": [("a", -1), ("b", -1)]}), counting)) == {"a": {}, "b": {}}


@pytest.mark.parametrize(("history", "few"), [(["i00"], True), ([f"i{n:02d}" for n in range(0, 30, 2)], False)])
def test_scores_of_a_history_are_kept_in_the_smaller_form(
    interactions: Make, monkeypatch: pytest.MonkeyPatch, history: list[str], few: bool
) -> None:
    data = interactions({f"u{n}": [f"i{n:02d}", f"i{n + 1:02d}"] for n in range(0, 30, 2)})
    model = CoVisitation().fit(data, np.random.default_rng(0))
    own, ids = History.of(history), [*data.item_ids.tolist(), "?"]
    expected = model.score(own, ids)
    assert 0 < np.count_nonzero(expected) < len(ids)
    assert (np.count_nonzero(expected) < len(ids) / 3) == few
    scorer = model.scorer(own)
    np.testing.assert_allclose(scorer(ids), expected, rtol=1e-6)
    read: list[History] = []
    monkeypatch.setattr(model, "nonzero_scores", lambda one: read.append(one) or CoVisitation.nonzero_scores(model, one))
    np.testing.assert_allclose(scorer(ids[::-1]), expected[::-1], rtol=1e-6)
    assert not read
    monkeypatch.setattr("es_recsys.models.neighbours._MOST_BYTES", 0)
    unkept = model.scorer(own)
    for _ in range(2):
        np.testing.assert_allclose(unkept(ids), expected, rtol=1e-6)
    assert len(read) == 2
