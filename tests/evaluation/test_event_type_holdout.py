"""Events of one type, held out of all types."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from es_recsys.dataset import Interactions
from es_recsys.errors import InputError
from es_recsys.evaluation.holdout import event_type_holdout

TYPES = ("view", "cart", "purchase")


def events(seed: int, n: int = 400, timed: bool = False) -> Interactions:
    rng = np.random.default_rng(seed)
    users = np.sort(rng.integers(0, 20, n)).astype(np.int32)
    return Interactions(
        np.array([f"u{place:02d}" for place in range(20)]),
        np.array([f"i{place:02d}" for place in range(30)]),
        users,
        rng.integers(0, 30, n).astype(np.int32),
        np.ones(n, np.float32),
        rng.random(n) * 1e6 if timed else np.arange(n, dtype=np.float64),
        timed,
        rng.integers(0, 3, n).astype(np.int8),
        TYPES,
        np.full(n, np.nan, np.float32),
    )


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), timed=st.booleans(), share=st.floats(0.05, 0.6))
def test_no_event_of_any_type_tells_of_what_is_asked_for(seed: int, timed: bool, share: float) -> None:
    data = events(seed, timed=timed)
    held = event_type_holdout(data, "purchase", np.random.default_rng(seed), 20, share)
    assert held.train.type_idx is not None and data.type_idx is not None
    bought = {(u, i) for u, i, k in zip(data.users, data.items, data.type_idx, strict=True) if TYPES[k] == "purchase"}
    left = set(zip(held.train.users.tolist(), held.train.items.tolist(), strict=True))
    asked = {(user, item) for user, items in zip(held.users.tolist(), held.targets, strict=True) for item in items.tolist()}
    assert asked
    assert asked <= bought
    assert not asked & left
    assert len(set(held.users.tolist())) == len(held.users)
    assert {user for user, _ in left} >= set(held.users.tolist())
    if timed:
        late = data.times[np.isin(data.times, held.train.times, invert=True)]
        assert held.train.times.max() < max(late)


def test_without_time_everybody_loses_their_share() -> None:
    data = events(1)
    held = event_type_holdout(data, "purchase", np.random.default_rng(0), 3)
    assert len(held) == 3
    assert data.type_idx is not None and held.train.type_idx is not None
    for user in range(20):
        had, has = (
            len(np.unique(one.items[(one.users == user) & (one.type_idx == 2)]))  # type: ignore[operator]
            for one in (data, held.train)
        )
        assert had - has == (max(1, round(0.2 * had)) if had else 0)


def test_with_time_what_comes_after_the_moment_is_unknown_and_what_was_had_before_is_no_news() -> None:
    rows = [
        ("view", 0, 5.0),
        ("purchase", 1, 1.0),
        ("purchase", 1, 9.0),
        ("purchase", 2, 8.0),
        ("view", 2, 2.0),
        ("view", 3, 9.5),
    ]
    data = Interactions(
        np.array(["u0"]),
        np.array(["i0", "i1", "i2", "i3"]),
        np.zeros(6, np.int32),
        np.array([item for _, item, _ in rows], np.int32),
        np.ones(6, np.float32),
        np.array([when for _, _, when in rows]),
        True,
        np.array([TYPES.index(kind) for kind, _, _ in rows], np.int8),
        TYPES,
        np.full(6, np.nan, np.float32),
    )
    held = event_type_holdout(data, "purchase", np.random.default_rng(0), 5, share=0.6)
    assert [targets.tolist() for targets in held.targets] == [[2]]
    assert held.train.items.tolist() == [0, 1]


def test_an_event_that_weighs_nothing_is_not_learned_from_but_its_item_stays_out() -> None:
    data = events(2)
    held = event_type_holdout(data, "purchase", np.random.default_rng(0), 20)
    assert held.train.type_idx is not None
    weights = np.where(held.train.type_idx == 0, 0.0, 2.0).astype(np.float32)
    part = held.reweighted(weights)
    assert part.train.type_idx is not None
    assert not (part.train.type_idx == 0).any()
    assert part.train.weights.tolist() == [2.0] * int((held.train.type_idx != 0).sum())
    assert all(np.array_equal(a, b) for a, b in zip(part.seen, held.seen, strict=True))
    assert len(part.histories.items) < len(held.histories.items)


def test_what_can_not_be_held_out_is_said() -> None:
    rng, data = np.random.default_rng(0), events(3)
    with pytest.raises(InputError, match="not known which of the events"):
        event_type_holdout(replace(data, type_idx=None), "purchase", rng, 5)
    with pytest.raises(InputError, match="no events of the type purchase"):
        event_type_holdout(replace(data, type_idx=np.zeros(400, np.int8)), "purchase", rng, 5)
