"""How the hits of a window and their documents are read apart."""

from __future__ import annotations

from typing import Any

import pytest

from es_recsys.search.query_dsl import IDS_ONLY
from es_recsys.search.window_documents import window_documents

QUERY = {"match": {"title": "shirt"}}
HALF = {"half": {"script": "doc['price'].value / 2"}}


@pytest.mark.parametrize(
    ("contents", "asked"),
    [
        ({}, {}),
        ({"_source": False}, None),
        ({"script_fields": HALF}, None),
        ({"script_fields": HALF, "_source": True}, {"_source": True}),
        ({"script_fields": HALF, "stored_fields": ["a"]}, {"stored_fields": ["a"]}),
        ({"_source": False, "runtime_mappings": {"a": {"type": "long"}}}, None),
        ({"fields": ["a"], "runtime_mappings": {"a": {"type": "long"}}, "timeout": "1s"}, "fields runtime_mappings timeout"),
        (
            {"_source": False, "highlight": {"fields": {}}},
            {"_source": False, "highlight": {"highlight_query": QUERY, "fields": {}}},
        ),
        ({"aggs": {}, "post_filter": {}, "min_score": 1.0, "explain": True, "suggest": {}, "collapse": {"field": "a"}}, {}),
    ],
)
def test_what_the_documents_are_asked_for(contents: dict[str, Any], asked: Any) -> None:
    body = {"query": QUERY, "from": 0, "size": 200, **contents}
    read = window_documents(body, "_id", is_ours=False)
    assert read.documents == ({name: body[name] for name in asked.split()} if isinstance(asked, str) else asked)
    left = {"fields", "highlight", "stored_fields"}
    assert read.search == {**{name: value for name, value in body.items() if name not in left}, "_source": False}


@pytest.mark.parametrize(
    ("more", "quick"),
    [
        ({}, True),
        ({"aggs": {}, "highlight": {"fields": {}}}, True),
        ({"explain": True}, False),
        ({"knn": {}, "highlight": {"fields": {}}}, False),
        ({"query": {"bool": {"must": [{"nested": {"path": "a", "query": QUERY, "inner_hits": {}}}]}}}, False),
    ],
)
def test_ids_alone_are_read_of_our_own_items_where_nothing_else_needs_stored_fields(more: dict[str, Any], quick: bool) -> None:
    read = window_documents({"query": QUERY, **more}, "_id", is_ours=True)
    assert (IDS_ONLY.items() <= read.search.items()) == quick
    assert read.id_field == ("item_id" if quick else "_id")


def test_documents_of_one_id_in_several_indices_are_told_apart() -> None:
    read = window_documents({"query": QUERY, "fields": ["a"]}, "sku", is_ours=False)
    hits = [{"_index": name, "_id": "1", "_score": score, "fields": {"sku": ["x"]}} for name, score in (("a", 2.0), ("b", 1.0))]
    body = read.body_of(hits)
    assert (body["query"], body["size"]) == ({"ids": {"values": ["1"]}}, 2)
    found = [{"_index": name, "_id": "1", "_score": 1.0, "_source": {}, "fields": {"a": [name]}} for name in "cb"]
    gone, kept = read.merged(hits, {"hits": {"hits": found}})
    assert gone is None
    assert kept == {"_index": "b", "_id": "1", "_score": 1.0, "_source": {}, "fields": {"a": ["b"]}}
    assert read.merged(hits[:1], None) == [{"_index": "a", "_id": "1", "_score": 2.0}]


def test_the_field_of_the_ids_stays_where_hits_are_collapsed_by_it() -> None:
    hit = {"_index": "a", "_id": "1", "_score": 2.0, "fields": {"sku": ["x"], "brand": ["y"]}}
    for collapsed, left in (("sku", {"sku", "brand"}), ("brand", {"brand"})):
        read = window_documents({"query": QUERY, "collapse": {"field": collapsed}}, "sku", is_ours=False)
        merged = read.merged([hit], None)[0]
        assert merged is not None and set(merged["fields"]) == left
