"""Writes a stream of documents, of any length, in flat memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from types import TracebackType

import numpy as np
from elasticsearch import Elasticsearch

from es_recsys.errors import IndexStateError, InputError
from es_recsys.index.actions import Action, Line, encode
from es_recsys.index.deadletters import DeadLetters, Failure, Letters
from es_recsys.index.progress import Meter
from es_recsys.index.sender import Interrupted, Outcome, Patience, Sender, Unsettled

__all__ = ["Action", "BulkReport", "BulkSettings", "DeadLetters", "Failure", "Meter", "Patience", "bulk"]

_SHOWN = 1_000


@dataclass(frozen=True, slots=True)
class BulkSettings:
    """Chunks hold at most `chunk_bytes` and `chunk_documents`; `in_flight` of them are with Elasticsearch while the next
    one is being written, so that neither side waits for the other."""

    chunk_bytes: int = 4 * 1024 * 1024
    chunk_documents: int = 500
    in_flight: int = 2
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True, slots=True)
class BulkReport:
    """What became of the documents. `missing` were to be deleted and not there; `retried` counts sendings beyond the
    first; `failures` has the first thousand of `failed`, all are in the dead letters where those are kept."""

    created: int = 0
    updated: int = 0
    deleted: int = 0
    missing: int = 0
    failed: int = 0
    retried: int = 0
    failures: tuple[Failure, ...] = ()

    @property
    def stored(self) -> int:
        return self.created + self.updated


def bulk(
    client: Elasticsearch,
    actions: Iterable[Action],
    *,
    index: str,
    dims: Mapping[str, int] | None = None,
    settings: BulkSettings | None = None,
    dead_letters: Letters | None = None,
    meter: Meter | None = None,
    rng: np.random.Generator | None = None,
    refresh: bool = False,
) -> BulkReport:
    """Carries out all actions on `index`, those on one id in their order.

    A document that is refused for good, also for a vector that is not usable (`dims`: vector field -> dimensions), goes
    to the dead letters and the rest goes on; one that is refused for now is sent again, by itself. Every action that was
    read ends stored or in the dead letters. To resume after an interruption, send the same again: ids decide what is
    overwritten. refresh: searches see the documents when this returns.

    Raises IndexStateError where the index does not exist, or where Elasticsearch takes nothing any more.
    """
    # Elasticsearch would make a missing index by itself, with guessed fields.
    if not client.indices.exists(index=index):
        raise IndexStateError(f"There is no index {index}.", "Make it first: es-recsys items load does.")
    with _Writer(client, index, dims or {}, settings or BulkSettings(), dead_letters, meter or Meter(), rng) as writer:
        for action in actions:
            writer.add(action)
        writer.flush()
        writer.finish()
    if refresh:
        client.indices.refresh(index=index)
    return writer.report


class _Writer:
    def __init__(
        self,
        client: Elasticsearch,
        index: str,
        dims: Mapping[str, int],
        settings: BulkSettings,
        dead_letters: Letters | None,
        meter: Meter,
        rng: np.random.Generator | None,
    ) -> None:
        self.report = BulkReport()
        self._dims, self._settings, self._letters, self._meter = dims, settings, dead_letters, meter
        self._sender = Sender(client, index, settings.patience, rng or np.random.default_rng(), meter.pause)
        self._pool = ThreadPoolExecutor(settings.in_flight, thread_name_prefix="bulk")
        self._flying: dict[Future[Outcome], Sequence[Line]] = {}
        self._chunk: list[Line] = []
        self._size = 0
        self._ids: set[str] = set()  # in the chunk or in flight

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self._sender.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)
        for future, lines in self._flying.items():
            self._settle(future, lines)
        if kind is not None:
            self._abandon(self._chunk)

    def add(self, action: Action) -> None:
        try:
            line = encode(action, self._dims)
        except InputError as error:
            self._refuse(action, error)
            return
        full = len(self._chunk) >= self._settings.chunk_documents
        if self._chunk and (full or self._size + line.size > self._settings.chunk_bytes):
            self.flush()
        if line.id in self._ids:
            # Chunks overtake one another and retries come late: one id is never on its way twice.
            self.flush()
            self.finish()
        self._chunk.append(line)
        self._size += line.size
        self._ids.add(line.id)

    def flush(self) -> None:
        """Hands the chunk to a free thread, once there is one."""
        if not self._chunk:
            return
        # One more than there are threads, so that a thread that is done has the next at hand.
        while len(self._flying) > self._settings.in_flight:
            self._land()
        lines, self._chunk, self._size = self._chunk, [], 0
        self._flying[self._pool.submit(self._sender.send, lines)] = lines

    def finish(self) -> None:
        while self._flying:
            self._land()

    def _land(self) -> None:
        """Waits for a chunk to be settled, whichever is first."""
        done, _ = wait(self._flying, return_when=FIRST_COMPLETED)
        for future in done:
            self._settle(future, self._flying.pop(future))
        for future in done:
            if (error := future.exception()) is not None:
                raise error

    def _settle(self, future: Future[Outcome], lines: Sequence[Line]) -> None:
        """Counts what became of a chunk, also of one that ended in an error."""
        self._ids.difference_update(line.id for line in lines)
        error = None if future.cancelled() else future.exception()
        if future.cancelled() or isinstance(error, Interrupted):
            self._abandon(lines)
        elif error is None:
            self._record(future.result(), len(lines))
        elif isinstance(error, Unsettled):
            self._record(error.outcome, len(lines))

    def _abandon(self, lines: Sequence[Line]) -> None:
        """Keeps what was read and may not have been stored when the run had to end."""
        reason = "the run ended before Elasticsearch confirmed it"
        failed = [(line, Failure(line.id, line.operation, 0, "not_confirmed", reason)) for line in lines]
        self._record(Outcome(failed=failed), len(lines))

    def _record(self, outcome: Outcome, size: int) -> None:
        for line, failure in outcome.failed:
            if self._letters is not None:
                self._letters.add(failure, line)
        self._count(outcome)
        self._meter.advance(size, len(outcome.failed))

    def _count(self, outcome: Outcome) -> None:
        was = self.report
        room = max(_SHOWN - len(was.failures), 0)
        self.report = BulkReport(
            created=was.created + outcome.created,
            updated=was.updated + outcome.updated,
            deleted=was.deleted + outcome.deleted,
            missing=was.missing + outcome.missing,
            failed=was.failed + len(outcome.failed),
            retried=was.retried + outcome.retried,
            failures=was.failures + tuple(failure for _, failure in outcome.failed[:room]),
        )

    def _refuse(self, action: Action, error: InputError) -> None:
        failure = Failure(action.id, action.operation, 0, "not_sent", str(error))
        if self._letters is not None:
            self._letters.add(failure, action)
        self.report = replace(self.report, failed=self.report.failed + 1, failures=(*self.report.failures, failure)[:_SHOWN])
        self._meter.advance(1, 1)
