"""A store and a person may name a model as it was called before 0.2."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from es_recsys.dataset import History, Interactions
from es_recsys.errors import ModelError
from es_recsys.index_metadata import IndexMetadata
from es_recsys.models import MODELS, CoVisitation, load_models
from es_recsys.renamed import current_models
from es_recsys.search.ranker import Ranker
from es_recsys.serving.answer_log import AnswerLog
from es_recsys.settings import FusionWeights, Settings
from es_recsys.training.train import check_model_names
from es_recsys.training.training_record import TrainingRecord
from es_recsys.training.tuned_settings import load_tuned, save_tuned, tuned_path

Make = Callable[..., Interactions]


def test_an_artefact_of_the_old_name_is_loaded(interactions: Make, tmp_path: Path) -> None:
    model = CoVisitation().fit(interactions({"u": ["a", "b"], "v": ["a", "b", "c"]}), np.random.default_rng(0))
    model.save(tmp_path / "transitions")
    manifest = tmp_path / "transitions" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "model": "transitions"}))
    loaded = load_models(tmp_path, ("covisitation",))["covisitation"]
    assert loaded.fingerprint == model.fingerprint
    assert loaded.recommend(History.of(["a"])) == model.recommend(History.of(["a"]))


def test_metadata_of_the_old_name_are_read() -> None:
    weights = {"no_query": {"transitions": 0.7, "als": 0.3}}
    stored = replace(IndexMetadata("shop", 1, models=("transitions", "als")), retriever_weights=weights).to_dict()
    found = IndexMetadata.from_dict(stored)
    assert found.models == ("covisitation", "als")
    assert found.retriever_weights == {"no_query": {"covisitation": 0.7, "als": 0.3}}


def test_a_record_of_training_of_the_old_name_is_read() -> None:
    notes = TrainingRecord(9, None, names=("transitions",)).noted({})
    found = TrainingRecord.of(IndexMetadata("shop", 1, models=("covisitation",), notes=notes))
    assert found is not None and found.names == ("covisitation",)


def test_tuned_settings_of_the_old_name_are_read(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    save_tuned(settings, "transitions", {"target_power": 0.4}, ordered=True, timed=True)
    old = load_tuned(settings, "covisitation")
    assert old is not None and old.target_power == 0.4
    save_tuned(settings, "covisitation", {"target_power": 0.1}, ordered=True, timed=True)
    assert tuned_path(settings, "covisitation").exists()
    new = load_tuned(settings, "covisitation")
    assert new is not None and new.target_power == 0.1


def test_tuned_settings_are_applied_to_what_the_search_set_out_from(interactions: Make, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    many = interactions({f"u{user}": [f"i{item}" for item in range(10)] for user in range(100)})
    kind = MODELS["sasrec"]
    dense = kind.config_for(many, True)
    assert dense != kind.default_config(True, many.timed)
    path = save_tuned(settings, "sasrec", {"dropout": 0.5}, ordered=True, timed=False, base=dense)
    assert load_tuned(settings, "sasrec") == replace(dense, dropout=0.5)
    path.write_text(path.read_text().replace('"max_length"', '"length"'))
    assert load_tuned(settings, "sasrec") == replace(dense, dropout=0.5)
    path.write_text(path.read_text().replace('"blocks"', '"floors"'))
    with pytest.raises(ModelError, match="tune model sasrec"):
        load_tuned(settings, "sasrec")


def test_logged_answers_of_the_old_name_are_read(tmp_path: Path) -> None:
    log = AnswerLog(tmp_path)
    hit = {"item_id": "a", "parts": {"transitions": 0.5, "als": 0.1}}
    log.write([{"hits": [hit], "signals": {"transitions/score": [1.0]}}])
    (found,) = log.read()
    assert found["hits"] == [{"item_id": "a", "parts": {"covisitation": 0.5, "als": 0.1}}]
    assert found["features"] == {"covisitation/score": [1.0]}


def test_a_learned_ranking_of_the_old_name_is_read() -> None:
    leaf = {"column": [0], "threshold": [np.inf], "child": [0], "value": [0.5], "roots": [0]}
    params = {"names": ["transitions/score"], "window": 10, "spaces": {}, "features": 1, "depth": 0}
    ranker = Ranker.from_params(params, {name: np.array(values) for name, values in leaf.items()})
    assert ranker.names == ("covisitation/score",)


def test_who_types_the_old_name_is_told() -> None:
    with pytest.warns(DeprecationWarning, match="transitions is called covisitation now"):
        assert current_models(["transitions", "als"]) == ("covisitation", "als")
    with pytest.warns(DeprecationWarning, match="transitions is called covisitation now"):
        assert check_model_names(["transitions"]) == ("covisitation",)
    with pytest.warns(DeprecationWarning, match="transitions is called covisitation now"):
        assert FusionWeights(no_query={"transitions": 2.0}).no_query == {"covisitation": 2.0}
