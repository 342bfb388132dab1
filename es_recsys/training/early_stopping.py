"""Trains a model that learns in epochs for as many of them as held-out events find best, then on all events."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TypeVar

import numpy as np

from es_recsys.models.callback import TrainingCallback
from es_recsys.models.fitted import TrainedModel
from es_recsys.models.ids import ItemIds
from es_recsys.models.sequences import take
from es_recsys.models.slices import HoldoutSplit, slice_of
from es_recsys.training.aligned_models import Asked
from es_recsys.types import Interactions, ItemTable

__all__ = ["fit", "validation_split"]

M = TypeVar("M", bound=TrainedModel)

_N = 10
_FEWEST_ITEMS = 3


def fit(
    model: M,
    data: Interactions,
    rng: np.random.Generator,
    items: ItemTable | None = None,
    callback: TrainingCallback | None = None,
) -> M:
    """Return the model fitted; one that doesn't learn in epochs is only fitted.

    The last items of some users are held out, and the model is trained until it finds them no better (NDCG@10). Then one is
    trained on all events for as many epochs, where its config has `refit`; if the deadline comes first, the one before it is
    returned.
    """
    callback = callback or TrainingCallback()
    if not model.stops_early:
        return model.fit(data, rng, items, callback)
    seed, config = int(rng.integers(2**31)), model.config
    users = min(config.validation_users, len(data.user_ids) // 2)
    split = validation_split(data, np.random.default_rng([seed, 1]), users, config.ordered)
    if not len(split):
        return model.fit(data, np.random.default_rng(seed), items, callback)
    ids = ItemIds.of(data.item_ids.tolist())

    def validate(trained: TrainedModel) -> float:
        lists = [item_idx for item_idx, _ in Asked(trained, ids).recommend_idx(split.histories, _N, split.known)]
        return float(split.ndcg(lists, _N).mean())

    stages = {name: None if callback.checkpoints is None else callback.checkpoints / name for name in ("validated", "refit")}
    validating = replace(callback, checkpoints=stages["validated"], validate=validate, keep_checkpoints=True)
    model.fit(split.train, np.random.default_rng(seed), items, validating)
    if config.refit and model.epochs:
        whole = type(model)(replace(config, epochs=model.epochs))  # type: ignore[call-arg]
        whole.fit(data, np.random.default_rng(seed), items, replace(callback, checkpoints=stages["refit"]))
        if whole.epochs == model.epochs:
            whole.config, model = config, whole
    for folder in stages.values():
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
    return model


def validation_split(data: Interactions, rng: np.random.Generator, users: int, ordered: bool) -> HoldoutSplit:
    """Hold out the last new item of up to `users` random users who liked three different ones or more, with all of their
    events from the first one on it; a random item, with all events on it, where order tells nothing. The others keep theirs."""
    liked = data.weights > 0
    pairs = data.users.astype(np.int64) * len(data.item_ids) + data.items
    found, first = np.unique(pairs[liked], return_index=True)
    first, owners = np.flatnonzero(liked)[first], found // max(len(data.item_ids), 1)
    order = np.lexsort((first if ordered else rng.random(len(first)), owners))
    sizes = np.bincount(owners, minlength=len(data.user_ids))
    chosen = np.sort(rng.permutation(np.flatnonzero(sizes >= _FEWEST_ITEMS))[:users])
    last = first[order][np.cumsum(sizes)[chosen] - 1]
    held = np.isin(pairs, pairs[last])
    if ordered:
        begins = np.full(len(data.user_ids), len(pairs))
        begins[chosen] = last
        held = np.arange(len(pairs)) >= begins[data.users]
    targets = [data.items[[event]].astype(np.int64) for event in last]
    return slice_of("the last new item of some users", take(data, ~held), chosen.tolist(), targets)
