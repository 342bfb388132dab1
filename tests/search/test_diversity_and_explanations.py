from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.query import Hit
from es_recsys.search.explain import explain_hit, most_similar
from es_recsys.search.request import UserState
from es_recsys.search.rerank.diversity import diversify, similarities

ALIKE = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]])


def test_diversity_takes_the_different_item_first() -> None:
    assert diversify([1.0, 0.95, 0.9], ALIKE, 0.0) == [0, 1, 2]
    assert diversify([1.0, 0.95, 0.9], ALIKE, 0.5) == [0, 2, 1]


def test_relevance_still_counts() -> None:
    assert diversify([1.0, 0.95, 0.1], ALIKE, 0.3) == [0, 1, 2]


@given(st.integers(0, 1_000), st.integers(0, 30), st.floats(0, 1))
def test_diversity_only_reorders(seed: int, n: int, diversity: float) -> None:
    rng = np.random.default_rng(seed)
    vectors = [rng.normal(size=3).astype(np.float32) for _ in range(n)]
    scores = sorted(rng.uniform(-1, 2, n), reverse=True)
    order = diversify(scores, similarities(vectors, [()] * n), diversity)
    assert sorted(order) == list(range(n))
    if n:
        assert order[0] == 0


def test_likeness_of_vectors_else_of_labels() -> None:
    vectors = [np.array([2.0, 0.0], np.float32), np.array([1.0, 1.0], np.float32), None]
    found = similarities(vectors, [["a", "b"], ["c"], ["a"]])
    assert found[0, 1] == pytest.approx(1 / np.sqrt(2))
    assert found[0, 2] == 0.5
    assert found[1, 2] == 0.0
    np.testing.assert_array_equal(found, found.T)


def test_most_similar_is_best_first_and_leaves_out_strangers() -> None:
    own = {
        "near": np.array([1.0, 0.1], np.float32),
        "nearer": np.array([2.0, 0.0], np.float32),
        "strange": np.array([0.0, 1.0], np.float32),
        "empty": np.zeros(2, np.float32),
    }
    assert most_similar(np.array([1.0, 0.0], np.float32), own) == ("nearer", "near")
    assert most_similar(np.array([1.0, 0.0], np.float32), own, 1) == ("nearer",)


def test_explanations_come_from_the_retrievers_that_scored() -> None:
    user = UserState(explainers={"covisitation": lambda i: ("t1", "t2"), "als": lambda i: ("t2", "a1")})
    vector, own = np.array([1.0, 0.0], np.float32), {"v1": np.array([1.0, 0.0], np.float32)}
    parts = {"covisitation": 0.4, "als": 0.5, "taste_text": 0.1, "lexical": 1.0}
    assert explain_hit(user, Hit("x", 2.0, 1, parts), vector, own, n=5).because == ("t2", "a1", "t1", "v1")
    assert explain_hit(user, Hit("x", 2.0, 1, parts), vector, own).because == ("t2", "a1", "t1")
    assert explain_hit(user, Hit("x", 1.0, 1, {"lexical": 1.0}), vector, own).because == ()
    assert explain_hit(user, Hit("x", 1.0, 1, {"covisitation": -0.1}), vector, own).because == ()
    assert explain_hit(user, Hit("v1", 1.0, 1, {"taste_text": 0.1}), vector, own).because == ()
