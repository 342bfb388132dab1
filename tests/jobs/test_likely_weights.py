"""The weights that trials of the legs set out from."""

from __future__ import annotations

import numpy as np
import pytest

from es_recsys.evaluation.weights import WeightSheet, sheet_of
from es_recsys.jobs.tuning_weights import likely_weights, next_items
from es_recsys.types import Interactions

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


@pytest.mark.parametrize(("timed", "users", "kind"), [(True, 300, "split in time"), (True, 60, "last"), (False, 300, "last")])
def test_what_came_after_a_moment_is_asked_where_enough_did(timed: bool, users: int, kind: str) -> None:
    rng = np.random.default_rng(3)
    each = 12
    data = Interactions(
        user_ids=np.array([f"u{user:03}" for user in range(users)]),
        item_ids=np.array([f"i{item:03}" for item in range(200)]),
        users=np.repeat(np.arange(users, dtype=np.int32), each),
        items=np.concatenate([rng.choice(200, each, replace=False) for _ in range(users)]).astype(np.int32),
        weights=np.ones(users * each, np.float32),
        times=np.concatenate([np.sort(rng.random(each)) * 1e6 for _ in range(users)]),
        timed=timed,
    )
    split = next_items(data, np.random.default_rng(0), users, ())
    assert kind in split.kind
    assert len(split) >= 50
