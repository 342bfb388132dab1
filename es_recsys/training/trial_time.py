"""How the processor time of a training is shared by the models that it tries, one after the other."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from es_recsys.models.registry import MODELS
from es_recsys.training.epoch_trial import LEAST_S

__all__ = ["TrialTime"]

# Co-visitation has the largest space of settings. One trial of the sequence model is a whole training.
_PATIENCE = {"covisitation": 1.5, "sasrec": 2.0}
# What a training in epochs takes here it takes twice more: to learn all events, and those by which search weights are chosen.
_MOST_IN_EPOCHS = 1.0 / 3.0
# For the ensemble's weights: this of what is left at least, and as long as it takes to ask all models for so many times the users
# of a trial (twice as many weigh them, and of half as many it is asked what one event tells and what popularity adds).
_FOR_WEIGHTS, _WEIGHING = 0.1, 3.0
# The first models are tried however little time there is.
_ALWAYS = 2


@dataclass(slots=True)
class TrialTime:
    """Processor time that is left to try models in, and what asking a model takes.

    budget: seconds of it in all. began: `time.process_time` seconds of when it began.
    """

    budget: float
    began: float
    _asking: float = field(default=0.0, init=False)
    _tried: int = field(default=0, init=False)

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
        share = max(left, 0.0) * min(_PATIENCE.get(names[0], 1.0) / len(names), 1.0)
        return min(share, _MOST_IN_EPOCHS * self.budget) if MODELS[names[0]].stops_early else share

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
