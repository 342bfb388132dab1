"""Artefacts and tuned settings with the names of settings that the version before had."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from es_recsys.dataset import History, Interactions, ItemTable
from es_recsys.models import MODELS
from es_recsys.models.aligned import AlignedConfig
from es_recsys.models.base import Model
from es_recsys.models.lsa import LSAConfig
from es_recsys.models.sasrec import SASRecConfig
from es_recsys.settings import Settings
from es_recsys.training.tuned_settings import load_tuned, save_tuned

Make = Callable[..., Interactions]
CONFIGS: dict[str, Any] = {
    "aligned": AlignedConfig(dims=4, batch_size=32, learning_rate=2e-3, epochs=1, validation_pairs=7),
    "lsa": LSAConfig(dims=4, min_df=1, max_df=0.9, max_words=500, query_weight=0.25),
    "sasrec": SASRecConfig(dims=8, max_length=6, epochs=1, id_dropout=0.1, weight_decay=0.2, dislike_weight=0.25),
}


def catalogue(ids: np.ndarray) -> ItemTable:
    rng, n = np.random.default_rng(3), len(ids)
    vectors = {name: rng.normal(size=(n, 6)).astype(np.float32) for name in ("text_vector", "image_vector")}
    texts = [f"word{number % 5} word{number % 7}" for number in range(n)]
    return ItemTable(ids, texts, texts, [()] * n, [""] * n, np.full(n, np.nan), np.full(n, np.nan), vectors)


@pytest.mark.parametrize("name", sorted(name for name, kind in MODELS.items() if kind.renamed_params))
def test_an_artefact_with_earlier_names_of_settings_loads(name: str, interactions: Make, tmp_path: Path) -> None:
    data = interactions({f"u{user}": [f"i{(user + step) % 30:02}" for step in range(6)] for user in range(40)})
    kind = MODELS[name]
    model: Model = kind(CONFIGS[name]).fit(data, np.random.default_rng(0), catalogue(data.item_ids))  # type: ignore[call-arg]
    model.save(tmp_path / name)
    path = tmp_path / name / "manifest.json"
    manifest = json.loads(path.read_text())
    earlier = {new: old for old, new in kind.renamed_params.items()}
    manifest["params"] = {earlier.get(setting, setting): value for setting, value in manifest["params"].items()}
    assert set(kind.renamed_params) <= set(manifest["params"])
    path.write_text(json.dumps(manifest))
    loaded = kind.load(tmp_path / name)
    assert loaded.config == model.config
    history = History.of(["i03", "i04"])
    assert loaded.recommend(history, 5) == model.recommend(history, 5) != []


def test_tuned_settings_with_earlier_names_are_read(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    save_tuned(settings, "lsa", {"most": 0.6}, ordered=True, timed=True)
    found = load_tuned(settings, "lsa")
    assert found is not None and found.max_df == 0.6
