"""Bodies that the service reads, and those that it refuses."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from es_recsys.service.errors import ServiceError, error_body
from es_recsys.service.search_body import BodyRules, check_body, parse_json, take_extensions, whole
from es_recsys.service.search_request import hit_contents

RULES = BodyRules({"products"})
SCRIPT = {"source": "System.exit(1)"}
HOSTILE: list[dict[str, Any]] = [
    {"script_fields": {"x": {"script": SCRIPT}}},
    {"query": {"script": {"script": SCRIPT}}},
    {"query": {"bool": {"filter": [{"bool": {"must": {"script": {"script": SCRIPT}}}}]}}},
    {"query": {"function_score": {"functions": [{"script_score": {"script": SCRIPT}}]}}},
    {"sort": [{"_script": {"type": "number", "script": SCRIPT}}]},
    {"aggs": {"a": {"aggs": {"b": {"scripted_metric": {"map_script": "x"}}}}}},
    {"aggs": {"a": {"bucket_selector": {"buckets_path": {}, "script": "1"}}}},
    {"runtime_mappings": {"x": {"type": "long", "script": SCRIPT}}},
    {"runtime_mappings": {"x": {"type": "lookup", "target_index": "secrets"}}},
    {"query": {"wrapper": {"query": base64.b64encode(b'{"match_all": {}}').decode()}}},
    {"query": {"terms": {"user": {"index": "secrets", "id": "1", "path": "members"}}}},
    {"post_filter": {"terms": {"user": {"index": "shop-profiles", "id": "1", "path": "history"}}}},
    {"query": {"more_like_this": {"like": [{"_index": "secrets", "_id": "1"}]}}},
    {"query": {"percolate": {"field": "q", "index": "secrets", "id": "1"}}},
    {"query": {"geo_shape": {"where": {"indexed_shape": {"id": "1"}}}}},
    {"aggs": {"a": {"filter": {"terms": {"u": {"index": "secrets", "id": "1", "path": "p"}}}}}},
    {"highlight": {"fields": {"x": {"highlight_query": {"script": {"script": SCRIPT}}}}}},
    {"suggest": {"s": {"phrase": {"collate": {"query": {"script": SCRIPT}}}}}},
    {"query": {"terms_set": {"codes": {"terms": ["a"], "minimum_should_match_script": SCRIPT}}}},
    {"suggest": {"s": {"phrase": {"collate": {"query": {"source": '{"terms": {"u": {"index": "secrets", "id": "1"}}}'}}}}}},
    {"query": {"terms": {"user": {"index": ["secrets"], "id": "1", "path": "members"}}}},
    {"pit": {"id": "abc"}},
    {"size": 10_001},
    {"from": 999, "size": 10},
    {"from": -1},
    {"size": "many"},
    {"size": True},
    {"aggs": {"a": {"terms": {"field": "x", "size": 1_000_000}}}},
    {"aggs": {"a": {"terms": {"field": "x", "size": "1000000"}}}},
    {"aggs": {"a": {"terms": {"field": "x", "size": 1e6}}}},
    {"aggs": {"a": {"terms": {"field": "x", "shard_size": 1_000_000}}}},
    {"scroll": "1m"},
    {"unknown": 1},
]


@pytest.mark.parametrize("body", HOSTILE, ids=lambda body: json.dumps(body)[:60])
def test_hostile_bodies_are_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ServiceError) as raised:
        check_body(body, RULES)
    assert raised.value.status == 400
    assert "secrets" not in raised.value.reason


def test_a_body_that_is_nested_without_end_is_refused() -> None:
    body: dict[str, Any] = {"match_all": {}}
    for _ in range(100):
        body = {"bool": {"must": [body]}}
    with pytest.raises(ServiceError, match="levels deep"):
        check_body({"query": body}, RULES)
    with pytest.raises(ServiceError, match="JSON"):
        parse_json(b'{"a":' * 5_000)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"query": {"match": {"name": "script"}}, "size": "1000"},
        {"query": {"terms": {"user": {"index": "products", "id": "1", "path": "p"}}}},
        {"query": {"bool": {"filter": {"term": {"index": "x"}}}}, "aggs": {"a": {"terms": {"field": "index", "size": 500}}}},
        {"aggs": {"index": {"terms": {"field": "index"}}, "id": {"terms": {"field": "id"}}}},
        {"knn": {"field": "v", "query_vector": [0.1, 0.2], "k": 10, "num_candidates": 100}},
        {"suggest": {"s": {"text": "shoos", "term": {"field": "name"}}}, "collapse": {"field": "sku"}, "_source": False},
    ],
)
def test_ordinary_bodies_pass(body: dict[str, Any]) -> None:
    check_body(body, RULES)


def test_scripts_pass_where_they_are_allowed_but_no_wrapper() -> None:
    rules = BodyRules({"products"}, allow_scripts=True)
    check_body({"query": {"script_score": {"query": {"match_all": {}}, "script": SCRIPT}}}, rules)
    with pytest.raises(ServiceError, match="wrapper"):
        check_body({"query": {"wrapper": {"query": "e30="}}}, rules)


@pytest.mark.parametrize("raw", [b"[]", b"1", b"{", b'{"a": 1} {"b": 2}', b"a: 1", b"\xff", b'{"a": NaN}'])
def test_what_is_no_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(ServiceError) as raised:
        parse_json(raw)
    assert raised.value.type == "parsing_exception"
    assert parse_json(b" ") == {}


def test_what_is_meant_for_the_service_is_taken_out() -> None:
    body = {"query": {}, "ext": {"es_recsys": {"user_id": "u"}, "ubi": {"user_query": "q", "application": "a"}, "other": {}}}
    rest, ours, ubi = take_extensions(body)
    assert rest == {"query": {}, "ext": {"other": {}}}
    assert ours is not None and ours.user_id == "u"
    assert ubi is not None and ubi.user_query == "q"
    untouched = {"query": {}, "ext": {"other": {}}}
    assert take_extensions(untouched) == (untouched, None, None)


@pytest.mark.parametrize("ext", [{"es_recsys": []}, {"es_recsys": {"user": "u"}}, {"ubi": {"user_query": 1}}, {"ubi": {"x": 1}}])
def test_an_extension_that_cannot_be_read_is_an_error(ext: Any) -> None:
    with pytest.raises(ServiceError) as raised:
        take_extensions({"ext": ext})
    assert raised.value.status == 400


def test_numbers_may_be_texts() -> None:
    assert (whole({"size": "7"}, "size", 10), whole({}, "size", 10)) == (7, 10)


def test_errors_have_the_shape_of_elasticsearch() -> None:
    assert error_body(ServiceError(404, "a", "b")) == {
        "error": {"root_cause": [{"type": "a", "reason": "b"}], "type": "a", "reason": "b"},
        "status": 404,
    }


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({"size": "3", "preference": "x"}, {}),
        ({"_source": "false"}, {"_source": False}),
        ({"_source": "true"}, {"_source": True}),
        ({"_source": "title,brand"}, {"_source": {"includes": ["title", "brand"]}}),
        ({"_source": "title", "_source_excludes": "a.*"}, {"_source": {"includes": ["title"], "excludes": ["a.*"]}}),
        ({"_source_includes": "title"}, {"_source": {"includes": ["title"]}}),
        ({"version": "", "explain": "false"}, {"version": True, "explain": False}),
        ({"seq_no_primary_term": "maybe"}, {"seq_no_primary_term": "maybe"}),
        ({"docvalue_fields": "b,c", "stored_fields": "d"}, {"docvalue_fields": ["a", "b", "c"], "stored_fields": ["d"]}),
    ],
)
def test_what_the_url_wants_of_hits_is_read_as_a_body_says_it(parameters: dict[str, str], found: dict[str, Any]) -> None:
    assert hit_contents({"docvalue_fields": ["a"], "_source": ["x"]}, parameters) == found
