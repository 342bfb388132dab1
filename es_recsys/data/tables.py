"""Any file as a stream of rows: JSON lines, CSV or Parquet, gzipped or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from es_recsys.data.delimited import Delimited, parse_separator
from es_recsys.data.faults import Fault
from es_recsys.data.jsonl import jsonl_rows
from es_recsys.data.parquet import open_parquet
from es_recsys.data.rejects import Rejects
from es_recsys.data.sources import Progress, Source, identify, lines
from es_recsys.errors import InputError

__all__ = ["Row", "Table", "open_tables", "read_rows"]

_TICK = 2_000


class Row(NamedTuple):
    """One line of a file. line counts from 1 (in Parquet: the row); values: column to value, as the file has them."""

    file: Path
    line: int
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """An open file. columns: its header, None for JSON lines. typed: False where every value is text (CSV)."""

    path: Path
    columns: tuple[str, ...] | None
    typed: bool
    rows: Iterator[Row]


def read_rows(path: str | Path, separator: str | None = None, *, rejects: Rejects | None = None) -> Iterator[Row]:
    """Rows of one file, one at a time.

    separator: of CSV; None guesses it from the header. rejects: gets the lines that can't be read; without it the
    first of them raises InputError. Raises InputError for a file that is missing, empty, damaged or of another kind.
    """
    for table in open_tables((Path(path),), separator, rejects):
        yield from table.rows


def open_tables(
    paths: tuple[Path, ...], separator: str | None, rejects: Rejects | None, progress: Progress | None = None
) -> Iterator[Table]:
    """The files one after the other; each is closed when the next is asked for. All are looked at before the first is read."""
    sources = [identify(path) for path in paths]
    if rejects is not None:
        rejects.begin(paths)
    separator = None if separator is None else parse_separator(separator)
    total = sum(source.size for source in sources)
    done = 0
    for source in sources:

        def tick(read: int, before: int = done) -> None:
            if progress is not None:
                progress(before + read, total)

        with _open(source, separator, rejects, tick) as table:
            yield table
        done += source.size
    if progress is not None:
        progress(total, total)


@contextmanager
def _open(source: Source, separator: str | None, rejects: Rejects | None, tick: Callable[[int], None]) -> Iterator[Table]:
    path = source.path

    def report(fault: Fault) -> None:
        if rejects is None:
            raise InputError(f"{path} line {fault.line} {fault.reason}.", "Mend or remove the line.")
        rejects.add(path, *fault)

    if source.format == "parquet":
        with open_parquet(source) as file:
            if file.left_out and rejects is not None:
                rejects.note(f"{path}: columns of bytes are left out: {', '.join(file.left_out)}.")
            share = source.size / max(file.count, 1)
            rows = _rows(path, file.rows(), lambda number: tick(int(number * share)))
            yield Table(path, tuple(file.columns), True, rows)
        return
    stream, disk = source.open()
    with stream:
        numbered = lines(stream, path)

        def tell(_: int) -> None:
            tick(disk.tell())

        if source.format == "jsonl":
            yield Table(path, None, True, _rows(path, jsonl_rows(numbered, report), tell))
        else:
            delimited = Delimited(numbered, path, separator, source.tabs)
            yield Table(path, tuple(delimited.columns), False, _rows(path, delimited.rows(report), tell))


def _rows(path: Path, numbered: Iterator[tuple[int, dict[str, Any]]], tick: Callable[[int], None]) -> Iterator[Row]:
    left = _TICK
    for number, values in numbered:
        yield Row(path, number, values)
        left -= 1
        if not left:
            tick(number)
            left = _TICK
