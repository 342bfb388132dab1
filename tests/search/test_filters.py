from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.errors import FilterError
from es_recsys.search.filters import parse_filters

FIELDS = {
    "price": "double",
    "brand": "keyword",
    "title.keyword": "keyword",
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
        ('title:"a, b"', {"term": {"title.keyword": "a, b"}}),
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
    assert parse_filters([expression], FIELDS) == [clause]


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
    assert parse_filters(given_filter, FIELDS) == [clause]


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
        *(
            "size:1.5",
            "brand:1..2",
            "brand:>a",
            "available:maybe",
            "created_at:yesterday",
            "price:>1,2",
            "_id:1",
            "description:x",
        ),
    ],
)
def test_unusable_expressions_are_refused_by_name(expression: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_filters([expression], FIELDS)
    assert expression in caught.value.what
    assert caught.value.remedy


@pytest.mark.parametrize("given_filter", [{"price": (None, None)}, {"brand": []}, {"brand": None}, {"price": True}, {"nope": 1}])
def test_unusable_mappings_are_refused(given_filter: dict[str, Any]) -> None:
    with pytest.raises(FilterError):
        parse_filters(given_filter, FIELDS)


def test_unknown_field_names_its_neighbours() -> None:
    with pytest.raises(FilterError, match="color"):
        parse_filters(["colour:red"], FIELDS)


def test_one_string_is_one_expression() -> None:
    assert parse_filters("brand:a", FIELDS) == [{"term": {"brand": "a"}}]


@given(st.text(max_size=60))
def test_any_text_gives_clauses_on_known_fields_or_a_filter_error(text: str) -> None:
    try:
        [clause] = parse_filters([text], FIELDS)
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
    assert parse_filters([f'brand:"{escaped}"'], FIELDS) == [{"term": {"brand": normalize("NFC", value)}}]


MIXED = FIELDS | {
    "attributes.ean": "double",
    "attributes.ean._keyword": "keyword",
    "attributes.ean._long": "long",
    "attributes.gift": "boolean",
    "attributes.gift._keyword": "keyword",
    "attributes.since": "date",
    "attributes.since._keyword": "keyword",
}
LARGE = 123456789012345678
EAN, EAN_TEXT, EAN_LONG = "attributes.ean", "attributes.ean._keyword", "attributes.ean._long"


def any_of(*clauses: dict[str, Any]) -> dict[str, Any]:
    return {"bool": {"should": list(clauses), "minimum_should_match": 1}}


def unless(clause: dict[str, Any], path: str) -> dict[str, Any]:
    return {"bool": {"filter": [clause], "must_not": [{"exists": {"field": path}}]}}


@pytest.mark.parametrize(
    ("expression", "clause"),
    [
        ("ean:42", {"term": {EAN: 42}}),
        ("ean:XL", {"term": {EAN_TEXT: "XL"}}),
        ("ean:042", {"term": {EAN_TEXT: "042"}}),
        ("ean:42,XL,43,M", any_of({"terms": {EAN: [42, 43]}}, {"terms": {EAN_TEXT: ["XL", "M"]}})),
        ("ean:40..50", {"range": {EAN: {"gte": 40, "lte": 50}}}),
        ("ean:9007199254740992", {"term": {EAN: 2**53}}),
        (
            "ean:123456789012345679",
            any_of(unless({"term": {EAN: 123456789012345679}}, EAN_LONG), {"term": {EAN_LONG: 123456789012345679}}),
        ),
        (
            "ean:1234567890123456789012",
            any_of(unless({"term": {EAN: 1234567890123456789012.0}}, EAN_TEXT), {"term": {EAN_TEXT: "1234567890123456789012"}}),
        ),
        (
            f"ean:>{LARGE}",
            any_of({"range": {EAN_LONG: {"gt": LARGE}}}, unless({"range": {EAN: {"gt": LARGE}}}, EAN_LONG)),
        ),
        ("ean:..1e30", {"range": {EAN: {"lte": 1e30}}}),
        ("gift:true", {"term": {"attributes.gift": True}}),
        ("gift:yes", any_of({"term": {"attributes.gift": True}}, {"term": {"attributes.gift._keyword": "yes"}})),
        ("gift:card", {"term": {"attributes.gift._keyword": "card"}}),
        ("since:soon", {"term": {"attributes.since._keyword": "soon"}}),
    ],
)
def test_a_field_of_numbers_dates_or_flags_has_texts_too(expression: str, clause: dict[str, Any]) -> None:
    [found] = parse_filters([expression], MIXED)
    if "should" in found.get("bool", {}):
        found["bool"]["should"].sort(key=repr)
        clause["bool"]["should"].sort(key=repr)
    assert found == clause


def test_the_other_forms_of_a_field_are_no_names_to_propose() -> None:
    with pytest.raises(FilterError) as caught:
        parse_filters(["gifts:1"], MIXED)
    assert "_" not in caught.value.remedy.replace("created_at", "")


@pytest.mark.parametrize(("value", "terms"), [(42.0, ["42", "42.0"]), (True, "true"), (42, "42")])
def test_a_number_in_a_field_of_texts_is_its_text(value: Any, terms: Any) -> None:
    kind = "terms" if isinstance(terms, list) else "term"
    assert parse_filters({"color": value}, FIELDS) == [{kind: {"attributes.color": terms}}]


@given(st.integers(-(2**70), 2**70))
def test_a_whole_number_is_never_rounded(number: int) -> None:
    shown = repr(parse_filters([f"ean:{number}"], MIXED))
    assert str(number) in shown
