"""The forest without LightGBM says what LightGBM says, and its contributions sum to that."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from es_recsys.errors import ModelError
from es_recsys.search.forest import Forest

FEATURES = 6


@lru_cache(maxsize=1)
def trained() -> tuple[Any, Forest]:
    """A LambdaMART forest over features of which some are often missing, some never, some whole numbers; and ours of it."""
    lightgbm = pytest.importorskip("lightgbm")
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(2_000, FEATURES))
    rows[:, 1] = np.round(rows[:, 1])
    rows[:, :3][rng.random((2_000, 3)) < 0.3] = np.nan
    rows[:, 5] = 1.0
    grades = np.clip(np.round(np.nan_to_num(rows[:, 0], nan=1.5) + rows[:, 4] * np.nan_to_num(rows[:, 1])), 0, 3)
    data = lightgbm.Dataset(rows, grades, group=[20] * 100)
    told = {"objective": "lambdarank", "verbosity": -1, "num_threads": 1, "max_depth": 6, "min_data_in_leaf": 5}
    booster = lightgbm.train(told, data, 30)
    forest = Forest.from_dump(booster.dump_model())
    return booster, Forest.from_arrays(forest.arrays(), forest.features, forest.depth)


cells = st.one_of(st.just(float("nan")), st.just(0.0), st.integers(-3, 3).map(float), st.floats(-1e6, 1e6))
tables = hnp.arrays(np.float64, st.tuples(st.integers(1, 30), st.just(FEATURES)), elements=cells)


@given(tables)
def test_predicts_what_lightgbm_predicts(rows: NDArray[np.float64]) -> None:
    booster, forest = trained()
    assert forest.predict(rows) == pytest.approx(booster.predict(rows), abs=1e-12)


@given(tables)
def test_contributions_sum_to_the_prediction(rows: NDArray[np.float64]) -> None:
    _, forest = trained()
    parts = forest.contributions(rows)
    assert parts.shape == (len(rows), FEATURES + 1)
    assert parts.sum(axis=1) == pytest.approx(forest.predict(rows), abs=1e-12)
    assert len(np.unique(parts[:, -1])) == 1


def test_a_feature_that_no_tree_asks_contributes_nothing() -> None:
    _, forest = trained()
    assert 5 not in forest.used
    rows = np.random.default_rng(0).normal(size=(50, FEATURES))
    assert not forest.contributions(rows)[:, 5].any()
    assert {0, 1, 4} <= set(forest.used.tolist())


def test_a_row_says_the_same_alone_as_among_others() -> None:
    _, forest = trained()
    rows = np.random.default_rng(1).normal(size=(40, FEATURES))
    assert [float(forest.predict(rows[i : i + 1])[0]) for i in range(40)] == forest.predict(rows).tolist()


def test_a_tree_of_one_leaf() -> None:
    forest = Forest.from_dump({"max_feature_idx": 1, "tree_info": [{"tree_structure": {"leaf_value": 0.25}}]})
    assert forest.predict(np.zeros((2, 2))).tolist() == [0.25, 0.25]
    assert forest.contributions(np.zeros((1, 2))).tolist() == [[0.0, 0.0, 0.25]]
    assert not len(forest.used)


@pytest.mark.parametrize(("name", "value"), [("child", 10**6), ("child", -1), ("column", 3 * FEATURES), ("roots", -1)])
def test_arrays_that_are_no_forest_are_refused(name: str, value: int) -> None:
    _, forest = trained()
    arrays = {each: array.copy() for each, array in forest.arrays().items()}
    arrays[name][0] = value
    with pytest.raises(ModelError, match="es-recsys train ranking"):
        Forest.from_arrays(arrays, forest.features, forest.depth)


def test_a_leaf_that_asks_something_is_refused() -> None:
    """It would be walked out of, and the walk might leave the arrays."""
    _, forest = trained()
    arrays = {each: array.copy() for each, array in forest.arrays().items()}
    arrays["threshold"][-1] = 0.0
    assert arrays["child"][-1] == len(arrays["child"]) - 1
    with pytest.raises(ModelError, match="es-recsys train ranking"):
        Forest.from_arrays(arrays, forest.features, forest.depth)


@pytest.mark.parametrize("depth", [0, -1, 1])
def test_a_walk_that_stops_above_the_leaves_is_refused(depth: int) -> None:
    _, forest = trained()
    assert forest.depth > 1
    with pytest.raises(ModelError, match="es-recsys train ranking"):
        Forest.from_arrays(forest.arrays(), forest.features, depth)


def test_what_it_does_not_have_is_refused() -> None:
    leaf = {"leaf_value": 1.0, "leaf_count": 1}
    node = {"split_feature": 0, "threshold": 1, "default_left": True, "left_child": leaf, "right_child": leaf}
    for told in ({"decision_type": "==", "missing_type": "None"}, {"decision_type": "<=", "missing_type": "Zero"}):
        with pytest.raises(ModelError):
            Forest.from_dump({"max_feature_idx": 0, "tree_info": [{"tree_structure": {**node, **told}}]})
    with pytest.raises(ModelError, match="6 features"):
        trained()[1].predict(np.zeros((2, 3)))
    with pytest.raises(ModelError):
        Forest.from_arrays({}, 1, 1)
