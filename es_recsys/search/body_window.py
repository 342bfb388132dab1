"""A search body of the caller's, on an index of their own, whose best hits are ordered again for a person.

The body runs as it is. Of its first WINDOW hits what is known of the user changes the order, on the scales of our own searches:
their score over the best one stands where that of the words stands. What isn't personal doesn't count, so without a user it is
their order. Beyond the window their order stands.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from es_recsys.search.local_scores import local_scores
from es_recsys.search.query_dsl import Response, hits_of
from es_recsys.search.request import RankingPolicy, Request, UserState
from es_recsys.search.retrieval_results import RetrievalResults, RetrieverResult, list_best
from es_recsys.search.retriever_weights import SEARCH_KINDS, WINDOW_TABLES, damped_weights, retriever_weights, weight_table
from es_recsys.search.retrievers import LEXICAL, RETRIEVERS, active_retrievers, ranked_list
from es_recsys.search.window_documents import collapses_by, hit_without_field
from es_recsys.vector_fields import VECTOR_FIELDS

__all__ = [
    "WINDOW",
    "BodyPage",
    "id_text",
    "item_ids_of_body",
    "ordered_response",
    "page_of_body",
    "policy_of_window",
    "window_results",
    "with_id_field",
    "without_field",
]

WINDOW = 200
"""Hits that are ordered again."""

_DEFAULT_SIZE = 10
_MOST_DIGITS = 20
# So little that it parts nothing but equal scores, which are numbers of 32 bits.
_TIE = 1e-12
_ELSEWHERE: Mapping[str, str] = {
    "search_after": "it goes on after a hit",
    "pit": "it reads a point in time",
    "slice": "it reads a slice",
    "rescore": "it orders its best hits itself",
    "rank": "it orders its best hits itself",
    "retriever": "it orders its best hits itself",
}


@dataclass(frozen=True, slots=True)
class BodyPage:
    """The page that a body asks for.

    unranked: why Elasticsearch's order stands, "" where it may change.
    """

    offset: int
    n: int
    unranked: str = ""

    def of_window(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the body that finds the whole window."""
        # How many neighbours kNN finds is the size, where it says nothing: not that of the window.
        kept = {name: _with_neighbours(body[name], self.n) for name in ("knn", "query") if name in body}
        return {**body, **kept, "from": 0, "size": max(WINDOW, self.offset + self.n)}


def page_of_body(body: Mapping[str, Any]) -> BodyPage:
    """Return the page of a body."""
    offset, n = _whole(body.get("from", 0)), _whole(body.get("size", _DEFAULT_SIZE))
    if offset is None or n is None:
        return BodyPage(0, 0, "its from or size is no whole number")  # which Elasticsearch refuses
    reason = next((reason for key, reason in _ELSEWHERE.items() if key in body), "")
    if not reason and not _is_by_score(body.get("sort")):
        reason = "it sorts by something else than the score"
    if not reason and body.get("stored_fields") in ("_none_", ["_none_"]):
        reason = "its hits have no ids"
    if not reason and not all(isinstance(body.get(name, []), list) for name in ("docvalue_fields", "fields")):
        reason = "its docvalue_fields or fields are no list"  # which Elasticsearch refuses
    if not reason and not n:
        reason = "it asks for no hits"
    if not reason and offset >= WINDOW:
        reason = f"it begins beyond the first {WINDOW} hits"
    return BodyPage(offset, n, reason)


def with_id_field(body: Mapping[str, Any], id_field: str) -> Mapping[str, Any]:
    """Return the body with the doc values of a field asked for; the same one where hits come with it anyway."""
    given = [body.get(name, []) for name in ("docvalue_fields", "fields")]
    if not all(isinstance(each, list) for each in given):
        return body
    asked = [*given[0], *given[1]]
    names = {each.get("field") if isinstance(each, Mapping) else each for each in asked}
    if id_field == "_id" or collapses_by(body, id_field) or any(fnmatchcase(id_field, str(name)) for name in names):
        return body
    return {**body, "docvalue_fields": [*body.get("docvalue_fields", ()), {"field": id_field}]}


def item_ids_of_body(hits: Sequence[Mapping[str, Any]], id_field: str) -> list[str]:
    """Return the item id of each hit; the document's id where it has none in the field."""
    if id_field == "_id":
        return [hit.get("_id", "") for hit in hits]
    return [id_text(hit.get("fields", {}).get(id_field) or hit.get("_id", "")) for hit in hits]


def id_text(value: Any) -> str:
    """Return an id as text: of several the first, of a whole number in a field of doubles without its fraction."""
    if isinstance(value, list):
        value = value[0] if value else ""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def policy_of_window(policy: RankingPolicy) -> RankingPolicy:
    """Return the policy for a window: no hit stands for its variants, and a learned ranking is one of windows.

    Where `tune weights` chose how windows are weighed, they are. Else their score counts for all that would match a query of
    words, so that a person counts as much as in a search of our own.
    """
    settings = policy.settings.model_copy(update={"depth": WINDOW, "fusion": "weighted"})
    weights = dict(policy.retriever_weights)
    for name in ("query", *(kind for kind in SEARCH_KINDS if kind in weights)):
        table = weight_table(policy, name, ())
        matching = math.fsum(table.get(retriever, 0.0) for retriever in _matching_words(policy))
        weights[name] = {**weights.get(name, {}), LEXICAL: matching}
    weights |= {kind: weights[own] for kind, own in WINDOW_TABLES.items() if own in weights}
    rankers = {name: ranker for name, ranker in policy.rankers.items() if name == "window"}
    return replace(policy, settings=settings, retriever_weights=weights, collapse=False, rankers=rankers)


def _matching_words(policy: RankingPolicy) -> list[str]:
    """Return the retrievers that search by words, or by what an encoder makes of them."""
    fields = (row for name, row in VECTOR_FIELDS.items() if name in policy.metadata.vectors)
    return [LEXICAL, *(row.name for row in fields if row.content == "text" or row.encodes_queries)]


def window_results(
    request: Request,
    user: UserState,
    policy: RankingPolicy,
    scores: Mapping[str, float],
    total: int,
    products: Mapping[str, str],
) -> RetrievalResults:
    """Return the window as what a search by words would have found, for all personalised retrievers to score.

    scores: item id -> their score, best first. total: how much matches. products: item id -> product, of variants.
    """
    best = max(next(iter(scores.values()), 0.0), 0.0) or 1.0
    scaled = {item_id: score / best - rank * _TIE for rank, (item_id, score) in enumerate(scores.items())}
    found = [RetrieverResult(RETRIEVERS[LEXICAL], {}, scaled, best, True, 0.0, True)]
    personal = [each for each in active_retrievers(request, user, policy) if each.personalized]
    queries = [(each, query) for each in personal if (query := each.build_query(request, user, policy)) is not None]
    local = local_scores(request, policy, {each.name: query for each, query in queries}, list(scores))
    for retriever, query in queries:
        top = list_best(ranked_list(retriever, user, policy)) if retriever.scale == "list" else 1.0
        if retriever.scale == "inner" and retriever.name in local:
            top = float(np.nanmax(local[retriever.name], initial=0.0)) or 1.0
        found.append(RetrieverResult(retriever, query, {}, top, False, 1.0, False))
    retrievers = [each.retriever for each in found]
    largest = retriever_weights(request, user, policy, retrievers)
    weights = damped_weights(request, user, policy, largest, retrievers, list(scores.values()))
    if LEXICAL not in weights:
        weights = {**weights, LEXICAL: 1.0}
    return RetrievalResults(tuple(found), weights, total=total, products=products, local=local)


def ordered_response(
    response: Response, hits: Sequence[Mapping[str, Any]], max_score: float | None, more_ms: int = 0
) -> dict[str, Any]:
    """Return Elasticsearch's response with the hits of a page, in their order; all else is as it came.

    more_ms: what another search took for them.
    """
    took = {"took": response["took"] + more_ms} if "took" in response else {}
    return {**response, **took, "hits": {**response["hits"], "max_score": max_score, "hits": list(hits)}}


def without_field(response: Response, name: str) -> dict[str, Any]:
    """Return the response without a field of its hits that only we asked for."""
    return {**response, "hits": {**response["hits"], "hits": [hit_without_field(hit, name) for hit in hits_of(response)]}}


def _with_neighbours(clause: Any, n: int) -> Any:
    """Return a clause with k of all kNN in it that says none."""
    if isinstance(clause, list):
        return [_with_neighbours(each, n) for each in clause]
    if not isinstance(clause, Mapping):
        return clause
    if isinstance(clause.get("field"), str) and {"query_vector", "query_vector_builder"} & clause.keys():
        return {"k": n, **clause}
    return {name: _with_neighbours(value, n) for name, value in clause.items()}


def _whole(number: Any) -> int | None:
    """Return a whole number of 0 or more, also where it is a text or has a fraction of 0, as Elasticsearch does; else None."""
    if isinstance(number, str) and number.isdecimal() and len(number) < _MOST_DIGITS:
        number = int(number)
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    return number if isinstance(number, int) and not isinstance(number, bool) and number >= 0 else None


def _is_by_score(sort: Any) -> bool:
    """Return whether the best scores come first."""
    first = sort[0] if isinstance(sort, Sequence) and not isinstance(sort, str) and sort else sort
    if first in (None, [], "_score"):
        return True
    given = first.get("_score") if isinstance(first, Mapping) else None
    return given == "desc" or (isinstance(given, Mapping) and given.get("order", "desc") == "desc")
