"""Histories as arrays."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.dataset import History, Interactions
from es_recsys.event_types import EVENT_TYPES
from es_recsys.item_ids import ItemIds
from es_recsys.models.types import LAST, HistoryBatch, decay, encode, sample_users


def test_decay_halves() -> None:
    assert decay(np.array([0.0, 2.0, 4.0]), 2.0).tolist() == [1, 0.5, 0.25]
    assert decay(np.array([0.0, 1e9]), math.inf).tolist() == [1, 1]


def test_a_history_keeps_places_across_unknown_items_and_its_newest_events() -> None:
    ids = ItemIds.of(["a", "b"])
    batch = encode(History(("b", "?", "a"), np.array([1, 9, -2], np.float32), np.array([8.0, 3.0, 0.0])), ids)
    assert (batch.items.tolist(), batch.weights.tolist()) == ([1, 0], [1, -2])
    assert (batch.recency_rank.tolist(), batch.ages.tolist()) == ([2, 0], [8, 0])
    long = encode(History.of(["b"] * 50 + ["a"] * LAST), ids)
    assert long.items.tolist() == [0] * LAST and long.recency_rank[0] == LAST - 1


def told(items: list[str], typed: bool) -> History:
    """A history that knows more where `typed`."""
    history = History.of(items)
    if not typed:
        return history
    kinds = [tuple(EVENT_TYPES)[place % len(EVENT_TYPES)] for place in range(len(items))]
    return replace(history, event_types=tuple(kinds), newest=1e9 + len(items))


def columns(batch: HistoryBatch) -> list[Any]:
    """All that is known of a batch of one user."""
    kinds = np.full(len(batch.items), -1) if batch.type_idx is None else batch.type_idx
    newest = np.array([np.nan]) if batch.newest is None else batch.newest
    return [
        batch.items.tolist(),
        batch.weights.tolist(),
        batch.recency_rank.tolist(),
        batch.ages.tolist(),
        kinds.tolist(),
        str(newest),
    ]


@given(st.lists(st.tuples(st.lists(st.sampled_from("abc?"), max_size=6), st.booleans()), max_size=6), st.data())
def test_a_batch_is_its_users_one_after_the_other(users: list[tuple[list[str], bool]], data: st.DataObject) -> None:
    ids = ItemIds.of("abc")
    batch = HistoryBatch.of([told(*user) for user in users], ids)
    assert len(batch) == len(users)
    begin = data.draw(st.integers(0, len(users)))
    end = data.draw(st.integers(begin, len(users)))
    part = batch.some(begin, end)
    assert len(part) == end - begin
    for user in range(begin, end):
        alone = encode(told(*users[user]), ids)
        for one in (batch.one(user), part.one(user - begin)):
            assert columns(one) == columns(alone)
    length = data.draw(st.integers(1, 6))
    kept = np.array([item != 0 for item in batch.items.tolist()], bool)
    for user in range(len(users)):
        alone = encode(told(*users[user]), ids)
        newest = np.arange(len(alone.items)) >= len(alone.items) - length
        assert columns(batch.last(length).one(user)) == columns(alone.where(newest))
        assert columns(batch.where(kept).one(user)) == columns(alone.where(alone.items != 0))


def test_a_sample_of_users_has_all_events_of_each() -> None:
    users = np.repeat(np.arange(1_000, dtype=np.int32), 4)
    n = len(users)
    data = Interactions(
        np.array([f"u{user:03}" for user in range(1_000)]),
        np.array(["a", "b", "c", "d"]),
        users,
        np.tile(np.arange(4, dtype=np.int32), 1_000),
        np.ones(n, np.float32),
        np.arange(n, dtype=np.float64),
    )
    assert sample_users(data, n, np.random.default_rng(0)) is data
    sample = sample_users(data, 1_000, np.random.default_rng(0))
    assert 800 < len(sample.items) < 1_200
    assert set(np.bincount(sample.users, minlength=1_000).tolist()) == {0, 4}
    assert sample.user_ids is data.user_ids
