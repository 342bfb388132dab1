"""Report of a model selection: lines to be read, and the same figures as JSON values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from es_recsys.models.als import ALSConfig
from es_recsys.models.covisitation import CoVisitationConfig

__all__ = ["ExpectedQuality", "Notes", "Report", "config_words", "cut_note", "failed_note"]


@dataclass(frozen=True, slots=True)
class Report:
    """Report of what was chosen.

    lines: what was chosen and why, to be read. figures: the same numbers as JSON values.
    """

    lines: tuple[str, ...]
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExpectedQuality:
    """NDCG@20 of the next new item after a split in time, as training measured it on events that it held out.

    `error` is the standard error of this mean over `users` users.
    """

    ndcg: float
    error: float
    users: int

    @classmethod
    def of(cls, each: NDArray[np.float64]) -> Self:
        """Return the mean of each user's NDCG (n_users,), with its standard error."""
        return cls(float(each.mean()), float(each.std() / np.sqrt(len(each))), len(each))


class Notes:
    """Collector of the report's lines, which passes each on as it comes."""

    def __init__(self, on_line: Callable[[str], None] | None) -> None:
        self.lines: list[str] = []
        self.figures: dict[str, Any] = {}
        self._on_line = on_line

    def say(self, line: str, **figures: Any) -> None:
        self.lines.append(line)
        self.figures.update(figures)
        if self._on_line:
            self._on_line(line)


def covisitation_words(config: CoVisitationConfig) -> str:
    """Return a config of co-visitation in words."""
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


def config_words(config: Any) -> str:
    """Return a config in words: the known ones in sentences, of the others what isn't as usual."""
    if isinstance(config, CoVisitationConfig):
        return covisitation_words(config)
    if isinstance(config, ALSConfig):
        recency = "" if np.isinf(config.half_life) else f", half-life {config.half_life:g} events"
        return f"{config.factors} factors, confidence {config.confidence.scale:g}, b {config.confidence.b:g}{recency}"
    usual = type(config)()
    own = [(one.name, getattr(config, one.name)) for one in fields(config) if one.compare]
    changed = [f"{name.replace('_', ' ')} {value}" for name, value in own if value != getattr(usual, name)]
    return ", ".join(changed) or "usual settings"


def cut_note(cut_short: bool) -> str:
    """Return the note that time ran out for a search of settings, "" where it did not."""
    return " (the time ran out)" if cut_short else ""


def failed_note(failed: Sequence[Exception]) -> str:
    """Return the note on settings that could not be tried, "" where there are none."""
    return f" ({len(failed)} of them could not be tried: {type(failed[0]).__name__})" if failed else ""
