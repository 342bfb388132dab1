"""The progress bar of long commands."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from es_recsys.cli.terminal import printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["Bar", "progress"]


class Bar:
    """A progress bar on standard error, with lines above it and the bar of a part below it; nothing without a terminal."""

    def __init__(self, bars: Progress | None, label: str) -> None:
        self._bars, self._said = bars, list[str]()
        self._task = bars.add_task(label, total=None) if bars is not None else None
        self._part: tuple[str, TaskID] | None = None

    def __call__(self, done: float, total: float | None) -> None:
        if self._bars is not None and self._task is not None:
            self._forget_part()
            self._bars.update(self._task, completed=done, total=total)

    def line(self, text: str) -> None:
        """Print a line above the bar."""
        if self._bars is not None:
            self._forget_part()
            self._bars.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)
            self._said.append(text)

    def part(self, what: str, done: float, total: float) -> None:
        """Show a part below the bar, until another part begins or the job goes on."""
        if self._bars is None:
            return
        if self._part is None or self._part[0] != what:
            self._forget_part()
            self._part = what, self._bars.add_task(what, total=total)
        self._bars.update(self._part[1], completed=done, total=total)

    @property
    def shown(self) -> frozenset[str]:
        """Lines that are on the terminal of standard output already."""
        return frozenset(self._said) if sys.stdout.isatty() else frozenset()

    def _forget_part(self) -> None:
        if self._bars is not None and self._part is not None:
            self._bars.remove_task(self._part[1])
        self._part = None


@contextmanager
def progress(label: str) -> Iterator[Bar]:
    """Show a progress bar where standard error is a terminal. Call it with (done, total or None)."""
    if not sys.stderr.isatty():
        yield Bar(None, label)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield Bar(bars, label)
