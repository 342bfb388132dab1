"""One score out of several models' raw ones: the ensemble. Validation and served answers both rank by this.

1. Each model with a weight > 0 gives its own list: its best items with raw score > 0 after exclusions, `DEPTHS[kind]`
   of them (300 for neighbours, 200 for vectors). `best[m]` is the first raw score of that list.
2. The candidates are the union of the lists. A candidate that is missing from a model's list gets that model's raw score
   too (`Model.score`), which may be 0 or negative.
3. part[m] = weight[m] * raw[m] / best[m]; the score is the sum of the parts. A model with an empty list gives nothing.

Weights sum to 1, so the score is at most 1, which an item reaches that every model puts first. Ties are broken by id.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import History
from es_recsys.models.base import DEPTHS, Model

__all__ = ["ensemble_parts", "recommend"]


def ensemble_parts(
    raw: Mapping[str, NDArray[Any]], best: Mapping[str, float], weights: Mapping[str, float]
) -> dict[str, NDArray[np.float64]]:
    """Return parts by model, each (n,) float64, for n candidates; their sum is the fused score.

    raw: model -> (n,) raw scores of all candidates, filled in. best: model -> first raw score of its own list after
    exclusions; a model that isn't there, or not above 0, gives no part.
    """
    return {
        name: np.asarray(raw[name], np.float64) * (weight / best[name])
        for name, weight in weights.items()
        if weight > 0 and name in raw and best.get(name, 0.0) > 0
    }


def recommend(
    models: Mapping[str, Model],
    weights: Mapping[str, float],
    history: History,
    n: int = 10,
    exclude: Collection[str] = frozenset(),
) -> list[tuple[str, float]]:
    """Return the n best items by the score of the ensemble, in memory: what a served answer with these models must agree with.

    Negative scores are kept where there are fewer than n others.
    """
    lists = {
        name: models[name].recommend(history, DEPTHS[models[name].kind], exclude)
        for name, weight in weights.items()
        if weight > 0
    }
    candidates = sorted({item_id for own in lists.values() for item_id, _ in own})
    if not candidates:
        return []
    raw = {name: models[name].score(history, candidates) for name in lists}
    best = {name: own[0][1] for name, own in lists.items() if own}
    total = np.sum(list(ensemble_parts(raw, best, weights).values()), axis=0)
    order = np.lexsort((np.arange(len(candidates)), -total))[:n]
    return [(candidates[i], float(total[i])) for i in order]
