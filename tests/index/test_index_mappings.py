from __future__ import annotations

from typing import Any

import pytest

from es_recsys.index import mappings
from es_recsys.index_metadata import IndexMetadata, VectorMetadata

META = IndexMetadata(
    "shop",
    3,
    vectors={
        "text_vector": VectorMetadata(384, "f" * 32, "m"),
        "als_vector": VectorMetadata(64, "a" * 32, "als", "max_inner_product"),
    },
)


@pytest.mark.parametrize("name", ["items", "profiles", "users"])
def test_the_files_hold_settings_and_mappings_and_nothing_else(name: str) -> None:
    assert set(mappings.load(name)) == {"settings", "mappings"}


def test_items_bind_the_language_and_take_the_vector_fields() -> None:
    body = mappings.items_body(META, 100)
    properties = body["mappings"]["properties"]
    assert properties["title"]["analyzer"] == properties["categories"]["fields"]["text"]["analyzer"] == "content"
    assert {"type": "stemmer", "language": "english"} in body["settings"]["analysis"]["filter"].values()
    assert properties["text_vector"] == {
        "type": "dense_vector", "dims": 384, "index": True, "similarity": "cosine", "index_options": {"type": "flat"},
    }  # fmt: skip
    assert properties["als_vector"]["similarity"] == "max_inner_product"
    assert IndexMetadata.from_dict(body["mappings"]["_meta"]) == META


@pytest.mark.parametrize(
    "language", ["english", "german", "cjk", "chinese", "hebrew", "arabic", "thai", "standard", "greek", "sv"]
)
def test_every_analyser_that_is_named_is_defined(language: str) -> None:
    body = mappings.items_body(IndexMetadata("shop", 1, language=language), 10)
    defined = body["settings"]["analysis"]

    def named(node: Any, key: str) -> set[str]:
        if not isinstance(node, dict):
            return set()
        inner = set().union(*(named(value, key) for value in node.values())) if node else set()
        return inner | ({node[key]} if isinstance(node.get(key), str) else set())

    properties = body["mappings"]
    analysers = named(properties, "analyzer") | named(properties, "search_analyzer")
    assert analysers <= {*defined["analyzer"], "standard"}
    assert named(properties, "normalizer") <= set(defined["normalizer"])
    assert ("ends" in properties["properties"]["names"]["fields"]) == (language in ("german", "sv"))


def test_index_options_follow_the_count_unless_given() -> None:
    many = mappings.items_body(META, 50_000)["mappings"]["properties"]
    assert many["text_vector"]["index_options"]["type"] == "int8_hnsw"
    assert many["text_vector"]["index_options"]["rescore_vector"]["oversample"] >= 1.0
    assert many["als_vector"]["index_options"] == {"type": "flat"}
    assert mappings.items_body(META, 500_000)["mappings"]["properties"]["als_vector"]["index_options"]["type"] == "hnsw"
    given = {"text_vector": {"type": "hnsw", "m": 32, "ef_construction": 200}}
    assert mappings.items_body(META, 10, given)["mappings"]["properties"]["text_vector"]["index_options"] == given["text_vector"]


def test_a_field_without_a_row_is_a_models() -> None:
    metadata = VectorMetadata(8, "b" * 32, "gone", "max_inner_product")
    assert mappings.vector_mapping("gone_vector", metadata, 10)["similarity"] == "max_inner_product"


def test_field_types_are_those_one_can_filter_by() -> None:
    mapping = mappings.items_body(META, 10)["mappings"]
    mapping["properties"]["attributes"]["properties"] = {"year": {"type": "double"}, "colour": {"type": "keyword"}}
    assert mappings.filterable_fields(mapping) == {
        "item_id": "keyword", "group_id": "keyword", "title.keyword": "keyword",
        "categories": "keyword", "tags": "keyword", "brand": "keyword", "author": "keyword",
        "price": "double", "currency": "keyword", "created_at": "date", "expires_at": "date", "stock": "double",
        "available": "boolean", "attributes.year": "double", "attributes.colour": "keyword",
    }  # fmt: skip


def test_the_other_forms_of_an_attribute_are_among_the_field_types() -> None:
    mapping = mappings.items_body(META, 10)["mappings"]
    templates = {name: body["mapping"] for template in mapping["dynamic_templates"] for name, body in template.items()}
    mapping["properties"] = {"attributes": {"properties": {"size": templates["whole_numbers"], "since": templates["dates"]}}}
    assert mappings.filterable_fields(mapping) == {
        "attributes.size": "double", "attributes.size._keyword": "keyword", "attributes.size._long": "long",
        "attributes.since": "date", "attributes.since._keyword": "keyword",
    }  # fmt: skip
