from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.search.rerank.calibration import calibrate, divergence
from es_recsys.search.rerank.popularity import popularity_shares, values_with_popularity

DIALS = st.floats(-1, 1)


def _order(values: list[float], popularity: list[float], dial: float) -> list[int]:
    return np.argsort(-values_with_popularity(np.array(values), np.array(popularity), dial), kind="stable").tolist()


def test_the_ends_of_the_dial_are_niche_and_mainstream() -> None:
    values, popularity = [1.0, 0.9, 0.8], [0.5, 0.1, 1.0]
    assert _order(values, popularity, 0.0) == [0, 1, 2]
    assert _order(values, popularity, 1.0) == [2, 0, 1]
    assert _order(values, popularity, -1.0) == [1, 0, 2]


@given(st.integers(0, 1_000), st.integers(1, 40), DIALS, DIALS)
def test_more_of_the_dial_is_more_popularity_at_every_length(seed: int, n: int, one: float, other: float) -> None:
    """A blend with more weight on what is popular has no less of it among the first k, for any k, on one side of 0."""
    rng = np.random.default_rng(seed)
    values, popularity = sorted(rng.uniform(0, 1, n).tolist(), reverse=True), rng.uniform(0, 1, n).round(2).tolist()
    low, high = sorted((abs(one), abs(other)))
    for sign in (1.0, -1.0):
        less, more = (np.cumsum(np.array(popularity)[_order(values, popularity, sign * dial)]) for dial in (low, high))
        assert (sign * (more - less) >= -1e-9).all()


@given(st.integers(0, 1_000), st.integers(0, 40))
def test_a_dial_at_zero_changes_nothing(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    values = sorted(rng.uniform(-1, 1, n).tolist(), reverse=True)
    categories = [[str(rng.integers(3))] for _ in range(n)]
    assert calibrate(values, categories, {"0": 0.5, "1": 0.5}, 0.0, n) == list(range(n))
    assert calibrate(values, categories, {}, 0.7, n) == list(range(n)), "nor one for somebody of whom no category is known"


def test_popularity_is_logarithmic_and_known_of_all_products() -> None:
    most = [("a", 100.0), ("b", 9.0)]
    expected = [1.0, math.log(10) / math.log(101), 0.0]
    np.testing.assert_allclose(popularity_shares(["a", "b", "c"], most, None), expected)
    counts = {"a": 100.0, "b": 9.0, "c": 3.0}
    found = popularity_shares(["c", "?"], most, lambda ids: np.array([counts.get(one, 0.0) for one in ids], np.float32))
    np.testing.assert_allclose(found, [math.log(4) / math.log(101), 0.0], rtol=1e-6)
    assert popularity_shares(["a"], [], None).tolist() == [0.0]


def test_a_calibrated_page_has_the_shares_of_the_history() -> None:
    """Steck's example: seven of ten films were romances, and a list by score would be nothing else."""
    values = [1.0 - k / 1_000 for k in range(40)]
    categories = [["romance"]] * 20 + [["action"]] * 20
    order = calibrate(values, categories, {"romance": 0.7, "action": 0.3}, 0.9, 10)
    assert Counter(categories[row][0] for row in order[:10]) == {"romance": 7, "action": 3}
    assert order[:7] != list(range(7)) and sorted(order) == list(range(40))


@given(st.integers(0, 1_000), st.integers(1, 30), st.integers(1, 30), st.integers(0, 30), st.floats(0.01, 1))
def test_pages_are_cut_from_one_order(seed: int, n: int, steps: int, more: int, calibration: float) -> None:
    rng = np.random.default_rng(seed)
    values = sorted(rng.uniform(-1, 1, n).round(2).tolist(), reverse=True)
    categories = [rng.choice(["a", "b", "c", "d"], rng.integers(0, 3), replace=False).tolist() for _ in range(n)]
    order = calibrate(values, categories, {"a": 0.6, "b": 0.3, "c": 0.1}, calibration, steps)
    further = calibrate(values, categories, {"a": 0.6, "b": 0.3, "c": 0.1}, calibration, steps + more)
    assert sorted(order) == list(range(n))
    assert order[:steps] == further[:steps]


def test_divergence_is_nothing_for_the_same_shares_and_log_100_for_none() -> None:
    wanted = np.array([0.7, 0.3])
    np.testing.assert_allclose(divergence(wanted, np.stack([wanted, np.zeros(2)])), [0.0, math.log(100)], atol=1e-12)
    by_hand = 0.7 * math.log(0.7 / (0.99 * 0.5 + 0.007)) + 0.3 * math.log(0.3 / (0.99 * 0.5 + 0.003))
    assert divergence(wanted, np.array([[0.5, 0.5]]))[0] == pytest.approx(by_hand)
