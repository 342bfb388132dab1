"""Whom a long job shows how far it is."""

from __future__ import annotations

from typing import Protocol

__all__ = ["ProgressReporter"]


class ProgressReporter(Protocol):
    """Called with (done, total or None) as the job itself goes on."""

    def __call__(self, done: float, total: float | None) -> None: ...

    def line(self, text: str) -> None:
        """A line of the report, as it is known."""
        ...

    def part(self, what: str, done: float, total: float) -> None:
        """How far a part of the job is, such as the epochs of a training."""
        ...
