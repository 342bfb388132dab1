"""Answers the requests of a file into a file, many at a time, and resumes where a run was interrupted."""

from __future__ import annotations

import gc
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import orjson

from es_recsys.errors import EngineError, KeyMismatch, RecsysError
from es_recsys.jobs.batch_requests import BatchRequest, read_requests
from es_recsys.jobs.partial_output import PartialOutput
from es_recsys.progress import Progress
from es_recsys.query import Answer, Query

__all__ = ["BatchReport", "answer_file", "answer_requests"]

ExecuteMany = Callable[[Iterable[Query]], Iterator[Answer | RecsysError]]

# So many requests fail one after the other, and Elasticsearch is taken to be down; at the end of the input fewer are enough.
_MAX_CONSECUTIVE_FAILURES, _MAX_FAILURES_AT_END = 32, 3


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What became of a batch's requests.

    answered: lines with hits. failed: lines with an error in place of hits; invalid: those of them that are no request, with the
    `first_error` of such a line. resumed: lines that an interrupted run had written.
    """

    answered: int = 0
    failed: int = 0
    invalid: int = 0
    resumed: int = 0
    first_error: str = ""


class _Output(Protocol):
    def write(self, line: bytes) -> Any: ...


class _Nowhere:
    def write(self, line: bytes) -> None:
        """Write nothing."""


def answer_file(
    execute_many: ExecuteMany,
    kind: str,
    file: Path,
    *,
    n: int,
    out: Path | None = None,
    store: str = "",
    progress: Progress | None = None,
    dials: Mapping[str, float | None] = MappingProxyType({}),
) -> BatchReport:
    """Answer each line of `file` in its order, and write a line for each.

    kind: "recommend" for lines {"user_id", "history"?}, "search" for {"query", "image"?, "audio"?, "user_id"?, "filter"?,
    "seen"?}. n: hits of each answer. A line that can't be answered, or is no request, has "error" and no hits. out: standard
    output where it is None. dials: further arguments of all queries, None for what is not given.

    Memory is flat. `out` appears when it is whole. Where Elasticsearch is down, the disk full or the process killed, what is
    done stays in OUT.part, and the same call resumes there, as far as its lines are those of the input. Raises EngineError where
    one request after the other fails, KeyMismatch, InputError, WriteError.
    """
    given: dict[str, Any] = {name: value for name, value in dials.items() if value is not None}
    Query(**given)
    requests = read_requests(file, kind, n, given)
    if out is None:
        report = _answer(execute_many, requests, _ResultWriter(sys.stdout.buffer, progress))
        sys.stdout.buffer.flush()
        return report
    with PartialOutput(out, {"kind": kind, "n": n, "store": store, **given}) as partial:
        try:
            resumed, requests = _skip_answered(partial, requests)
            report = _answer(execute_many, requests, _ResultWriter(partial, progress, resumed))
            partial.finish()
        except RecsysError as error:
            raise _with_remedy(error, partial.resume_hint()) from error
    return report


def answer_requests(execute_many: ExecuteMany, requests: Iterator[BatchRequest], progress: Progress | None = None) -> BatchReport:
    """Answer requests and write nothing, for what else `execute_many` does. Raises as `answer_file`."""
    return _answer(execute_many, requests, _ResultWriter(_Nowhere(), progress))


def _skip_answered(partial: PartialOutput, requests: Iterator[BatchRequest]) -> tuple[int, Iterator[BatchRequest]]:
    """Return how many lines of the output are there already, and the requests that follow them."""
    written = partial.lines()
    for line in written:
        request = next(requests, None)
        if request is None or {name: line.get(name) for name in request.echo} != request.echo:
            written.close()
            return partial.count, chain([] if request is None else [request], requests)
    return partial.count, requests


def _answer(execute_many: ExecuteMany, requests: Iterator[BatchRequest], writer: _ResultWriter) -> BatchReport:
    """Execute the valid requests, and write the results of all in their order."""
    pending: deque[BatchRequest] = deque()

    def valid_queries() -> Iterator[Query]:
        for request in requests:
            pending.append(request)
            if request.query is not None:
                yield request.query

    with _garbage_frozen():
        for result in execute_many(valid_queries()):
            if isinstance(result, KeyMismatch):
                raise result  # every user's request would fail so
            while pending[0].query is None:
                writer.write(pending.popleft(), None)
            writer.write(pending.popleft(), result)
            writer.raise_if_down(_MAX_CONSECUTIVE_FAILURES)
    writer.raise_if_down(min(_MAX_FAILURES_AT_END, writer.executed))
    writer.flush()
    for request in pending:
        writer.write(request, None)
    return writer.report()


@contextmanager
def _garbage_frozen() -> Iterator[None]:
    """Leave what is there out of garbage collections inside a `with` block: they would go through it for each few answers."""
    if gc.get_freeze_count():  # the program did so itself
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class _ResultWriter:
    """Writes a line for each request and counts them.

    The results of the last requests are held back while they fail because of Elasticsearch: where it is down they are not done,
    and the next run executes them again. resumed: lines that are there already.
    """

    def __init__(self, out: _Output, progress: Progress | None, resumed: int = 0) -> None:
        self._out, self._progress, self._resumed = out, progress, resumed
        self._held: list[bytes] = []
        self._failures: list[EngineError] = []
        self._answered = self._failed = self._invalid = 0
        self._first_error = ""

    @property
    def executed(self) -> int:
        """How many valid requests have a result."""
        return self._answered + self._failed - self._invalid

    def write(self, request: BatchRequest, result: Answer | RecsysError | None) -> None:
        """Write the line of one request. result: None for an invalid one. Raises WriteError."""
        self._held.append(orjson.dumps(self._line(request, result), option=orjson.OPT_APPEND_NEWLINE))
        if isinstance(result, EngineError):
            self._failures.append(result)
        elif result is not None:
            self._failures.clear()
        if not self._failures:
            self.flush()
        if self._progress is not None:
            self._progress(self._resumed + self._answered + self._failed, None)

    def raise_if_down(self, failures: int) -> None:
        """Raise the last EngineError where this many requests have failed one after the other."""
        if self._failures and len(self._failures) >= failures:
            raise self._failures[-1]

    def flush(self) -> None:
        """Write what was held back."""
        for line in self._held:
            self._out.write(line)
        self._held.clear()
        self._failures.clear()

    def report(self) -> BatchReport:
        """Return the counts so far."""
        return BatchReport(self._answered, self._failed, self._invalid, self._resumed, self._first_error)

    def _line(self, request: BatchRequest, result: Answer | RecsysError | None) -> dict[str, Any]:
        if isinstance(result, Answer):
            self._answered += 1
            return {**request.echo, "hits": [{"item_id": hit.item_id, "score": hit.score} for hit in result.hits]}
        self._failed += 1
        if result is not None:
            return {**request.echo, "hits": [], "error": str(result)}
        self._invalid += 1
        self._first_error = self._first_error or request.error
        return {**request.echo, "hits": [], "error": request.error}


def _with_remedy(error: RecsysError, more: str) -> RecsysError:
    """Return the same error with a longer remedy."""
    longer = type(error).__new__(type(error))
    RecsysError.__init__(longer, error.what, f"{error.remedy} {more}".strip())
    return longer
