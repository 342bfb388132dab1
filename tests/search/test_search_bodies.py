"""The bodies that are sent, compared with what they should be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from es_recsys.errors import InputError
from es_recsys.index_metadata import IndexMetadata, VectorMetadata
from es_recsys.search.context import Context
from es_recsys.search.facets import aggregations, read_facets
from es_recsys.search.legs import LEGS, MAX_IDS, Body, active, ask, count_body, fill, matches_body, taste_vector
from es_recsys.search.lexical import BOOSTS, CLAUSES, codes, lexical_clauses, lexical_query
from es_recsys.search.plan import plan
from es_recsys.settings import SearchSettings
from es_recsys.types import Taste
from es_recsys.vector_fields import VECTOR_FIELDS

X, Y = np.array([1.0, 0.0], np.float32), np.array([0.0, 1.0], np.float32)
META = IndexMetadata(
    store="s",
    version=1,
    vectors={name: VectorMetadata(2, "f", "m") for name in ("text_vector", "image_vector", "als_vector")},
    fields={"created_at": "date", "price": "double", "brand": "keyword"},
    lexical={"title": 2.0, "all_text": 1.0},
)
FILTER = {"term": {"brand": "acme"}}
OUT = {"ids": {"values": ["x", "y"]}}
MATCHING = {"match": {"all_text": {"query": "red shoe", "minimum_should_match": "2<67%"}}}
EVERY_WORD = {"match": {"title.exact": {"query": "red shoe", "operator": "and"}}}
ITEM_ID = {"dis_max": {"queries": [{"term": {"item_id": {"value": "red shoe", "case_insensitive": True}}}]}}
JOINED = {
    "bool": {
        "should": [
            {"match": {"names.joined": {"query": "red shoe"}}},
            {"match": {"all_text": {"query": "redshoe"}}},
        ]
    }
}
ENDS = {"match": {"names.ends": {"query": "red shoe"}}}
STANDING = [EVERY_WORD, ITEM_ID, JOINED, ENDS]
WORDS = {
    "bool": {
        "should": [
            {"bool": {"must": [{"match": {"title": {"query": "red shoe"}}}], "boost": 2.0}},
            {"bool": {"must": [EVERY_WORD], "boost": 0.05}},
            {"bool": {"must": [ITEM_ID], "boost": 3.0}},
            {"bool": {"must": [JOINED], "boost": 0.3}},
            {"bool": {"must": [ENDS], "boost": 0.05}},
            {"bool": {"must": [{"match": {"all_text": {"query": "red shoe"}}}], "boost": 1.0}},
        ]
    }
}
QUIET = {"_source": False, "track_total_hits": False}


def context(**changes: Any) -> Context:
    given: dict[str, Any] = {
        "metadata": META,
        "now": 1_000.0,
        "text": "red shoe",
        "filters": (FILTER,),
        "exclude": frozenset({"y", "x"}),
        "vectors": {"text_vector": X, "image_vector": Y},
        "tastes": {"text_vector": Taste(X, None), "image_vector": Taste(None, Y)},
        "factors": {"als": Y},
        "neighbours": {"transitions": [("a", 3.0), ("b", 1.0), ("c", -1.0)]},
        "popular": [("p", 9.0)],
        "settings": SearchSettings(depth=50, num_candidates=80),
    }
    return Context(**{**given, **changes})


def leg_body(name: str, asked: Context) -> Body | None:
    return ask(next(leg for leg in active(asked) if leg.name == name), asked)


def knn(field: str, vector: list[float], filters: list[Any]) -> Body:
    inside = {"filter": filters, "must_not": [OUT]}
    asked = {"field": field, "query_vector": vector, "k": 50, "num_candidates": 80, "filter": {"bool": inside}}
    return {"size": 50, **QUIET, "knn": asked}


def test_lexical() -> None:
    assert leg_body("lexical", context()) == {
        "size": 50,
        **QUIET,
        "query": {"bool": {"must": [WORDS], "filter": [FILTER], "must_not": [OUT]}},
    }


def test_vectors_of_the_question_look_everywhere() -> None:
    assert leg_body("text_vector", context()) == knn("text_vector", [1.0, 0.0], [FILTER])
    assert leg_body("image_vector", context()) == knn("image_vector", [0.0, 1.0], [FILTER])


def test_personal_legs_stay_among_the_matches() -> None:
    assert leg_body("taste_text", context()) == knn("text_vector", [1.0, 0.0], [FILTER, MATCHING])
    assert leg_body("taste_image", context()) == knn("image_vector", [0.0, 1.0], [FILTER, MATCHING])
    assert leg_body("als", context()) == knn("als_vector", [0.0, 1.0], [FILTER, MATCHING])


def test_without_words_personal_legs_look_everywhere() -> None:
    assert leg_body("als", context(text="", vectors={})) == knn("als_vector", [0.0, 1.0], [FILTER])


def test_lists_ask_which_of_their_ids_may_be_shown() -> None:
    def among(ids: list[str]) -> Body:
        inside = {"filter": [{"ids": {"values": ids}}, FILTER, MATCHING], "must_not": [OUT]}
        return {"size": len(ids), **QUIET, "query": {"bool": inside}}

    assert leg_body("transitions", context()) == among(["a", "b"])
    assert leg_body("popular", context()) == among(["p"])


def test_lists_are_cut() -> None:
    body = leg_body("popular", context(popular=[(f"i{i}", 1.0) for i in range(1_000)]))
    assert body is not None
    assert body["size"] == MAX_IDS


def test_fresh() -> None:
    age = {"distance_feature": {"field": "created_at", "origin": 1_000_000, "pivot": "720h"}}
    assert leg_body("fresh", context()) == {
        "size": 50,
        **QUIET,
        "query": {"bool": {"must": [age], "filter": [FILTER, MATCHING], "must_not": [OUT]}},
    }


def test_legs_that_have_nothing_to_ask_ask_nothing() -> None:
    nobody = Context(metadata=replace(META, fields={}, vectors={}), now=0.0, vectors={"text_vector": X}, factors={"als": X})
    assert all(ask(leg, nobody) is None for leg in active(nobody))


def test_plain_context_has_plain_bodies() -> None:
    plain = Context(metadata=META, now=0.0, text="red shoe", settings=SearchSettings(depth=50))
    assert leg_body("lexical", plain) == {"size": 50, **QUIET, "query": WORDS}


def test_picture_alone_takes_no_candidates_from_lists() -> None:
    asked = context(text="", vectors={"image_vector": X})
    assert leg_body("transitions", asked) is None
    assert leg_body("image_vector", asked) is not None


def test_fill_scores_exactly_the_ids() -> None:
    ids = {"filter": [{"ids": {"values": ["a", "b"]}}]}
    assert fill(LEGS["lexical"], context(), ["a", "b"]) == {"size": 2, **QUIET, "query": {"bool": {"must": [WORDS], **ids}}}
    asked = {"field": "text_vector", "query_vector": [1.0, 0.0], "k": 2, "num_candidates": 80, "filter": {"bool": ids}}
    assert fill(LEGS["text_vector"], context(), ["a", "b"]) == {"size": 2, **QUIET, "knn": asked}
    assert fill(LEGS["text_vector"], context(), []) is None


def test_candidates_lie_between_k_and_the_servers_limit() -> None:
    for depth, most in ((300, 100), (10, 10_000), (2_000, 10)):
        body = leg_body("text_vector", context(settings=SearchSettings(depth=depth, num_candidates=most)))
        assert body is not None
        assert body["knn"]["k"] <= body["knn"]["num_candidates"] <= 10_000


def counts(query: Any, size: int) -> Body:
    return {"size": size, "_source": False, "track_total_hits": True, "query": {"constant_score": {"filter": {"bool": query}}}}


def test_without_a_question_what_may_be_shown_is_counted_and_listed() -> None:
    assert matches_body(context(text="", vectors={})) == counts({"filter": [FILTER], "must_not": [OUT]}, 50)


def test_what_answers_a_question_is_counted() -> None:
    guards = {"filter": [FILTER], "must_not": [OUT], "minimum_should_match": 1}
    found = {"match": {"all_text": {"query": "red shoe"}}}
    near = {"ids": {"values": ["a", "b"]}}
    assert count_body(context(), [], words=True) == counts({**guards, "should": [*STANDING, found]}, 0)
    assert count_body(context(), ["a", "b"], words=True) == counts({**guards, "should": [*STANDING, found, near]}, 0)
    assert count_body(context(), ["a", "b"], words=False) == counts({**guards, "should": [MATCHING, near]}, 0)
    assert count_body(context(text=""), ["a", "b"], words=False) == counts({**guards, "should": [near]}, 0)
    titles = replace(META, lexical={"title": 1.0})
    by_title = {"match": {"title": {"query": "red shoe"}}}
    assert count_body(context(metadata=titles), [], words=True) == counts(
        {**guards, "should": [by_title, *STANDING, MATCHING]}, 0
    )


def test_plan_asks_the_weighted_legs() -> None:
    first = plan(context(strength=5.0))
    assert [leg.name for leg in first.asked] == [
        *("lexical", "text_vector", "image_vector", "taste_text", "taste_image", "popular", "als", "transitions")
    ]
    assert len(first.bodies) == len(first.asked)
    nothing_asked = plan(context(text="", vectors={}, facets=True))
    assert len(nothing_asked.bodies) == len(nothing_asked.asked) + 1
    assert set(nothing_asked.bodies[-1]["aggs"]) == {"brand", "price"}
    neutral = plan(context(personalization=0.0, strength=5.0))
    assert [leg.name for leg in neutral.asked] == ["lexical", "text_vector", "image_vector", "popular"]


def test_every_encoder_field_has_its_two_legs() -> None:
    for field in VECTOR_FIELDS.values():
        if field.source == "encoder":
            assert {field.name, f"taste_{field.content}"} <= LEGS.keys()


def test_taste_lies_between_long_and_short() -> None:
    mixed = taste_vector(context(tastes={"text_vector": Taste(X, Y)}), "text_vector")
    assert mixed is not None
    assert mixed[0] > mixed[1] > 0
    assert float(np.linalg.norm(mixed)) == pytest.approx(1.0)
    opposite = taste_vector(context(tastes={"text_vector": Taste(X, -X * np.float32(1.5))}), "text_vector")
    np.testing.assert_array_equal(opposite, X)


def test_clauses() -> None:
    clauses = lexical_clauses("Alien 3 trailer")
    assert clauses["title.pairs"] == {
        "bool": {
            "should": [
                {"match_phrase": {"title.exact": {"query": "alien 3"}}},
                {"match_phrase": {"title.exact": {"query": "3 trailer"}}},
            ]
        }
    }
    titles = clauses["title.whole"]["constant_score"]["filter"]["terms"]["title.keyword"]
    assert set(titles) == {"alien", "alien 3", "alien 3 trailer", "3", "3 trailer", "trailer"}
    assert "title.pairs" not in lexical_clauses("alien")
    assert set(BOOSTS) <= set(CLAUSES)


@pytest.mark.parametrize("text", ["", "  ", "?!", "a" * 4_000, "x " * 2_000, '"quoted" AND (title:*)'])
def test_any_text_gives_a_small_query(text: str) -> None:
    assert len(str(lexical_query(text))) < 60_000


def test_unknown_boosts_are_passed_over() -> None:
    assert lexical_query("red", {"smell": 1.0}) == lexical_query("red", {"title": 0.0})
    assert lexical_query("", {"smell": 1.0}) == lexical_query("", {"title": 0.0})


def test_codes_are_found_whatever_tuning_chose() -> None:
    for boosts in (None, {"title": 1.0}, {"title": 1.0, "codes": 0.0}):
        clauses = [each["bool"]["must"][0] for each in lexical_query("A-1234/B", boosts)["bool"]["should"]]
        code = {"term": {"codes": {"value": "A1234B", "boost": 1.0}}}
        assert any(code in clause.get("dis_max", {}).get("queries", ()) for clause in clauses)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4006381333931", {"4006381333931": 1.0}),
        ("4711", {"4711": 0.15}),
        ("alien 1979", {"alien1979": 1.0}),
        ("iron man 2 trailer", {"ironman2trailer": 1.0}),
        ("a 1234 b", {"a1234": 1.0, "a1234b": 1.0, "1234b": 1.0}),
        ("SKU-1", {"SKU1": 1.0}),
        ("red shoe", {}),
        ("10 % off", {"10off": 1.0}),
        ("x" * 70 + "1", {}),
        ("ＡＢ－１２", {"ＡＢ１２": 1.0}),
        ("", {}),
    ],
)
def test_codes_of_a_question(text: str, expected: dict[str, float]) -> None:
    assert codes(text) == expected


@pytest.mark.parametrize(
    "changes", [{"n": 0}, {"offset": -1}, {"n": 1_001}, {"offset": 995}, {"personalization": 1.5}, {"diversity": -0.1}]
)
def test_context_refuses_what_it_cannot_answer(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Context(metadata=META, now=0.0, **changes)


def test_pages_share_a_depth_until_they_leave_it() -> None:
    assert [context(offset=offset).depth for offset in (0, 40, 41)] == [50, 50, 1_000]


def test_facets_of_known_fields_without_empty_ones() -> None:
    assert set(aggregations(META.fields)) == {"brand", "price"}
    response = {
        "aggregations": {
            "brand": {"buckets": [{"key": "acme", "doc_count": 3}]},
            "price": {"buckets": [{"key": "0..10", "doc_count": 0}, {"key": "10..20", "doc_count": 2}]},
            "tags": {"buckets": []},
        }
    }
    assert read_facets(response) == {"brand": {"acme": 3}, "price": {"10..20": 2}}


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ({"n": 0}, "n is 0. Give 1 or more."),
        ({"offset": -5}, "offset is -5. Give 0 or more."),
        ({"n": 600, "offset": 500}, "offset 500 and n 600 ask beyond the first 1,000 hits."),
    ],
)
def test_pages_that_can_not_be_shown_are_refused(page: dict[str, int], said: str) -> None:
    with pytest.raises(InputError) as caught:
        context(**page)
    assert str(caught.value).startswith(said)
