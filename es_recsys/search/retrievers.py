"""Retrievers: each a pure function from request, user state and ranking policy to a query, or None where it has none.

A new retriever is a function here and its row in RETRIEVERS; a new vector field brings its retrievers with its row in
`vector_fields`. Retrievers that match the query (text, query vectors) search the whole catalogue. The others reorder what those
find, and where there is a text they also search among all items that match it: a profile reorders a large category to its end,
but adds nothing that was not asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from es_recsys.search.lexical import lexical_query
from es_recsys.search.query_dsl import Clause
from es_recsys.search.request import RankingPolicy, Request, ScoredIds, UserState
from es_recsys.settings import SearchSettings
from es_recsys.vector_fields import VECTOR_FIELDS

__all__ = [
    "AUTHOR",
    "INTEREST",
    "LEXICAL",
    "MAX_LIST_IDS",
    "POPULARITY",
    "RECENCY",
    "RETRIEVERS",
    "Retriever",
    "active_retrievers",
    "author_weights",
    "contributes_candidates",
    "ranked_list",
    "recency_pivot_hours",
    "taste_vector",
]

LEXICAL = "lexical"
"""Name of the retriever that searches by text."""

POPULARITY = "popularity"

RECENCY = "recency"
"""Name of the retriever whose items exploration tries."""

AUTHOR = "author"
"""Name of the retriever of followed and liked authors."""

INTEREST = "interest"
"""Name of an interest's retriever, before its number; and of the weight that all of them share."""

MAX_LIST_IDS = 300
"""Ids of a list (popularity, a neighbours model) that a retriever looks up."""

_LONG_TERM_SHARE = 0.6
# A followed author counts 1, the one most liked of the others a little less; so many authors are searched for.
_LIKED_AUTHOR, _MAX_AUTHORS = 0.8, 50

BuildQuery = Callable[[Request, UserState, RankingPolicy], Clause | None]


@dataclass(frozen=True, slots=True)
class Retriever:
    """One way to get candidates and to score them.

    build_query: its query, without filters. scale: how its `_score` becomes a number that can be added ("best": over the best
    score; "cosine": the cosine, from 0; "dot": the same where both vectors are of length 1 and the field's similarity is the
    inner product; "inner": the inner product over the best one; "unit": as it is; "list": the client's own scores, over their
    largest). personalized: True for retrievers that use the user state; scaled by personalization and damping. matches_query:
    True where its items match the query, so that it may add candidates that the text doesn't find.
    """

    name: str
    scale: str
    build_query: BuildQuery
    personalized: bool = False
    matches_query: bool = False

    @property
    def is_query_vector(self) -> bool:
        """Whether it searches by a vector of the query."""
        return self.matches_query and self.name != LEXICAL


def _lexical(request: Request, _user: UserState, policy: RankingPolicy) -> Clause | None:
    """Search the text fields by BM25 (see `lexical`)."""
    if not request.has_text:
        return None
    return lexical_query(request.text, policy.text_matching)


def _query_vector(field: str) -> BuildQuery:
    """Search by similarity to the query's vector in `field`."""
    return lambda request, _user, policy: _knn(policy, field, request.vectors.get(field))


def _taste(field: str) -> BuildQuery:
    """Search by similarity to the user's taste in `field`."""
    return lambda _request, user, policy: _knn(policy, field, taste_vector(user, field))


def _factors(model: str) -> BuildQuery:
    """Search by the inner product with the user's vector of a factor model."""
    return lambda _request, user, policy: _knn(policy, f"{model}_vector", user.factors.get(model))


def _neighbours(model: str) -> BuildQuery:
    """Look up the best items of a neighbours model."""
    return lambda _request, user, _policy: _ids(user.neighbours.get(model, ()))


def _interest(rank: int) -> BuildQuery:
    """Search by similarity to one of the user's interests."""

    def build_query(_request: Request, user: UserState, policy: RankingPolicy) -> Clause | None:
        interests = user.interests
        return None if interests is None else _knn(policy, interests.field, interests.vectors[rank])

    return build_query


def _popularity(_request: Request, _user: UserState, policy: RankingPolicy) -> Clause | None:
    """Look up the most popular items."""
    return _ids(policy.popularity)


def _recency(request: Request, _user: UserState, policy: RankingPolicy) -> Clause | None:
    """Search for the newest items; the score is half at an age of `freshness_days`."""
    if "created_at" not in policy.metadata.fields:
        return None
    pivot = f"{recency_pivot_hours(policy.settings)}h"
    return {"distance_feature": {"field": "created_at", "origin": int(request.now * 1_000), "pivot": pivot}}


def _author(request: Request, user: UserState, policy: RankingPolicy) -> Clause | None:
    """Search for what followed and liked authors made; each item scores its author's weight times its recency."""
    fields, weights = policy.metadata.fields, author_weights(user.followed, user.affinities.get("author", {}))
    if not weights or "author" not in fields or "created_at" not in fields:
        return None
    pivot, now = f"{recency_pivot_hours(policy.settings)}h", int(request.now * 1_000)
    should: list[Clause] = []
    for author, weight in weights.items():
        recency = {"field": "created_at", "origin": now, "pivot": pivot, "boost": weight}
        should.append({"bool": {"must": [{"distance_feature": recency}], "filter": [{"term": {"author": author}}]}})
    return {"bool": {"should": should, "minimum_should_match": 1}}


def author_weights(followed: Iterable[str], liked: Mapping[str, float]) -> dict[str, float]:
    """Return author -> weight, from above 0 to 1, of those whom a user follows or whose items they liked, the highest first.

    liked: author -> how much, on any scale.
    """
    most = max(liked.values(), default=1.0)
    weights = {author: _LIKED_AUTHOR * share / most for author, share in liked.items()}
    weights |= dict.fromkeys(followed, 1.0)
    best = sorted(weights.items(), key=lambda each: (-each[1], each[0]))
    return dict(best[:_MAX_AUTHORS])


def recency_pivot_hours(settings: SearchSettings) -> int:
    """Return the age at which recency scores a half."""
    return max(round(settings.freshness_days * 24), 1)


def _content_retrievers() -> tuple[Retriever, ...]:
    encoded = [row for row in VECTOR_FIELDS.values() if row.source == "encoder"]
    searchable = [row for row in VECTOR_FIELDS.values() if row.source == "encoder" or row.encodes_queries]
    return (
        *(
            Retriever(row.name, "cosine" if row.similarity == "cosine" else "dot", _query_vector(row.name), matches_query=True)
            for row in searchable
        ),
        *(Retriever(f"taste_{row.content}", "cosine", _taste(row.name), personalized=True) for row in encoded),
    )


RETRIEVERS: Mapping[str, Retriever] = {
    retriever.name: retriever
    for retriever in (
        Retriever(LEXICAL, "best", _lexical, matches_query=True),
        *_content_retrievers(),
        Retriever(POPULARITY, "list", _popularity),
        Retriever(RECENCY, "unit", _recency),
        Retriever(AUTHOR, "unit", _author, personalized=True),
    )
}
"""The retrievers that every store has; `active_retrievers` adds those of models and interests."""


def active_retrievers(request: Request, user: UserState, policy: RankingPolicy) -> tuple[Retriever, ...]:
    """Return every retriever that may have a query.

    They are RETRIEVERS, one per collaborative model, under the model's name, and one per interest.
    """
    models = [Retriever(name, "inner", _factors(name), personalized=True) for name in sorted(user.factors)]
    models += [Retriever(name, "list", _neighbours(name), personalized=True) for name in sorted(user.neighbours)]
    return (*RETRIEVERS.values(), *models, *_interest_retrievers(request, user, policy))


def _interest_retrievers(request: Request, user: UserState, policy: RankingPolicy) -> tuple[Retriever, ...]:
    interests = user.interests
    if interests is None or request.has_query or interests.field not in policy.metadata.vectors:
        return ()
    scale = "cosine" if policy.metadata.vectors[interests.field].similarity == "cosine" else "inner"
    return tuple(Retriever(f"{INTEREST}_{rank + 1}", scale, _interest(rank), personalized=True) for rank in range(len(interests)))


def contributes_candidates(retriever: Retriever, request: Request) -> bool:
    """Return whether the retriever's items become candidates; for a picture or sound without text only those similar to it do."""
    return retriever.matches_query or not request.has_query or request.has_text


def ranked_list(retriever: Retriever, user: UserState, policy: RankingPolicy) -> ScoredIds:
    """Return the client's own list of a retriever of scale "list"."""
    return policy.popularity if retriever.name == POPULARITY else user.neighbours[retriever.name]


def taste_vector(user: UserState, field: str) -> NDArray[np.float32] | None:
    """Return the unit vector (d,) float32 between the long-term and the short-term taste; None where neither is known."""
    taste = user.tastes.get(field)
    if taste is None:
        return None
    if taste.long is None or taste.short is None:
        return taste.long if taste.short is None else taste.short
    mixed = _LONG_TERM_SHARE * taste.long + (1.0 - _LONG_TERM_SHARE) * taste.short
    norm = float(np.linalg.norm(mixed))
    return taste.long if norm < 1e-6 else (mixed / norm).astype(np.float32)


def _knn(policy: RankingPolicy, field: str, vector: NDArray[np.float32] | None) -> Clause | None:
    if vector is None or field not in policy.metadata.vectors:
        return None
    return {"knn": {"field": field, "query_vector": np.ascontiguousarray(vector, np.float32)}}


def _ids(scored: ScoredIds) -> Clause | None:
    # The scores stay here: the client knows them exactly, so Elasticsearch is only asked which of the ids pass the filters.
    # That is one set lookup instead of a scored clause an id, and negative scores need no way round.
    ids = [item_id for item_id, raw in scored[:MAX_LIST_IDS] if raw > 0.0]
    return {"ids": {"values": ids}} if ids else None
