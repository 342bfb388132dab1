"""Where the interests of a user are looked for: in the vectors of a model that the client has, else in those of the items."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import RecsysError
from es_recsys.search.interests import Interests, find_interests
from es_recsys.serving.operations import Flow, MultiGet
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.user_profiles import features
from es_recsys.types import Profile

__all__ = ["INTERESTS", "LEAST_INTERESTS", "interests_of", "liked"]

INTERESTS = "interests"
"""What `degraded` names where they can't be told."""

LEAST_INTERESTS = 2
"""Fewer keep no places."""

_ITEMS = 60
# In a space of few dimensions one taste looks like several.
_DIMS = 40


def interests_of(snapshot: ServingSnapshot, profile: Profile) -> Flow[tuple[Interests | None, tuple[str, ...]]]:
    """The interests behind the newest liked items, None where there is one or nothing to tell them by; and the name of them
    where what tells them could not be read, which an answer does without.

    The items' content tells interests best, so its vectors are fetched, one read more; a store without them uses the
    vectors of the model with the highest share, which the client has, if they have 40 dimensions or more.
    """
    most = snapshot.settings.search.interests
    weights = liked(profile)
    if most < LEAST_INTERESTS or len(weights) < 4:
        return None, ()
    if snapshot.content_fields:
        field = snapshot.content_fields[0]
        try:
            vectors = yield from _of_content(snapshot, tuple(weights), field)
        except RecsysError:
            return None, (INTERESTS,)
    else:
        field, vectors = _of_model(snapshot, weights)
    kept = [item_id for item_id in weights if item_id in vectors and vectors[item_id].any()]
    if len(kept) < 4:
        return None, ()
    rows = np.stack([vectors[item_id] for item_id in kept])
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return find_interests(field, rows, np.array([weights[item_id] for item_id in kept]), most), ()


def liked(profile: Profile) -> dict[str, float]:
    """The newest items that are liked on balance -> root of their weight, newest first."""
    total: dict[str, float] = {}
    for item_id, weight in zip(reversed(profile.history.item_ids), profile.history.weights[::-1].tolist(), strict=True):
        total[item_id] = total.get(item_id, 0.0) + weight
    positive = [(item_id, weight**0.5) for item_id, weight in total.items() if weight > 0.0]
    return dict(positive[:_ITEMS])


def _of_content(snapshot: ServingSnapshot, product_ids: tuple[str, ...], field: str) -> Flow[dict[str, NDArray[np.float32]]]:
    if snapshot.metadata.variants is not None:
        known = yield from features(snapshot, product_ids)
        return {name: its.vectors[field] for name, its in known.items() if field in its.vectors}
    found = yield MultiGet(snapshot.metadata.index, product_ids, (field,))
    return {item_id: np.asarray(it[field], np.float32) for item_id, it in found.items() if it.get(field) is not None}


def _of_model(snapshot: ServingSnapshot, weights: dict[str, float]) -> tuple[str, dict[str, NDArray[np.float32]]]:
    table = snapshot.metadata.weights.get("no_query", {})
    wide = [m for m in snapshot.models.values() if m.field is not None and m.item_vectors.shape[1] >= _DIMS]
    models = sorted(wide, key=lambda m: (-table.get(m.name, 0.0), m.name))
    if not models:
        return "", {}
    places = models[0].item_ids.find(list(weights))
    known = [(item_id, place) for item_id, place in zip(weights, places.tolist(), strict=True) if place >= 0]
    return str(models[0].field), {item_id: models[0].item_vectors[place] for item_id, place in known}
