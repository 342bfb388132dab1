"""How the processor time of a training is shared by the models that it tries, one after the other."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from es_recsys.models.registry import MODELS
from es_recsys.training.epoch_trial import LEAST_S

__all__ = ["TrialTime"]

# Co-visitation has the largest space of settings. One trial of the sequence model is a whole training.
_PATIENCE = {"covisitation": 1.5, "sasrec": 2.0}
# Seconds for all trials; where a model learns in epochs, so many more for many events, for which it is so much more patient: an
# epoch takes as long as there are events, and it goes on gaining for as many epochs.
_SECONDS, _MORE_SECONDS, _MORE_PATIENCE = 480.0, 320.0, 6.0
_FEW_EVENTS, _MANY_EVENTS = 200_000, 1_000_000
# What a training in epochs takes here it takes twice more: to learn all events, and those by which search weights are chosen.
# Where it learns from nearly all of many events here, the last one goes on from it.
_MOST_IN_EPOCHS, _MOST_GOING_ON, _NEARLY_ALL = 1.0 / 3.0, 0.55, 0.95
# For the ensemble's weights: this of what is left at least, and as long as it takes to ask all models for so many times the users
# of a trial (twice as many weigh them, and of half as many it is asked what one event tells and what popularity adds).
_FOR_WEIGHTS, _WEIGHING = 0.1, 3.0
# The first models are tried however little time there is.
_ALWAYS = 2


@dataclass(slots=True)
class TrialTime:
    """Processor time that is left to try models in, and what asking a model takes.

    budget: seconds of it in all. began: `time.process_time` seconds of when it began. many: from 0 for few events to 1 for many.
    goes_on: whether the last training in epochs goes on from the one that is tried.
    """

    budget: float
    began: float
    many: float = 0.0
    goes_on: bool = False
    _asking: float = field(default=0.0, init=False)
    _tried: int = field(default=0, init=False)

    @classmethod
    def of(cls, names: Sequence[str], learned: int, events: int, *, began: float, seconds: float | None = None) -> Self:
        """Return the time for models of these names.

        learned: events that they learn from here. events: all that the last training learns from. seconds: of processor time
        (None: 480, and where a model learns in epochs up to 800, for a million events).
        """
        in_epochs = any(MODELS[name].stops_early for name in names)
        many = float(np.clip((learned - _FEW_EVENTS) / (_MANY_EVENTS - _FEW_EVENTS), 0.0, 1.0)) if in_epochs else 0.0
        goes_on = learned >= max(_NEARLY_ALL * events, _FEW_EVENTS)
        return cls(_SECONDS + many * _MORE_SECONDS if seconds is None else seconds, began, many, goes_on)

    @property
    def deadline(self) -> float:
        """The `time.process_time` seconds when it is over."""
        return self.began + self.budget

    def asked(self, seconds: float, models: int) -> None:
        """Take note of how long it took to ask so many models for their answers to the users of a trial."""
        if models:
            self._asking, self._tried = seconds / models, models

    def share(self, names: Sequence[str]) -> float:
        """Return the seconds for the first of the names, which are still to be tried.

        Later models get what the earlier ones left of the time.
        """
        left = self.deadline - time.process_time()
        left -= max(_FOR_WEIGHTS * left, _WEIGHING * self._asking * (self._tried + 1 + len(names)))
        more = {name: self.many * _MORE_PATIENCE for name in names if MODELS[name].stops_early}
        patience = _PATIENCE.get(names[0], 1.0) + more.get(names[0], 0.0)
        share = max(left, 0.0) * min(patience / (len(names) + sum(more.values())), 1.0)
        most = (_MOST_GOING_ON if self.goes_on else _MOST_IN_EPOCHS) * self.budget
        return min(share, most) if MODELS[names[0]].stops_early else share

    def refusal(self, name: str, seconds: float, tried: int) -> str | None:
        """Return why so many seconds are too few for one more model beside so many others; None where they are enough.

        To try it, those before it are asked once, and it is asked at least once.
        """
        if tried < _ALWAYS:
            return None
        if seconds <= 0.0:
            return "the time ran out"
        least = self._asking * (tried + 1)
        if MODELS[name].stops_early:
            least = max(least, LEAST_S)
        return None if seconds > least else f"the time ran out: it has {seconds:.0f} s, and it takes {least:.0f} s at least"
