"""Similar users, for the model that recommends what they like."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import Profile
from es_recsys.models.base import Model
from es_recsys.models.user_vectors import unpack
from es_recsys.models.userknn import UserKNN
from es_recsys.search.query_dsl import MAX_KNN_CANDIDATES, hits_of, is_partial
from es_recsys.serving.operations import Flow, MultiSearch
from es_recsys.serving.snapshot import ServingSnapshot

__all__ = ["models_of_user", "similar_users_body"]


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
        response = (yield MultiSearch(snapshot.metadata.users, (similar_users_body(vector, model.candidates, keys),)))[0]
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


def similar_users_body(vector: NDArray[np.float32], k: int, keys: Collection[str]) -> dict[str, Any]:
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
