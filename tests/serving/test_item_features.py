"""What behaviour says of the items comes back from its folder as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from es_recsys.dataset import History, Interactions
from es_recsys.errors import ModelError
from es_recsys.features import compute_features
from es_recsys.serving.item_features import item_features_folder, load_item_features, save_item_features


def test_it_comes_back_and_a_broken_one_is_refused(tmp_path: Path) -> None:
    users, items = np.array([0, 0, 1], np.int32), np.array([1, 0, 1], np.int32)
    times = 1.7e9 - 86_400.0 * np.array([3.0, 1.0, 2.0])
    ids = np.array(["é", "ü"]), np.array(["i0", "i1"])
    table = compute_features(Interactions(*ids, users, items, np.ones(3, np.float32), times), None, 1.7e9)
    folder = item_features_folder(tmp_path)
    assert load_item_features(folder) is None
    save_item_features(folder, table)
    side = load_item_features(folder)
    assert side is not None
    found = side.candidates(["i1", "?", "i0"], History.of(["i0"]), 1.7e9)
    assert found["item/users"].tolist() == pytest.approx([2.0, np.nan, 1.0], nan_ok=True)
    assert found["item/recency"].tolist() == pytest.approx([2.0, np.nan, 1.0], nan_ok=True)
    assert found["pair/events"].tolist() == pytest.approx([0.0, np.nan, 1.0], nan_ok=True)
    (folder / "items.npy").unlink()
    with pytest.raises(ModelError, match=r"items\.npy"):
        load_item_features(folder)
