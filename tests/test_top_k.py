"""The best of many scores, against a full sort."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.top_k import highest, top_k, top_scores


@given(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 0.5, 2.0, 7.0]), max_size=30), st.integers(-1, 35))
def test_the_best_are_those_of_a_full_sort(scores: list[float], n: int) -> None:
    expected = sorted(range(len(scores)), key=lambda place: (-scores[place], place))[: max(n, 0)]
    assert top_k(np.array(scores, np.float32), n).tolist() == expected


@pytest.mark.parametrize("kind", ["spread", "few values", "rising", "mostly gone", "high where the sample looks"])
@pytest.mark.parametrize("n", [1, 10, 300, 9_000])
def test_a_sample_changes_nothing(kind: str, n: int) -> None:
    rng = np.random.default_rng(3)
    scores = {
        "spread": rng.normal(size=10_000),
        "few values": rng.integers(0, 3, 10_000),
        "rising": np.arange(10_000),
        "mostly gone": np.where(rng.random(10_000) < 0.001, 1.0, -np.inf),
        "high where the sample looks": np.where(np.arange(10_000) % 16 == 0, 1.0, rng.random(10_000)),
    }[kind].astype(np.float32)
    assert highest(scores, n).tolist() == np.flatnonzero(scores >= np.sort(scores)[-n]).tolist()
    assert top_k(scores, n).tolist() == np.argsort(-scores, kind="stable")[:n].tolist()


@given(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0, 7.0]), max_size=30), st.integers(0, 12), st.sets(st.integers(0, 29)))
def test_what_is_excluded_takes_no_place(scores: list[float], n: int, exclude: set[int]) -> None:
    left_out = [place for place in exclude if place < len(scores)]
    expected = [place for place in sorted(range(len(scores)), key=lambda place: (-scores[place], place)) if scores[place] > 0]
    expected = [place for place in expected if place not in left_out][:n]
    item_idx, values = top_scores(np.array(scores, np.float32), n, np.array(left_out, np.int64))
    assert item_idx.tolist() == expected and values.tolist() == [scores[place] for place in expected]
