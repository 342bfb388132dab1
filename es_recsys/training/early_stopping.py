"""Early stopping: a model that learns in epochs is trained for as many as held-out events find best, then on all events."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TypeVar

import numpy as np

from es_recsys.dataset import Interactions, ItemTable
from es_recsys.evaluation.holdout import some_users_holdout
from es_recsys.evaluation.holdout_split import validation_score
from es_recsys.item_ids import ItemIds
from es_recsys.models.base import Model, TrainingCallback
from es_recsys.training.aligned_models import AlignedModel

__all__ = ["fit"]

M = TypeVar("M", bound=Model)

_N = 10
_FEWEST_ITEMS = 3


def fit(
    model: M,
    data: Interactions,
    rng: np.random.Generator,
    items: ItemTable | None = None,
    callback: TrainingCallback | None = None,
) -> M:
    """Return the model fitted, for as many epochs as held-out events find best where it learns in epochs.

    One that doesn't learn in epochs is only fitted. Else the last items of some users are held out, and the model is trained
    until it finds them no better (NDCG@10). Then one is trained on all events for as many epochs, where its config has `refit`;
    if the deadline comes first, the one before it is returned.
    """
    callback = callback or TrainingCallback()
    if not model.stops_early:
        return model.fit(data, rng, items, callback)
    seed, config = int(rng.integers(2**31)), model.config
    users = min(config.validation_users, len(data.user_ids) // 2)
    split = some_users_holdout(data, np.random.default_rng([seed, 1]), users, ordered=config.ordered, at_least=_FEWEST_ITEMS)
    if not len(split):
        return model.fit(data, np.random.default_rng(seed), items, callback)
    ids, score = ItemIds.of(data.item_ids.tolist()), validation_score(split, _N)

    def validate(trained: Model) -> float:
        return score(AlignedModel(trained, ids).recommend_idx)

    stages = {name: None if callback.checkpoints is None else callback.checkpoints / name for name in ("validated", "refit")}
    validating = replace(callback, checkpoints=stages["validated"], validate=validate, keep_checkpoints=True)
    model.fit(split.train, np.random.default_rng(seed), items, validating)
    if config.refit and model.epochs:
        whole = type(model)(replace(config, epochs=model.epochs))
        whole.fit(data, np.random.default_rng(seed), items, replace(callback, checkpoints=stages["refit"]))
        if whole.epochs == model.epochs:
            whole.config, model = config, whole
    for folder in stages.values():
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
    return model
