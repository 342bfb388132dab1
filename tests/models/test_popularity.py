"""Counts that halve with time, and what rises above its usual rate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from es_recsys.dataset import History, Interactions
from es_recsys.models import Popularity, PopularityConfig

Make = Callable[..., Interactions]
RNG = np.random.default_rng(0)
NOBODY = History()


def test_an_event_halves_with_every_half_life(interactions: Make) -> None:
    data = interactions({"u": [("a", 1, 0), ("b", 3, 20)], "v": [("a", 1, 10), ("c", 1, 40)]}, timed=True)
    model = Popularity(PopularityConfig(half_life_days=20)).fit(data, RNG)
    assert model.score(NOBODY, ["a", "b", "c"]) == pytest.approx([0.25 + 2**-1.5, 1.5, 1.0], rel=1e-6)
    assert [item_id for item_id, _ in model.recommend(NOBODY)] == ["b", "c", "a"]


def test_without_time_all_count_alike_and_nothing_trends(interactions: Make) -> None:
    data = interactions({"u": ["a", "b", "a"], "v": [("b", 2)], "w": [("c", -5)]})
    model = Popularity().fit(data, RNG)
    assert model.recommend(NOBODY) == [("b", 3.0), ("a", 2.0)]  # who dislikes makes nothing popular, nor less so
    assert model.trending() == []


def test_ties_go_by_place(interactions: Make) -> None:
    model = Popularity().fit(interactions({"u": ["c", "a", "b"]}), RNG)
    assert [item_id for item_id, _ in model.recommend(NOBODY, 2)] == ["a", "b"]


def test_what_is_asked_more_than_usual_trends(interactions: Make) -> None:
    steady = [("steady", 1, float(day)) for day in range(200)]
    rising = [("rising", 1, float(day)) for day in range(195, 200)] * 3
    over = [("over", 1, float(day)) for day in range(150, 170)]
    users = {"s": steady, "r": sorted(rising, key=lambda event: event[2]), "o": over}
    model = Popularity(PopularityConfig(30, 3)).fit(interactions(users, timed=True), RNG)
    trending = dict(model.trending())
    assert next(iter(trending)) == "rising" and "over" not in trending
    assert trending.get("steady", 0) < 0.1 * trending["rising"]
    recent, long = (3 * (2.0 ** (-np.arange(5) / half_life)).sum() for half_life in (3, 30))
    expected = long * 3 / 30
    assert trending["rising"] == pytest.approx((recent - expected) / np.sqrt(expected + 1), rel=1e-4)
    assert model.trending(exclude={"rising", "?"}) == list(trending.items())[1:]
    assert model.trending(1) == [("rising", trending["rising"])]


def test_no_events_no_list(interactions: Make) -> None:
    assert Popularity().fit(interactions({"u": [("a", -1)]}, timed=True), RNG).recommend(NOBODY) == []


@pytest.mark.parametrize("timed", [True, False])
def test_counting_what_came_and_went_is_counting_all(interactions: Make, timed: bool) -> None:
    rng = np.random.default_rng(4)

    def some(users: int, first: float, days: float) -> dict[str, list[tuple[str, float, float]]]:
        return {
            f"u{user}": [
                (f"i{rng.integers(12)}", float(rng.choice([1.0, 3.0, -2.0])), first + days * float(rng.random()))
                for _ in range(9)
            ]
            for user in range(users)
        }

    def both(*parts: dict[str, list[tuple[str, float, float]]]) -> Interactions:
        return interactions({f"{name}{n}": rows for n, part in enumerate(parts) for name, rows in part.items()}, timed=timed)

    first, gone, come = some(20, 0, 50), some(4, 0, 40), {**some(5, 30, 60), "other": [("new", 1.0, 61.0)]}
    gone["lonely"] = [("left", 1.0, 3.0)]
    found = Popularity().fit(both(first, gone), RNG).with_events(both(come), both(gone))
    whole = Popularity().fit(both(first, come), RNG)
    assert found is not None
    assert list(found.item_ids) == list(whole.item_ids)
    assert found._arrays.keys() == whole._arrays.keys()
    for name, array in whole._arrays.items():
        np.testing.assert_allclose(found._arrays[name], array, rtol=1e-6, atol=1e-9, err_msg=name)


def test_where_the_newest_event_went_all_are_counted(interactions: Make) -> None:
    data = interactions({"u": [("a", 1, 0.0), ("b", 1, 9.0)]}, timed=True)
    nothing, newest = interactions({"u": []}, timed=True), interactions({"u": [("b", 1, 9.0)]}, timed=True)
    assert Popularity().fit(data, RNG).with_events(nothing, newest) is None
