"""Progress reports of long jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

__all__ = ["Progress", "ProgressCounter", "ProgressReporter"]

Progress = Callable[[float, float | None], None]
"""Called with (done, total); total is None where it is not known."""


class ProgressReporter(Protocol):
    """Reporter of progress, called with (done, total or None) as the job itself goes on."""

    def __call__(self, done: float, total: float | None) -> None: ...

    def line(self, text: str) -> None:
        """Report a line of the job's report, as soon as it is known."""
        ...

    def part(self, what: str, done: float, total: float) -> None:
        """Report how far a part of the job is, such as the epochs of a training."""
        ...


class ProgressCounter:
    """Counter that adds up what is done and reports it; not for several threads."""

    def __init__(self, report: Progress | None = None, total: float | None = None) -> None:
        self._report = report
        self._total = total
        self._done = 0

    def advance(self, done: int) -> None:
        self._done += done
        if self._report is not None:
            self._report(self._done, self._total)
