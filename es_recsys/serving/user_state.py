"""What is known of the user of a query, as `search` reads it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import Profile
from es_recsys.models.base import DEPTHS, Model
from es_recsys.models.user_vectors import unpack
from es_recsys.models.userknn import UserKNN
from es_recsys.query import Query
from es_recsys.search.query_dsl import MAX_KNN_CANDIDATES, hits_of, is_partial
from es_recsys.search.request import RankingPolicy, Request, ScoredIds, UserState
from es_recsys.serving.operations import Flow, MultiSearch, Recommend
from es_recsys.serving.requests import query_kind
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.user_interests import user_interests

__all__ = ["build_user_state", "load_user_state", "models_of_user"]


def load_user_state(
    snapshot: ServingSnapshot,
    policy: RankingPolicy,
    query: Query,
    request: Request,
    profile: Profile | None,
    keys: Collection[str],
) -> Flow[tuple[UserState, tuple[str, ...]]]:
    """Return the user state, empty for a neutral request, and names of what failed, which the answer does without.

    keys: profile keys of the user, who is not similar to themself.
    """
    if profile is None or request.personalization <= 0.0:
        return snapshot.nobody, ()
    recommends = query_kind(query) == "recommend"
    # Similar users change without this one.
    is_kept = UserKNN.name not in snapshot.models
    index, weights = snapshot.metadata.profiles, policy.retriever_weights.get("no_query")
    inputs = (snapshot.models, snapshot.forward, policy.settings.interests, weights, recommends, request.exclude)
    known = snapshot.users.state(index, profile, inputs) if is_kept else None
    if known is not None:
        return known, ()
    models, failed = yield from models_of_user(snapshot, profile, keys)
    user = yield from build_user_state(models, profile, request.exclude)
    if recommends:
        interests, unread = yield from user_interests(snapshot, policy, profile)
        user, failed = replace(user, interests=interests), (*failed, *unread)
    if is_kept and not failed:
        snapshot.users.store(index, profile, inputs, user)
    return user, failed


def build_user_state(models: Mapping[str, Model], profile: Profile, exclude: frozenset[str]) -> Flow[UserState]:
    """Return what the profile and the models say of the user. exclude: ids that models leave out."""
    factors: dict[str, NDArray[np.float32]] = {}
    neighbours: dict[str, ScoredIds] = {}
    for name, model in models.items():
        if model.kind == "vector":
            vector = model.user_vector(profile.history)
            if vector is not None:
                factors[name] = vector
        else:
            neighbours[name] = yield Recommend(model, profile.history, DEPTHS[model.kind], exclude)
    return UserState(
        tastes=profile.tastes,
        factors=factors,
        neighbours=neighbours,
        scorers={name: model.scorer(profile.history) for name, model in models.items()},
        history=profile.history,
        affinities=profile.affinities,
        followed=profile.followed,
        price=profile.price,
        strength=profile.strength,
        explainers={name: partial(model.explain, profile.history) for name, model in models.items()},
    )


def models_of_user(
    snapshot: ServingSnapshot, profile: Profile, keys: Collection[str]
) -> Flow[tuple[Mapping[str, Model], tuple[str, ...]]]:
    """Return the models with user-kNN knowing the users similar to the profile, and the model's name where that search failed.

    keys: profile keys of the user, who is nobody's neighbour. One search more, where such a model serves and something is
    known of the user.
    """
    model = snapshot.models.get(UserKNN.name)
    vector = model.search_vector(profile.history) if isinstance(model, UserKNN) else None
    if not isinstance(model, UserKNN) or vector is None:
        return snapshot.models, ()
    failed = (UserKNN.name,)
    try:
        response = (yield MultiSearch(snapshot.metadata.users, (_similar_users_body(vector, model.candidates, keys),)))[0]
    except Exception as error:
        if getattr(error, "status_code", None) != 404:
            raise
        # Without its index only this model recommends nothing. Where the whole version is gone, the search of items finds out.
        return snapshot.models, failed
    if "error" in response:
        return snapshot.models, failed
    similar = [unpack(hit["_source"]) for hit in hits_of(response)]
    models: dict[str, Model] = {**snapshot.models, UserKNN.name: model.among(similar)}
    return models, failed if is_partial(response) else ()


def _similar_users_body(vector: NDArray[np.float32], k: int, keys: Collection[str]) -> dict[str, Any]:
    """Return the body that finds the k users with the nearest vectors."""
    knn: dict[str, Any] = {
        "field": "vector",
        "query_vector": vector.tolist(),
        "k": k,
        "num_candidates": min(2 * k, MAX_KNN_CANDIDATES),
    }
    if keys:
        knn["filter"] = {"bool": {"must_not": [{"ids": {"values": sorted(keys)}}]}}
    return {"size": k, "_source": ["liked", "strengths"], "track_total_hits": False, "knn": knn}
