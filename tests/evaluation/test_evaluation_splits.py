"""Splits: what is held out is nowhere in training, the rule says the same of single events, and queries can be answered."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.dataset import Interactions
from es_recsys.errors import InputError
from es_recsys.evaluation import (
    QUERY_SPLITS,
    as_queries,
    judged_queries,
    query_split,
    search_outcomes,
    searches_by_user,
)
from es_recsys.evaluation.holdout import user_holdout
from es_recsys.events.records import StoredEvent

TYPES = ("view", "purchase", "dislike")
WEIGHTS = {"view": 1.0, "purchase": 5.0, "dislike": -3.0}
SPLITTERS = list(QUERY_SPLITS)

Row = tuple[str, str, str, float]


def interactions(rows: list[Row], timed: bool = True) -> Interactions:
    """Of (user, item, type, time)."""
    rows = sorted(rows, key=lambda row: (row[0], row[3]))
    users, user_codes = np.unique([row[0] for row in rows], return_inverse=True)
    items, item_codes = np.unique([row[1] for row in rows], return_inverse=True)
    return Interactions(
        users.astype(np.str_),
        items.astype(np.str_),
        user_codes.astype(np.int32),
        item_codes.astype(np.int32),
        np.array([WEIGHTS[row[2]] for row in rows], np.float32),
        np.array([row[3] for row in rows], np.float64),
        timed,
        np.array([TYPES.index(row[2]) for row in rows], np.int8),
        TYPES,
        np.full(len(rows), np.nan, np.float32),
    )


def rows_of(data: Interactions) -> list[Row]:
    return [
        (str(data.user_ids[u]), str(data.item_ids[i]), TYPES[k], float(t))
        for u, i, k, t in zip(data.users, data.items, data.type_idx if data.type_idx is not None else (), data.times, strict=True)
    ]


def events(draws: list[tuple[int, int, int, int]]) -> list[Row]:
    return [(f"u{u}", f"i{i}", TYPES[k], float(t)) for u, i, k, t in draws]


anything = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 7), st.integers(0, 2), st.integers(0, 30)), min_size=1, max_size=60
).map(events)


@pytest.mark.parametrize("splitter", SPLITTERS)
@given(rows=anything, seed=st.integers(0, 3))
def test_what_is_held_out_is_nowhere_in_training(splitter: str, rows: list[Row], seed: int) -> None:
    data = interactions(rows)
    split = query_split(splitter, data, np.random.default_rng(seed))
    kept = rows_of(split.train)
    for query in split.queries:
        own = {item for user, item, _, _ in kept if user == query.actor}
        assert query.grades
        assert not own & query.grades.keys()
        assert not query.seen & query.grades.keys()
        assert not set(query.history.item_ids) & query.grades.keys()
        assert query.history.item_ids
        assert query.query.user_id == query.actor


@pytest.mark.parametrize("splitter", SPLITTERS)
@given(rows=anything)
def test_the_rule_says_of_each_event_what_training_has(splitter: str, rows: list[Row]) -> None:
    data = interactions(rows)
    split = query_split(splitter, data, np.random.default_rng(1))
    parts = [split.rule.part(user, item, when) for user, item, _, when in rows_of(data)]
    assert [row for row, part in zip(rows_of(data), parts, strict=True) if part == "train"] == rows_of(split.train)
    asked = {query.actor: query for query in split.queries}
    for (user, item, _, _), part in zip(rows_of(data), parts, strict=True):
        if user in asked and part != "held":
            assert item in asked[user].history.item_ids


@pytest.mark.parametrize("splitter", SPLITTERS)
def test_the_same_seed_asks_the_same(splitter: str) -> None:
    rng = np.random.default_rng(0)
    data = interactions([(f"u{rng.integers(40)}", f"i{rng.integers(30)}", "view", float(t)) for t in range(600)])
    one, other = (query_split(splitter, data, np.random.default_rng(5), users=10) for _ in range(2))
    assert [q.actor for q in one.queries] == [q.actor for q in other.queries]
    assert [q.grades for q in one.queries] == [q.grades for q in other.queries]
    assert rows_of(one.train) == rows_of(other.train)
    assert 0 < len(one) <= 10


def test_the_last_new_item_is_not_one_that_came_again() -> None:
    rows: list[Row] = [("u", "a", "view", 0.0), ("u", "b", "view", 1.0), ("u", "c", "view", 2.0), ("u", "a", "view", 3.0)]
    (query,) = query_split("last", interactions(rows), np.random.default_rng(0)).queries
    assert query.grades == {"c": 1.0}
    assert query.history.item_ids == ("a", "b")
    assert query.timestamp == 2.0


def test_the_next_purchase_is_asked_before_its_views() -> None:
    rows: list[Row] = [
        ("u", "a", "view", 0.0),
        ("u", "b", "view", 1.0),
        ("u", "c", "view", 2.0),
        ("u", "b", "purchase", 3.0),
    ]
    (query,) = query_split("last", interactions(rows), np.random.default_rng(0), targets={"purchase"}).queries
    assert query.grades == {"b": 1.0}
    assert query.history.item_ids == ("a",)


def test_a_pair_is_held_out_of_all_behaviours() -> None:
    rows: list[Row] = [("u", f"i{n}", kind, float(n)) for n in range(10) for kind in ("view", "purchase")]
    split = query_split("random", interactions(rows, timed=False), np.random.default_rng(0))
    (query,) = split.queries
    assert len(query.grades) == 2
    assert len(split.train.items) == 16


def test_users_held_out_are_asked_with_their_history_but_not_learned_from() -> None:
    rows: list[Row] = [(f"u{u}", f"i{(u + n) % 12}", "view", float(n)) for u in range(20) for n in range(5)]
    split = as_queries(user_holdout(interactions(rows), np.random.default_rng(0), share=0.25))
    assert len(split) == 5
    trained = {row[0] for row in rows_of(split.train)}
    for query in split.queries:
        assert query.actor not in trained
        assert len(query.history.item_ids) == 4
        assert split.rule.part(query.actor, "i0", 0.0) == "known"


def test_of_more_held_out_users_than_are_asked_any_may_be_asked() -> None:
    """Ids often tell how old a user is; the first of them stand for nobody else."""
    rows: list[Row] = [(f"u{u:03}", f"i{(u + n) % 12}", "view", float(n)) for u in range(200) for n in range(3)]
    split = as_queries(user_holdout(interactions(rows), np.random.default_rng(0), users=20, share=0.5))
    asked = [query.actor for query in split.queries]
    assert len(asked) == 20 and len(split.rule.learned) == 100 and asked == sorted(asked)
    assert max(asked) > "u150"


def test_a_store_without_times_is_not_split_by_time() -> None:
    with pytest.raises(InputError, match="no times") as caught:
        query_split("time", interactions([("u", "a", "view", 0.0)], timed=False), np.random.default_rng(0))
    assert "random" in caught.value.remedy


def test_sessions_ask_as_sessions() -> None:
    rows: list[Row] = [("session:s 1", "a", "view", 0.0), ("session:s 1", "b", "view", 1.0)]
    (query,) = query_split("last", interactions(rows), np.random.default_rng(0)).queries
    assert query.query.session_id == "s 1"
    assert query.query.user_id is None


def _event(row: int, kind: str, when: float, item: str | None = None, **more: str) -> StoredEvent:
    return StoredEvent(row, kind, when, more.get("user", "u"), None, item, more.get("query"), query_id=more.get("query_id"))


def test_searches_are_rebuilt_with_what_followed() -> None:
    stored = [
        _event(1, "view", 10.0, "a"),
        _event(2, "search", 20.0, query="red shoes"),
        _event(3, "click", 25.0, "b"),
        _event(4, "purchase", 90.0, "b"),
        _event(5, "view", 95.0, "c"),
        _event(6, "dislike", 96.0, "d"),
        _event(7, "view", 20.0 + 1_801.0, "e"),
        _event(8, "search", 9_000.0, query="nothing follows"),
    ]
    rows: list[Row] = [("u", "a", "view", 10.0), ("u", "b", "view", 25.0), ("u", "c", "view", 95.0)]
    split = search_outcomes(interactions(rows), stored, np.random.default_rng(0))
    (query,) = split.queries
    assert query.query.text == "red shoes"
    assert query.query.user_id == "u"
    assert query.grades == {"b": 5.0, "c": 1.0}
    assert query.history.item_ids == ("a",)
    assert [row[1] for row in rows_of(split.train)] == ["a"]
    assert split.rule.part("u", None, 20.0) == "held"
    assert split.rule.part("u", None, 19.0) == "train"


def test_events_that_name_their_search_count_for_it() -> None:
    stored = [
        _event(1, "search", 1.0, query="first", query_id="q1"),
        _event(2, "search", 2.0, query="second", query_id="q2"),
        _event(3, "view", 3.0, "a", query_id="q1"),
        _event(4, "view", 3.0, "b", query_id="unheard of"),
    ]
    split = search_outcomes(interactions([("x", "a", "view", 0.0), ("x", "b", "view", 0.0)]), stored, np.random.default_rng(0))
    (query,) = split.queries
    assert query.query.text == "first"
    assert query.grades == {"a": 1.0}
    assert not query.history.item_ids


def test_earlier_searches_are_part_of_what_is_known() -> None:
    stored = [
        _event(1, "search", 0.5, query="boots"),
        _event(2, "search", 9.0, query="later"),
    ]
    rows: list[Row] = [("u", "a", "view", 0.0), ("u", "b", "view", 1.0)]
    split = query_split("last", interactions(rows), np.random.default_rng(0), searches=searches_by_user(stored))
    assert split.queries[0].history.queries == ("boots",)


def test_judged_queries_are_asked_by_nobody() -> None:
    grades = {"shoes": {"a": 2.0, "b": 0.0}, "nothing": {"c": 0.0}}
    split = judged_queries(interactions([("u", "a", "view", 0.0)]), grades, np.random.default_rng(0))
    (query,) = split.queries
    assert query.query.text == "shoes"
    assert query.actor == ""
    assert query.grades == {"a": 2.0}
    assert math.isnan(query.timestamp)
    with pytest.raises(InputError):
        judged_queries(split.train, {"nothing": {"c": 0.0}}, np.random.default_rng(0))
