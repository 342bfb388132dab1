"""What all requests of one process share: the client, the connections, the adopted indices, the counters."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from datetime import UTC, datetime
from typing import Any

import structlog

from es_recsys import engine
from es_recsys.client import AsyncClient
from es_recsys.engine.connect import authorization_headers
from es_recsys.engine.raw_requests import RawRequests
from es_recsys.errors import EngineError, RecsysError
from es_recsys.index_metadata import items_alias
from es_recsys.query import Answer, Query
from es_recsys.service.access import Access
from es_recsys.service.api_keys import ApiKeys
from es_recsys.service.circuit_breaker import CircuitBreaker, CircuitOpen
from es_recsys.service.metrics import Metrics
from es_recsys.service.search_body import BodyRules, Extension, UbiExtension
from es_recsys.serving.body_search import adopted_indices
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.settings import Settings
from es_recsys.types import Event

__all__ = ["ServiceState"]

_WARM_UP_S = 10.0
_MOST_WRITING = 1_000


class ServiceState:
    """One store, served. Make it in the event loop that uses it, and `await close()` at the end."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.access = Access(ApiKeys(settings), settings.service)
        self.client = AsyncClient(settings=settings)
        work = self.client.workspace
        self._es = engine.connect_async(settings, work.url, work.find_url)
        self._credentials = authorization_headers(settings)
        self.raw = RawRequests(self._es)
        self.breaker = CircuitBreaker()
        self._adopted = {items_alias(settings.index): "_id"}
        self._writing: set[asyncio.Task[Any]] = set()
        self._log = structlog.get_logger("es_recsys.service")

    async def body_rules(self) -> BodyRules:
        """Return what bodies may hold now, with the indices that are answered for."""
        snapshots, service = self.client.workspace.snapshots, self.settings.service
        try:
            snapshot = snapshots.known()
            if snapshot is None:
                snapshot = await asyncio.to_thread(self._current)
            self._adopted = adopted_indices(snapshot.metadata)
        except RecsysError:
            pass  # what was adopted before is answered for while the store can't be read
        return BodyRules(self._adopted.keys(), service.allow_scripts, service.max_hits)

    def _current(self) -> ServingSnapshot:
        work = self.client.workspace
        with work.translating_errors():
            return work.snapshots.current()

    @property
    def callers_credentials(self) -> Mapping[str, str]:
        """The headers of a caller who gives no credentials for Elasticsearch."""
        return self._credentials if self.settings.service.own_credentials else {}

    @property
    def withholds_credentials(self) -> bool:
        """Whether the service has credentials for Elasticsearch and doesn't lend them."""
        return bool(self._credentials) and not self.settings.service.own_credentials

    async def ready(self) -> None:
        """Return once the store answers. Raises RecsysError."""
        await asyncio.to_thread(self._current)
        found = await self.raw.send("GET", "/", {**self._credentials, "accept": "application/json"}, timeout_s=5.0)
        if found.status != 200:
            raise EngineError(f"Elasticsearch answers {found.status}.", "See its log.")

    async def warm_up(self) -> None:
        """Read what the first answer needs; what fails now is told by whoever asks."""
        with suppress(RecsysError, TimeoutError):
            async with asyncio.timeout(_WARM_UP_S):
                await self.ready()

    async def rank(self, query: Query, headers: Mapping[str, str], parameters: Mapping[str, str]) -> Answer:
        """Return the answer to a caller's search by a body.

        Raises RecsysError, TimeoutError where it takes too long, and CircuitOpen where the ones before failed.
        """
        if self.breaker.is_open:
            raise CircuitOpen
        # A picture or a sound has no other answer to fall back to, and the first one waits for its model.
        most = self.settings.search.timeout_s if query.media else self.settings.service.deadline_s
        with self.metrics.stage("ranking"):
            async with asyncio.timeout(most):
                answer = await self.client.execute_on_behalf(query, headers, parameters)
        self.breaker.succeeded()
        self._count_degraded(answer)
        return answer

    async def answer(self, query: Query) -> Answer:
        """Return the answer to a query. Raises RecsysError, and TimeoutError where it takes longer than a call may."""
        with self.metrics.stage("ranking"):
            async with asyncio.timeout(self.settings.search.timeout_s):
                answer = await self.client.execute(query)
        self._count_degraded(answer)
        return answer

    def _count_degraded(self, answer: Answer) -> None:
        for name in answer.ranking.degraded:
            self.metrics.degraded.labels(name).inc()

    def log_query(self, ubi: UbiExtension | None, ext: Extension | None, query_id: str) -> None:
        """Record a query of UBI as a search, behind the answer; one of nobody, or without words, is no event.

        query_id: unless it names its own.
        """
        if ubi is None:
            return
        user_id, session_id = (None, None) if ext is None else (ext.user_id, ext.session_id)
        session_id = session_id or ubi.client_id
        if not ubi.user_query or (user_id is None and session_id is None):
            return
        try:
            event = Event(
                event_type="search",
                timestamp=datetime.now(UTC),
                user_id=user_id,
                session_id=session_id,
                query=ubi.user_query,
                query_id=ubi.query_id or query_id,
            )
        except ValueError:
            self.metrics.events.labels("rejected").inc()
            return
        self.in_background([event])

    def in_background(self, events: Sequence[Event]) -> None:
        """Record events behind the answer; some are dropped where writing is much slower than answering."""
        if len(self._writing) >= _MOST_WRITING:
            self.metrics.events.labels("dropped").inc(len(events))
            return
        # What the answer has waited for is nothing to them.
        task = asyncio.get_running_loop().create_task(self._record(events), context=Context())
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _record(self, events: Sequence[Event]) -> None:
        try:
            report = await self.client.put_events(events)
        except RecsysError as error:
            self.metrics.events.labels("failed").inc(len(events))
            self._log.error("events_failed", error=type(error).__name__)
        else:
            self.metrics.events.labels("added").inc(report.added)

    async def close(self) -> None:
        """Write what is under way, and close all connections."""
        if self._writing:
            await asyncio.gather(*self._writing, return_exceptions=True)
        await self._es.close()
        await self.client.close()
