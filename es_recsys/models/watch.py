"""Who looks on at a long training: progress is told, checkpoints are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Watch"]


@dataclass(frozen=True, slots=True)
class Watch:
    """tell(done, total, figures): called after each epoch with what was reached, such as {"loss": .3, "ndcg": .05}.

    checkpoints: folder in which a training keeps where it is, so that one that was broken off goes on from there; it is
    removed when the training ends. None: nothing is kept. deadline: `time.monotonic` seconds after which no further
    epoch begins; what is best by then is kept.
    """

    tell: Callable[[int, int, Mapping[str, float]], None] | None = None
    checkpoints: Path | None = None
    deadline: float = float("inf")
