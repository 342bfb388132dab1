"""Items that the user has seen, where answers are to have them last or not at all."""

from __future__ import annotations

from dataclasses import replace

from es_recsys.dataset import Profile
from es_recsys.query import Query
from es_recsys.search.bodies import candidates_body
from es_recsys.search.query_dsl import hits_of
from es_recsys.search.request import RankingPolicy, Request, UserState
from es_recsys.search.retriever_weights import names_one_item
from es_recsys.search.retrievers import LEXICAL, RETRIEVERS
from es_recsys.serving.operations import Flow, MultiSearch
from es_recsys.serving.requests import query_kind
from es_recsys.serving.snapshot import ServingSnapshot

__all__ = ["moves_seen", "without_seen"]


def moves_seen(policy: RankingPolicy, query: Query, profile: Profile) -> bool:
    """Return whether what the user has seen doesn't stay where it is. A recommendation has none of it anyway."""
    return bool(profile.seen) and _seen(policy, query) != "keep" and query_kind(query) != "recommend"


def without_seen(
    snapshot: ServingSnapshot, policy: RankingPolicy, query: Query, request: Request, profile: Profile
) -> Flow[Request]:
    """Return the request with what the user has seen left out, or after all others.

    Words that name one item leave out nothing. Whether they do is asked once for a text and its filters: one search more.
    """
    if _seen(policy, query) == "demote":
        return replace(request, demote=profile.seen - request.exclude)
    if request.has_text and (yield from _names_one_item(snapshot, policy, request)):
        return request
    return replace(request, exclude=request.exclude | profile.seen)


def _seen(policy: RankingPolicy, query: Query) -> str:
    return query.seen or policy.settings.seen


def _names_one_item(snapshot: ServingSnapshot, policy: RankingPolicy, request: Request) -> Flow[bool]:
    known = snapshot.past_searches.names_one(request)
    if known is not None:
        return known
    plain = replace(request, exclude=frozenset(), offset=0, n=1)
    lexical = RETRIEVERS[LEXICAL]
    words = lexical.build_query(plain, UserState(), policy)
    assert words is not None
    response = (yield MultiSearch(policy.metadata.index, (candidates_body(lexical, words, plain, policy),)))[0]
    found = names_one_item([hit["_score"] for hit in hits_of(response)], policy.settings.depth)
    if "error" not in response:
        snapshot.past_searches.store_names_one(request, found)
    return found
