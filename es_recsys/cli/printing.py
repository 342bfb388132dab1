"""Print JSON, lines, tables and reports."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, Protocol

from es_recsys.cli.terminal import printable, printable_line

__all__ = ["Report", "print_json", "say", "show_report", "table", "write_json"]


def print_json(value: Any) -> None:
    """Print a value as indented JSON; arrays of numpy are lists."""
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


def write_json(path: Path, value: Any) -> None:
    """Write a result as JSON. Raises InputError where it can't be written."""
    import orjson

    from es_recsys.errors import InputError

    try:
        path.write_bytes(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE))
    except OSError as error:
        raise InputError(
            f"{path} can't be written ({error.strerror}).", "Give a file in a folder that can be written."
        ) from error
