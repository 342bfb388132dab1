from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from es_recsys.dataset import History, Interactions, ItemTable
from es_recsys.event_types import EVENT_TYPES, event_weight
from es_recsys.features import (
    ITEM_COLUMNS,
    PAIR_COLUMNS,
    USER_COLUMNS,
    FeatureTable,
    compute_features,
    features_of_history,
    user_features_of_histories,
)

NOW, DAY = 1.7e9, 86_400.0
TYPES = tuple(EVENT_TYPES)

# user, item, type, value, days before NOW
Row = tuple[int, int, str, float | None, float]


def interactions(rows: list[Row], users: int = 3, items: int = 4, timed: bool = True, typed: bool = True) -> Interactions:
    rows = sorted(rows, key=lambda row: row[0])
    return Interactions(
        np.array([f"u{n}" for n in range(users)]),
        np.array([f"i{n}" for n in range(items)]),
        np.array([row[0] for row in rows], np.int32),
        np.array([row[1] for row in rows], np.int32),
        np.array([event_weight(row[2], row[3]) for row in rows], np.float32),
        np.array([NOW - row[4] * DAY for row in rows]) if timed else np.arange(len(rows), dtype=np.float64),
        timed,
        np.array([TYPES.index(row[2]) for row in rows], np.int8) if typed else None,
        TYPES if typed else (),
        np.array([row[3] for row in rows], np.float32) if typed else None,
    )


def catalogue() -> ItemTable:
    """Four items that have been there long, and one that nobody saw."""
    return ItemTable(
        np.array(["i0", "i1", "i2", "i3", "new"]),
        [""] * 5,
        [""] * 5,
        [("wear", "hat"), ("wear", "hat"), ("wear", "shoe"), ("home",), ()],
        ["A", "B", "A", "", ""],
        np.array([9.0, 19.0, 99.0, np.nan, 5.0]),
        np.array([NOW - 10 * DAY] * 4 + [NOW + DAY]),
    )


ROWS: list[Row] = [
    (0, 0, "view", None, 0.5),
    (0, 0, "purchase", 2, 0.25),
    (0, 2, "view", None, 3.0),
    (0, 3, "dislike", None, 4.0),
    (1, 1, "dwell", 30, 2.0),
    (1, 1, "rating", 5, 1.0),
]


def column(rows: NDArray[Any], columns: Any, name: str) -> NDArray[Any]:
    values: NDArray[Any] = rows[..., [one.name for one in columns].index(name)]
    return values


def user(table: FeatureTable, name: str) -> list[float]:
    return column(table.users, USER_COLUMNS, name).tolist()


def item(table: FeatureTable, name: str) -> list[float]:
    return column(table.items, ITEM_COLUMNS, name).tolist()


def same(one: list[float]) -> Any:
    return pytest.approx(one, rel=1e-5, nan_ok=True)


NAN = float("nan")


def test_what_users_did_in_numbers() -> None:
    table = compute_features(interactions(ROWS), catalogue(), NOW)
    assert table.users.dtype == np.float32 and table.users.shape == (3, len(USER_COLUMNS))
    assert user(table, "recency") == same([0.25, 1.0, NAN])
    assert user(table, "tenure") == same([4.0, 2.0, NAN])
    assert user(table, "active_days") == [3, 2, 0]
    assert user(table, "events") == [4, 2, 0]
    rate = np.log(2) / 30 * sum(2 ** (-days / 30) for days in (1.0, 2.0))
    assert user(table, "frequency")[1:] == same([rate, 0.0])
    assert user(table, "items") == [2, 1, 0]
    assert user(table, "repeats") == same([1 / 3, 1 / 2, NAN])
    assert user(table, "purchases") == [1, 0, 0]
    assert user(table, "value") == same([18.0, NAN, NAN])
    assert user(table, "order_value") == same([18.0, NAN, NAN])
    # Three pairs were met, one of them came to a purchase.
    assert user(table, "conversion") == same([(1 + 10 / 3) / 12, (10 / 3) / 11, 1 / 3])
    assert user(table, "dwell") == same([NAN, 30.0, NAN])
    assert user(table, "rating") == same([NAN, 5.0, NAN])
    assert user(table, "dislikes") == same([0.25, 0.0, NAN])
    assert user(table, "price")[1] == pytest.approx(np.log1p(19))
    assert user(table, "price_spread")[1] == pytest.approx(0.0, abs=1e-3)
    assert user(table, "top_brand") == same([1.0, 1.0, NAN])
    assert user(table, "breadth") == same([0.0, 0.0, NAN])
    assert user(table, "freshness") == same([(9.5 + 9.75 + 7.0) / 3, 8.5, NAN])


def test_what_happened_to_items_in_numbers() -> None:
    table = compute_features(interactions(ROWS), catalogue(), NOW)
    assert table.item_ids.tolist() == ["i0", "i1", "i2", "i3", "new"]
    assert item(table, "events") == [2, 2, 1, 0, 0]
    assert item(table, "users") == [1, 1, 1, 0, 0]
    assert item(table, "recency") == same([0.25, 1.0, 3.0, NAN, NAN])
    assert item(table, "age") == same([10.0, 10.0, 10.0, 10.0, NAN])
    assert item(table, "purchases") == [1, 0, 0, 0, 0]
    assert item(table, "dislikes") == same([0.0, 0.0, 0.0, 1.0, NAN])
    assert item(table, "loyalty") == same([2.0, 2.0, 1.0, NAN, NAN])
    assert item(table, "price_level") == same([0.25, 0.75, 0.5, NAN, NAN])
    popularity = item(table, "popularity")
    assert popularity[0] == pytest.approx(2 ** (-0.5 / 30) + 5.5 * 2 ** (-0.25 / 30))
    assert item(table, "popularity_level") == same([5 / 6, 3 / 6, 1 / 6, 0.0, 0.0])
    assert item(table, "category_level") == same([0.75, 0.25, 0.5, 0.0, 0.0])


def test_pairs_are_looked_up() -> None:
    table = compute_features(interactions(ROWS), catalogue(), NOW)
    users, items = np.array([0, 0, 0, 1, 2]), np.array([0, 3, 1, 4, 0])
    rows = table.pairs(users, items)
    assert rows.shape == (5, len(PAIR_COLUMNS)) and rows.dtype == np.float32
    assert column(rows, PAIR_COLUMNS, "events").tolist() == [2, 0, 0, 0, 0]
    assert column(rows, PAIR_COLUMNS, "since").tolist() == same([0.25, 4.0, NAN, NAN, NAN])
    assert (column(rows, PAIR_COLUMNS, "weight")[:3] > 0).tolist() == [True, False, False]
    hats = (2 ** (-0.5 / 30) + 5.5 * 2 ** (-0.25 / 30)) / (2 ** (-0.5 / 30) + 5.5 * 2 ** (-0.25 / 30) + 2 ** (-3 / 30))
    assert column(rows, PAIR_COLUMNS, "category_affinity").tolist() == same([hats, 0.0, hats, 0.0, 0.0])
    assert column(rows, PAIR_COLUMNS, "department_affinity").tolist() == same([1.0, 0.0, 1.0, 0.0, 0.0])
    assert column(rows, PAIR_COLUMNS, "brand_affinity").tolist() == same([1.0, 0.0, 0.0, 0.0, 0.0])
    assert column(rows, PAIR_COLUMNS, "category_since").tolist() == same([0.25, NAN, 0.25, NAN, NAN])
    above, distance = (column(rows, PAIR_COLUMNS, name) for name in ("price_above", "price_distance"))
    assert above[3] == pytest.approx((np.log1p(5) - np.log1p(19)) / 0.2, rel=1e-5)
    np.testing.assert_array_equal(distance, np.abs(above))
    assert np.isnan(above[[1, 4]]).all()


events = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 3),
        st.sampled_from([name for name in TYPES if name != "search"]),
        st.sampled_from([None, 1.0, 4.0, 20.0]),
        st.sampled_from([-20.0, -1.0, -0.001, 0.0, 0.4, 3.0, 3.0, 45.0, 400.0]),
    ),
    max_size=25,
)


def equal(one: FeatureTable, other: FeatureTable) -> None:
    users, items = (grid.ravel() for grid in np.meshgrid(np.arange(3), np.arange(5)))
    for mine, theirs in (
        (one.users, other.users),
        (one.items, other.items),
        (one.pairs(users, items), other.pairs(users, items)),
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4)


@given(rows=events, later=events, chance=st.randoms(use_true_random=False))
def test_nothing_later_leaks_in_and_no_order_counts(rows: list[Row], later: list[Row], chance: Any) -> None:
    past = [row for row in rows if row[4] >= 0.0]
    expected = compute_features(interactions(past), catalogue(), NOW)
    equal(compute_features(interactions(rows), catalogue(), NOW), expected)
    mixed = [*rows, *((user, item, kind, value, -abs(days) - 1e-3) for user, item, kind, value, days in later)]
    chance.shuffle(mixed)
    equal(compute_features(interactions(mixed), catalogue(), NOW), expected)


@given(rows=events)
def test_every_number_is_in_its_range(rows: list[Row]) -> None:
    table = compute_features(interactions(rows), catalogue(), NOW)
    for columns, values in ((USER_COLUMNS, table.users), (ITEM_COLUMNS, table.items)):
        assert not np.isinf(values).any()
        for place, one in enumerate(columns):
            known = values[~np.isnan(values[:, place]), place]
            if one.unit in ("share", "0 to 1"):
                assert ((known >= -1e-6) & (known <= 1 + 1e-6)).all(), one.name
            elif one.unit in ("days", "events", "events a day", "users", "items", "seconds", "money"):
                assert (known >= 0).all(), one.name


@given(rows=events)
def test_a_history_tells_the_same_as_the_table_as_far_as_it_goes(rows: list[Row]) -> None:
    """All but quantities, dwell times and ratings, which histories do not have."""
    told = [row for row in rows if row[2] not in ("rating", "dwell")]
    mine: list[Row] = sorted(((0, row[1], row[2], None, max(row[4], 0.0)) for row in told), key=lambda row: -row[4])
    table = compute_features(interactions([*mine, (1, 0, "purchase", None, 1.0), (1, 1, "view", None, 1.0)]), catalogue(), NOW)
    history = History(
        tuple(f"i{row[1]}" for row in mine),
        np.array([event_weight(row[2]) for row in mine], np.float32),
        np.array([row[4] - mine[-1][4] for row in mine]),
        event_types=tuple(row[2] for row in mine),
        newest=NOW - mine[-1][4] * DAY if mine else NAN,
    )
    found = features_of_history(history, np.array([row[1] for row in mine], np.int64), table.properties, NOW)
    if mine:
        np.testing.assert_allclose(found.user, table.users[0], rtol=1e-4, atol=1e-4)
    items = np.arange(5)
    np.testing.assert_allclose(found.pairs(items), table.pairs(np.zeros(5, np.int64), items), rtol=1e-4, atol=1e-4)


@given(rows=events, timed=st.sets(st.integers(0, 3)), typed=st.sets(st.integers(0, 3)))
def test_many_histories_tell_what_each_tells(rows: list[Row], timed: set[int], typed: set[int]) -> None:
    """At the moment of its newest event, whatever is known of the others."""
    properties = compute_features(interactions([*rows, (1, 0, "purchase", None, 1.0)]), catalogue(), NOW).properties
    users, items = (np.array([row[column] for row in rows], np.int64) for column in (0, 1))
    weights = np.array([event_weight(row[2]) for row in rows], np.float64)
    days = np.array([row[4] for row in rows], np.float64)
    last = np.array([days[users == user].min(initial=np.inf) for user in range(4)])
    newest = np.array([NOW - last[user] * DAY if user in timed and np.isfinite(last[user]) else NAN for user in range(4)])
    kinds = np.array([TYPES.index(row[2]) if row[0] in typed else -1 for row in rows], np.int8)
    ages = days - last[users] if len(rows) else days
    found = user_features_of_histories(users, items, weights, ages, kinds, newest, properties)
    for user in set(users.tolist()):
        mine = users == user
        history = History(
            ("",) * int(mine.sum()),
            weights[mine].astype(np.float32),
            ages[mine],
            event_types=tuple(row[2] for row in rows if row[0] == user) if user in typed else (),
            newest=float(newest[user]),
        )
        now = None if np.isnan(newest[user]) else float(newest[user])
        np.testing.assert_allclose(
            found[user], features_of_history(history, items[mine], properties, now).user, rtol=1e-5, atol=1e-5
        )


def test_what_a_source_does_not_say_is_unknown() -> None:
    bare = compute_features(interactions(ROWS, timed=False, typed=False), None)
    unknown = [one.name for place, one in enumerate(USER_COLUMNS) if np.isnan(bare.users[:, place]).all()]
    assert {"recency", "tenure", "frequency", "trend", "active_days", "purchases", "conversion", "dwell", "price"} <= set(unknown)
    assert user(bare, "events") == [4, 2, 0] and bare.item_ids.tolist() == ["i0", "i1", "i2", "i3"]
    found = features_of_history(History.of(["?", "i1"]), np.array([-1, 1]), bare.properties, NOW)
    assert column(found.user, USER_COLUMNS, "events") == 1 and np.isnan(column(found.user, USER_COLUMNS, "recency"))


def test_nothing_at_all() -> None:
    table = compute_features(interactions([], users=0, items=0), None)
    assert table.users.shape == (0, len(USER_COLUMNS)) and table.items.shape == (0, len(ITEM_COLUMNS))
    assert table.pairs(np.zeros(0, np.int64), np.zeros(0, np.int64)).shape == (0, len(PAIR_COLUMNS))


def test_no_argument_is_changed() -> None:
    data, items = interactions(ROWS), catalogue()
    for array in (data.users, data.items, data.weights, data.times, items.prices, items.created):
        array.flags.writeable = False
    compute_features(data, items, NOW).pairs(np.array([0]), np.array([0]))


def test_facts_go_through_arrays() -> None:
    table = compute_features(interactions(ROWS), catalogue(), NOW)
    again = type(table.properties).from_arrays(table.properties.arrays())
    for name, array in table.properties.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)


def test_columns_have_one_meaning_each() -> None:
    for columns in (USER_COLUMNS, ITEM_COLUMNS, PAIR_COLUMNS):
        assert len({one.name for one in columns}) == len(columns)
        assert all(one.unit and one.description for one in columns)
