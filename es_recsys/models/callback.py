"""Who looks on at a long training: progress is told, checkpoints are kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from es_recsys.errors import OutOfTime

__all__ = ["TrainingCallback"]


@dataclass(frozen=True, slots=True)
class TrainingCallback:
    """tell(done, total, figures): called after each epoch with what was reached, such as {"loss": .3, "ndcg": .05}; after each
    part of another long training, where nothing is measured on the way, with no figures.

    checkpoints: folder in which a training keeps where it is, so that one that was broken off goes on from there; it is
    removed when the training ends. None: nothing is kept. deadline: `time.monotonic` seconds after which no further
    epoch begins; what is best by then is kept. needed: whether there must be a model; if not, a training that gives nothing
    before it is whole may be given up at the deadline.
    """

    tell: Callable[[int, int, Mapping[str, float]], None] | None = None
    checkpoints: Path | None = None
    deadline: float = float("inf")
    needed: bool = True

    def part(self, done: int, total: int) -> None:
        """Tells of a part after which nothing is measured."""
        if self.tell is not None:
            self.tell(done, total, {})

    def go_on(self, name: str) -> None:
        """For a training that gives nothing before it is whole. Raises OutOfTime after the deadline, unless it is needed."""
        if not self.needed and time.monotonic() > self.deadline:
            raise OutOfTime(f"The training of {name} was not whole when its time was over.", "Give it more time.")
