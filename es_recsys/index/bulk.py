"""Bulk writes: a stream of actions of any length, in flat memory, several chunks in flight, with a dead letter queue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from types import TracebackType

import numpy as np
from elasticsearch import Elasticsearch

from es_recsys.errors import IndexStateError, InputError
from es_recsys.index.bulk_actions import Action, EncodedAction, encode_action
from es_recsys.index.chunk_sender import BulkAborted, BulkInterrupted, ChunkResult, ChunkSender, RetryPolicy
from es_recsys.index.dead_letters import DeadLetterQueue, WriteFailure
from es_recsys.progress import ProgressCounter

__all__ = ["BulkReport", "BulkSettings", "bulk_write"]

_SHOWN = 1_000


@dataclass(frozen=True, slots=True)
class BulkSettings:
    """Size and number of the requests.

    Chunks hold at most `chunk_bytes` and `chunk_documents`; `in_flight` of them are with Elasticsearch while the next one is
    encoded, so that neither side waits for the other.
    """

    chunk_bytes: int = 4 * 1024 * 1024
    chunk_documents: int = 500
    in_flight: int = 2
    retry: RetryPolicy = field(default_factory=RetryPolicy)


@dataclass(frozen=True, slots=True)
class BulkReport:
    """How many documents were created, updated, deleted and so on.

    missing: were to be deleted and not there. retried: counts attempts beyond the first. failures: the first thousand of
    `failed`; all are in the dead letter queue where there is one.
    """

    created: int = 0
    updated: int = 0
    deleted: int = 0
    missing: int = 0
    failed: int = 0
    retried: int = 0
    failures: tuple[WriteFailure, ...] = ()

    @property
    def stored(self) -> int:
        return self.created + self.updated


def bulk_write(
    client: Elasticsearch,
    actions: Iterable[Action],
    *,
    index: str,
    dims: Mapping[str, int] | None = None,
    settings: BulkSettings | None = None,
    dead_letters: DeadLetterQueue | None = None,
    progress: ProgressCounter | None = None,
    rng: np.random.Generator | None = None,
    refresh: bool = False,
) -> BulkReport:
    """Carry out all actions on `index`, those on one id in their order.

    A document that is refused for good, also for a vector that is not usable (`dims`: vector field -> dimensions), goes to
    the dead letter queue and the rest goes on; one that is refused for now is sent again, by itself. Every action that was
    read ends stored or in the dead letter queue. To resume after an interruption, send the same again: ids decide what is
    overwritten. refresh: searches see the documents when this returns.

    Raises IndexStateError where the index does not exist, or where Elasticsearch takes nothing any more.
    """
    # Elasticsearch would make a missing index by itself, with guessed fields.
    if not client.indices.exists(index=index):
        raise IndexStateError(f"There is no index {index}.", "Make it first: es-recsys items load does.")
    with _Writer(
        client, index, dims or {}, settings or BulkSettings(), dead_letters, progress or ProgressCounter(), rng
    ) as writer:
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
        dead_letters: DeadLetterQueue | None,
        progress: ProgressCounter,
        rng: np.random.Generator | None,
    ) -> None:
        self.report = BulkReport()
        self._dims, self._settings, self._dead_letters, self._progress = dims, settings, dead_letters, progress
        self._sender = ChunkSender(client, index, settings.retry, rng or np.random.default_rng())
        self._pool = ThreadPoolExecutor(settings.in_flight, thread_name_prefix="bulk")
        self._in_flight: dict[Future[ChunkResult], Sequence[EncodedAction]] = {}
        self._chunk: list[EncodedAction] = []
        self._size = 0
        self._ids: set[str] = set()  # in the chunk or in flight

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self._sender.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)
        for future, actions in self._in_flight.items():
            self._settle(future, actions)
        if kind is not None:
            self._abandon(self._chunk)

    def add(self, action: Action) -> None:
        try:
            encoded = encode_action(action, self._dims)
        except InputError as error:
            self._refuse(action, error)
            return
        full = len(self._chunk) >= self._settings.chunk_documents
        if self._chunk and (full or self._size + encoded.size > self._settings.chunk_bytes):
            self.flush()
        if encoded.id in self._ids:
            # Chunks overtake one another and retries come late: one id is never on its way twice.
            self.flush()
            self.finish()
        self._chunk.append(encoded)
        self._size += encoded.size
        self._ids.add(encoded.id)

    def flush(self) -> None:
        """Hand the chunk to a free thread, once there is one."""
        if not self._chunk:
            return
        # One more than there are threads, so that a thread that is done has the next at hand.
        while len(self._in_flight) > self._settings.in_flight:
            self._await_chunk()
        actions, self._chunk, self._size = self._chunk, [], 0
        self._in_flight[self._pool.submit(self._sender.send, actions)] = actions

    def finish(self) -> None:
        while self._in_flight:
            self._await_chunk()

    def _await_chunk(self) -> None:
        """Wait for a chunk to be settled, whichever is first."""
        done, _ = wait(self._in_flight, return_when=FIRST_COMPLETED)
        for future in done:
            self._settle(future, self._in_flight.pop(future))
        for future in done:
            if (error := future.exception()) is not None:
                raise error

    def _settle(self, future: Future[ChunkResult], actions: Sequence[EncodedAction]) -> None:
        """Count what became of a chunk, also of one that ended in an error."""
        self._ids.difference_update(action.id for action in actions)
        error = None if future.cancelled() else future.exception()
        if future.cancelled() or isinstance(error, BulkInterrupted):
            self._abandon(actions)
        elif error is None:
            self._record(future.result(), len(actions))
        elif isinstance(error, BulkAborted):
            self._record(error.result, len(actions))

    def _abandon(self, actions: Sequence[EncodedAction]) -> None:
        """Keep what was read and may not have been stored when the run had to end."""
        reason = "the run ended before Elasticsearch confirmed it"
        failed = [(action, WriteFailure(action.id, action.operation, 0, "not_confirmed", reason)) for action in actions]
        self._record(ChunkResult(failed=failed), len(actions))

    def _record(self, result: ChunkResult, size: int) -> None:
        for action, failure in result.failed:
            if self._dead_letters is not None:
                self._dead_letters.add(failure, action)
        self._count(result)
        self._progress.advance(size)

    def _count(self, result: ChunkResult) -> None:
        before = self.report
        room = max(_SHOWN - len(before.failures), 0)
        self.report = BulkReport(
            created=before.created + result.created,
            updated=before.updated + result.updated,
            deleted=before.deleted + result.deleted,
            missing=before.missing + result.missing,
            failed=before.failed + len(result.failed),
            retried=before.retried + result.retried,
            failures=before.failures + tuple(failure for _, failure in result.failed[:room]),
        )

    def _refuse(self, action: Action, error: InputError) -> None:
        failure = WriteFailure(action.id, action.operation, 0, "not_sent", str(error))
        if self._dead_letters is not None:
            self._dead_letters.add(failure, action)
        self.report = replace(self.report, failed=self.report.failed + 1, failures=(*self.report.failures, failure)[:_SHOWN])
        self._progress.advance(1)
