"""Report of a model selection: lines to be read, and the same figures as JSON values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

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


def config_words(config: Any) -> str:
    """Return the settings of a config that differ from the defaults, nested ones under a dotted name."""
    return ", ".join(f"{name}={value}" for name, value in _changed(config, type(config)())) or "default settings"


def _changed(config: Any, usual: Any) -> Iterator[tuple[str, Any]]:
    for one in fields(config):
        value, default = getattr(config, one.name), getattr(usual, one.name)
        if is_dataclass(value):
            yield from ((f"{one.name}.{name}", inner) for name, inner in _changed(value, default))
        elif one.compare and value != default:
            yield one.name, value


def cut_note(cut_short: bool) -> str:
    """Return the note that time ran out for a search of settings, "" where it did not."""
    return " (the time ran out)" if cut_short else ""


def failed_note(failed: Sequence[Exception]) -> str:
    """Return the note on settings that could not be tried, "" where there are none."""
    return f" ({len(failed)} of them could not be tried: {type(failed[0]).__name__})" if failed else ""
