"""The bodies that are sent, compared with what they should be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest
from search_inputs import Inputs, changed, inputs

from es_recsys.dataset import Taste
from es_recsys.index_metadata import IndexMetadata, VectorMetadata
from es_recsys.search.bodies import browse_body, count_body, scoring_body
from es_recsys.search.facets import facet_aggs, parse_facets
from es_recsys.search.lexical import BOOSTS, CLAUSES, TextMatching, codes, lexical_clauses, lexical_query
from es_recsys.search.query_dsl import Body
from es_recsys.search.request import retrieval_depth
from es_recsys.search.retrieval_plan import PlannedRetriever, plan_retrieval
from es_recsys.search.retrievers import MAX_LIST_IDS, RETRIEVERS, active_retrievers, taste_vector
from es_recsys.settings import SearchSettings
from es_recsys.vector_fields import VECTOR_FIELDS

X, Y = np.array([1.0, 0.0], np.float32), np.array([0.0, 1.0], np.float32)
META = IndexMetadata(
    store="s",
    version=1,
    vectors={name: VectorMetadata(2, "f", "m") for name in ("text_vector", "image_vector", "als_vector")},
    fields={"created_at": "date", "price": "double", "brand": "keyword"},
    text_boosts={"title": 2.0, "all_text": 1.0},
)
FILTER = {"term": {"brand": "acme"}}
OUT = {"ids": {"values": ["x", "y"]}}
MATCHING = {"match": {"all_text": {"query": "red shoe", "minimum_should_match": "2<67%"}}}
ITSELF = {"constant_score": {"filter": {"term": {"title.keyword": "red shoe"}}}}
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
ENDS = {"dis_max": {"queries": [{"match": {f"names.{part}": {"query": "red shoe"}}} for part in ("ends", "heads")]}}
NAMES = ["categories", "brand", "tags", "author"]
NAME = {
    "constant_score": {
        "filter": {
            "bool": {
                "should": [
                    *({"term": {name: {"value": "red shoe", "case_insensitive": True}}} for name in NAMES),
                    {"term": {"codes": "red shoe"}},
                ]
            }
        }
    }
}
STANDING = [ITSELF, EVERY_WORD, NAME, ITEM_ID, JOINED, ENDS]
WORDS = {
    "bool": {
        "should": [
            {"bool": {"must": [{"match": {"title": {"query": "red shoe"}}}], "boost": 2.0}},
            {"bool": {"must": [ITSELF], "boost": 20.0}},
            {"bool": {"must": [EVERY_WORD], "boost": 0.05}},
            {"bool": {"must": [NAME], "boost": 10.0}},
            {"bool": {"must": [ITEM_ID], "boost": 3.0}},
            {"bool": {"must": [JOINED], "boost": 0.3}},
            {"bool": {"must": [ENDS], "boost": 0.05}},
            {"bool": {"must": [{"match": {"all_text": {"query": "red shoe"}}}], "boost": 1.0}},
        ]
    }
}
IDS = {"_source": False, "stored_fields": "_none_", "docvalue_fields": ["item_id"]}
QUIET = {**IDS, "track_total_hits": False}


def search(**changes: Any) -> Inputs:
    given: dict[str, Any] = {
        "metadata": META,
        "now": 1_000.0,
        "text": "red shoe",
        "filters": (FILTER,),
        "exclude": frozenset({"y", "x"}),
        "vectors": {"text_vector": X, "image_vector": Y},
        "tastes": {"text_vector": Taste(X, None), "image_vector": Taste(None, Y)},
        "factors": {"als": Y},
        "neighbours": {"covisitation": [("a", 3.0), ("b", 1.0), ("c", -1.0)]},
        "popularity": [("p", 9.0)],
        "settings": SearchSettings(depth=50, num_candidates=80),
    }
    return inputs(**{**given, **changes})


def planned(name: str, given: Inputs) -> PlannedRetriever | None:
    """What the plan has for a retriever, whatever it weighs."""
    weights = {situation: {name: 1.0} for situation in ("query", "no_query", "new_user")}
    known = changed(given, retriever_weights=weights, strength=5.0)
    return next((each for each in plan_retrieval(*known).planned if each.retriever.name == name), None)


def body_of(name: str, given: Inputs) -> Body | None:
    found = planned(name, given)
    return None if found is None or found.body is None else as_sent(found.body)


def as_sent(body: Body) -> Body:
    sent: Body = orjson.loads(orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY))
    return sent


def counted(given: Inputs, vector_matches: list[str], *, by_text: bool) -> Body:
    return count_body(given.request, given.policy, vector_matches, by_text=by_text)


def knn(field: str, vector: list[float], filters: list[Any]) -> Body:
    inside = {"filter": filters, "must_not": [OUT]}
    knn = {"field": field, "query_vector": vector, "k": 50, "num_candidates": 80, "filter": {"bool": inside}}
    return {"size": 50, **QUIET, "knn": knn}


def test_lexical() -> None:
    assert body_of("lexical", search()) == {
        "size": 50,
        **QUIET,
        "query": {"bool": {"must": [WORDS], "filter": [FILTER], "must_not": [OUT]}},
    }


def test_query_vectors_search_everywhere() -> None:
    assert body_of("text_vector", search()) == knn("text_vector", [1.0, 0.0], [FILTER])
    assert body_of("image_vector", search()) == knn("image_vector", [0.0, 1.0], [FILTER])


def test_personalised_retrievers_stay_among_the_matches() -> None:
    assert body_of("taste_text", search()) == knn("text_vector", [1.0, 0.0], [FILTER, MATCHING])
    assert body_of("taste_image", search()) == knn("image_vector", [0.0, 1.0], [FILTER, MATCHING])
    assert body_of("als", search()) == knn("als_vector", [0.0, 1.0], [FILTER, MATCHING])


def test_without_text_personalised_retrievers_search_everywhere() -> None:
    assert body_of("als", search(text="", vectors={})) == knn("als_vector", [0.0, 1.0], [FILTER])


def test_lists_ask_which_of_their_ids_may_be_shown() -> None:
    def among(ids: list[str]) -> Body:
        inside = {"filter": [{"ids": {"values": ids}}, FILTER, MATCHING], "must_not": [OUT]}
        return {"size": len(ids), **QUIET, "query": {"bool": inside}}

    assert body_of("covisitation", search(popularity=[])) == among(["a", "b"])
    assert body_of("popularity", search(neighbours={})) == among(["p"])
    both = plan_retrieval(*search(popularity=[("p", 9.0), ("a", 8.0)], strength=5.0)).planned
    assert [each.body for each in both if each.retriever.scale == "list"] == [among(["p", "a", "b"]), None]


def test_lists_are_cut() -> None:
    body = body_of("popularity", search(popularity=[(f"i{i}", 1.0) for i in range(1_000)], neighbours={}))
    assert body is not None
    assert body["size"] == MAX_LIST_IDS


def test_fresh() -> None:
    age = {"distance_feature": {"field": "created_at", "origin": 1_000_000, "pivot": "720h"}}
    assert body_of("recency", search()) == {
        "size": 50,
        **QUIET,
        "query": {"bool": {"must": [age], "filter": [FILTER, MATCHING], "must_not": [OUT]}},
    }


def test_retrievers_without_data_have_no_query() -> None:
    nobody = inputs(metadata=replace(META, fields={}, vectors={}), now=0.0, vectors={"text_vector": X}, factors={"als": X})
    assert active_retrievers(*nobody)
    assert all(retriever.build_query(*nobody) is None for retriever in active_retrievers(*nobody))


def test_plain_requests_have_plain_bodies() -> None:
    plain = inputs(metadata=META, now=0.0, text="red shoe", settings=SearchSettings(depth=50))
    assert body_of("lexical", plain) == {"size": 50, **QUIET, "query": WORDS}


def test_picture_alone_takes_no_candidates_from_lists() -> None:
    given = search(text="", vectors={"image_vector": X})
    assert body_of("covisitation", given) is None
    assert body_of("image_vector", given) is not None


def test_a_scoring_body_scores_exactly_the_ids() -> None:
    ids = {"filter": [{"ids": {"values": ["a", "b"]}}]}
    queries = {name: planned(name, search()) for name in ("lexical", "text_vector")}
    lexical, text_vector = (as_sent(scoring_body(each.query, ["a", "b"], search().policy)) for each in queries.values() if each)
    assert lexical == {"size": 2, **QUIET, "query": {"bool": {"must": [WORDS], **ids}}}
    knn = {"field": "text_vector", "query_vector": [1.0, 0.0], "k": 2, "num_candidates": 80, "filter": {"bool": ids}}
    assert text_vector == {"size": 2, **QUIET, "knn": knn}


def test_candidates_lie_between_k_and_the_servers_limit() -> None:
    for depth, most in ((300, 100), (10, 10_000), (2_000, 10)):
        body = body_of("text_vector", search(settings=SearchSettings(depth=depth, num_candidates=most)))
        assert body is not None
        assert body["knn"]["k"] <= body["knn"]["num_candidates"] <= 10_000


def counts(query: Any, size: int) -> Body:
    asked = IDS if size else {"_source": False}
    return {"size": size, **asked, "track_total_hits": True, "query": {"constant_score": {"filter": {"bool": query}}}}


def test_without_a_question_what_may_be_shown_is_counted_and_listed() -> None:
    browsing = search(text="", vectors={})
    assert browse_body(browsing.request, browsing.policy) == counts({"filter": [FILTER], "must_not": [OUT]}, 50)


def test_what_answers_a_question_is_counted() -> None:
    guards = {"filter": [FILTER], "must_not": [OUT], "minimum_should_match": 1}
    found, standing = {"match": {"all_text": {"query": "red shoe"}}}, [one for one in STANDING if one is not NAME]
    near = {"ids": {"values": ["a", "b"]}}
    assert counted(search(), [], by_text=True) == counts({**guards, "should": [*standing, found]}, 0)
    assert counted(search(), ["a", "b"], by_text=True) == counts({**guards, "should": [*standing, found, near]}, 0)
    assert counted(search(), ["a", "b"], by_text=False) == counts({**guards, "should": [MATCHING, near]}, 0)
    assert counted(search(text=""), ["a", "b"], by_text=False) == counts({**guards, "should": [near]}, 0)
    titles = replace(META, text_boosts={"title": 1.0})
    by_title = {"match": {"title": {"query": "red shoe"}}}
    assert counted(search(metadata=titles), [], by_text=True) == counts({**guards, "should": [by_title, *STANDING, MATCHING]}, 0)


def test_the_plan_has_the_retrievers_with_a_weight() -> None:
    first = plan_retrieval(*search(strength=5.0))
    searched = ["lexical", "text_vector", "image_vector", "taste_text", "taste_image", "popularity", "als"]
    assert [each.retriever.name for each in first.planned] == [*searched, "covisitation"]
    # One search looks for the ids of both lists.
    assert [retriever.name for retriever in first.searched] == searched
    assert {each.source for each in first.planned if each.retriever.scale == "list"} == {"popularity"}
    assert len(first.bodies) == len(first.searched)
    browsing = plan_retrieval(*search(text="", vectors={}, facets=True))
    assert len(browsing.bodies) == len(browsing.searched) + 1
    assert set(browsing.bodies[-1]["aggs"]) == {"brand", "price"}
    neutral = plan_retrieval(*search(personalization=0.0, strength=5.0))
    assert [retriever.name for retriever in neutral.searched] == ["lexical", "text_vector", "image_vector", "popularity"]


def test_every_encoder_field_has_its_two_retrievers() -> None:
    for field in VECTOR_FIELDS.values():
        if field.source == "encoder":
            assert {field.name, f"taste_{field.content}"} <= RETRIEVERS.keys()


def test_taste_lies_between_long_and_short() -> None:
    mixed = taste_vector(search(tastes={"text_vector": Taste(X, Y)}).user, "text_vector")
    assert mixed is not None
    assert mixed[0] > mixed[1] > 0
    assert float(np.linalg.norm(mixed)) == pytest.approx(1.0)
    opposite = taste_vector(search(tastes={"text_vector": Taste(X, -X * np.float32(1.5))}).user, "text_vector")
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
    assert lexical_query("red", TextMatching({"smell": 1.0})) == lexical_query("red", TextMatching({"title": 0.0}))
    assert lexical_query("", TextMatching({"smell": 1.0})) == lexical_query("", TextMatching({"title": 0.0}))


def test_codes_are_found_whatever_tuning_chose() -> None:
    for boosts in ({}, {"title": 1.0}, {"title": 1.0, "codes": 0.0}):
        clauses = [each["bool"]["must"][0] for each in lexical_query("A-1234/B", TextMatching(boosts))["bool"]["should"]]
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


def test_pages_share_a_depth_until_they_leave_it() -> None:
    pages = [search(offset=offset) for offset in (0, 40, 41)]
    assert [retrieval_depth(page.request, page.policy) for page in pages] == [50, 50, 1_000]


def test_facets_of_known_fields_without_empty_ones() -> None:
    assert set(facet_aggs(META.fields)) == {"brand", "price"}
    response = {
        "aggregations": {
            "brand": {"buckets": [{"key": "acme", "doc_count": 3}]},
            "price": {"buckets": [{"key": "0..10", "doc_count": 0}, {"key": "10..20", "doc_count": 2}]},
            "tags": {"buckets": []},
        }
    }
    assert parse_facets(response) == {"brand": {"acme": 3}, "price": {"10..20": 2}}
