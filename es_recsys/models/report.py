"""What a selection says of itself: lines to be read, and the same figures as JSON values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from es_recsys.models.als import ALSConfig
from es_recsys.models.transitions import TransitionsConfig

__all__ = ["Notes", "Report", "als_words", "cut_words", "transitions_words"]


@dataclass(frozen=True, slots=True)
class Report:
    """lines: what was chosen and why, to be read. figures: the same numbers as JSON values."""

    lines: tuple[str, ...]
    figures: Mapping[str, Any] = field(default_factory=dict)


class Notes:
    """Collects the report's lines and passes each on as it comes."""

    def __init__(self, tell: Callable[[str], None] | None) -> None:
        self.lines: list[str] = []
        self.figures: dict[str, Any] = {}
        self._tell = tell

    def say(self, line: str, **figures: Any) -> None:
        self.lines.append(line)
        self.figures.update(figures)
        if self._tell:
            self._tell(line)


def transitions_words(config: TransitionsConfig) -> str:
    how = config.counting
    pairs = (
        "pairs of the whole history" if how.window is None else f"pairs up to {how.window} events apart (x {how.decay:g} a step)"
    )
    back = "" if how.window is None or how.backward == 1 else f", backwards x {how.backward:g}"
    recency = "whole history alike" if np.isinf(config.half_life) else f"half-life {config.half_life:g} events"
    days = "" if np.isinf(config.half_life_days) else f" and {config.half_life_days:g} days"
    aged = "" if np.isinf(how.half_life_days) else f", pairs halve in {how.half_life_days:g} days"
    return (
        f"{pairs}{back}{aged}, user power {how.user_power:g}, popularity powers {config.source_power:g} and "
        f"{config.target_power:g}, {recency}{days}"
    )


def als_words(config: ALSConfig) -> str:
    recency = "" if np.isinf(config.half_life) else f", half-life {config.half_life:g} events"
    return f"{config.factors} factors, confidence {config.confidence.scale:g}, b {config.confidence.b:g}{recency}"


def cut_words(cut_short: bool) -> str:
    return " (the time ran out)" if cut_short else ""
