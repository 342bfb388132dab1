"""Settings, stores and logs may name retrievers as they were called before 0.2."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from search_inputs import inputs

from es_recsys.index_metadata import IndexMetadata
from es_recsys.renamed import current_feature
from es_recsys.search.ranker import Ranker
from es_recsys.search.retrieval_plan import plan_retrieval
from es_recsys.serving.answer_log import AnswerLog
from es_recsys.settings import FusionWeights, SearchSettings, load_settings

OLD = {"no_query": {"popular": 0.7, "als": 0.3}, "query": {"lexical": 0.9, "popular": 0.1, "fresh": 0.05}}
PRESENT = {"no_query": {"popularity": 0.7, "als": 0.3}, "query": {"lexical": 0.9, "popularity": 0.1, "recency": 0.05}}


def test_settings_of_the_old_names_are_read_with_a_warning(tmp_path: Path) -> None:
    told = [pytest.warns(DeprecationWarning, match=f"{old} is called") for old in ("popular", "fresh")]
    with told[0], told[1]:
        weights = FusionWeights(new_user={"popular": 0.4, "fresh": 0.6})
    assert weights.new_user == {"popularity": 0.4, "recency": 0.6}
    file = tmp_path / "es_recsys.toml"
    file.write_text("[search.weights.query]\nlexical = 1.0\nfresh = 0.2\n")
    with pytest.warns(DeprecationWarning, match="fresh is called recency now"):
        settings = load_settings(file)
    assert settings.search.weights.query == {"lexical": 1.0, "recency": 0.2}


def test_the_setting_that_logs_all_features_is_read_by_its_old_name() -> None:
    with pytest.warns(DeprecationWarning, match="log_signals is called log_features now"):
        assert SearchSettings(log_signals=True).log_features


@pytest.mark.parametrize("text", ["", "red shoe"])
def test_a_stored_store_of_the_old_names_answers_alike(text: str) -> None:
    stored = replace(IndexMetadata("shop", 1), retriever_weights=OLD).to_dict()
    plans = []
    for metadata in (IndexMetadata.from_dict(stored), replace(IndexMetadata("shop", 1), retriever_weights=PRESENT)):
        metadata = replace(metadata, fields={"created_at": "date"})
        known = {"factors": {"als": np.ones(2, np.float32)}, "popularity": [("a", 2.0)], "strength": 5.0}
        plans.append(plan_retrieval(*inputs(metadata=metadata, now=1.0, text=text, **known)))
    old, present = plans
    assert old.weights == present.weights and old.bodies == present.bodies
    assert {retriever.name for retriever in old.searched} == ({"lexical", "recency"} if text else set()) | {"popularity"}


def test_a_stored_ranking_of_the_old_names_reads_the_same_features() -> None:
    leaf = {"column": [0], "threshold": [np.inf], "child": [0], "value": [0.5], "roots": [0]}
    params = {"names": ["popular/score", "fresh/rank", "title/words"], "window": 10, "spaces": {}, "features": 3, "depth": 0}
    ranker = Ranker.from_params(params, {name: np.array(values) for name, values in leaf.items()})
    assert ranker.names == ("popularity/score", "recency/rank", "title/words")


def test_logged_answers_of_the_old_names_are_read(tmp_path: Path) -> None:
    log = AnswerLog(tmp_path)
    log.write(
        [{"hits": [{"item_id": "a", "shown": 0.5, "parts": {"popular": 0.5, "als": 0.1}}], "signals": {"fresh/score": [1.0]}}]
    )
    (found,) = log.read()
    assert found["hits"] == [{"item_id": "a", "inclusion_probability": 0.5, "parts": {"popularity": 0.5, "als": 0.1}}]
    assert found["features"] == {"recency/score": [1.0]}


@pytest.mark.parametrize(
    ("old", "present"),
    [
        ("title/asked", "title/text_coverage"),
        ("title/covered", "title/query_coverage"),
        ("attributes.size/asked", "attributes.size/in_query"),
        ("attributes.actors/said", "attributes.actors/query_coverage"),
    ],
)
def test_features_of_the_old_names_are_read(old: str, present: str) -> None:
    assert current_feature(old) == current_feature(present) == present


@pytest.mark.parametrize("name", ["lexical/score", "attributes.popular/value", "query/evidence", "title/words"])
def test_other_features_keep_their_names(name: str) -> None:
    assert current_feature(name) == name
