"""What becomes of a line, or a field, that can't be used: counted, written beside its file, and the rest goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

import orjson

from es_recsys.counting import counted
from es_recsys.errors import InputError, TooManyErrors
from es_recsys.private import private_opener
from es_recsys.sources.row_errors import NOT_UTF8

__all__ = ["RejectedRow", "RejectedRows", "dry_run", "rejected_path"]

_KEPT_ROWS = 10
_MAX_EXAMPLES = 3
_MAX_REASONS = 100
_MAX_VALUE_LENGTH = 40


class RejectedRow(NamedTuple):
    """One line that was not used. `line` counts from 1 (in Parquet: the row); `field` is "" where it is the whole line."""

    file: Path
    line: int
    field: str
    reason: str

    def __str__(self) -> str:
        field = f", {self.field}" if self.field else ""
        return f"{self.file} line {self.line}{field}: {self.reason}"


def rejected_path(file: Path) -> Path:
    """Return where the rejected rows of `file` go: FILE.rejected.jsonl beside it."""
    return file.with_name(file.name + ".rejected.jsonl")


class RejectedRows:
    """Collects rejected lines of one run; a context manager, so that the report files are closed.

    max_errors: how many lines may be rejected (None: any number); one more raises TooManyErrors.
    write: whether lines go to FILE.rejected.jsonl, as `{"file", "line", "field", "reason", "raw"}`. The file is of the
    last run: it is replaced, and removed where nothing was rejected. Where the folder can't be written, the working
    folder gets it.

    A field that can't be read costs the field and not the line: `field` counts it, by field and reason in `fields`, and it goes
    to the report with `"kept": true`; it does not count towards max_errors.

    `count`; `first`, the first ten; `files` written; `skipped`, lines that are right but say nothing that is kept (an
    impression), by reason; `notes`, what a person should know of the files. Memory stays flat.
    """

    def __init__(self, max_errors: int | None = None, *, write: bool = True) -> None:
        self.max_errors = max_errors
        self.count = 0
        self.first: list[RejectedRow] = []
        self.files: list[Path] = []
        self.fields: Counter[tuple[str, str]] = Counter()
        self.skipped: Counter[str] = Counter()
        self.notes: list[str] = []
        self._examples: dict[tuple[str, str], list[str]] = {}
        self._write = write
        self._file: Path | None = None
        self._begun: set[Path] = set()
        self._out: BinaryIO | None = None

    def begin(self, files: Sequence[Path]) -> None:
        """Say which files this run reads. Raises InputError where one is the report file of another."""
        reports = {rejected_path(file).resolve(): file for file in files}
        for file in files:
            if (owner := reports.get(file.resolve())) is not None:
                raise InputError(f"{file} is where the rejected lines of {owner} go.", "Rename it before loading it.")
        if self._write:
            for file in set(files) - self._begun:
                self._drop_stale(file)

    def add(self, file: Path, line: int, field: str, reason: str, raw: Any) -> None:
        """Count one bad line. raw: the line's text, bytes, or values."""
        reject = RejectedRow(file, line, field, reason)
        self.count += 1
        if len(self.first) < _KEPT_ROWS:
            self.first.append(reject)
        if self._write:
            self._out_for(file).write(_encode(reject, raw))
        if self.max_errors is not None and self.count > self.max_errors:
            self.close()
            raise self._too_many()

    def add_field_error(self, file: Path, line: int, field: str, reason: str, raw: Any, value: Any = None) -> None:
        """Count a field that a line is used without. value: what stands there, where it is not personal."""
        key = field, reason
        if key not in self.fields and len(self.fields) >= _MAX_REASONS:
            key = field if any(field == name for name, _ in self.fields) else "other fields", "other reasons"
        self.fields[key] += 1
        examples = self._examples.setdefault(key, [])
        if len(examples) < _MAX_EXAMPLES:
            examples.append(f"{file} line {line}" + ("" if value is None else f": {_abbreviated(value)}"))
        if self._write:
            self._out_for(file).write(_encode(RejectedRow(file, line, field, reason), raw, kept=True))

    def field_error_lines(self) -> Iterator[str]:
        """Yield a line for people for each field and reason, the most frequent first."""
        for error in self.field_error_dicts():
            used = counted(error["count"], "line is used without its", "lines are used without their")
            yield f"{used} {error['field']}: it {error['reason']} ({'; '.join(error['examples'])})"

    def field_error_dicts(self) -> list[dict[str, Any]]:
        """Return the same as JSON values."""
        return [
            {"field": field, "reason": reason, "count": count, "examples": self._examples[field, reason]}
            for (field, reason), count in self.fields.most_common()
        ]

    def summary(self) -> str:
        """Return the first bad lines and where all of them are, in one sentence; "" where there is none."""
        if not self.count:
            return ""
        where = f"; all of them are in {', '.join(map(str, self.files))}" if self.files else ""
        return f"{counted(self.count, 'line was', 'lines were')} rejected ({self._first_lines()}){where}"

    def messages(self) -> Iterator[str]:
        """Yield all that a person should know, a line each: notes, rows skipped or rejected, fields dropped."""
        yield from self.notes
        yield from self.skipped_lines()
        yield from self.field_error_lines()
        if self.count:
            yield self.summary()

    def nothing_usable(self, what: str, files: Sequence[Path]) -> InputError:
        """Return the error of a run that found no row to use: how many there were, the first reasons, and where all are told.

        what: "item" or "event".
        """
        named = ", ".join(map(str, files))
        found = [*self.skipped_lines(3), *filter(None, [self.summary()])]
        if not found:
            return InputError(f"There is no {what} in {named}.", f"Give files with {what}s; see docs/data.md.")
        remedy = f"{self._mend('Mend the lines, or name columns with --columns and --constant')}; docs/data.md has the forms."
        return InputError(f"No line of {named} can be used: {'; '.join(found)}.", remedy)

    def skipped_lines(self, most: int | None = None) -> Iterator[str]:
        """Yield a line for people for each kind of row that was skipped."""
        for reason, count in self.skipped.most_common(most):
            yield f"{counted(count, 'line', 'lines')} left out: {reason}"

    def skip(self, reason: str) -> None:
        self.skipped[reason] += 1

    def note(self, text: str) -> None:
        """Keep a remark; said once however often it comes."""
        if text not in self.notes and len(self.notes) < 100:
            self.notes.append(text)

    def close(self) -> None:
        if self._out is not None:
            self._out.close()
            self._out = self._file = None

    def __enter__(self) -> RejectedRows:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _too_many(self) -> TooManyErrors:
        where = f" They are in {', '.join(map(str, self.files))}." if self.files else ""
        return TooManyErrors(
            f"More than {self.max_errors} lines can't be used: {self._first_lines()}.",
            f"Nothing was loaded.{where} {self._mend('Mend them')}, or allow more with --max-errors.",
        )

    def _first_lines(self) -> str:
        return "; ".join(map(str, self.first[:3]))

    def _mend(self, otherwise: str) -> str:
        """Return what to do about the rows; of another encoding they are whole once it is named."""
        if any(reject.reason.startswith(NOT_UTF8) for reject in self.first):
            return "Name the encoding (--encoding windows-1252 is usual on Windows)"
        return otherwise

    def _drop_stale(self, file: Path) -> None:
        # A report of an earlier run would be taken for one of this run.
        for path in _report_paths(file):
            if path.is_file() and _is_report(path, file):
                try:
                    path.unlink()
                except OSError:
                    self.note(f"{path} is of an earlier run and can't be removed.")

    def _out_for(self, file: Path) -> BinaryIO:
        if self._out is None or self._file != file:
            self.close()
            self._out = self._open(file)
            self._file = file
        return self._out

    def _open(self, file: Path) -> BinaryIO:
        beside, here = _report_paths(file)
        for path in (beside, here):
            try:
                out = open(path, "ab" if file in self._begun else "wb", opener=private_opener)  # noqa: SIM115
            except OSError:
                continue
            self._begun.add(file)
            if path not in self.files:
                self.files.append(path)
            return out
        raise InputError(
            f"The rejected lines of {file} can't be written, neither to {beside.parent} nor to {here.absolute().parent}.",
            "Run the command in a folder that can be written.",
        )


def dry_run(
    read: Callable[[RejectedRows], Iterator[Any]], max_errors: int | None = None, *, count: Callable[[Any], int] = lambda row: 1
) -> tuple[int, RejectedRows]:
    """Read everything and keep nothing; return the count of good rows, and the rejected ones.

    read: as `read_items` or `read_events` with the files and options that will be loaded. count: rows in one thing read.
    Rejected rows are written to FILE.rejected.jsonl. Memory is flat. Raises TooManyErrors where more than `max_errors` rows are
    rejected, InputError as the reader does.
    """
    with RejectedRows(max_errors) as rejected:
        good = sum(map(count, read(rejected)))
    return good, rejected


def _report_paths(file: Path) -> tuple[Path, Path]:
    """Return where the report of a file goes, and where it goes if that folder can't be written: the working folder."""
    return rejected_path(file), Path(rejected_path(file).name)


def _is_report(path: Path, file: Path) -> bool:
    # Two files of one name in two folders share a report name in the working folder; remove only our own.
    with path.open("rb") as stream:
        line = stream.readline(1 << 26)
    try:
        first = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return isinstance(first, dict) and first.get("file") == str(file) and "reason" in first


def _abbreviated(value: Any) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits; lists in lists in lists
        return "..."
    return text if len(text) <= _MAX_VALUE_LENGTH else text[: _MAX_VALUE_LENGTH - 3] + "..."


def _encode(reject: RejectedRow, raw: Any, *, kept: bool = False) -> bytes:
    if isinstance(raw, bytes):
        raw = raw.decode("utf-8", "backslashreplace")
    record = {"file": str(reject.file), "line": reject.line, "field": reject.field, "reason": reject.reason, "raw": raw}
    if kept:
        record["kept"] = True
    try:
        return orjson.dumps(record, default=str, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)
    except (orjson.JSONEncodeError, RecursionError):  # a lone surrogate, a number of more than 64 bits, lists in lists in lists
        record = {name: _encodable(value) if isinstance(value, str) else value for name, value in record.items()}
        return orjson.dumps(record | {"raw": _ascii(raw)}, option=orjson.OPT_APPEND_NEWLINE)


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _ascii(raw: Any) -> str:
    try:
        return ascii(raw)
    except (ValueError, RecursionError):
        return "a value that can't be shown"
