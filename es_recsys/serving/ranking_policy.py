"""How a store ranks, and what a query changes about it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from es_recsys.query import MAX_RESULTS, Query
from es_recsys.search.exploration import MAX_NEWEST, Exploration, seeded_rng
from es_recsys.search.request import RankingPolicy
from es_recsys.search.retriever_weights import FIRST_EVENT
from es_recsys.serving.requests import query_identity
from es_recsys.serving.snapshot import ServingSnapshot

__all__ = ["for_query", "for_similar_items", "ranking_policy", "with_exploration"]

_DRAW_SECONDS = 3_600.0
_SIMILAR_CONTENT = {"taste_text": 1.0, "taste_image": 0.5, "taste_audio": 0.5, "popularity": 1e-3, "recency": 1e-3}
_SIMILAR_MODELS = 0.3
_UNTRAINED_TEXT_DEPTH = 50


def ranking_policy(snapshot: ServingSnapshot) -> RankingPolicy:
    """Return how the store ranks by itself."""
    return RankingPolicy(
        metadata=snapshot.metadata,
        settings=snapshot.settings.search,
        retriever_weights=snapshot.metadata.retriever_weights,
        popularity=snapshot.popularity,
        popularity_of=snapshot.popularity_of,
        rankers=snapshot.rankers,
        item_features=snapshot.item_features,
        logs_answers=snapshot.settings.answer_log_mib > 0,
        forward=snapshot.forward,
    )


def for_query(policy: RankingPolicy, query: Query) -> RankingPolicy:
    """Return the policy with the depth of a search, where words are asked for, and with variants collapsed into one hit.

    Variants don't collapse where ids are given. The candidates per retriever are then those of about `depth` products.
    """
    settings = policy.settings
    depth = min(settings.depth, _text_depth(policy)) if query.text else settings.depth
    collapse = policy.metadata.variants is not None and query.ids is None
    if collapse:
        depth = max(depth, min(math.ceil(depth * (policy.metadata.variants or 1.0)), MAX_RESULTS))
    if depth == settings.depth and not collapse:
        return policy
    return replace(policy, settings=settings.model_copy(update={"depth": depth}), collapse=collapse)


def _text_depth(policy: RankingPolicy) -> int:
    """Return the depth of a search for words: where nothing was learned that could lift a hit far up, that of a page or two."""
    settings = policy.settings
    if "text_depth" in settings.model_fields_set or policy.metadata.models or policy.rankers:
        return settings.text_depth
    return min(settings.text_depth, _UNTRAINED_TEXT_DEPTH)


def for_similar_items(policy: RankingPolicy) -> RankingPolicy:
    """Return the policy for items similar to one.

    Content leads, as one item is too thin a history for behaviour to decide alone.
    """
    trained = policy.retriever_weights.get("no_query", {})
    total = math.fsum(max(trained.get(name, 0.0), 0.0) for name in policy.metadata.models) or 1.0
    models = {name: _SIMILAR_MODELS * trained.get(name, 0.0) / total for name in policy.metadata.models}
    others = {name: table for name, table in policy.retriever_weights.items() if name != FIRST_EVENT}
    weights = {**others, "no_query": {**_SIMILAR_CONTENT, **models}}
    return policy.with_weights_alone(weights)


def with_exploration(
    policy: RankingPolicy, snapshot: ServingSnapshot, query: Query, keys: Sequence[str], now: float, answer_id: str
) -> RankingPolicy:
    """Return the policy with what is left to chance in this answer.

    It is the same for all pages of a query that one actor sees within an hour, so that no item is shown twice or never. For
    nobody in particular each answer is drawn by itself. keys: profile keys of the user.
    """
    share = policy.settings.exploration if query.explore is None else query.explore
    if share == 0.0 or query.ids is not None:
        return policy
    hour = int(now // _DRAW_SECONDS)
    draw = repr((keys[0], hour, query_identity(query))) if keys else answer_id
    rng = seeded_rng(policy.settings.seed, draw)
    # Among items similar to one, an item that is only new would be out of place.
    newest = MAX_NEWEST if query.like is None and query.bought_with is None and not query.repeat else 0
    return replace(policy, exploration=Exploration(share, snapshot.interaction_stats, rng, newest))
