"""Answers the questions of a file into a file, many at a time, and goes on where it was broken off."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import orjson

from es_recsys.errors import EngineError, InputError, KeyMismatch, RecsysError
from es_recsys.jobs.partial_output import Partial
from es_recsys.progress import Progress
from es_recsys.sources import Row, read_rows
from es_recsys.sources.rejected_rows import RejectedRows
from es_recsys.types import Answer, Query

__all__ = ["BatchReport", "answer_file"]

Ask = Callable[[Iterable[Query]], Iterator[Answer | RecsysError]]

# So many questions in succession that Elasticsearch fails to answer, and it is taken to be away; at the end fewer do.
_AWAY, _AWAY_AT_END = 32, 3


@dataclass(frozen=True, slots=True)
class BatchReport:
    """How many questions were answered, how many lines hold an error in place of hits, and how many of these are no question.
    resumed: how many lines were there from a run that was broken off. first: the first error of a line that is no question."""

    answered: int = 0
    failed: int = 0
    unreadable: int = 0
    resumed: int = 0
    first: str = ""


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the input: what of it stands in the output, and its question, or why it is none."""

    echo: dict[str, Any]
    query: Query | None = None
    error: str = ""


class _Output(Protocol):
    def write(self, line: bytes) -> Any: ...


def answer_file(
    ask: Ask,
    kind: str,
    file: Path,
    *,
    n: int,
    out: Path | None = None,
    store: str = "",
    progress: Progress | None = None,
) -> BatchReport:
    """Answers each line of `file` in its order: {"user_id", "history"?} for "recommend", {"query", "user_id"?, "filter"?}
    for "search". What can't be answered, or is no question, has "error" and no hits in its place.

    Memory is flat. The output appears under its name when it is whole. Where Elasticsearch goes away, the disk is full or the
    process ends, what is done stays in OUT.part, and the same call goes on there, as far as its lines are those of the input.
    Raises EngineError where one question after the other fails, InputError, WriteError.
    """
    lines = _lines(file, kind, n)
    if out is None:
        report = _answer(ask, lines, sys.stdout.buffer, progress)
        sys.stdout.buffer.flush()
        return report
    with Partial(out, {"kind": kind, "n": n, "store": store}) as part:
        try:
            resumed, lines = _resumed(part, lines)
            report = _answer(ask, lines, part, progress, resumed)
            part.finish()
        except RecsysError as error:
            raise _telling(error, part.kept()) from error
    return report


def _resumed(part: Partial, lines: Iterator[_Line]) -> tuple[int, Iterator[_Line]]:
    """How many lines of the output are there, and the lines of the input that follow."""
    done = part.lines()
    for found in done:
        line = next(lines, None)
        if line is None or {name: found.get(name) for name in line.echo} != line.echo:
            done.close()
            return part.count, chain([] if line is None else [line], lines)
    return part.count, lines


def _answer(ask: Ask, lines: Iterator[_Line], out: _Output, progress: Progress | None, resumed: int = 0) -> BatchReport:
    waiting: deque[_Line] = deque()
    failures: list[EngineError] = []
    held: list[bytes] = []
    answered = failed = unreadable = 0
    first = ""

    def questions() -> Iterator[Query]:
        for line in lines:
            waiting.append(line)
            if line.query is not None:
                yield line.query

    def put(line: _Line, found: Answer | RecsysError | None) -> None:
        nonlocal answered, failed, unreadable, first
        if isinstance(found, Answer):
            answered += 1
            value = {**line.echo, "hits": [{"item_id": hit.item_id, "score": hit.score} for hit in found.hits]}
        else:
            failed += 1
            unreadable += found is None
            first = first or line.error
            value = {**line.echo, "hits": [], "error": str(found) if found is not None else line.error}
        held.append(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))
        if isinstance(found, EngineError):
            failures.append(found)
        elif found is not None:
            failures.clear()
        # What failed last waits: where Elasticsearch is away, it is not done, and is asked again by the next run.
        if not failures:
            for line_out in held:
                out.write(line_out)
            held.clear()
        if progress is not None:
            progress(resumed + answered + failed, None)

    for found in ask(questions()):
        if isinstance(found, KeyMismatch):
            raise found  # it would be every user's
        while waiting[0].query is None:
            put(waiting.popleft(), None)
        put(waiting.popleft(), found)
        if len(failures) >= _AWAY:
            raise failures[-1]
    if failures and len(failures) >= min(_AWAY_AT_END, answered + failed - unreadable):
        raise failures[-1]
    failures.clear()
    while waiting:
        put(waiting.popleft(), None)
    for line_out in held:
        out.write(line_out)
    return BatchReport(answered, failed, unreadable, resumed, first)


def _telling(error: RecsysError, more: str) -> RecsysError:
    """The same error with a longer remedy."""
    told = type(error).__new__(type(error))
    RecsysError.__init__(told, error.what, f"{error.remedy} {more}".strip())
    return told


class _InPlace(RejectedRows):
    """Lines that can't be read, each kept for its place among those that can."""

    def __init__(self, found: deque[_Line]) -> None:
        super().__init__(write=False)
        self._found = found

    def add(self, file: Path, line: int, field: str, reason: str, raw: Any) -> None:
        self._found.append(_Line({}, error=f"{file} line {line}: {reason}."))


def _lines(file: Path, kind: str, n: int) -> Iterator[_Line]:
    unreadable: deque[_Line] = deque()
    read = _recommendation if kind == "recommend" else _search
    for row in read_rows(file, rejected=_InPlace(unreadable)):
        while unreadable:
            yield unreadable.popleft()
        yield read(row, n)
    yield from unreadable


def _recommendation(row: Row, n: int) -> _Line:
    values = row.values
    echo = {"user_id": values.get("user_id")}
    user, history = values.get("user_id"), values.get("history")
    if user is None and history is None:
        return _bad(row, echo, "user_id is missing, and history too")
    return _read(row, echo, user_id=user, history=history, n=n)


def _search(row: Row, n: int) -> _Line:
    values = row.values
    text, filters = values.get("query"), values.get("filter") or ()
    echo = {"query": text, **({"user_id": values["user_id"]} if values.get("user_id") is not None else {})}
    if not isinstance(text, str):
        return _bad(row, echo, f"query {'is missing' if text is None else 'is not a text'}")
    return _read(row, echo, text=text, user_id=values.get("user_id"), filter=filters, n=n)


def _read(row: Row, echo: dict[str, Any], **question: Any) -> _Line:
    try:
        return _Line(echo, Query(**question))
    except InputError as error:
        return _bad(row, echo, error.what.rstrip("."))


def _bad(row: Row, echo: dict[str, Any], reason: str) -> _Line:
    return _Line(echo, error=f"{row.file} line {row.line}, {reason}.")
