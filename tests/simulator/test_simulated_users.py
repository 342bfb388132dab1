"""People who use a system: events, experiments and interleaving."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.errors import InputError
from es_recsys.evaluation.statistics import Estimate
from es_recsys.query import Answer, Query
from es_recsys.simulator import (
    LatentFactorEnvironment,
    OracleRanker,
    UserSimulator,
    assign_variant,
    compare_variants,
    estimate,
    interleave,
    is_sure,
    p_value,
    run_ab_test,
    sample_needs,
    sample_size,
    significant_after,
    standard_error,
    team_draft,
)
from es_recsys.types import Event


@pytest.fixture(scope="module")
def environment() -> LatentFactorEnvironment:
    return LatentFactorEnvironment.draw(np.random.default_rng(5), 150, 80, drift=0.3)


def answers(system, kind="recommend"):
    def ask(query: Query) -> Answer:
        return Answer(f"answer-{query.user_id}", kind, system(query), 0.0)

    return ask


def test_a_replay_is_the_same_for_a_seed(environment: LatentFactorEnvironment) -> None:
    needs = sample_needs(environment, 1, 60)
    oracle = OracleRanker(environment, needs, 1.0)
    first, again, other = (
        [event for page in UserSimulator(environment, seed=seed).replay(oracle, needs) for event in page.events]
        for seed in (0, 0, 1)
    )
    assert first == again != other
    assert len({event.event_id for event in first}) == len(first)


def test_events_name_the_answer_and_the_position(environment: LatentFactorEnvironment) -> None:
    needs = sample_needs(environment, 2, 120)
    pages = list(UserSimulator(environment).replay(answers(OracleRanker(environment, needs)), needs))
    events = [(page, event) for page in pages for event in page.events]
    kinds = {event.event_type for _, event in events}
    assert kinds == {"search", "click", "cart", "purchase"}
    for page, event in events:
        searched = bool(page.need.query.text)
        assert (event.query_id if searched else event.recommendation_id) == f"answer-{page.need.user_id}"
        assert event.timestamp is not None
        assert event.timestamp.timestamp() >= page.need.timestamp - 1e-3
        if event.item_id is not None:
            assert event.position is not None
            assert environment.item_ids[page.shown[event.position - 1]] == event.item_id


def test_who_buys_put_it_into_the_cart_after_a_click(environment: LatentFactorEnvironment) -> None:
    needs = sample_needs(environment, 3, 200)
    for page in UserSimulator(environment).replay(OracleRanker(environment, needs), needs):
        assert not (page.outcome.purchased & ~page.outcome.added_to_cart).any()
        assert not (page.outcome.added_to_cart & ~page.outcome.clicked).any()


def test_nobody_buys_a_thing_twice_and_events_are_fed_page_by_page(environment: LatentFactorEnvironment) -> None:
    user = environment.user_ids[0]
    need = replace(sample_needs(environment, 4, 1)[0], user_id=user, utility=np.full(80, 9.0), relevant=np.ones(80, bool))
    needs = [replace(need, timestamp=float(place)) for place in range(30)]
    fed: list[Event] = []
    pages = list(UserSimulator(environment, event_sink=fed.extend).replay(OracleRanker(environment, [need]), needs))
    purchased = [event.item_id for event in fed if event.event_type == "purchase"]
    assert len(purchased) == len(set(purchased)) == need.query.n
    assert fed == [event for page in pages for event in page.events]


def test_positions_are_looked_at_as_often_as_the_model_says(environment: LatentFactorEnvironment) -> None:
    need = sample_needs(environment, 4, 1)[0]
    needs = [replace(need, utility=np.full(80, 50.0), relevant=np.ones(80, bool))] * 3_000
    simulator = UserSimulator(environment)
    # Everything is liked, so a click is a look; what was bought is not wanted again, so nobody comes back.
    clicks = np.zeros(10)
    for place, one in enumerate(needs):
        page = simulator.show(replace(one, user_id=f"v{place}"), np.arange(10))
        clicks += page.outcome.clicked
    np.testing.assert_allclose(clicks / len(needs), simulator.click_model.examination(10), atol=0.04)


def test_the_same_page_gets_the_same_clicks_from_another_system(environment: LatentFactorEnvironment) -> None:
    needs = sample_needs(environment, 5, 40)
    one = [page.outcome.clicked for page in UserSimulator(environment).replay(OracleRanker(environment, needs), needs)]
    two = [page.outcome.clicked for page in UserSimulator(environment).replay(answers(OracleRanker(environment, needs)), needs)]
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


@given(
    a=st.permutations(range(8)),
    b=st.permutations(range(8)),
    lengths=st.tuples(st.integers(0, 8), st.integers(0, 8)),
    n=st.integers(1, 10),
    seed=st.integers(0, 99),
)
def test_a_team_draft_is_fair(a: list[int], b: list[int], lengths: tuple[int, int], n: int, seed: int) -> None:
    first, second = np.array(a[: lengths[0]], np.int64), np.array(b[: lengths[1]], np.int64)
    page, mine = team_draft(first, second, n, np.random.default_rng(seed))
    assert len(page) == len(set(page.tolist())) == min(n, len(set(first.tolist()) | set(second.tolist())))
    for team, ranking in ((page[mine], first.tolist()), (page[~mine], second.tolist())):
        order = [ranking.index(item) for item in team.tolist()]
        assert order == sorted(order)
    if lengths[0] == lengths[1] == 8:
        assert abs(int(mine.sum()) - int((~mine).sum())) <= 1


def test_the_same_ranker_twice_is_not_preferred(environment: LatentFactorEnvironment) -> None:
    needs = sample_needs(environment, 6, 1_500)
    oracle = OracleRanker(environment, needs, 1.0)
    margins = [interleave(UserSimulator(environment, seed=seed), oracle, oracle, needs, seed=seed).margin for seed in range(3)]
    assert all(abs(margin.mean) < 4.0 * standard_error(margin) for margin in margins)
    assert sum(is_sure(margin) for margin in margins) <= 1


def test_a_better_ranker_wins_and_more_surely_with_more_pages(environment: LatentFactorEnvironment) -> None:
    needs = sample_needs(environment, 7, 1_200)
    good, bad = OracleRanker(environment, needs, 0.5), OracleRanker(environment, needs, 4.0)
    few = interleave(UserSimulator(environment), good, bad, needs[:100])
    many = interleave(UserSimulator(environment), good, bad, needs)
    assert many.margin.low > 0.0
    assert many.margin.high - many.margin.low < 0.5 * (few.margin.high - few.margin.low)
    assert many.won > many.lost
    assert many.won + many.lost + many.tied == len(needs)
    back = interleave(UserSimulator(environment), bad, good, needs)
    assert back.margin.high < 0.0


def test_an_experiment_sees_a_better_system_and_not_the_same_twice(environment: LatentFactorEnvironment) -> None:
    needs = sample_needs(environment, 8, 1_500)
    good, bad = OracleRanker(environment, needs, 0.2), OracleRanker(environment, needs, 6.0)
    found = run_ab_test(UserSimulator(environment), bad, good, needs, goal="click")
    assert found.lift.low > 0.0
    assert found.needed is not None
    assert found.needed < 75
    same = run_ab_test(UserSimulator(environment), good, good, needs, goal="click")
    assert abs(same.lift.mean) < 4.0 * standard_error(same.lift)


def test_interleaving_needs_fewer_pages_than_an_experiment(environment: LatentFactorEnvironment) -> None:
    needs = sample_needs(environment, 9, 1_000)
    good, bad = OracleRanker(environment, needs, 1.0), OracleRanker(environment, needs, 2.5)
    apart = run_ab_test(UserSimulator(environment), bad, good, needs, goal="click").lift
    together = interleave(UserSimulator(environment), good, bad, needs).margin
    assert together.mean / standard_error(together) > apart.mean / standard_error(apart)


def test_users_are_shared_out_by_the_shares_and_anew_for_each_experiment() -> None:
    users = [f"u{place}" for place in range(4_000)]
    groups = [assign_variant(user, "one", {"old": 3.0, "new": 1.0}) for user in users]
    assert np.mean([group == "new" for group in groups]) == pytest.approx(0.25, abs=0.03)
    assert groups == [assign_variant(user, "one", {"old": 3.0, "new": 1.0}) for user in users]
    other = [assign_variant(user, "two", {"old": 3.0, "new": 1.0}) for user in users]
    both = np.mean([a == b == "new" for a, b in zip(groups, other, strict=True)])
    assert both == pytest.approx(0.0625, abs=0.02)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat([f"u{place}" for place in range(40)], 5)
    held = 0
    for _ in range(400):
        # Values of a user have a part in common, so that single values are not independent.
        values = np.repeat(rng.normal(size=40), 5) + rng.normal(size=200)
        found = estimate(values, groups)
        held += found.low <= 0.0 <= found.high
    assert held / 400 == pytest.approx(0.95, abs=0.03)


def test_the_sample_size_gives_the_power_that_it_promises() -> None:
    assert sample_size(1.0, 0.5) == 63  # 2 * (1.960 + 0.842) ** 2 / 0.25
    rng = np.random.default_rng(1)
    seen = sum(is_sure(compare_variants(rng.normal(size=63), rng.normal(0.5, size=63)).lift) for _ in range(400))
    assert seen / 400 == pytest.approx(0.8, abs=0.06)


def test_what_can_not_be_estimated_is_said() -> None:
    with pytest.raises(InputError, match="nothing to take a mean of"):
        estimate(np.zeros(0))
    with pytest.raises(InputError, match="can't be seen"):
        sample_size(1.0, 0.0)
    with pytest.raises(InputError, match="fewer than two users"):
        compare_variants(np.ones(1), np.ones(5))


def test_a_p_value_says_what_the_interval_says() -> None:
    just, not_quite = (estimate(np.array([mean - 1.0, mean + 1.0] * 200)) for mean in (0.1, 0.097))
    assert is_sure(just) and p_value(just) < 0.05
    assert not is_sure(not_quite) and 0.05 < p_value(not_quite) < 0.06
    assert p_value(estimate(np.array([2.0, 2.0]))) == 0.0
    assert p_value(estimate(np.array([0.0, 0.0]))) == 1.0
    assert p_value(estimate(np.array([3.0]))) == 1.0
    assert p_value(estimate(np.array([-1.0, -1.2, -0.8]))) == pytest.approx(p_value(estimate(np.array([1.0, 1.2, 0.8]))))


def test_sure_is_what_stays_sure() -> None:
    def look(low: float) -> Estimate:
        return Estimate(low + 1.0, low, low + 2.0, 9)

    assert significant_after([(10, look(0.1)), (20, look(-0.1)), (30, look(0.1)), (40, look(0.2))]) == 30
    assert significant_after([(10, look(0.1)), (20, look(-0.1))]) is None
    assert significant_after([(10, look(0.1)), (20, look(0.1))]) == 10
    assert significant_after([]) is None
