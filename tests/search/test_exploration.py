"""Exploration: only near-equal items take turns, the same way for the same answer, with chances that are what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.search.exploration import (
    COLD_START_RANK,
    ENOUGH_EXAMINATIONS,
    MAX_NEWEST,
    SETTLED_RANKS,
    TOLERANCE,
    Exploration,
    ExploredOrder,
    InteractionStats,
    explore,
    seeded_rng,
)

scores = st.lists(st.floats(-100, 100), min_size=1, max_size=130).map(lambda values: sorted(values, reverse=True))
shares = st.floats(0.01, 1.0)


def ids(n: int) -> list[str]:
    return [f"i{place}" for place in range(n)]


def seen(n: int, seed: int) -> InteractionStats:
    rng = np.random.default_rng(seed)
    shown = {f"i{place}": (float(rng.integers(0, 200)), float(rng.integers(0, 9))) for place in range(0, n, 2)}
    return InteractionStats(shown, 0.05)


@given(scores, shares, st.integers(0, 99), st.integers(0, 40))
def test_laws_of_exploration(given_scores: list[float], share: float, seed: int, offset: int) -> None:
    n = len(given_scores)
    found = explore(Exploration(share, seen(n, seed), seeded_rng(seed, "a")), ids(n), given_scores, offset, offset + 10)
    assert sorted(found.order) == list(range(n))
    assert found.order[100:] == list(range(100, n))
    tolerance = share * TOLERANCE * (given_scores[0] - given_scores[min(n, 100) - 1])
    shown = [given_scores[place] for place in found.order]
    for rank, score in enumerate(shown):
        assert score >= max(shown[rank:]) - tolerance - 1e-9
    if tolerance > 0.0:
        page = range(offset, min(offset + 10, n, 100))
        assert set(found.propensities) == set(found.inclusion_probabilities) == set(page)
        for rank in page:
            assert 0.0 < found.propensities[rank] <= found.inclusion_probabilities[rank] <= 1.0
    again = explore(Exploration(share, seen(n, seed), seeded_rng(seed, "a")), ids(n), given_scores, offset, offset + 10)
    assert (again.order, again.propensities) == (found.order, found.propensities)


def test_answers_differ_and_seeds_too() -> None:
    tied = [1.0] * 20 + [0.0]
    orders = {
        tuple(explore(Exploration(1.0, InteractionStats(), seeded_rng(seed, answer)), ids(21), tied, 0, 10).order)
        for seed, answer in ((1, "a"), (1, "b"), (2, "a"))
    }
    assert len(orders) == 3


def test_equal_items_get_every_rank_equally_often() -> None:
    tied = [1.0, 1.0, 1.0, 1.0, -9.0]
    first = [explore(Exploration(1.0, InteractionStats(), seeded_rng(3, str(a))), ids(5), tied, 0, 2) for a in range(400)]
    counts = np.bincount([found.order[0] for found in first], minlength=5)
    assert counts[4] == 0
    assert counts[:4].min() > 60
    assert np.mean([found.propensities[0] for found in first]) == pytest.approx(0.25, abs=0.03)
    assert np.mean([found.inclusion_probabilities[0] for found in first]) == pytest.approx(0.5, abs=0.03)


def test_what_is_logged_is_what_is_drawn() -> None:
    """Over many answers an item gets a rank as often as its propensity says, and what is weighed by it counts once an answer:
    then estimates from the log are unbiased. Scores and knowledge differ between the items."""
    values = [1.0, 0.97, 0.95, 0.9, 0.88, 0.6, 0.3, 0.0]
    known = InteractionStats({"i0": (400.0, 10.0), "i1": (20.0, 3.0), "i3": (5.0, 0.0), "i4": (60.0, 12.0)}, 0.1)
    answers, first, end = 3_000, 1, 4
    drawn, at_any = (np.zeros((3, len(values), end)) for _ in range(2))
    for answer in range(answers):
        found = explore(Exploration(0.8, known, seeded_rng(11, str(answer))), ids(len(values)), values, first, end)
        for rank in range(first, end):
            item = found.order[rank]
            drawn[:, item, rank] += (1.0, found.propensities[rank], 1.0 / found.propensities[rank])
            at_any[:, item, rank] += (1.0, found.inclusion_probabilities[rank], 1.0 / found.inclusion_probabilities[rank])
    often = drawn[0] / answers
    certain = often > 0.05
    assert certain.sum() >= 8 and not often[5:].any()
    error = np.sqrt((1.0 / np.maximum(often, 0.05) - 1.0) / answers)
    assert (np.abs(drawn[2] / answers - 1.0) < 4.0 * error + 0.02)[certain].all()
    assert (np.abs(drawn[1] / np.maximum(drawn[0], 1.0) - often) < 0.02)[certain].all()
    shown = at_any[0].sum(axis=1) / answers
    likely = shown > 0.05
    error = np.sqrt((1.0 / np.maximum(shown, 0.05) - 1.0) / answers)
    assert (np.abs(at_any[2].sum(axis=1) / answers - 1.0) < 4.0 * error + 0.02)[likely].all()


def test_what_is_not_known_yet_is_tried_and_what_failed_is_not() -> None:
    known = InteractionStats({"i0": (500.0, 25.0), "i1": (500.0, 0.0)}, 0.05)
    tops = [explore(Exploration(1.0, known, seeded_rng(5, str(a))), ids(3), [1.0, 1.0, 1.0], 0, 3) for a in range(1)]
    assert tops[0].order == [0, 1, 2]  # where no score is lower, nothing is near or far
    tops = [explore(Exploration(1.0, known, seeded_rng(5, str(a))), ids(4), [1.0, 1.0, 1.0, 0.0], 0, 3) for a in range(300)]
    counts = np.bincount([found.order[0] for found in tops], minlength=4)
    assert counts[2] > 60 > counts[1]


def test_popularity_stands_in_for_counts() -> None:
    stats = InteractionStats.from_popularity([("i0", 40.0), ("i1", 0.0)], 0.1)
    first, second = stats.posteriors(["i0", "i1"])
    assert first / (first + second) == pytest.approx([0.1, 0.1])
    assert (first + second)[0] > 10 * (first + second)[1]


def with_new(
    share: float, answer: object, stats: InteractionStats, first: int = 0, end: int = 10, groups: bool = False
) -> ExploredOrder:
    """Thirty items of falling score, of which the last twelve and one at the head are new; ten more new ones have no score."""
    scores = [1.0 - 0.02 * place for place in range(30)]
    new = [2, *range(18, 40)]
    own = [place % 3 - 1 for place in range(30)] if groups else ()
    exploration = Exploration(share, stats, seeded_rng(11, str(answer)))
    return explore(exploration, ids(40), scores, first, end, cold_start=new, groups=own)


@given(shares, st.integers(0, 99), st.integers(0, 25), st.booleans())
def test_a_new_item_gets_one_place_and_the_others_take_turns_as_ever(share: float, answer: int, first: int, groups: bool) -> None:
    stats = seen(18, answer)
    found = with_new(share, answer, stats, first, first + 10, groups)
    assert sorted(found.order) == list(range(40))
    assert with_new(share, answer, stats, 0, 10, groups).order == found.order
    page = range(first, first + 10)
    assert set(found.propensities) == set(found.inclusion_probabilities) == set(page)
    assert all(0.0 < found.propensities[rank] <= found.inclusion_probabilities[rank] + 1e-12 <= 1.0 + 1e-12 for rank in page)
    tried = found.order[COLD_START_RANK]
    rest = [place for place in found.order if place != tried or tried < SETTLED_RANKS]
    beyond = [place for place in rest if place >= 30]
    assert beyond == sorted(beyond)
    inside = [place for place in rest if place < 30]
    if not groups:
        assert all(
            1.0 - 0.02 * place >= 1.0 - 0.02 * min(inside[rank:]) - share * TOLERANCE * 0.58 - 1e-9
            for rank, place in enumerate(inside)
        )
    elif len(inside) == 30:
        assert [place % 3 for place in inside] == [place % 3 for place in range(30)]


def test_new_items_are_tried_as_often_as_is_said() -> None:
    """In `share` of the answers one of the five best has the fifth place, each about as often as the others."""
    answers, share = 500, 0.4
    found = [with_new(share, answer, InteractionStats(), 0, 10) for answer in range(answers)]
    at = np.bincount([one.order[COLD_START_RANK] for one in found], minlength=40)
    assert at[10:18].sum() == 0 and at[23:].sum() == 0
    assert at[18:23].sum() == pytest.approx(share * answers, rel=0.2)
    assert at[18:23].min() > 0.5 * share * answers / 5


def test_the_chances_of_new_items_and_of_the_others_are_those_of_the_draws() -> None:
    """With groups and without: an item has a rank, and is on the page, as often as its chances say, and the inverses count
    once an answer."""
    stats = InteractionStats({"i0": (400.0, 10.0), "i1": (20.0, 3.0), "i18": (15.0, 4.0), "i20": (60.0, 12.0)}, 0.1)
    answers, first, end = 1_200, 3, 8
    for groups in (False, True):
        ranked, page = np.zeros((3, 40, end)), np.zeros((3, 40))
        for answer in range(answers):
            found = with_new(0.3, answer, stats, first, end, groups)
            for rank in range(first, end):
                item, chance, often = found.order[rank], found.propensities[rank], found.inclusion_probabilities[rank]
                ranked[:, item, rank] += (1.0, chance, 1.0 / chance)
                page[:, item] += (1.0, often, 1.0 / often)
        assert (ranked[0, 18:, COLD_START_RANK] > 0).sum() >= 5
        for table, least in ((ranked, 0.02), (page, 0.02)):
            often = table[0] / answers
            likely = often > least
            error = np.sqrt((1.0 / np.maximum(often, least) - 1.0) / answers)
            assert (np.abs(table[2] / answers - 1.0) < 4.0 * error + 0.02)[likely].all()
            spread = np.sqrt(often * (1.0 - often) / answers)
            assert (np.abs(table[1] / np.maximum(table[0], 1.0) - often) < 4.0 * spread + 0.01)[likely].all()
        assert likely[18:].sum() >= 5


def test_of_new_items_what_did_worse_is_tried_no_longer_and_what_did_better_more() -> None:
    known = InteractionStats(
        {"i18": (ENOUGH_EXAMINATIONS, 1.0), "i19": (4 * ENOUGH_EXAMINATIONS, 40.0), "i20": (ENOUGH_EXAMINATIONS - 1.0, 0.0)}, 0.1
    )
    names = ids(40)
    exploration = Exploration(1.0, known, seeded_rng(1, "a"))
    assert exploration.cold_start_candidates(names[18:21]) == ("i19", "i20")
    assert Exploration(1.0, known, seeded_rng(1, "a"), 1).cold_start_candidates(names[18:21]) == ("i19",)
    assert len(exploration.cold_start_candidates([f"n{place}" for place in range(300)])) == MAX_NEWEST
    at = np.bincount([with_new(1.0, answer, known).order[COLD_START_RANK] for answer in range(200)], minlength=40)
    assert 70 < at[19] < 130 and at[18] == at[25:].sum() == 0
    assert 0 < at[20] < at[21:25].mean()
    better = InteractionStats({**known.by_item, "i18": (ENOUGH_EXAMINATIONS, 8.0)}, 0.1)
    at = np.bincount([with_new(1.0, answer, better).order[COLD_START_RANK] for answer in range(200)], minlength=40)
    assert 0 < at[18] < at[19] / 3 and 70 < at[18:20].sum() < 130


def test_items_of_a_group_take_turns_on_its_places() -> None:
    """Groups keep the places that they were given, whatever their scores."""
    scores = [1.0, 0.2, 0.99, 0.19, 0.98, 0.18, 0.0]
    groups = [0, 1, 0, 1, 0, 1, -1]
    orders = [
        explore(Exploration(1.0, InteractionStats(), seeded_rng(3, str(answer))), ids(7), scores, 0, 7, groups=groups).order
        for answer in range(60)
    ]
    assert all([groups[place] for place in order] == groups for order in orders)
    assert {order[0] for order in orders} == {0, 2, 4} and {order[1] for order in orders} == {1, 3, 5}
