"""The interests of a user, found among the vectors of what they like: those of the content, else of a model."""

from __future__ import annotations

from dataclasses import dataclass
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

__all__ = ["INTERESTS", "MIN_INTERESTS", "LikedVectors", "liked_items", "liked_vectors", "user_interests"]

INTERESTS = "interests"
"""What `degraded` names where they can't be found."""

MIN_INTERESTS = 2
"""Fewer keep no slots."""

_MAX_ITEMS = 60
_MIN_ITEMS = 4
# In a space of few dimensions one taste looks like several.
_MIN_DIMS = 40

Vectors = tuple[list[str], NDArray[np.float32]]
"""Item ids (n,) and their vectors (n, d)."""


@dataclass(frozen=True, slots=True, eq=False)
class LikedVectors:
    """What interests are found by: unit vectors (n, d) of liked items in a field, and weights (n,)."""

    field: str
    vectors: NDArray[np.float32]
    weights: NDArray[np.float64]


def user_interests(
    snapshot: ServingSnapshot, policy: RankingPolicy, profile: Profile
) -> Flow[tuple[Interests | None, tuple[str, ...]]]:
    """Return the interests behind the newest liked items, None where there is one alone or nothing to find them by.

    With them INTERESTS where the items' vectors could not be read, which an answer does without.
    """
    liked, failed = yield from liked_vectors(snapshot, policy, profile)
    if liked is None:
        return None, failed
    return find_interests(liked.field, liked.vectors, liked.weights, policy.settings.interests), failed


def liked_vectors(
    snapshot: ServingSnapshot, policy: RankingPolicy, profile: Profile
) -> Flow[tuple[LikedVectors | None, tuple[str, ...]]]:
    """Return what interests are found by, None where that is too little, and INTERESTS where it could not be read.

    The content of the items is best for it, so its vectors are fetched, one read more; a store without content uses the
    vectors of the model with the highest weight, which the client has, if they have 40 dimensions or more.
    """
    weights = liked_items(profile)
    if policy.settings.interests < MIN_INTERESTS or len(weights) < _MIN_ITEMS:
        return None, ()
    if snapshot.content_fields:
        field = snapshot.content_fields[0]
        try:
            item_ids, vectors = yield from _content_vectors(snapshot, tuple(weights), field)
        except RecsysError:
            return None, (INTERESTS,)
    else:
        field, (item_ids, vectors) = _model_vectors(snapshot, policy, list(weights))
    usable = np.asarray(vectors.any(axis=1))
    if np.count_nonzero(usable) < _MIN_ITEMS:
        return None, ()
    rows = vectors[usable]
    found = np.array([weights[item_id] for item_id in compress(item_ids, usable.tolist())])
    return LikedVectors(field, rows / np.linalg.norm(rows, axis=1, keepdims=True), found), ()


def liked_items(profile: Profile) -> dict[str, float]:
    """Return the newest items that are liked on balance -> root of their weight, newest first."""
    total: dict[str, float] = {}
    for item_id, weight in zip(reversed(profile.history.item_ids), profile.history.weights[::-1].tolist(), strict=True):
        total[item_id] = total.get(item_id, 0.0) + weight
    positive = [(item_id, weight**0.5) for item_id, weight in total.items() if weight > 0.0]
    return dict(positive[:_MAX_ITEMS])


def _content_vectors(snapshot: ServingSnapshot, product_ids: tuple[str, ...], field: str) -> Flow[Vectors]:
    forward = snapshot.forward
    if snapshot.metadata.variants is not None:
        known = yield from fetch_item_content(snapshot, product_ids)
        found = {item_id: item.vectors[field] for item_id, item in known.items() if field in item.vectors}
    elif forward is not None and field in forward.dims:
        rows = forward.rows(product_ids)
        return list(compress(product_ids, (rows >= 0).tolist())), forward.vectors(field, rows[rows >= 0])
    else:
        sources = yield MultiGet(snapshot.metadata.index, product_ids, (field,))
        found = {item_id: source[field] for item_id, source in sources.items() if source.get(field) is not None}
    there = [item_id for item_id in product_ids if item_id in found]
    return there, np.array([found[item_id] for item_id in there] or np.zeros((0, 1)), np.float32)


def _model_vectors(snapshot: ServingSnapshot, policy: RankingPolicy, product_ids: list[str]) -> tuple[str, Vectors]:
    table = policy.retriever_weights.get("no_query", {})
    wide = [m for m in snapshot.models.values() if m.field is not None and m.item_vectors.shape[1] >= _MIN_DIMS]
    models = sorted(wide, key=lambda m: (-table.get(m.name, 0.0), m.name))
    if not models:
        return "", ([], np.zeros((0, 0), np.float32))
    item_idx = models[0].item_ids.find(product_ids)
    known = item_idx >= 0
    return str(models[0].field), (list(compress(product_ids, known.tolist())), models[0].item_vectors[item_idx[known]])
