"""What a training calls on its way: progress, validation, checkpoints and the deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from es_recsys.errors import OutOfTime

__all__ = ["TrainingCallback"]


@dataclass(frozen=True, slots=True)
class TrainingCallback:
    """Callback of one training.

    on_epoch(epoch, total, metrics): called after each epoch with what was measured, such as {"loss": .3, "ndcg": .05}; after
    each part of another long training with no metrics. checkpoints: folder in which a training keeps its state, so that one
    that was interrupted goes on from there (None: nothing is kept); removed when the training ends, unless keep_checkpoints.
    deadline: `time.monotonic` seconds after which no further epoch begins; the best by then is kept. required: whether there
    must be a model; if not, a training that gives nothing before it is whole is given up at the deadline. validate(model):
    quality in [0, 1] of a model that learns in epochs, after each of them, on events that it doesn't learn from; training
    stops when it no longer rises. Without it, all epochs of the configuration are trained.
    """

    on_epoch: Callable[[int, int, Mapping[str, float]], None] | None = None
    checkpoints: Path | None = None
    deadline: float = float("inf")
    required: bool = True
    validate: Callable[[Any], float] | None = None
    keep_checkpoints: bool = False

    def report(self, done: int, total: int, metrics: Mapping[str, float] | None = None) -> None:
        """Call `on_epoch`, where there is one."""
        if self.on_epoch is not None:
            self.on_epoch(done, total, metrics or {})

    def check_deadline(self, name: str) -> None:
        """Raise OutOfTime after the deadline, unless the model is required: for a training that gives nothing before it is
        whole."""
        if not self.required and time.monotonic() > self.deadline:
            raise OutOfTime(f"The training of {name} was not whole when its time was over.", "Give it more time.")
