"""Weights tried on what the retrievers gave: the arithmetic of the served answer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.evaluation.weights import RetrieverScores, padded_scores

RETRIEVERS = ("als", "popularity", "taste_text")


def _scores() -> RetrieverScores:
    candidates = [
        [("b", 0.5, {"als": 1.0}), ("a", 0.6, {"popularity": 1.0}), ("c", 0.0, {"taste_text": 1.0, "als": 0.2})],
        [("x", 0.0, {})],
        [],
    ]
    return padded_scores(RETRIEVERS, candidates, [{"b": 1.0, "gone": 3.0}, {"x": 1.0}, {"y": 1.0}])


def test_ndcg_by_hand() -> None:
    scores = _scores()
    ideal = 3.0 + 1.0 / math.log2(3)
    assert scores.ndcg({}) == pytest.approx([1 / math.log2(3) / ideal, 1.0, 0.0])
    assert scores.ndcg({"als": 0.2}) == pytest.approx([1.0 / ideal, 1.0, 0.0])
    assert scores.ndcg({"als": 0.2, "popularity": 0.2}) == pytest.approx([1 / math.log2(3) / ideal, 1.0, 0.0])
    assert scores.ndcg({"taste_text": 5.0}) == pytest.approx([1 / math.log2(4) / ideal, 1.0, 0.0])


def test_each_query_can_have_weights_of_its_own() -> None:
    scores = _scores()
    given = np.array([[0.2, 0.0, 0.0], [0.0, 5.0, 0.0], [0.0, 0.0, 0.0]])
    assert scores.ndcg(given).tolist() == scores.ndcg({"als": 0.2}).tolist()
    assert scores.ndcg(np.roll(given, 2, axis=1))[0] == scores.ndcg({"taste_text": 0.2})[0]


@given(st.integers(-6, 6), st.lists(st.integers(0, 20), min_size=3, max_size=3))
def test_without_a_fixed_part_only_ratios_count(power: int, values: list[int]) -> None:
    rng = np.random.default_rng(0)
    candidates = [[(f"i{n}", 0.0, {retriever: float(rng.random()) for retriever in RETRIEVERS}) for n in range(15)]]
    scores = padded_scores(RETRIEVERS, candidates, [{"i3": 1.0, "i7": 2.0}])
    weights = {retriever: float(value) for retriever, value in zip(RETRIEVERS, values, strict=True)}
    # Powers of two, which change no digit.
    scaled = {retriever: weight * 2.0**power for retriever, weight in weights.items()}
    assert scores.ndcg(weights)[0] == scores.ndcg(scaled)[0]
    assert 0.0 <= scores.ndcg(weights)[0] <= 1.0


def test_some_questions_alone() -> None:
    scores = _scores()
    assert scores.some(np.array([1])).ndcg({}).tolist() == [1.0]
    assert len(scores.some(np.array([0, 2]))) == 2


def test_right_answers_as_choices_among_wrong_ones() -> None:
    choices, worth = _scores().choices()
    assert worth == [1.0, 1.0]
    # Columns: als, popular, taste_text, and the rest; the chosen one first.
    assert choices[0].tolist() == [[1.0, 0.0, 0.0, 0.5], [0.0, 1.0, 0.0, 0.6], [0.2, 0.0, 1.0, 0.0]]
    assert choices[1].tolist() == [[0.0, 0.0, 0.0, 0.0]]
