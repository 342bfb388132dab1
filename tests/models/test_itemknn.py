"""The cosine with shrinkage, worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from es_recsys.models import cooccurrence
from es_recsys.models.itemknn import ItemKNN, ItemKNNConfig
from es_recsys.types import History, Interactions

Make = Callable[..., Interactions]
RNG = np.random.default_rng(0)
PLAIN = {"shrinkage": 0.0, "user_power": 0.0, "normalise": False}


def weights_of(data: Interactions, item: str, **settings: object) -> dict[str, float]:
    model = ItemKNN(ItemKNNConfig(**{**PLAIN, **settings})).fit(data, RNG)  # type: ignore[arg-type]
    return dict(model.recommend(History.of([item])))


@pytest.fixture
def data(interactions: Make) -> Interactions:
    return interactions({"u": ["a", "b"], "v": ["a", "b"], "w": ["a", "c"], "x": ["b", ("c", -1)]})


def test_it_is_the_cosine_of_the_users(data: Interactions) -> None:
    assert weights_of(data, "a") == pytest.approx({"b": 2 / 3, "c": 1 / 3**0.5})


def test_shrinkage_lowers_what_rests_on_few(data: Interactions) -> None:
    assert weights_of(data, "a", shrinkage=1.0) == pytest.approx({"b": 2 / 4, "c": 1 / (3**0.5 + 1)})


def test_a_user_with_many_events_counts_less(interactions: Make) -> None:
    data = interactions({"u": ["a", "b"], "v": ["a", "b", "c", "d"], "w": ["a"]})
    # Squares of the lengths: a 1/2 + 1/4 + 1, b 1/2 + 1/4.
    assert weights_of(data, "a", user_power=1.0)["b"] == pytest.approx(0.75 / (1.75 * 0.75) ** 0.5)


def test_an_event_counts_by_the_root_of_its_weight(interactions: Make) -> None:
    data = interactions({"u": [("a", 4), ("b", 1)], "v": [("a", 1)], "w": ["b"]})
    assert weights_of(data, "a")["b"] == pytest.approx(2 / (5**0.5 * 2**0.5))


def test_only_the_nearest_stay_and_rows_can_have_unit_length(data: Interactions) -> None:
    assert set(weights_of(data, "a", neighbours=1)) == {"b"}
    row = weights_of(data, "a", normalise=True)
    assert sum(weight**2 for weight in row.values()) == pytest.approx(1)
    assert row["b"] / row["c"] == pytest.approx(2 / 3 * 3**0.5)


def test_blocks_change_nothing(data: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [weights_of(data, item, shrinkage=1.0) for item in "abc"]
    monkeypatch.setattr(cooccurrence, "_BLOCK", 1)
    assert [weights_of(data, item, shrinkage=1.0) for item in "abc"] == whole


def test_settings_survive_saving(data: Interactions, tmp_path: Path) -> None:
    config = ItemKNNConfig(7, 0.5, 0.25, False, 3.0)
    ItemKNN(config).fit(data, RNG).save(tmp_path / "m")
    assert ItemKNN.load(tmp_path / "m").config == config
