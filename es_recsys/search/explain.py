"""Why a hit is there: the user's own items that speak for it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from es_recsys.search.context import Context
from es_recsys.types import Hit

__all__ = ["alike", "because"]

_LIKENESS = 0.3


def because(
    context: Context, hit: Hit, vector: NDArray[np.float32] | None, own: Mapping[str, NDArray[np.float32]], n: int = 3
) -> tuple[str, ...]:
    """Up to `n` of the user's own items, strongest first.

    Where the user's share in the hit's score comes from a model, the model says which items it drew on; where it comes
    from a taste, those whose vectors are most like the hit's. No share, no reason.
    vector: of the hit (d,) float32. own: the user's items' vectors in the same space.
    """
    found: dict[str, None] = {}
    for leg in sorted(hit.parts, key=lambda name: (-hit.parts[name], name)):
        if hit.parts[leg] <= 0.0:
            continue
        if leg in context.reasons:
            found.update(dict.fromkeys(context.reasons[leg](hit.product_id)))
        elif leg.startswith("taste_") and vector is not None:
            found.update(dict.fromkeys(alike(vector, {k: v for k, v in own.items() if k != hit.product_id}, n)))
    return tuple(found)[:n]


def alike(vector: NDArray[np.float32], own: Mapping[str, NDArray[np.float32]], n: int = 3) -> tuple[str, ...]:
    """The ids in `own` whose vectors (d,) are most like `vector` (d,), best first; cosine at least 0.3; ties by id."""
    length = float(np.linalg.norm(vector))
    scored = []
    for item_id, other in own.items():
        product = length * float(np.linalg.norm(other))
        cosine = float(vector @ other) / product if product > 0.0 else 0.0
        if cosine >= _LIKENESS:
            scored.append((-cosine, item_id))
    return tuple(item_id for _, item_id in sorted(scored)[:n])
