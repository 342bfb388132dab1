"""What commands share: the options that name a store, and how answers, reports and progress are printed."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, get_type_hints

import typer

from es_recsys.cli.terminal import help_text, printable, printable_line

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from es_recsys.client import Client
    from es_recsys.serving.workspace import Workspace
    from es_recsys.settings import Settings

__all__ = [
    "Bar",
    "JsonFlag",
    "Report",
    "before_command",
    "open_client",
    "open_workspace",
    "print_json",
    "progress",
    "say",
    "shared_options",
    "show_report",
    "table",
    "with_settings",
]

_PANEL = "Global options"

Url = Annotated[str | None, typer.Option(help="Elasticsearch URL (default: the embedded node).", rich_help_panel=_PANEL)]
Index = Annotated[str | None, typer.Option(help="Name of the store (default: shop).", rich_help_panel=_PANEL)]
Config = Annotated[Path | None, typer.Option(help="Settings file (TOML) (default: es_recsys.toml).", rich_help_panel=_PANEL)]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

_SHARED: dict[str, Any] = {"url": Url, "index": Index, "config": Config}


def with_settings(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options --url, --index and --config, and their Settings as its first argument.

    What stands after the command goes before what stands before it (see `shared_options`).
    """

    def command(context: typer.Context, *args: Any, **kwargs: Any) -> Any:
        from es_recsys.settings import load_settings

        after = {name: value for name in _SHARED if (value := kwargs.pop(name, None)) is not None}
        return function(load_settings(**{"config": None, **before_command(context), **after}), *args, **kwargs)

    signature = inspect.signature(function)
    own = list(signature.parameters.values())[1:]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind) for name, kind in _SHARED.items()
    ]
    group = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    hints = get_type_hints(function, include_extras=True, localns={"Settings": Any})
    command.__name__ = function.__name__
    command.__doc__ = help_text(function.__doc__)
    command.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[group, *(p.replace(annotation=hints[p.name]) for p in own), *shared], return_annotation=None
    )
    command.__annotations__ = {"context": typer.Context, **{p.name: hints[p.name] for p in own}, **_SHARED}
    return command


def shared_options(url: Url = None, index: Index = None, config: Config = None) -> None:
    """Give a group of commands --url, --index and --config, as its callback; its commands read them."""


def before_command(context: typer.Context) -> dict[str, Any]:
    """Return the shared options that stand before the command; the nearest to it counts."""
    found: dict[str, Any] = {}
    group = context.parent
    while group is not None:
        found = {name: value for name in _SHARED if (value := group.params.get(name)) is not None} | found
        group = group.parent
    return found


@contextmanager
def open_client(settings: Settings) -> Iterator[Client]:
    """Open a client of the store that `settings` name."""
    from es_recsys.client import Client

    client = Client(settings=settings)
    try:
        yield client
    finally:
        client.close()


@contextmanager
def open_workspace(settings: Settings) -> Iterator[Workspace]:
    """Open the store that `settings` name, for a job."""
    from es_recsys.serving.workspace import Workspace

    with Workspace(settings) as work:
        yield work


def print_json(value: Any) -> None:
    import orjson

    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode() + "\n")


def say(text: str) -> None:
    """Print a line of text for people."""
    sys.stdout.write(printable(text) + "\n")


def table(title: str, columns: list[str], rows: list[list[str]], *, right: tuple[str, ...] = ()) -> None:
    """Print a table; plain and unbroken where standard output is a file."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    # Not the grid's own title, which is as narrow as its columns and would be broken.
    say(title)
    grid = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        grid.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(escape(printable_line(cell)) for cell in row))
    console = Console() if sys.stdout.isatty() else Console(width=160)
    console.print(grid)


class Report(Protocol):
    """What a job reports."""

    def lines(self) -> Iterable[str]: ...

    def to_dict(self) -> dict[str, Any]: ...


def show_report(report: Report, as_json: bool, shown: Collection[str] = ()) -> None:
    """Print a report. shown: lines that stand on the same terminal already."""
    if as_json:
        print_json(report.to_dict())
        return
    for line in report.lines():
        if line not in shown:
            say(line)


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
