"""The features of an answer's candidates are those of the table, by name, and unknown where nothing is known."""

from __future__ import annotations

import numpy as np
import pytest

from es_recsys.dataset import History, Interactions, ItemTable
from es_recsys.features import ITEM_COLUMNS, PAIR_COLUMNS, USER_COLUMNS, FeatureTable, ItemFeatures, compute_features

NOW, DAY = 1.7e9, 86_400.0
NAMED = {
    "item": [one.name for one in ITEM_COLUMNS],
    "user": [one.name for one in USER_COLUMNS],
    "pair": [one.name for one in PAIR_COLUMNS],
}
HISTORY = History(
    ("i0", "gone", "i2"), np.array([5.0, 1.0, 1.0], np.float32), np.array([2.0, 1.0, 0.0]), (), ("purchase", "view", "view"), NOW
)


@pytest.fixture
def table() -> FeatureTable:
    """One user did on four items what HISTORY says, another something else."""
    ids = np.array(["i0", "i1", "i2", "i3"])
    data = Interactions(
        np.array(["u0", "u1"]),
        ids,
        np.array([0, 0, 1], np.int32),
        np.array([0, 2, 1], np.int32),
        np.array([5.0, 1.0, 1.0], np.float32),
        np.array([NOW - 2 * DAY, NOW, NOW - 9 * DAY]),
        True,
        np.array([1, 0, 0], np.int8),
        ("view", "purchase", "cart"),
        np.full(3, np.nan, np.float32),
    )
    categories = [("wear", "hat"), ("wear", "hat"), ("wear", "shoe"), ("home",)]
    items = ItemTable(ids, [""] * 4, [""] * 4, categories, ["A", "A", "B", ""], np.array([9.0, 12.0, 99.0, np.nan]), np.zeros(4))
    return compute_features(data, items, NOW)


def side(table: FeatureTable) -> ItemFeatures:
    places = {item_id: place for place, item_id in enumerate(table.item_ids.tolist())}
    return ItemFeatures(lambda ids: np.array([places.get(one, -1) for one in ids], np.int64), table.items, table.properties)


def test_candidates_have_the_rows_of_the_table(table: FeatureTable) -> None:
    found = side(table).candidates(["i1", "new", "i0"], HISTORY, NOW)
    assert list(found) == [f"{part}/{name}" for part, names in NAMED.items() for name in names]
    there = np.array([1, 0])
    rows = {"item": table.items[there], "user": table.users[[0, 0]], "pair": table.pairs(np.zeros(2, np.int64), there)}
    for part, names in NAMED.items():
        for place, name in enumerate(names):
            column = found[f"{part}/{name}"]
            assert column[[0, 2]] == pytest.approx(rows[part][:, place], rel=1e-5, nan_ok=True), name
            assert np.isnan(column[1]) or part == "user"
    assert found["pair/category_affinity"][0] == pytest.approx(5 * 2 ** (-2 / 30) / (5 * 2 ** (-2 / 30) + 1), rel=1e-5)
    assert found["pair/since"].tolist() == pytest.approx([np.nan, np.nan, 2.0], nan_ok=True)
    assert found["user/purchases"].tolist() == [1.0, 1.0, 1.0]


def test_the_users_time_is_that_of_the_answer(table: FeatureTable) -> None:
    later = side(table).candidates(["i0"], HISTORY, NOW + 3 * DAY)
    assert later["user/recency"].tolist() == pytest.approx([3.0])
    assert later["pair/since"].tolist() == pytest.approx([5.0])
    assert later["item/recency"].tolist() == pytest.approx([2.0])


def test_an_empty_history_tells_of_items_alone(table: FeatureTable) -> None:
    found = side(table).candidates(["i0"], History(), NOW)
    assert {name.partition("/")[0] for name in found} == {"item"}
    assert found["item/events"].tolist() == [1.0]


def test_a_history_of_items_that_are_not_there_is_one_of_nothing(table: FeatureTable) -> None:
    found = side(table).candidates(["i0"], History.of(["gone"]), NOW)
    assert found["user/events"].tolist() == [0.0] and np.isnan(found["user/recency"]).all()
    assert found["pair/events"].tolist() == [0.0] and found["pair/category_affinity"].tolist() == [0.0]
