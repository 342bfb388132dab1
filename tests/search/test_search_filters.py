from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.errors import FilterError
from es_recsys.search.filters import parse

FIELDS = {
    "price": "double",
    "brand": "keyword",
    "categories": "keyword",
    "created_at": "date",
    "available": "boolean",
    "attributes.size": "long",
    "attributes.color": "keyword",
}


@pytest.mark.parametrize(
    ("expression", "clause"),
    [
        ("brand:acme", {"term": {"brand": "acme"}}),
        ("brand:acme,zed", {"terms": {"brand": ["acme", "zed"]}}),
        ("brand: acme , zed ,acme", {"terms": {"brand": ["acme", "zed"]}}),
        ('brand:"a, b",c', {"terms": {"brand": ["a, b", "c"]}}),
        ('brand:"say ""hi"""', {"term": {"brand": 'say "hi"'}}),
        ('brand:"a\\"b"', {"term": {"brand": 'a"b'}}),
        ('brand:"10..50"', {"term": {"brand": "10..50"}}),
        ("brand:a:b", {"term": {"brand": "a:b"}}),
        ("price:10..50", {"range": {"price": {"gte": 10, "lte": 50}}}),
        ("price:..9.5", {"range": {"price": {"lte": 9.5}}}),
        ("price:-5..", {"range": {"price": {"gte": -5}}}),
        ("price:>=10", {"range": {"price": {"gte": 10}}}),
        ("price:<10", {"range": {"price": {"lt": 10}}}),
        ("-price:10..50", {"bool": {"must_not": [{"range": {"price": {"gte": 10, "lte": 50}}}]}}),
        ("-brand:acme", {"bool": {"must_not": [{"term": {"brand": "acme"}}]}}),
        ("created_at:>2026-01-01", {"range": {"created_at": {"gt": "2026-01-01"}}}),
        ("created_at:2026-01-01", {"range": {"created_at": {"gte": "2026-01-01", "lte": "2026-01-01"}}}),
        (
            "created_at:2025..2026-02-03T04:05:06",
            {"range": {"created_at": {"gte": "2025-01-01", "lte": "2026-02-03T04:05:06+00:00"}}},
        ),
        ("available:yes", {"term": {"available": True}}),
        ("size:42", {"term": {"attributes.size": 42}}),
        ("attributes.color:red,blue", {"terms": {"attributes.color": ["red", "blue"]}}),
    ],
)
def test_expressions(expression: str, clause: dict[str, Any]) -> None:
    assert parse([expression], FIELDS) == [clause]


@pytest.mark.parametrize(
    ("given_filter", "clause"),
    [
        ({"price": (None, 100)}, {"range": {"price": {"lte": 100}}}),
        ({"price": (5, 100.5)}, {"range": {"price": {"gte": 5, "lte": 100.5}}}),
        ({"price": 5}, {"term": {"price": 5}}),
        ({"brand": "a, b"}, {"term": {"brand": "a, b"}}),
        ({"brand": ["a", "b"]}, {"terms": {"brand": ["a", "b"]}}),
        ({"brand": ("a", "b")}, {"terms": {"brand": ["a", "b"]}}),
        ({"-brand": ["a"]}, {"bool": {"must_not": [{"term": {"brand": "a"}}]}}),
        ({"available": True}, {"term": {"available": True}}),
        (
            {"created_at": (datetime(2026, 1, 2, tzinfo=UTC), None)},
            {"range": {"created_at": {"gte": "2026-01-02T00:00:00+00:00"}}},
        ),
    ],
)
def test_mapping(given_filter: dict[str, Any], clause: dict[str, Any]) -> None:
    assert parse(given_filter, FIELDS) == [clause]


@pytest.mark.parametrize(
    "expression",
    [
        *(
            "",
            "brand",
            ":x",
            "brand:",
            "brand:a,,b",
            'brand:"a',
            'brand:"a"b',
            "price:..",
            "price:cheap",
            "price:nan",
            "price:inf",
        ),
        *("size:1.5", "brand:1..2", "brand:>a", "available:maybe", "created_at:yesterday", "price:>1,2", "_id:1", "title:x"),
    ],
)
def test_unusable_expressions_are_refused_by_name(expression: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse([expression], FIELDS)
    assert expression in caught.value.what
    assert caught.value.remedy


@pytest.mark.parametrize("given_filter", [{"price": (None, None)}, {"brand": []}, {"brand": None}, {"price": True}, {"nope": 1}])
def test_unusable_mappings_are_refused(given_filter: dict[str, Any]) -> None:
    with pytest.raises(FilterError):
        parse(given_filter, FIELDS)


def test_unknown_field_names_its_neighbours() -> None:
    with pytest.raises(FilterError, match="color"):
        parse(["colour:red"], FIELDS)


def test_one_string_is_one_expression() -> None:
    assert parse("brand:a", FIELDS) == [{"term": {"brand": "a"}}]


@given(st.text(max_size=60))
def test_any_text_gives_clauses_on_known_fields_or_a_filter_error(text: str) -> None:
    try:
        [clause] = parse([text], FIELDS)
    except FilterError:
        return
    [(kind, inner)] = clause.items()
    if kind == "bool" and "must_not" in inner:
        [(kind, inner)] = inner["must_not"][0].items()
    if kind != "bool":
        assert kind in ("term", "terms", "range")
        assert set(inner) <= set(FIELDS)


@given(st.text(alphabet=st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), min_size=1, max_size=80))
def test_quoted_value_comes_through_whole(value: str) -> None:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    assert parse([f'brand:"{escaped}"'], FIELDS) == [{"term": {"brand": value}}]
