"""How a window of a caller's hits is weighed."""

from __future__ import annotations

from typing import Any

import pytest

from es_recsys.errors import InputError
from es_recsys.evaluation.queries import EvalQuery
from es_recsys.index_metadata import IndexMetadata
from es_recsys.query import Query
from es_recsys.search.body_window import WINDOW, page_of_body, policy_of_window
from es_recsys.search.request import RankingPolicy, Request, UserState
from es_recsys.search.retriever_weights import damped_weights, retriever_weights
from es_recsys.search.retrievers import LEXICAL, RETRIEVERS
from es_recsys.training.weight_questions import BodyTemplate

TASTE = next(one for one in RETRIEVERS.values() if one.personalized)
BASE = RETRIEVERS[LEXICAL]
WELL_KNOWN = UserState(strength=1e12)


def _weights(tables: dict[str, dict[str, float]], scores: list[float], text: str = "") -> dict[str, float]:
    policy = policy_of_window(RankingPolicy(metadata=IndexMetadata(store="s", version=1), retriever_weights=tables))
    request = Request(now=0.0, text=text, by_body=True)
    largest = retriever_weights(request, WELL_KNOWN, policy, (BASE, TASTE))
    return damped_weights(request, WELL_KNOWN, policy, largest, (BASE, TASTE), scores)


@pytest.mark.parametrize("text", ["", "shoes"])
def test_a_window_is_weighed_by_the_table_of_its_kind(text: str) -> None:
    alike, one = [1.0] * WINDOW, [1.0] + [0.1] * (WINDOW - 1)
    tables = {
        "window_vague": {LEXICAL: 0.5, TASTE.name: 0.9},
        "query_vague": {LEXICAL: 1.0, TASTE.name: 0.1},
        "query_item": {LEXICAL: 1.0, TASTE.name: 0.2},
    }
    assert _weights(tables, alike, text) == pytest.approx({LEXICAL: 0.5, TASTE.name: 0.9})
    assert _weights(tables, one, text)[TASTE.name] == pytest.approx(0.2)


def test_knn_finds_as_many_as_the_page_asks_for() -> None:
    knn = {"field": "v", "query_vector": [1.0]}
    body = {"query": {"bool": {"should": [{"knn": knn}, {"match": {"field": "query_vector"}}]}}, "knn": [knn, {**knn, "k": 3}]}
    sent = page_of_body({**body, "size": 7}).of_window({**body, "size": 7})
    assert (sent["size"], [each["k"] for each in sent["knn"]]) == (WINDOW, [7, 3])
    assert sent["query"]["bool"]["should"] == [{"knn": {"k": 7, **knn}}, {"match": {"field": "query_vector"}}]


@pytest.mark.parametrize(("size", "n"), [(3, 3), ("3", 3), (3.0, 3), (10**400, 10**400)])
def test_a_page_may_have_its_numbers_in_other_forms(size: Any, n: int) -> None:
    assert page_of_body({"size": size}).n == n


@pytest.mark.parametrize("size", [-1, 2.5, float("inf"), float("nan"), "x", "9" * 5_000, True, None, [3], "-1", ""])
def test_a_page_without_whole_numbers_passes_through(size: Any) -> None:
    assert "no whole number" in page_of_body({"size": size}).unranked


def test_words_go_into_a_body_where_it_says_so() -> None:
    template = BodyTemplate("products", {"query": {"bool": {"should": [{"match": {"name": "the {words}"}}]}}, "size": 3})
    asked = template.query(EvalQuery(Query(text='red "shoes"', user_id="u"), {"a": 1.0}))
    assert asked.query.body == {
        "query": {"bool": {"should": [{"match": {"name": 'the red "shoes"'}}]}},
        "from": 0,
        "size": WINDOW,
    }
    assert (asked.query.source_index, asked.query.text, asked.grades) == ("products", 'red "shoes"', {"a": 1.0})


@pytest.mark.parametrize(
    ("body", "why"),
    [({"query": {"match_all": {}}}, "words go"), ({"query": {"match": {"a": "{words}"}}, "sort": ["price"]}, "ordered again")],
)
def test_a_template_that_is_none_is_an_error(body: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        BodyTemplate("products", body)
