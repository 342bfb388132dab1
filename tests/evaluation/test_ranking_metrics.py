"""Ranking metrics on arrays, by hand and against ir-measures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.evaluation import accuracy
from es_recsys.evaluation.metrics import hit_rate, ideal_dcg, ndcg, ndcg_of_scores, recall, reciprocal_rank


def test_ndcg_by_hand() -> None:
    lists = [np.array([4, 2, 9]), np.array([1]), np.zeros(0, np.int64), np.array([5, 6, 7])]
    targets = (np.array([2, 9, 8]), np.array([1]), np.array([3]), np.array([5, 6]))
    two, three = 1 / np.log2(3), 1 / np.log2(4)
    assert ndcg(lists, targets, 3) == pytest.approx([(two + three) / (1 + two + three), 1, 0, 1])
    assert ndcg(lists, targets, 1) == pytest.approx([0, 1, 0, 1])


def test_ndcg_with_gains_by_hand() -> None:
    lists, wanted = [np.array([7, 3, 5])], (np.array([5, 9, 7]),)
    gains = (np.array([4.0, 2.0, 1.0]),)
    found = 1.0 * 1.0 + 4.0 / np.log2(4)
    ideal = 4.0 + 2.0 / np.log2(3) + 1.0 / np.log2(4)
    assert ndcg(lists, wanted, 3, gains) == pytest.approx([found / ideal])
    alike = ndcg(lists, wanted, 3)
    assert ndcg(lists, wanted, 3, (np.full(3, 6.0),)) == pytest.approx(alike)


some = st.lists(st.integers(0, 12), unique=True, max_size=8)
wanted = st.dictionaries(st.integers(0, 12), st.integers(1, 5), min_size=1, max_size=6)


@given(cases=st.lists(st.tuples(some, wanted), min_size=1, max_size=5), n=st.integers(1, 10))
def test_they_are_those_of_ir_measures(cases: list[tuple[list[int], dict[int, int]]], n: int) -> None:
    lists = [np.array(items, np.int64) for items, _ in cases]
    targets = [np.array(sorted(grades), np.int64) for _, grades in cases]
    gains = [np.array([float(grades[item]) for item in sorted(grades)]) for _, grades in cases]
    named = [[str(item) for item in items] for items, _ in cases]
    expected = accuracy(named, [{str(item): float(grade) for item, grade in grades.items()} for _, grades in cases], n)
    assert ndcg(lists, targets, n, gains) == pytest.approx(expected["NDCG"])
    assert recall(lists, targets, n) == pytest.approx(expected["Recall"])
    assert hit_rate(lists, targets, n) == pytest.approx(expected["HR"])
    assert reciprocal_rank(lists, targets, n) == pytest.approx(expected["MRR"])


def test_candidates_are_ranked_by_their_scores_and_padding_comes_last() -> None:
    scores = np.array([[0.2, 0.9, 0.2, 0.0], [-1.0, -2.0, 0.0, 0.0]])
    gains = np.array([[1.0, 0.0, 2.0, 0.0], [0.0, 3.0, 0.0, 0.0]])
    there = np.array([[True, True, True, True], [True, True, False, False]])
    ideal = np.array([ideal_dcg(row[row > 0], 10) for row in gains])
    two, three = 1 / np.log2(3), 1 / np.log2(4)
    # Of equal scores the first given comes first.
    assert ndcg_of_scores(scores, gains, ideal, 10, there) == pytest.approx([(two + 2 * three) / (2 + two), two])
    assert ndcg_of_scores(scores, gains, ideal, 1, there) == pytest.approx([0.0, 0.0])
