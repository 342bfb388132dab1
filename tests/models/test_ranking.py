"""The best of many scores, against a full sort."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.models.histories import LAST, Batch, encode
from es_recsys.models.ids import ItemIds
from es_recsys.models.ranking import best, decay
from es_recsys.types import History


@given(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 0.5, 2.0, 7.0]), max_size=30), st.integers(-1, 35))
def test_the_best_are_those_of_a_full_sort(scores: list[float], n: int) -> None:
    expected = sorted(range(len(scores)), key=lambda place: (-scores[place], place))[: max(n, 0)]
    assert best(np.array(scores, np.float32), n).tolist() == expected


def test_decay_halves() -> None:
    assert decay(np.array([0.0, 2.0, 4.0]), 2.0).tolist() == [1, 0.5, 0.25]
    assert decay(np.array([0.0, 1e9]), math.inf).tolist() == [1, 1]


def test_a_history_keeps_places_across_unknown_items_and_its_newest_events() -> None:
    ids = ItemIds.of(["a", "b"])
    batch = encode(History(("b", "?", "a"), np.array([1, 9, -2], np.float32), np.array([8.0, 3.0, 0.0])), ids)
    assert (batch.items.tolist(), batch.weights.tolist()) == ([1, 0], [1, -2])
    assert (batch.places.tolist(), batch.ages.tolist()) == ([2, 0], [8, 0])
    long = encode(History.of(["b"] * 50 + ["a"] * LAST), ids)
    assert long.items.tolist() == [0] * LAST and long.places[0] == LAST - 1


@given(st.lists(st.lists(st.sampled_from("abc?"), max_size=6), max_size=6), st.data())
def test_a_batch_is_its_users_one_after_the_other(users: list[list[str]], data: st.DataObject) -> None:
    ids = ItemIds.of("abc")
    batch = Batch.of([History.of(items) for items in users], ids)
    assert len(batch) == len(users)
    begin = data.draw(st.integers(0, len(users)))
    end = data.draw(st.integers(begin, len(users)))
    part = batch.some(begin, end)
    assert len(part) == end - begin
    for user in range(begin, end):
        alone = encode(History.of(users[user]), ids)
        for one in (batch.one(user), part.one(user - begin)):
            assert one.items.tolist() == alone.items.tolist() and one.places.tolist() == alone.places.tolist()
