"""The best of many scores, against a full sort."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.top_k import nth_largest, top_k


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
    assert nth_largest(scores, n) == np.sort(scores)[-n]
    assert top_k(scores, n).tolist() == np.argsort(-scores, kind="stable")[:n].tolist()
