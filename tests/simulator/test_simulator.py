"""The truth that the simulator holds answers against."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from es_recsys.errors import InputError
from es_recsys.sample import sample_store
from es_recsys.simulator import (
    GOALS,
    Conduct,
    Insider,
    LatentWorld,
    SampleWorld,
    SimulatedNeed,
    World,
    draw_wishes,
    judge,
)
from es_recsys.types import Hit, Query, Ranking


def latent(drift: float = 0.0, users: int = 40, items: int = 60) -> LatentWorld:
    return LatentWorld.draw(np.random.default_rng(3), users, items, drift=drift)


@pytest.fixture(scope="module")
def sample() -> SampleWorld:
    return SampleWorld.of(sample_store(items=200, users=30))


@pytest.fixture(scope="module", params=["latent", "sample"])
def world(request: pytest.FixtureRequest, sample: SampleWorld) -> World:
    return latent(0.6) if request.param == "latent" else sample


def shuffled(world: World, seed: int):
    rng = np.random.default_rng(seed)

    def answer(query: Query) -> Ranking:
        order = rng.permutation(len(world.item_ids))[: query.n]
        return Ranking(tuple(Hit(world.item_ids[place], 0.0, rank) for rank, place in enumerate(order.tolist(), 1)))

    return answer


@pytest.mark.parametrize("goal", GOALS)
def test_the_ideal_order_has_no_regret_and_all_of_the_gain(world: World, goal: str) -> None:
    wishes = draw_wishes(world, 1, 60)
    found = judge(world, Insider(world, wishes), wishes, goal=goal)
    np.testing.assert_allclose(found.regret, 0.0, atol=1e-12)
    np.testing.assert_allclose(found.gain, 1.0)
    assert found.best.max() > 0.0


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), notice=st.floats(0.0, 2.0), n=st.integers(1, 40))
def test_no_order_of_any_items_has_a_negative_regret(seed: int, notice: float, n: int) -> None:
    world = latent(0.5)
    wishes = draw_wishes(world, seed, 10, n=n)
    assert judge(world, shuffled(world, seed), wishes, Conduct(notice=notice)).regret.min() >= -1e-12


def test_regret_and_gain_of_a_page_by_hand() -> None:
    world = latent()
    conduct = Conduct(notice=1.0)
    utility = np.full(60, -9.0)
    utility[[4, 7, 9]] = 5.0, 4.0, 9.0
    wanted = np.zeros(60, bool)
    wanted[[4, 7, 8]] = True  # the best of all, 9, isn't what was asked for
    wish = SimulatedNeed(world.user_ids[0], 0.0, Query(user_id=world.user_ids[0], n=2), utility, wanted)
    shown = Ranking(tuple(Hit(world.item_ids[place], 0.0, rank) for rank, place in enumerate((9, 7), 1)))
    found = judge(world, lambda _: shown, [wish], conduct, goal="click")
    five, four, none = (float(conduct.click.chance(np.array([u]))[0]) for u in (5.0, 4.0, -9.0))
    assert found.value[0] == pytest.approx(0.5 * four)
    assert found.best[0] == pytest.approx(five + 0.5 * four)
    assert found.chance[0] == pytest.approx((five + four + none) / 3 * 1.5)
    assert found.gain[0] == pytest.approx((found.value[0] - found.chance[0]) / (found.best[0] - found.chance[0]))


def test_an_item_shown_twice_counts_once_and_an_unknown_one_takes_no_place() -> None:
    world = latent()
    wishes = draw_wishes(world, 2, 20)
    knows = Insider(world, wishes)

    def stutters(query: Query) -> Ranking:
        hits = [hit for hit in knows(query).hits for _ in (0, 1)]
        return Ranking((Hit("unknown", 1.0, 1), *hits))

    np.testing.assert_allclose(judge(world, stutters, wishes).regret, 0.0, atol=1e-12)


def test_more_noise_is_more_regret(world: World) -> None:
    wishes = draw_wishes(world, 4, 150)
    regrets = [float(judge(world, Insider(world, wishes, noise), wishes).regret.mean()) for noise in (0.0, 1.0, 4.0, 50.0)]
    assert regrets == sorted(regrets)
    assert regrets[3] > 1.2 * regrets[1]


def test_the_difference_of_two_systems_has_an_interval_by_users() -> None:
    world = latent(users=20)
    wishes = draw_wishes(world, 5, 200)
    good, bad = (judge(world, Insider(world, wishes, noise), wishes) for noise in (0.5, 5.0))
    difference = good.over(bad)
    assert difference.low > 0.0
    assert difference.mean == pytest.approx(float((good.value - bad.value).mean()))
    assert difference.groups == 20
    assert not good.over(good).sure


def test_random_orders_gain_nothing_on_average() -> None:
    world = replace(latent(), searches=0.0)
    wishes = draw_wishes(world, 6, 800)
    gain = judge(world, shuffled(world, 0), wishes).mean_gain()
    assert abs(gain.mean) < 4.0 * gain.error


@pytest.mark.parametrize("kind", ["latent", "sample"])
def test_without_drift_tastes_stay_and_with_it_they_go(kind: str, sample: SampleWorld) -> None:
    still: World = latent() if kind == "latent" else replace(sample, drift=0.0)
    moving: World = latent(1.0) if kind == "latent" else sample
    begin, end = still.period
    users = still.user_ids
    assert all(np.array_equal(still.utility(user, begin), still.utility(user, end)) for user in users)
    changed = [not np.allclose(moving.utility(user, begin), moving.utility(user, end)) for user in users]
    assert np.mean(changed) > 0.3
    assert all(np.array_equal(still.utility(user, begin), moving.utility(user, begin)) for user in users)


def test_half_of_the_drift_is_half_of_the_way(sample: SampleWorld) -> None:
    begin, end = sample.period
    half = replace(sample, drift=0.5)
    np.testing.assert_allclose(half.utility("u0005", end), sample.utility("u0005", begin + 0.5 * (end - begin)))


def test_wishes_are_the_same_for_a_seed(world: World) -> None:
    first, again, other = (draw_wishes(world, seed, 30) for seed in (1, 1, 2))
    as_text = [[(w.user_id, w.at, w.query.text) for w in wishes] for wishes in (first, again, other)]
    assert as_text[0] == as_text[1] != as_text[2]
    assert [w.at for w in first] == sorted(w.at for w in first)


def test_searches_want_what_they_name_and_nobody_wants_what_they_have(sample: SampleWorld) -> None:
    wishes = draw_wishes(sample, 3, 200)
    assert 0.3 < np.mean([bool(wish.query.text) for wish in wishes]) < 0.7
    for wish in wishes:
        owned = sample.owned.get(wish.user_id, np.zeros(0, int))
        assert not wish.open[owned].any()
        if wish.query.text:
            assert wish.open.sum() < 0.5 * len(wish.open)


def test_who_has_nothing_may_want_all_that_is_found() -> None:
    bare = SampleWorld.of(sample_store(items=200, users=30), done_with=())
    assert not bare.owned
    for wish in draw_wishes(bare, 3, 200):
        assert wish.open.all() if not wish.query.text else 0 < wish.open.sum() < 0.5 * len(wish.open)


def test_an_insider_knows_its_own_wishes_only() -> None:
    world = latent()
    wishes = draw_wishes(world, 1, 3)
    with pytest.raises(InputError, match="only the wishes"):
        Insider(world, wishes)(Query(user_id=wishes[0].user_id))


def test_mistakes_are_named() -> None:
    world = latent()
    with pytest.raises(InputError, match="no goal 'buy'"):
        judge(world, shuffled(world, 0), draw_wishes(world, 1, 1), goal="buy")
    with pytest.raises(InputError, match="no such user"):
        world.utility("nobody", 0.0)
    with pytest.raises(InputError, match="A world has"):
        LatentWorld.draw(np.random.default_rng(0), 3, 0)


def test_the_catalogue_says_the_group_and_nothing_more() -> None:
    world = latent()
    items = world.catalogue()
    assert [item.item_id for item in items] == list(world.item_ids)
    assert items[0].categories == (f"group{world.group[0]}",)
