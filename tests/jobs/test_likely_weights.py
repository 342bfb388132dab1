"""The weights that trials of the legs set out from."""

from __future__ import annotations

import numpy as np
import pytest

from es_recsys.evaluation.weights import WeightSheet, sheet_of
from es_recsys.jobs.tuning_weights import likely_weights

LEGS = ("als", "popular", "transitions")


def _sheet(theta: tuple[float, float, float, float], questions: int = 3_000) -> WeightSheet:
    """Choices among 20 candidates by people to whom the legs, and the rest, matter so much."""
    rng = np.random.default_rng(1)
    candidates, grades = [], []
    for _ in range(questions):
        parts = rng.random((20, 4))
        utility = parts @ np.array(theta) + rng.gumbel(size=20)
        candidates.append([(f"i{n:02}", row[3], dict(zip(LEGS, row[:3], strict=True))) for n, row in enumerate(parts.tolist())])
        grades.append({f"i{int(utility.argmax()):02}": 1.0})
    return sheet_of(LEGS, candidates, grades)


def test_what_mattered_beside_the_other_legs_is_found() -> None:
    found = likely_weights(_sheet((1.0, 0.0, 2.0, 4.0)))
    assert found == pytest.approx({"als": 0.25, "popular": 0.0, "transitions": 0.5}, abs=0.06)


def test_where_the_other_legs_say_nothing_the_largest_is_one() -> None:
    found = likely_weights(_sheet((2.0, 0.0, 4.0, 0.0)))
    assert found == pytest.approx({"als": 0.5, "popular": 0.0, "transitions": 1.0}, abs=0.1)


def test_nothing_to_choose() -> None:
    empty = sheet_of(LEGS, [[], []], [{"a": 1.0}, {"b": 1.0}])
    assert likely_weights(empty) == dict.fromkeys(LEGS, 0.0)
