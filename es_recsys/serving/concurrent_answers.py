"""Answer queries that wait in an event loop at the same time together, as a batch in a thread.

A query alone is answered in the loop, without a thread. Nothing waits for others to come: together are those that came in the
same turn of the loop, and those that came while other batches were under way.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from es_recsys.engine.time_budget import within_budget
from es_recsys.errors import RecsysError
from es_recsys.query import Answer, Query
from es_recsys.serving.answering import execute
from es_recsys.serving.batch_answers import BATCH_SIZE, IN_FLIGHT, BlocksFirst
from es_recsys.serving.block_answers import BlockAnswering, can_block
from es_recsys.serving.drivers import AsyncDriver, Driver
from es_recsys.serving.operations import Flow
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.workspace import Workspace

__all__ = ["ConcurrentAnswers", "answer_flow"]

_log = logging.getLogger(__name__)

# Fewer are as quick one by one.
_FEWEST = 8


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A query and its outcome: the answer, an error, or None where it is to be answered alone.

    since: `time.perf_counter()`.
    """

    query: Query
    outcome: asyncio.Future[Answer | None]
    since: float = field(default_factory=time.perf_counter)


class _Records:
    """The answer log of a batch, of which only what somebody still waits for is written."""

    def __init__(self) -> None:
        self.by_answer: dict[str, Mapping[str, Any]] = {}

    def write(self, records: Sequence[Mapping[str, Any]]) -> None:
        self.by_answer.update((record["answer_id"], record) for record in records)


class ConcurrentAnswers:
    """Answers queries in one event loop. driver: of that loop."""

    def __init__(self, work: Workspace, driver: AsyncDriver) -> None:
        self._work, self._driver = work, driver
        by_block = partial(BlockAnswering.answer, logs_features=True)
        self._batches: BlocksFirst[Answer] = BlocksFirst(work, can_block, by_block, execute)
        self._waiting: list[_Waiting] = []
        self._is_starting = False
        self._running: set[asyncio.Task[None]] = set()
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def answer(self, query: Query) -> Answer:
        """Answer a query. Raises what `execute` does."""
        with self._counted():
            # A batch would encode its pictures and sounds one after the other.
            together = await self._wait(query) if not query.media else None
            if together is not None:
                return together
            return await self._driver.run(self._work.with_retry(partial(answer_flow, query)))

    async def close(self) -> None:
        """Wait for all that is under way."""
        await self._idle.wait()

    async def _wait(self, query: Query) -> Answer | None:
        """Return the answer that is made with others; None where there are too few of them, or it has to be made alone."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(query, loop.create_future())
        self._waiting.append(waiting)
        may_start = not self._running or (len(self._running) < IN_FLIGHT and len(self._waiting) >= _FEWEST)
        if may_start and not self._is_starting:
            self._is_starting = True
            loop.call_soon(self._start)
        return await waiting.outcome

    def _start(self) -> None:
        """Start batches of those that wait, as many as may be under way, or have the few that they are answered alone."""
        self._is_starting = False
        self._waiting = [one for one in self._waiting if not one.outcome.done()]  # some may be cancelled
        while len(self._waiting) >= _FEWEST and len(self._running) < IN_FLIGHT:
            parts = min(IN_FLIGHT - len(self._running), len(self._waiting) // _FEWEST)
            size = min(-(-len(self._waiting) // parts), BATCH_SIZE)
            batch, self._waiting = self._waiting[:size], self._waiting[size:]
            # Whoever's turn it is to start it, a batch has a budget of time of its own.
            answering = self._answer_together(batch)
            running = asyncio.get_running_loop().create_task(answering, context=Context())
            self._running.add(running)
        if len(self._waiting) < _FEWEST:
            few, self._waiting = self._waiting, []
            _answer_alone(few)

    async def _answer_together(self, batch: Sequence[_Waiting]) -> None:
        records = _Records()
        driver = Driver(self._work.es, records)
        try:
            with self._counted(), within_budget(self._work.settings.search.timeout_s):
                run = partial(self._batches.run_batch, [one.query for one in batch], driver)
                found = await self._driver.in_thread(run)
            for one, result in zip(batch, found, strict=True):
                self._give(one, result, records)
        except Exception as error:
            # What one of them meets must not cost the others; it meets the same alone.
            _log.debug("A batch of %d answers failed, so they are made one by one: %r", len(batch), error)
        finally:
            _answer_alone(batch)
            self._running.discard(asyncio.current_task())
            self._start()

    def _give(self, one: _Waiting, result: Answer | RecsysError, records: _Records) -> None:
        """Give an outcome to whoever waits for it, and log the answer."""
        if one.outcome.done():
            return
        if isinstance(result, RecsysError):
            one.outcome.set_exception(result)
            return
        took_ms = (time.perf_counter() - one.since) * 1_000.0
        one.outcome.set_result(replace(result, took_ms=took_ms))
        self._driver.log_later({**records.by_answer[result.answer_id], "took_ms": took_ms})

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._under_way += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()


def _answer_alone(waiting: Sequence[_Waiting]) -> None:
    """Have those without an outcome answered one by one."""
    for one in waiting:
        if not one.outcome.done():
            one.outcome.set_result(None)


def answer_flow(query: Query, snapshot: ServingSnapshot) -> Flow[Answer]:
    """Return the flow that answers a query alone, now."""
    return execute(snapshot, query, time.time())
