"""Explanations: the user's own items that a hit is there for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.query import Hit
from es_recsys.search.products import product_of
from es_recsys.search.query_dsl import Response, hits_of, item_id_of
from es_recsys.search.request import UserState
from es_recsys.search.score import vector_of

__all__ = ["explain_hit", "history_vectors", "most_similar"]

_MIN_COSINE = 0.3
_MAX_ITEMS = 3

Vectors = Mapping[str, NDArray[np.float32]]


def explain_hit(user: UserState, hit: Hit, vector: NDArray[np.float32] | None, history: Vectors, n: int = _MAX_ITEMS) -> Hit:
    """Return the hit with up to `n` of the user's own items as `because`, strongest first.

    Where a part of the score comes from a model, the model names the items that it drew on; where it comes from a taste, those
    most similar to the hit are named. Without such a part there is no explanation.
    vector: of the hit (d,) float32. history: product -> vector of the user's items in the same space.
    """
    found: dict[str, None] = {}
    for name in sorted(hit.parts, key=lambda name: (-hit.parts[name], name)):
        if hit.parts[name] <= 0.0 or len(found) >= n:
            break
        if name in user.explainers:
            found.update(dict.fromkeys(user.explainers[name](hit.product_id)))
        elif name.startswith("taste_") and vector is not None:
            others = {item_id: other for item_id, other in history.items() if item_id != hit.product_id}
            found.update(dict.fromkeys(most_similar(vector, others, n)))
    return replace(hit, because=tuple(found)[:n])


def most_similar(vector: NDArray[np.float32], others: Vectors, n: int = _MAX_ITEMS) -> tuple[str, ...]:
    """Return the ids in `others` with the vectors (d,) most similar to `vector` (d,), best first.

    Their cosine is at least 0.3; ties by id.
    """
    length = float(np.linalg.norm(vector))
    scored = []
    for item_id, other in others.items():
        product = length * float(np.linalg.norm(other))
        cosine = float(vector @ other) / product if product > 0.0 else 0.0
        if cosine >= _MIN_COSINE:
            scored.append((-cosine, item_id))
    return tuple(item_id for _, item_id in sorted(scored)[:n])


def history_vectors(response: Response | None, field: str | None) -> dict[str, NDArray[np.float32]]:
    """Return product -> vector of the user's own items: that of the first of its variants."""
    first: dict[str, Mapping[str, Any]] = {}
    for hit in sorted(hits_of(response or {}), key=item_id_of):
        first.setdefault(product_of(hit), hit)
    found = {product: vector_of(hit, field) for product, hit in first.items()}
    return {product: vector for product, vector in found.items() if vector is not None}
