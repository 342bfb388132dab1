from __future__ import annotations

import pytest
from elasticsearch import Elasticsearch

from es_recsys.doctor import diagnose
from es_recsys.index_metadata import IndexMetadata, VectorMetadata, items_alias
from es_recsys.settings import EncoderSettings, Settings

pytestmark = pytest.mark.engine


def _not_ok(settings: Settings) -> dict[str, str]:
    return {check.name: check.what for check in diagnose(settings) if not check.ok}


def test_the_doctor_reads_the_store_in_service(es: Elasticsearch, settings: Settings, store_name: str) -> None:
    quiet = settings.model_copy(update={"encoders": EncoderSettings(text="some/model", image="none")})
    [told] = [check for check in diagnose(quiet) if check.name == "store"]
    assert told.ok and "no store" in told.what, "a new store is no fault"
    metadata = IndexMetadata(store_name, 1, vectors={"text_vector": VectorMetadata(4, "f" * 64, "other/model")}, models=("als",))
    es.indices.create(index=metadata.index, mappings={"_meta": metadata.to_dict()}, aliases={items_alias(store_name): {}})
    found = _not_ok(quiet)
    assert "other/model" in found["vectors: text_vector"]
    assert "000001" in found["model: als"]
    right = settings.model_copy(update={"encoders": EncoderSettings(text="other/model", image="none")})
    assert "vectors: text_vector" not in _not_ok(right)


def test_an_index_of_somebody_else_is_a_fault(es: Elasticsearch, settings: Settings, store_name: str) -> None:
    es.indices.create(index=f"{store_name}-x", aliases={items_alias(store_name): {}})
    assert "not made by es-recsys" in _not_ok(settings)["store"]
