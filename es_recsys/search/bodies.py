"""Search bodies around a retriever's query. Filters and exclusions stand inside each, so that every candidate may be shown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from es_recsys.search.exploration import RERANK_DEPTH
from es_recsys.search.lexical import match_query, matching_clauses
from es_recsys.search.products import id_filter, with_group_id
from es_recsys.search.query_dsl import IDS_ONLY, MAX_KNN_CANDIDATES, Body, Clause
from es_recsys.search.request import RankingPolicy, Request, retrieval_depth
from es_recsys.search.retrievers import INTEREST, Retriever

__all__ = ["browse_body", "candidates_body", "candidates_depth", "count_body", "filter_clauses", "scoring_body"]


def candidates_body(retriever: Retriever, query: Clause, request: Request, policy: RankingPolicy) -> Body:
    """Return the body that finds the retriever's best items, best first, `candidates_depth` at most."""
    if retriever.scale == "list":
        return _list_body(query["ids"]["values"], request, policy)
    filters = filter_clauses(request, policy, matching=not retriever.matches_query)
    return _body(query, candidates_depth(retriever, request, policy), policy, filters)


def candidates_depth(retriever: Retriever, request: Request, policy: RankingPolicy) -> int:
    """Return how many items a retriever brings.

    An interest brings no more than have slots, however deep the page is.
    """
    if retriever.name.startswith(INTEREST):
        return min(RERANK_DEPTH, policy.settings.depth)
    return retrieval_depth(request, policy)


def scoring_body(query: Clause, item_ids: Sequence[str], policy: RankingPolicy) -> Body:
    """Return the body that scores exactly `item_ids`; those without a score are not among its hits."""
    return _body(query, len(item_ids), policy, {"filter": [{"ids": {"values": list(item_ids)}}]})


def browse_body(request: Request, policy: RankingPolicy) -> Body:
    """Return the body that counts all items that may be shown where nothing is asked.

    It lists some of them, too, so that an answer is never short where retrievers find little.
    """
    filters = filter_clauses(request, policy, matching=False)
    query: Clause = {"bool": filters} if filters else {"match_all": {}}
    body = {
        "size": retrieval_depth(request, policy),
        **IDS_ONLY,
        "track_total_hits": True,
        "query": {"constant_score": {"filter": query}},
    }
    return with_group_id(body, has_variants=policy.has_variants)


def count_body(request: Request, policy: RankingPolicy, vector_matches: Sequence[str], *, by_text: bool) -> Body:
    """Return the body that counts what all pages of a search show.

    That is what its text finds, and `vector_matches`, the ids that its vectors add. by_text: whether the text added candidates
    itself; else it only filters those of the others.
    """
    should: list[Clause] = []
    if request.has_text:
        if by_text:
            should = matching_clauses(request.text, policy.text_matching)
        else:
            should = [match_query(request.text, policy.text_matching)]
    if vector_matches:
        should.append({"ids": {"values": list(vector_matches)}})
    query: Clause = {"bool": {**filter_clauses(request, policy, matching=False), "should": should, "minimum_should_match": 1}}
    return {"size": 0, "_source": False, "track_total_hits": True, "query": {"constant_score": {"filter": query}}}


def _body(query: Clause, size: int, policy: RankingPolicy, filters: Mapping[str, list[Clause]]) -> Body:
    if "knn" in query:
        knn = {
            **query["knn"],
            "k": size,
            "num_candidates": min(max(policy.settings.num_candidates, size), MAX_KNN_CANDIDATES),
            **({"filter": {"bool": dict(filters)}} if filters else {}),
        }
        body = {"size": size, **IDS_ONLY, "track_total_hits": False, "knn": knn}
    else:
        filtered = {"bool": {"must": [query], **filters}} if filters else query
        body = {"size": size, **IDS_ONLY, "track_total_hits": False, "query": filtered}
    return with_group_id(body, has_variants=policy.has_variants)


def _list_body(ids: Sequence[str], request: Request, policy: RankingPolicy) -> Body:
    """Return the body that finds which of the ids pass the filters; where there are variants, those of each product."""
    filters = filter_clauses(request, policy, matching=True)
    size = len(ids)
    if policy.metadata.variants is not None:
        variants = max(policy.metadata.variants, 1.0)
        size = min(math.ceil(size * variants) + retrieval_depth(request, policy), MAX_KNN_CANDIDATES)
    by_id = id_filter(ids, has_variants=policy.has_variants)
    query: Clause = {"bool": {**filters, "filter": [by_id, *filters.get("filter", ())]}}
    body = {"size": size, **IDS_ONLY, "track_total_hits": False, "query": query}
    return with_group_id(body, has_variants=policy.has_variants)


def filter_clauses(request: Request, policy: RankingPolicy, *, matching: bool) -> dict[str, list[Clause]]:
    """Return the caller's filters and exclusions as parts of a bool query. matching: whether hits must match the text."""
    filters = list(request.filters)
    if matching and request.has_text:
        filters.append(match_query(request.text, policy.text_matching))
    found: dict[str, list[Clause]] = {"filter": filters} if filters else {}
    if request.exclude:
        found["must_not"] = [id_filter(sorted(request.exclude), has_variants=policy.has_variants)]
    return found
