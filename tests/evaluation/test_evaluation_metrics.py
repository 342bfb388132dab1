"""Metrics against sums done by hand, and the laws of intervals and tests."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.dataset import Interactions, ItemTable
from es_recsys.evaluation import ACCURACY, Catalogue, Estimate, accuracy, bootstrap, holm, paired_test
from es_recsys.evaluation.beyond_accuracy import gini
from es_recsys.evaluation.statistics import difference_words


def test_accuracy_by_hand() -> None:
    lists = [["x", "a", "y", "b"], [], ["c"], ["a", "z"]]
    grades = [{"a": 1.0, "b": 3.0}, {"a": 1.0}, {"c": 2.0}, {"q": 1.0, "a": 1.0}]
    found = accuracy(lists, grades, 3)
    ideal = 3 / math.log2(2) + 1 / math.log2(3)
    assert found["NDCG"] == pytest.approx([1 / math.log2(3) / ideal, 0.0, 1.0, 1 / (1 + 1 / math.log2(3))])
    assert found["Recall"] == pytest.approx([0.5, 0.0, 1.0, 0.5])
    assert found["HR"] == pytest.approx([1.0, 0.0, 1.0, 1.0])
    assert found["MAP"] == pytest.approx([0.5 / 2, 0.0, 1.0, 0.5])
    assert found["MRR"] == pytest.approx([0.5, 0.0, 1.0, 1.0])
    assert tuple(found) == ACCURACY


def test_fractional_grades_give_the_same_as_their_multiples() -> None:
    lists = [["a", "b", "c"]]
    half = accuracy(lists, [{"b": 0.5, "c": 0.25}], 3)
    whole = accuracy(lists, [{"b": 2.0, "c": 1.0}], 3)
    for name in ACCURACY:
        assert half[name] == pytest.approx(whole[name])


names = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8)


@given(lists=st.lists(names, min_size=1, max_size=5), n=st.integers(1, 8))
def test_a_missing_answer_lowers_the_mean(lists: list[list[str]], n: int) -> None:
    grades = [{"a": 1.0, "e": 2.0}] * len(lists)
    before, after = accuracy(lists, grades, n), accuracy([*lists, []], [*grades, {"a": 1.0}], n)
    for name in ACCURACY:
        assert ((before[name] >= 0) & (before[name] <= 1)).all()
        assert after[name][-1] == 0.0
        assert after[name].mean() == pytest.approx(before[name].sum() / (len(lists) + 1))


@given(own=names)
def test_the_ideal_order_scores_one(own: list[str]) -> None:
    grades = {item: float(len(own) - rank) for rank, item in enumerate(own)}
    if own:
        assert accuracy([own], [grades], len(own))["NDCG"][0] == pytest.approx(1.0)


@pytest.fixture
def catalogue() -> Catalogue:
    """Four users: all know a, two b, one c, nobody d."""
    users = np.array([0, 0, 0, 1, 1, 2, 3], np.int32)
    items = np.array([0, 1, 2, 0, 1, 0, 0], np.int32)
    train = Interactions(
        np.array(["u0", "u1", "u2", "u3"]), np.array(["a", "b", "c"]), users, items, np.ones(7, np.float32), np.zeros(7)
    )
    vectors = np.array([[1, 0], [1, 0], [0, 1], [0, 0]], np.float32)
    none = np.full(4, np.nan)
    table = ItemTable(
        np.array(["a", "b", "c", "d"]), [""] * 4, [""] * 4, [()] * 4, [""] * 4, none, none, {"text_vector": vectors}
    )
    return Catalogue.of(train, table)


def test_beyond_accuracy_by_hand(catalogue: Catalogue) -> None:
    lists = [["a", "b"], ["a", "c", "d"], []]
    assert catalogue.coverage(lists) == 1.0
    assert catalogue.coverage([["a"]]) == 0.25
    assert catalogue.novelty(lists) == pytest.approx([0.5, (0 + 2 + 2) / 3, math.nan], nan_ok=True)
    assert catalogue.diversity(lists) == pytest.approx([0.0, 1.0, math.nan], nan_ok=True)
    known = [frozenset({"a"}), frozenset({"b", "c"}), frozenset({"a"})]
    assert catalogue.popularity(lists, known) == pytest.approx([0.75, (1.25 / 3) / 0.375, math.nan], nan_ok=True)
    assert catalogue.popularity([["a"]], [frozenset()]) == pytest.approx([math.nan], nan_ok=True)
    assert catalogue.cold(1) == {"c", "d"}
    assert catalogue.gini([["a", "b", "c", "d"]]) == pytest.approx(0.0)
    assert catalogue.gini([["a"]] * 5) == pytest.approx(0.75)


def test_diversity_by_categories_where_there_are_no_vectors() -> None:
    none = np.full(3, np.nan)
    categories = [("shoes", "boots"), ("shoes", "sandals"), ("hats",)]
    table = ItemTable(np.array(["a", "b", "c"]), [""] * 3, [""] * 3, categories, [""] * 3, none, none)
    empty = Interactions(
        np.array([], np.str_),
        np.array([], np.str_),
        np.zeros(0, np.int32),
        np.zeros(0, np.int32),
        np.zeros(0, np.float32),
        np.zeros(0),
    )
    found = Catalogue.of(empty, table).diversity([["a", "b"], ["a", "c"]])
    assert found == pytest.approx([1 - 1 / 3, 1.0])


@given(counts=st.lists(st.integers(0, 50), min_size=1, max_size=30))
def test_gini_is_half_the_relative_mean_difference(counts: list[int]) -> None:
    values = np.array(counts)
    if values.sum():
        differences = np.abs(values[:, None] - values[None, :]).mean()
        assert gini(values) == pytest.approx(differences / (2 * values.mean()))
    else:
        assert gini(values) == 0.0


def test_intervals_hold_the_mean_as_often_as_they_say() -> None:
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(200):
        estimate = bootstrap(rng.exponential(size=80), rng, rounds=400)
        inside += estimate.low <= 1.0 <= estimate.high
    assert 0.87 <= inside / 200 <= 0.99


def test_intervals_are_wider_where_queries_belong_together() -> None:
    values = np.repeat(np.random.default_rng(0).random(20), 30)
    groups = [f"u{row // 30}" for row in range(600)]
    alone, together = (bootstrap(values, np.random.default_rng(1), groups=g) for g in (None, groups))
    assert alone.mean == pytest.approx(together.mean)
    assert together.high - together.low > 3 * (alone.high - alone.low)
    nobody = bootstrap(values, np.random.default_rng(1), groups=[""] * 600)
    assert nobody.high - nobody.low == pytest.approx(alone.high - alone.low, rel=0.3)


def test_a_paired_test_tells_a_difference_from_none() -> None:
    rng = np.random.default_rng(0)
    one = rng.random(300)
    assert paired_test(one, one, rng) == 1.0
    assert paired_test(one + 0.1 + rng.normal(0, 0.3, 300), one, rng) < 0.001
    level = [paired_test(one + rng.normal(0, 0.3, 300), one, rng, rounds=200) < 0.1 for _ in range(200)]
    assert 0.04 <= np.mean(level) <= 0.17


def test_a_paired_test_is_symmetric_and_leaves_nan_out() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.random(50), rng.random(50)
    one[3] = other[7] = np.nan
    there, back = (paired_test(a, b, np.random.default_rng(2)) for a, b in ((one, other), (other, one)))
    assert there == back


def test_holm_by_hand() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})
    assert holm({}) == {}


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=8))
def test_holm_never_lowers_and_keeps_the_order(p_values: dict[str, float]) -> None:
    adjusted = holm(p_values)
    for name, p in p_values.items():
        assert p <= adjusted[name] <= 1.0
        assert all(adjusted[name] <= adjusted[other] for other, q in p_values.items() if q > p)


def test_an_estimate_goes_through_json() -> None:
    for estimate in (Estimate(0.5, 0.4, 0.6, 10), Estimate(0.5, math.nan, math.nan, 3)):
        again = Estimate.from_dict(estimate.to_dict())
        assert again.to_dict() == estimate.to_dict()


def test_a_difference_is_read_with_its_interval() -> None:
    assert difference_words(Estimate(0.01234, -0.001, 0.02, 7)) == "+0.0123 [-0.0010, +0.0200]"
