"""Items similar to one: a recommendation to somebody who saw nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from es_recsys.dataset import Profile
from es_recsys.query import Query
from es_recsys.search.query_dsl import Clause
from es_recsys.search.request import RankingPolicy, Request, UserState
from es_recsys.serving.operations import Flow
from es_recsys.serving.requests import build_request
from es_recsys.serving.seen_items import moves_seen, without_seen
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.user_profiles import named_items, profile_of_views
from es_recsys.serving.user_state import build_user_state, models_of_user

__all__ = ["similar_items_request"]


def similar_items_request(
    snapshot: ServingSnapshot,
    policy: RankingPolicy,
    query: Query,
    profile: Profile | None,
    filters: Sequence[Clause],
    now: float,
) -> Flow[tuple[Request, UserState]]:
    """Return the request, and the state of a user who viewed `query.like` alone.

    The asking user adds dislikes, and what they have seen where that is asked for.

    Raises InputError for an item that the store lacks.
    """
    item_id = str(query.like)
    known = yield from named_items(snapshot, (item_id,))
    disliked, muted = (profile.disliked, profile.muted) if profile is not None else (frozenset(), frozenset())
    viewer = replace(profile_of_views(snapshot, (item_id,), known, now), seen=frozenset(), muted=muted)
    exclude = frozenset(query.exclude) | {item_id, known[item_id].group_id or item_id} | disliked
    plain = query.model_copy(update={"like": None, "exclude": exclude, "personalization": 1.0, "calibration": 0.0})
    request = build_request(plain, policy, viewer, {}, filters, now)
    if profile is not None and moves_seen(policy, query, profile):
        request = yield from without_seen(snapshot, policy, query, request, profile)
    models, _ = yield from models_of_user(snapshot, viewer, ())
    user = yield from build_user_state(models, viewer, request.exclude)
    return request, user
