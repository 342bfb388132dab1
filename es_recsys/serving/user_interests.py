"""The interests of a user, found among the vectors of what they like: those of the content, else of a model."""

from __future__ import annotations

from itertools import compress

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import Profile
from es_recsys.errors import RecsysError
from es_recsys.search.interests import Interests, find_interests
from es_recsys.search.request import RankingPolicy
from es_recsys.serving.operations import Flow, MultiGet
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.user_profiles import fetch_item_content

__all__ = ["INTERESTS", "MIN_INTERESTS", "liked_items", "user_interests"]

INTERESTS = "interests"
"""What `degraded` names where they can't be found."""

MIN_INTERESTS = 2
"""Fewer keep no slots."""

_MAX_ITEMS = 60
_MIN_ITEMS = 4
# In a space of few dimensions one taste looks like several.
_MIN_DIMS = 40

Vectors = dict[str, NDArray[np.float32]]


def user_interests(
    snapshot: ServingSnapshot, policy: RankingPolicy, profile: Profile
) -> Flow[tuple[Interests | None, tuple[str, ...]]]:
    """Return the interests behind the newest liked items, None where there is one alone or nothing to find them by.

    With them INTERESTS where the items' vectors could not be read, which an answer does without.

    The content of the items is best for it, so its vectors are fetched, one read more; a store without content uses the
    vectors of the model with the highest weight, which the client has, if they have 40 dimensions or more.
    """
    most = policy.settings.interests
    weights = liked_items(profile)
    if most < MIN_INTERESTS or len(weights) < _MIN_ITEMS:
        return None, ()
    if snapshot.content_fields:
        field = snapshot.content_fields[0]
        try:
            vectors = yield from _content_vectors(snapshot, tuple(weights), field)
        except RecsysError:
            return None, (INTERESTS,)
    else:
        field, vectors = _model_vectors(snapshot, policy, weights)
    usable = [item_id for item_id in weights if item_id in vectors and vectors[item_id].any()]
    if len(usable) < _MIN_ITEMS:
        return None, ()
    rows = np.stack([vectors[item_id] for item_id in usable])
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return find_interests(field, rows, np.array([weights[item_id] for item_id in usable]), most), ()


def liked_items(profile: Profile) -> dict[str, float]:
    """Return the newest items that are liked on balance -> root of their weight, newest first."""
    total: dict[str, float] = {}
    for item_id, weight in zip(reversed(profile.history.item_ids), profile.history.weights[::-1].tolist(), strict=True):
        total[item_id] = total.get(item_id, 0.0) + weight
    positive = [(item_id, weight**0.5) for item_id, weight in total.items() if weight > 0.0]
    return dict(positive[:_MAX_ITEMS])


def _content_vectors(snapshot: ServingSnapshot, product_ids: tuple[str, ...], field: str) -> Flow[Vectors]:
    if snapshot.metadata.variants is not None:
        known = yield from fetch_item_content(snapshot, product_ids)
        return {item_id: item.vectors[field] for item_id, item in known.items() if field in item.vectors}
    forward = snapshot.forward
    if forward is not None and field in forward.dims:
        rows = forward.rows(product_ids)
        return dict(zip(compress(product_ids, (rows >= 0).tolist()), forward.vectors(field, rows[rows >= 0]), strict=True))
    found = yield MultiGet(snapshot.metadata.index, product_ids, (field,))
    return {item_id: np.asarray(source[field], np.float32) for item_id, source in found.items() if source.get(field) is not None}


def _model_vectors(snapshot: ServingSnapshot, policy: RankingPolicy, weights: dict[str, float]) -> tuple[str, Vectors]:
    table = policy.retriever_weights.get("no_query", {})
    wide = [m for m in snapshot.models.values() if m.field is not None and m.item_vectors.shape[1] >= _MIN_DIMS]
    models = sorted(wide, key=lambda m: (-table.get(m.name, 0.0), m.name))
    if not models:
        return "", {}
    item_idx = models[0].item_ids.find(list(weights))
    known = [(item_id, idx) for item_id, idx in zip(weights, item_idx.tolist(), strict=True) if idx >= 0]
    return str(models[0].field), {item_id: models[0].item_vectors[idx] for item_id, idx in known}
