"""Exploration: only near-equal items take turns, the same way for the same answer, with chances that are what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from es_recsys.search.explore import NEAR, Exploration, Exposure, explore, rng_of

scores = st.lists(st.floats(-100, 100), min_size=1, max_size=130).map(lambda values: sorted(values, reverse=True))
shares = st.floats(0.01, 1.0)


def ids(n: int) -> list[str]:
    return [f"i{place}" for place in range(n)]


def seen(n: int, seed: int) -> Exposure:
    rng = np.random.default_rng(seed)
    shown = {f"i{place}": (float(rng.integers(0, 200)), float(rng.integers(0, 9))) for place in range(0, n, 2)}
    return Exposure(shown, 0.05)


@settings(max_examples=60, deadline=None)
@given(scores, shares, st.integers(0, 99), st.integers(0, 40))
def test_laws_of_exploration(given_scores: list[float], share: float, seed: int, offset: int) -> None:
    n = len(given_scores)
    found = explore(Exploration(share, seen(n, seed), rng_of(seed, "a")), ids(n), given_scores, offset, offset + 10)
    assert sorted(found.order) == list(range(n))
    assert found.order[100:] == list(range(100, n))
    tolerance = share * NEAR * (given_scores[0] - given_scores[min(n, 100) - 1])
    shown = [given_scores[place] for place in found.order]
    for rank, score in enumerate(shown):
        assert score >= max(shown[rank:]) - tolerance - 1e-9
    if tolerance > 0.0:
        page = range(offset, min(offset + 10, n, 100))
        assert set(found.propensities) == set(found.shown) == set(page)
        for rank in page:
            assert 0.0 < found.propensities[rank] <= found.shown[rank] <= 1.0
    again = explore(Exploration(share, seen(n, seed), rng_of(seed, "a")), ids(n), given_scores, offset, offset + 10)
    assert (again.order, again.propensities) == (found.order, found.propensities)


def test_answers_differ_and_seeds_too() -> None:
    tied = [1.0] * 20 + [0.0]
    orders = {
        tuple(explore(Exploration(1.0, Exposure(), rng_of(seed, answer)), ids(21), tied, 0, 10).order)
        for seed, answer in ((1, "a"), (1, "b"), (2, "a"))
    }
    assert len(orders) == 3


def test_equal_items_get_every_rank_equally_often() -> None:
    tied = [1.0, 1.0, 1.0, 1.0, -9.0]
    first = [explore(Exploration(1.0, Exposure(), rng_of(3, str(a))), ids(5), tied, 0, 2) for a in range(400)]
    counts = np.bincount([found.order[0] for found in first], minlength=5)
    assert counts[4] == 0
    assert counts[:4].min() > 60
    assert np.mean([found.propensities[0] for found in first]) == pytest.approx(0.25, abs=0.03)
    assert np.mean([found.shown[0] for found in first]) == pytest.approx(0.5, abs=0.03)


def test_what_is_logged_is_what_is_drawn() -> None:
    """Over many answers an item gets a rank as often as its propensity says, and what is weighed by it counts once an answer:
    then estimates from the log are unbiased. Scores and knowledge differ between the items."""
    values = [1.0, 0.97, 0.95, 0.9, 0.88, 0.6, 0.3, 0.0]
    known = Exposure({"i0": (400.0, 10.0), "i1": (20.0, 3.0), "i3": (5.0, 0.0), "i4": (60.0, 12.0)}, 0.1)
    answers, first, end = 3_000, 1, 4
    drawn, at_any = (np.zeros((3, len(values), end)) for _ in range(2))
    for answer in range(answers):
        found = explore(Exploration(0.8, known, rng_of(11, str(answer))), ids(len(values)), values, first, end)
        for rank in range(first, end):
            item = found.order[rank]
            drawn[:, item, rank] += (1.0, found.propensities[rank], 1.0 / found.propensities[rank])
            at_any[:, item, rank] += (1.0, found.shown[rank], 1.0 / found.shown[rank])
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
    known = Exposure({"i0": (500.0, 25.0), "i1": (500.0, 0.0)}, 0.05)
    tops = [explore(Exploration(1.0, known, rng_of(5, str(a))), ids(3), [1.0, 1.0, 1.0], 0, 3) for a in range(1)]
    assert tops[0].order == [0, 1, 2]  # where no score is lower, nothing is near or far
    tops = [explore(Exploration(1.0, known, rng_of(5, str(a))), ids(4), [1.0, 1.0, 1.0, 0.0], 0, 3) for a in range(300)]
    counts = np.bincount([found.order[0] for found in tops], minlength=4)
    assert counts[2] > 60 > counts[1]


def test_popularity_stands_in_for_counts() -> None:
    exposure = Exposure.of_popularity([("i0", 40.0), ("i1", 0.0)], 0.1)
    first, second = exposure.posteriors(["i0", "i1"])
    assert first / (first + second) == pytest.approx([0.1, 0.1])
    assert (first + second)[0] > 10 * (first + second)[1]
