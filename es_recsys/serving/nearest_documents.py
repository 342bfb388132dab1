"""A search body of the caller's beside a picture or a sound: the store finds what is near, the body narrows and shows it.

The caller's index has no vectors of ours, but the store has those of its items. The nearest of them become the query of the body,
each scoring its nearness, and what the body asked for is left as a filter. So it stays a search on the caller's index, with its
documents, aggregations and highlights, and with what the caller may see of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from es_recsys.errors import InputError
from es_recsys.query import Query
from es_recsys.search.bodies import candidates_body
from es_recsys.search.query_dsl import hits_of, item_ids_of
from es_recsys.search.request import RankingPolicy, Request, UserState
from es_recsys.search.retrievers import RETRIEVERS
from es_recsys.search.scales import scaled_scores
from es_recsys.serving.body_search import adopted_id_field
from es_recsys.serving.operations import Flow, MultiSearch
from es_recsys.serving.query_vectors import query_vectors
from es_recsys.serving.retrieval import raise_if_all_failed
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.vector_fields import is_encoder_field

__all__ = ["NEAREST", "body_of_nearest", "with_nearest"]

NEAREST = 500
"""Items that a picture or a sound finds, before the body narrows them."""

_OF_ITS_OWN = ("knn", "rank", "retriever", "sub_searches")


def with_nearest(
    snapshot: ServingSnapshot, request: Request, user: UserState, policy: RankingPolicy, query: Query
) -> Flow[Query]:
    """Return a query by a body with the items in its body that are nearest to its picture and its sound.

    Raises InputError for an index that isn't adopted, a body that finds its hits by vectors itself, and a store that has nothing
    to compare with; what `query_vectors` raises; EngineError where Elasticsearch could not be asked.
    """
    id_field = adopted_id_field(policy.metadata, str(query.source_index))
    body = query.body or {}
    if given := [name for name in _OF_ITS_OWN if name in body]:
        raise InputError(f"A body beside a picture or a sound has no {given[0]}.", "Leave it out: they say what is near.")
    vectors, _ = yield from query_vectors(snapshot, query.model_copy(update={"text": ""}))
    vectors = {field: vector for field, vector in vectors.items() if is_encoder_field(field)}
    plain = replace(request, text="", vectors=vectors, filters=(), exclude=frozenset())
    deep = replace(policy, settings=policy.settings.model_copy(update={"depth": NEAREST}))
    bodies = []
    for field in vectors:
        clause = RETRIEVERS[field].build_query(plain, user, deep)
        assert clause is not None  # the store has the field
        bodies.append(candidates_body(RETRIEVERS[field], clause, plain, deep))
    responses = yield MultiSearch(policy.metadata.index, tuple(bodies))
    raise_if_all_failed(responses)
    nearness: dict[str, float] = {}
    for field, response in zip(vectors, responses, strict=True):
        hits = hits_of(response)
        scores = scaled_scores(RETRIEVERS[field].scale, np.array([hit["_score"] for hit in hits], np.float64), 1.0)
        for item_id, score in zip(item_ids_of(hits), scores.tolist(), strict=True):
            nearness[item_id] = nearness.get(item_id, 0.0) + score / len(vectors)
    return query.model_copy(update={"body": body_of_nearest(body, nearness, id_field)})


def body_of_nearest(body: Mapping[str, Any], nearness: Mapping[str, float], id_field: str) -> dict[str, Any]:
    """Return the body that finds these items among what it found, the nearest first. nearness: item id -> score, above 0."""
    best = sorted(nearness, key=lambda item_id: (-nearness[item_id], item_id))[:NEAREST]
    clauses = [
        {"constant_score": {"filter": {"term": {id_field: item_id}}, "boost": nearness[item_id]}}
        for item_id in best
        if nearness[item_id] > 0.0
    ]
    if not clauses:
        return {**body, "query": {"match_none": {}}}
    found: dict[str, Any] = {"should": clauses, "minimum_should_match": 1}
    if body.get("query"):
        found["filter"] = [body["query"]]
    return {**body, "query": {"bool": found}}
