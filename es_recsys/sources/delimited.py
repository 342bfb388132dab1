"""CSV and its relatives (RFC 4180; any separator), with recovery from a quote that is never closed."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from es_recsys.errors import InputError
from es_recsys.sources.headerless import looks_like_data
from es_recsys.sources.input_files import MAX_LINE, NumberedLine
from es_recsys.sources.row_errors import OnRowError, RowError
from es_recsys.sources.separators import BLANKS, Separator, guess_separator, parse_separator_line, split_lines

__all__ = ["DelimitedFile"]

_MAX_RECORD_LINES = 1_000
_SAMPLE_LINES = 25
_SAMPLE_CHARACTERS = 1 << 16
_UNCLOSED = "a quote is opened and not closed"
_ENCODING_REMEDY = "Save the file as UTF-8, or say what it is: --encoding windows-1252 is usual."


class _UnclosedQuote(Exception):
    """A record runs on over too many lines."""


class _LineFeed:
    """Decoded lines for the csv module, which remembers those of the record in the making."""

    def __init__(self, lines: Iterable[NumberedLine]) -> None:
        self._lines = iter(lines)
        self._again: deque[tuple[int, str]] = deque()
        self.record: list[tuple[int, str]] = []
        self.prepare: Callable[[str], str] | None = None
        self._size = 0

    def __iter__(self) -> _LineFeed:
        return self

    def __next__(self) -> str:
        if self.record and (len(self.record) >= _MAX_RECORD_LINES or self._size > MAX_LINE):
            raise _UnclosedQuote(_UNCLOSED)
        if self._again:
            number, text = self._again.popleft()
        else:
            number, line = next(self._lines)
            # What is not UTF-8 becomes surrogates here and is found when the record is whole.
            text = "\udcff\n" if line is None else line.decode("utf-8", "surrogateescape")
        self.record.append((number, text))
        self._size += len(text)
        return text if self.prepare is None else self.prepare(text)

    def peek(self) -> list[str]:
        """Return the first lines that are not blank, which are read again afterwards."""
        found: list[str] = []
        try:
            while len(found) < _SAMPLE_LINES and self._size < _SAMPLE_CHARACTERS:
                text = next(self)
                if text.strip():
                    found.append(text)
        except (StopIteration, _UnclosedQuote):
            pass
        self.finish(0)
        return found

    def finish(self, lines: int | None = None) -> None:
        """Forget the record, or only its first `lines`: the others are read again."""
        if lines is not None:
            self._again.extendleft(reversed(self.record[lines:]))
        self.record.clear()
        self._size = 0


class DelimitedFile:
    """A CSV file: `columns` is its header, `rows()` number of the first line and values of each record.

    separator: None takes the one that a first line `sep=;` names, or guesses it from the first lines. header: False for
    a file whose first line is data already; its columns are `names`, or column1, column2, ... charset: what the lines were
    written in, to say so of a line that can't be read. Raises InputError for a header that can't be used.
    """

    def __init__(
        self,
        lines: Iterable[NumberedLine],
        path: Path,
        separator: Separator | None = None,
        *,
        tabs: bool = False,
        header: bool = True,
        names: Sequence[str] = (),
        charset: str = "UTF-8",
    ) -> None:
        self._feed = _LineFeed(lines)
        self._path = path
        self._charset = charset
        named = self._separator_line()
        first = self._feed.peek()
        self.separator = separator or named or (Separator("\t") if tabs else guess_separator(first))
        csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE + 1))
        self._feed.prepare = self.separator.prepare
        spaced = _has_space_after_separator(first, self.separator)
        self._reader = csv.reader(self._feed, delimiter=self.separator.delimiter, strict=True, skipinitialspace=spaced)
        self.columns = self._header() if header else list(names) or self._numbered(first)

    def rows(self, report: OnRowError) -> Iterator[tuple[int, dict[str, Any]]]:
        feed, columns, reader = self._feed, self.columns, self._reader
        width = len(columns)
        restore = self.separator.restore if feed.prepare is not None else None
        while True:
            fault = ""
            try:
                cells = next(reader)
            except StopIteration:
                return
            except (_UnclosedQuote, csv.Error) as error:
                if not feed.record:
                    return
                fault = str(error)
            else:
                if restore is not None:
                    cells = restore(cells)
                if not any(cells):  # a blank line, or one of separators only, with which spreadsheets fill up
                    feed.finish()
                    continue
                if len(cells) > width and not any(cells[width:]):  # programs end each line with a separator
                    del cells[width:]
                if len(cells) != width:
                    fault = f"has {len(cells)} columns, the header has {width}"
            if fault:
                if (repaired := self._repair()) is not None:
                    yield repaired
                else:
                    self._give_up(fault, report)
                continue
            number, wrong = feed.record[0][0], _decoding_error(feed.record, self._charset)
            raw = b"" if wrong is None else _raw(feed.record)
            feed.finish()
            if wrong is None:
                yield number, dict(zip(columns, cells, strict=True))
            else:
                report(RowError(wrong[0], "", wrong[1], raw))

    def _separator_line(self) -> Separator | None:
        line = next(self._feed, "")
        found = parse_separator_line(line)
        self._feed.finish(0 if found is None else None)
        return found

    def _numbered(self, first: list[str]) -> list[str]:
        records = split_lines(first, self.separator)
        return [f"column{number}" for number in range(1, (len(records[0]) if records else 1) + 1)]

    def _header(self) -> list[str]:
        try:
            cells = next(cells for cells in self._reader if cells)
        except (StopIteration, csv.Error, _UnclosedQuote) as error:
            first = self._feed.record[0][1] if self._feed.record else ""
            remedy = (
                "Save it with line ends of Unix or Windows."
                if "\r" in first.rstrip("\r\n")
                else "Its first line names the columns."
            )
            raise InputError(f"{self._path} has no header line that can be read.", remedy) from error
        wrong = _decoding_error(self._feed.record, self._charset)
        self._feed.finish()
        if wrong is not None:
            raise InputError(f"{self._path} line {wrong[0]} {wrong[1]}.", _ENCODING_REMEDY)
        names = [cell.strip() for cell in self.separator.restore(cells)]
        # Programs end each line with a separator, or leave the header of a row number empty.
        names = [name or f"column{number}" for number, name in enumerate(names, start=1)]
        doubles = sorted({name for name in names if names.count(name) > 1})
        if doubles and not looks_like_data(names[:1]):  # else the check of required columns tells that these are no names
            remedy = "If it has no header line, say --no-header." if looks_like_data(doubles) else "Rename one of them."
            raise InputError(f"{self._path} has two columns named {doubles[0]}.", remedy)
        return names

    def _repair(self) -> tuple[int, dict[str, Any]] | None:
        """Read a line whose quotes are meant otherwise than RFC 4180 says; None where no reading has the header's columns."""
        number, text = self._feed.record[0]
        if '"' not in text or _decoding_error(self._feed.record[:1], self._charset):
            return None
        for cells in self._other_readings(text):
            if len(cells) == len(self.columns):
                self._feed.finish(1)
                return number, dict(zip(self.columns, cells, strict=True))
        return None

    def _other_readings(self, text: str) -> Iterator[list[str]]:
        if '\\"' in text:  # databases and Spark write a quote within quotes so
            yield from split_lines([text.replace('\\"', '""')], self.separator, strict=True)
        if self.separator.text == "\t" or self._feed.prepare is not None:
            # Where quotes aren't needed they are ordinary characters, as in a file of queries.
            yield self.separator.split(text)

    def _give_up(self, reason: str, report: OnRowError) -> None:
        """Reject the record's first line only: the lines after it may be good ones that a stray quote swallowed."""
        number, _ = self._feed.record[0]
        if len(self._feed.record) > 1:
            reason = _UNCLOSED
        if (wrong := _decoding_error(self._feed.record[:1], self._charset)) is not None:
            reason = wrong[1]
        raw = _raw(self._feed.record[:1])
        self._feed.finish(1)
        report(RowError(number, "", reason, raw))


def _has_space_after_separator(lines: list[str], separator: Separator) -> bool:
    """Return whether a blank follows each separator, and quotes come after it, as a person writes tables: `1, "a, b", 3`."""
    if separator.text in (" ", "\t", BLANKS) or not any(f'{separator.text} "' in line for line in lines):
        return False
    header = next(iter(split_lines(lines[:1], separator)), [])
    return len(header) > 1 and all(cell.startswith(" ") for cell in header[1:])


def _decoding_error(record: list[tuple[int, str]], charset: str) -> tuple[int, str] | None:
    for number, text in record:
        if text.isascii():
            continue
        if text == "\udcff\n":
            return number, f"is longer than {MAX_LINE >> 20} MiB"
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as wrong:
            return number, f"is not {charset} (character {wrong.start + 1})"
    return None


def _raw(record: list[tuple[int, str]]) -> bytes:
    return "".join(text for _, text in record).encode("utf-8", "surrogateescape").rstrip(b"\r\n")
