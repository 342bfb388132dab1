"""The truth that the simulator holds answers against."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from es_recsys.errors import InputError
from es_recsys.query import Hit, Query, Ranking
from es_recsys.sample import sample_store
from es_recsys.simulator import (
    GOALS,
    Environment,
    LatentFactorEnvironment,
    OracleRanker,
    PositionBasedModel,
    SampleStoreEnvironment,
    SimulatedNeed,
    is_sure,
    measure_regret,
    sample_needs,
    standard_error,
)


def latent(drift: float = 0.0, users: int = 40, items: int = 60) -> LatentFactorEnvironment:
    return LatentFactorEnvironment.draw(np.random.default_rng(3), users, items, drift=drift)


@pytest.fixture(scope="module")
def sample() -> SampleStoreEnvironment:
    return SampleStoreEnvironment.of(sample_store(items=200, users=30))


@pytest.fixture(scope="module", params=["latent", "sample"])
def environment(request: pytest.FixtureRequest, sample: SampleStoreEnvironment) -> Environment:
    return latent(0.6) if request.param == "latent" else sample


def shuffled(environment: Environment, seed: int):
    rng = np.random.default_rng(seed)

    def answer(query: Query) -> Ranking:
        order = rng.permutation(len(environment.item_ids))[: query.n]
        return Ranking(tuple(Hit(environment.item_ids[place], 0.0, rank) for rank, place in enumerate(order.tolist(), 1)))

    return answer


@pytest.mark.parametrize("goal", GOALS)
def test_the_ideal_order_has_no_regret_and_all_of_the_gain(environment: Environment, goal: str) -> None:
    needs = sample_needs(environment, 1, 60)
    found = measure_regret(environment, OracleRanker(environment, needs), needs, goal=goal)
    np.testing.assert_allclose(found.regret, 0.0, atol=1e-12)
    np.testing.assert_allclose(found.gain, 1.0)
    assert found.best.max() > 0.0


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), examination_decay=st.floats(0.0, 2.0), n=st.integers(1, 40))
def test_no_order_of_any_items_has_a_negative_regret(seed: int, examination_decay: float, n: int) -> None:
    environment = latent(0.5)
    needs = sample_needs(environment, seed, 10, n=n)
    assert (
        measure_regret(
            environment, shuffled(environment, seed), needs, PositionBasedModel(examination_decay=examination_decay)
        ).regret.min()
        >= -1e-12
    )


def test_regret_and_gain_of_a_page_by_hand() -> None:
    environment = latent()
    click_model = PositionBasedModel(examination_decay=1.0)
    utility = np.full(60, -9.0)
    utility[[4, 7, 9]] = 5.0, 4.0, 9.0
    wanted = np.zeros(60, bool)
    wanted[[4, 7, 8]] = True  # the best of all, 9, isn't what was asked for
    need = SimulatedNeed(environment.user_ids[0], 0.0, Query(user_id=environment.user_ids[0], n=2), utility, wanted)
    shown = Ranking(tuple(Hit(environment.item_ids[place], 0.0, rank) for rank, place in enumerate((9, 7), 1)))
    found = measure_regret(environment, lambda _: shown, [need], click_model, goal="click")
    five, four, none = (float(click_model.click.probability(np.array([u]))[0]) for u in (5.0, 4.0, -9.0))
    assert found.value[0] == pytest.approx(0.5 * four)
    assert found.best[0] == pytest.approx(five + 0.5 * four)
    assert found.random_value[0] == pytest.approx((five + four + none) / 3 * 1.5)
    assert found.gain[0] == pytest.approx((found.value[0] - found.random_value[0]) / (found.best[0] - found.random_value[0]))


def test_an_item_shown_twice_counts_once_and_an_unknown_one_takes_no_place() -> None:
    environment = latent()
    needs = sample_needs(environment, 2, 20)
    knows = OracleRanker(environment, needs)

    def stutters(query: Query) -> Ranking:
        hits = [hit for hit in knows(query).hits for _ in (0, 1)]
        return Ranking((Hit("unknown", 1.0, 1), *hits))

    np.testing.assert_allclose(measure_regret(environment, stutters, needs).regret, 0.0, atol=1e-12)


def test_more_noise_is_more_regret(environment: Environment) -> None:
    needs = sample_needs(environment, 4, 150)
    regrets = [
        float(measure_regret(environment, OracleRanker(environment, needs, noise), needs).regret.mean())
        for noise in (0.0, 1.0, 4.0, 50.0)
    ]
    assert regrets == sorted(regrets)
    assert regrets[3] > 1.2 * regrets[1]


def test_the_difference_of_two_systems_has_an_interval_by_users() -> None:
    environment = latent(users=20)
    needs = sample_needs(environment, 5, 200)
    good, bad = (measure_regret(environment, OracleRanker(environment, needs, noise), needs) for noise in (0.5, 5.0))
    difference = good.over(bad)
    assert difference.low > 0.0
    assert difference.mean == pytest.approx(float((good.value - bad.value).mean()))
    assert difference.n == 20
    assert not is_sure(good.over(good))


def test_random_orders_gain_nothing_on_average() -> None:
    environment = replace(latent(), searches=0.0)
    needs = sample_needs(environment, 6, 800)
    gain = measure_regret(environment, shuffled(environment, 0), needs).mean_gain()
    assert abs(gain.mean) < 4.0 * standard_error(gain)


@pytest.mark.parametrize("kind", ["latent", "sample"])
def test_without_drift_tastes_stay_and_with_it_they_go(kind: str, sample: SampleStoreEnvironment) -> None:
    still: Environment = latent() if kind == "latent" else replace(sample, drift=0.0)
    moving: Environment = latent(1.0) if kind == "latent" else sample
    begin, end = still.period
    users = still.user_ids
    assert all(np.array_equal(still.utility(user, begin), still.utility(user, end)) for user in users)
    changed = [not np.allclose(moving.utility(user, begin), moving.utility(user, end)) for user in users]
    assert np.mean(changed) > 0.3
    assert all(np.array_equal(still.utility(user, begin), moving.utility(user, begin)) for user in users)


def test_half_of_the_drift_is_half_of_the_way(sample: SampleStoreEnvironment) -> None:
    begin, end = sample.period
    half = replace(sample, drift=0.5)
    np.testing.assert_allclose(half.utility("u0005", end), sample.utility("u0005", begin + 0.5 * (end - begin)))


def test_needs_are_the_same_for_a_seed(environment: Environment) -> None:
    first, again, other = (sample_needs(environment, seed, 30) for seed in (1, 1, 2))
    as_text = [[(w.user_id, w.timestamp, w.query.text) for w in needs] for needs in (first, again, other)]
    assert as_text[0] == as_text[1] != as_text[2]
    assert [w.timestamp for w in first] == sorted(w.timestamp for w in first)


def test_searches_want_what_they_name_and_nobody_wants_what_they_have(sample: SampleStoreEnvironment) -> None:
    needs = sample_needs(sample, 3, 200)
    assert 0.3 < np.mean([bool(need.query.text) for need in needs]) < 0.7
    for need in needs:
        owned = sample.owned.get(need.user_id, np.zeros(0, int))
        assert not need.relevant[owned].any()
        if need.query.text:
            assert need.relevant.sum() < 0.5 * len(need.relevant)


def test_who_has_nothing_may_want_all_that_is_found() -> None:
    bare = SampleStoreEnvironment.of(sample_store(items=200, users=30), excluded_event_types=())
    assert not bare.owned
    for need in sample_needs(bare, 3, 200):
        assert need.relevant.all() if not need.query.text else 0 < need.relevant.sum() < 0.5 * len(need.relevant)


def test_an_oracle_knows_its_own_needs_only() -> None:
    environment = latent()
    needs = sample_needs(environment, 1, 3)
    with pytest.raises(InputError, match="only the needs"):
        OracleRanker(environment, needs)(Query(user_id=needs[0].user_id))


def test_mistakes_are_named() -> None:
    environment = latent()
    with pytest.raises(InputError, match="no goal 'buy'"):
        measure_regret(environment, shuffled(environment, 0), sample_needs(environment, 1, 1), goal="buy")
    with pytest.raises(InputError, match="no such user"):
        environment.utility("nobody", 0.0)
    with pytest.raises(InputError, match="An environment has"):
        LatentFactorEnvironment.draw(np.random.default_rng(0), 3, 0)


def test_the_catalogue_says_the_group_and_nothing_more() -> None:
    environment = latent()
    items = environment.catalogue()
    assert [item.item_id for item in items] == list(environment.item_ids)
    assert items[0].categories == (f"group{environment.group[0]}",)
