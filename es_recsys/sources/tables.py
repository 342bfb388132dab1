"""Any file as a stream of rows: JSON, CSV, XML or Parquet, gzipped or not."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from es_recsys.errors import InputError
from es_recsys.sources.delimited import DelimitedFile
from es_recsys.sources.input_files import InputFile, Progress, SpooledTable, detect_format, read_lines
from es_recsys.sources.jsonl import array_rows, jsonl_rows
from es_recsys.sources.parquet import open_parquet
from es_recsys.sources.read_options import DEFAULT_OPTIONS, ReadOptions
from es_recsys.sources.rejected_rows import RejectedRows
from es_recsys.sources.row_errors import NOT_UTF8, InvalidValue, RowError, first_error
from es_recsys.sources.separators import Separator, parse_separator
from es_recsys.sources.xml_rows import xml_rows

__all__ = ["Row", "Table", "note_dropped_field", "open_tables", "read_rows", "reject"]

_PROGRESS_ROWS = 2_000
_COMMON_SEPARATORS = (",", ";", "\t")


class Row(NamedTuple):
    """One line of a file. line counts from 1 (in Parquet: the row); values: column to value, as the file has them."""

    file: Path
    line: int
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """An open file.

    columns: its header, None for JSON. typed: False where every value is text (CSV). separator: of CSV. header: False where
    the columns only have numbers.
    """

    path: Path
    columns: tuple[str, ...] | None
    typed: bool
    rows: Iterator[Row]
    separator: Separator | None = None
    header: bool = True


def reject(rejected: RejectedRows, row: Row, error: InvalidValue | ValidationError) -> None:
    """Count a row that can't be used."""
    rejected.add(row.file, row.line, *first_error(error), row.values)


def note_dropped_field(rejected: RejectedRows, row: Row, name: str, reason: str, value: Any) -> None:
    """Count a field that a row is used without."""
    rejected.add_field_error(row.file, row.line, name, reason, row.values, value)


def read_rows(path: str | Path, options: ReadOptions = DEFAULT_OPTIONS, *, rejected: RejectedRows | None = None) -> Iterator[Row]:
    """Yield the rows of one file, one at a time.

    rejected: gets the lines that can't be read; without it the first of them raises InputError. Raises InputError for a file that
    is missing, empty, damaged or of another kind.
    """
    for table in open_tables((Path(path),), options, rejected):
        yield from table.rows


def open_tables(
    paths: tuple[Path | SpooledTable, ...],
    options: ReadOptions = DEFAULT_OPTIONS,
    rejected: RejectedRows | None = None,
    progress: Progress | None = None,
) -> Generator[Table, None, None]:
    """Yield the files one after the other; each is closed when the next is asked for.

    All are looked at before the first is read. Raises InputError as `read_rows`.
    """
    sources = [detect_format(path, options.encoding) for path in paths]
    if rejected is not None:
        rejected.begin([source.shown for source in sources])
    total = sum(source.size for source in sources)
    done = 0
    for source in sources:

        def tick(read: int, before: int = done) -> None:
            if progress is not None:
                progress(before + read, total)

        with _open(source, options, rejected, tick) as table:
            # Only its rows show what columns there are then.
            made = options.transform
            yield table if made is None else replace(table, columns=None, header=True, rows=made(table.rows))
        done += source.size
    if progress is not None:
        progress(total, total)


@contextmanager
def _open(source: InputFile, options: ReadOptions, rejected: RejectedRows | None, tick: Callable[[int], None]) -> Iterator[Table]:
    path = source.shown

    def note(text: str) -> None:
        if rejected is not None:
            rejected.note(f"{path}: {text}.")

    def report(fault: RowError) -> None:
        if rejected is None:
            raise InputError(f"{path} line {fault.line} {fault.reason}.", "Mend or remove the line.")
        if fault.reason.startswith(NOT_UTF8):
            note("lines that are not UTF-8 are rejected; --encoding windows-1252 reads what is usual on Windows")
        rejected.add(path, *fault)

    if source.format == "parquet":
        with open_parquet(source) as file:
            if file.left_out:
                note(f"columns of bytes are left out: {', '.join(file.left_out)}")
            share = source.size / max(file.count, 1)
            rows = _rows(path, file.rows(), lambda number: tick(int(number * share)))
            yield Table(path, tuple(file.columns), True, rows)
        return
    charset = source.encoding or "UTF-8"
    stream, disk = source.open()
    with stream:
        numbered = read_lines(stream, path)

        def tell(_: int) -> None:
            tick(disk.tell())

        if source.format == "csv":
            separator = None if options.separator is None else parse_separator(options.separator)
            delimited = DelimitedFile(
                numbered, path, separator, tabs=source.tabs, header=options.header, names=options.names, charset=charset
            )
            if separator is None and delimited.separator.text not in _COMMON_SEPARATORS:
                note(f"cells are taken to be separated by {delimited.separator}; --separator changes it")
            rows = _rows(path, delimited.rows(report), tell)
            named = options.header or bool(options.names)
            yield Table(path, tuple(delimited.columns), False, rows, delimited.separator, named)
        elif source.format == "xml":
            yield Table(path, None, False, _rows(path, xml_rows(numbered, report, source.encoding and "UTF-8"), tell))
        elif source.format == "json":
            yield Table(path, None, True, _rows(path, array_rows(numbered, report, charset), tell))
        else:
            yield Table(path, None, True, _rows(path, jsonl_rows(numbered, report, note, charset), tell))


def _rows(path: Path, numbered: Iterator[tuple[int, dict[str, Any]]], tick: Callable[[int], None]) -> Iterator[Row]:
    for count, (number, values) in enumerate(numbered, start=1):
        yield Row(path, number, values)
        if count % _PROGRESS_ROWS == 0:
            tick(number)
