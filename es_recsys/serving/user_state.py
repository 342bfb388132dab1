"""What is known of the user of a query, as `search` reads it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import Profile
from es_recsys.models.base import DEPTHS, Model
from es_recsys.query import Query
from es_recsys.search.request import RankingPolicy, Request, ScoredIds, UserState
from es_recsys.serving.operations import Flow, Recommend
from es_recsys.serving.queries import query_kind
from es_recsys.serving.similar_users import models_of_user
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.user_interests import user_interests

__all__ = ["build_user_state", "load_user_state"]


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
        return UserState(), ()
    models, failed = yield from models_of_user(snapshot, profile, keys)
    user = yield from build_user_state(models, profile, request.exclude)
    if query_kind(query) == "recommend":
        interests, unread = yield from user_interests(snapshot, policy, profile)
        user, failed = replace(user, interests=interests), (*failed, *unread)
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
        scorers={name: partial(model.score, profile.history) for name, model in models.items()},
        history=profile.history,
        affinities=profile.affinities,
        price=profile.price,
        strength=profile.strength,
        explainers={name: partial(model.explain, profile.history) for name, model in models.items()},
    )
