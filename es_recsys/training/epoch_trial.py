"""Trial of a model that learns in epochs: one training, which goes on for as long as it promises to be worth its time."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from es_recsys.dataset import Interactions, ItemTable
from es_recsys.evaluation.holdout_split import HoldoutSplit
from es_recsys.item_ids import ItemIds
from es_recsys.models.base import Model, TrainingCallback
from es_recsys.training.aligned_models import AlignedModel
from es_recsys.training.ensemble_selection import MarginalGain
from es_recsys.training.model_trials import DEPTH

__all__ = ["LEAST_S", "EpochTrial", "briefly", "config_for_all"]

LEAST_S = 15.0
"""Seconds of processor time below which a training in epochs isn't worth its beginning."""

# Part of the time that is given before anything is promised, and more of it a unit of promised gain: a sixtieth is worth it all.
_FIRST, _PER_GAIN = 1.0 / 3.0, 40.0
# Users whose answers are looked at after each epoch.
_USERS = 2_000
_MOST_OF = 0.7
# Events that are learned in all epochs together, at most, where it only matters how much a model's answers count.
_BRIEF = 2_000_000


@dataclass(slots=True)
class EpochTrial:
    """One training on a holdout split, watched epoch by epoch.

    It is asked for its answers after each epoch, and stops where these no longer get better. A third of `seconds` of processor
    time is given to it first; then as much more, a third at a time and up to all of them, as the gain that it promises is worth:
    the share by which it betters the ensemble of the models before it, and half the share by which its own answers have become
    better in the last epoch. beside: those models (None: there are none, and all of the time is given).
    """

    name: str
    part: HoldoutSplit
    seconds: float
    beside: MarginalGain | None
    _given: float = field(default=0.0, init=False)
    _began: float = field(default=0.0, init=False)
    _scores: list[float] = field(default_factory=list, init=False)
    _model: Model | None = field(default=None, init=False)

    def run(self, model: Model, seed: int, items: ItemTable | None, watch: TrainingCallback) -> Model:
        """Return the model as it was after its best epoch; there is one at least."""
        self._began, self._given = time.process_time(), _FIRST * self.seconds
        asked = self.part.first(_USERS)
        ids = ItemIds.of(self.part.train.item_ids.tolist())

        def validate(trained: Model) -> float:
            lists = AlignedModel(trained, ids).recommend_idx(asked.histories, DEPTH, asked.seen)
            self._model = trained
            self._scores.append(float(asked.ndcg([item_idx for item_idx, _ in lists], DEPTH).mean()))
            return self._scores[-1]

        watch = replace(watch, deadline=math.inf, validate=validate, proceed=self._is_worth_an_epoch, keep_state=True)
        return model.fit(self.part.train, np.random.default_rng(seed), items, watch).check_finite()

    def _is_worth_an_epoch(self) -> bool:
        spent = time.process_time() - self._began
        if self._model is None:
            return True
        if self.beside is None:
            return spent < self.seconds
        if spent >= self._given:
            worth = _FIRST + _PER_GAIN * self._promise(self.beside, self._model)
            self._given = min(self.seconds * min(worth, 1.0), spent + _FIRST * self.seconds)
        return spent < self._given

    @property
    def epochs(self) -> int:
        """How many were trained now, without those of a training that was broken off and is gone on with."""
        return len(self._scores)

    @property
    def alone(self) -> float:
        """NDCG@20 of the best epoch, of the users whose answers were looked at; NaN where none was trained now."""
        return max(self._scores, default=math.nan)

    def _promise(self, beside: MarginalGain, model: Model) -> float:
        without = max(beside.without, 1e-9)
        ensemble_ndcg, _ = beside.asked(self.name, model)
        rise = self._scores[-1] - max(self._scores[:-1], default=0.0)
        return max(ensemble_ndcg / without - 1.0, 0.0) + max(rise, 0.0) / without / 2.0


def config_for_all(model: Model, part: Interactions, data: Interactions) -> Any:
    """Return the config by which a model that learned in epochs from a part of the data learns all of them, in as many steps."""
    share = min(len(part.items) / max(len(data.items), 1), 1.0)
    # Of what was only held out each event is learned as often as the others.
    epochs = model.epochs if share > _MOST_OF else max(round(model.epochs * share), 1)
    return replace(model.config, epochs=epochs, validation_users=0)


def briefly(model: Model, data: Interactions) -> Any:
    """Return the model's config, with fewer epochs where these would learn more than two million events in all."""
    if not model.stops_early:
        return model.config
    return replace(model.config, epochs=min(model.config.epochs, max(round(_BRIEF / max(len(data.items), 1)), 1)))
