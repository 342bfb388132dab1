"""Finds the users who are most like the asking one, for the models that answer from them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.models.likings import unpack
from es_recsys.models.userknn import UserKNN
from es_recsys.search.gather import partial
from es_recsys.serving.operations import Flow, MultiSearch
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.types import Profile

__all__ = ["among_similar", "nearest_users"]

_MOST_CANDIDATES = 10_000


def among_similar(
    snapshot: ServingSnapshot, profile: Profile | None, own: Collection[str]
) -> Flow[tuple[ServingSnapshot, tuple[str, ...]]]:
    """The view whose user-kNN knows those who are like the profile, and the model's name where the search failed.

    own: keys of the asking user, who is nobody's neighbour. One search more, where such a model serves and something is
    known of the user.
    """
    model = snapshot.models.get(UserKNN.name)
    if not isinstance(model, UserKNN):
        return snapshot, ()
    vector = model.user_vector(profile.history) if profile is not None else None
    if vector is None:
        return snapshot, ()
    try:
        response = (yield MultiSearch(snapshot.metadata.users, (nearest_users(vector, model.candidates, own),)))[0]
    except Exception as error:
        if getattr(error, "status_code", None) != 404:
            raise
        # Without its index only this model is silent. Where the whole version is gone, the search of items finds that out.
        return snapshot, (UserKNN.name,)
    if "error" in response:
        return snapshot, (UserKNN.name,)
    found = [unpack(hit["_source"]) for hit in response["hits"]["hits"]]
    lost = (UserKNN.name,) if partial(response) else ()
    return replace(snapshot, models={**snapshot.models, UserKNN.name: model.among(found)}), lost


def nearest_users(vector: NDArray[np.float32], k: int, own: Collection[str]) -> dict[str, Any]:
    """The body that finds the k users with the nearest vectors."""
    knn: dict[str, Any] = {
        "field": "vector",
        "query_vector": vector.tolist(),
        "k": k,
        "num_candidates": min(2 * k, _MOST_CANDIDATES),
    }
    if own:
        knn["filter"] = {"bool": {"must_not": [{"ids": {"values": sorted(own)}}]}}
    return {"size": k, "_source": ["liked", "strengths"], "track_total_hits": False, "knn": knn}
