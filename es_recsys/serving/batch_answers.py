"""Answer many queries, with their searches joined into few requests, and two batches of them under way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from threading import Lock
from typing import Generic, TypeVar

from es_recsys.batching import batched, map_ahead
from es_recsys.errors import EngineError, RecsysError
from es_recsys.query import Answer, Query
from es_recsys.serving.answering import execute
from es_recsys.serving.block_answers import BLOCK_SIZE, BlockAnswering, can_block
from es_recsys.serving.drivers import Driver
from es_recsys.serving.operations import Flow
from es_recsys.serving.requests import query_kind
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.workspace import Workspace

__all__ = ["BATCH_SIZE", "IN_FLIGHT", "BlocksFirst", "answer_all"]

T = TypeVar("T")

MakeFlow = Callable[[ServingSnapshot, Query, float], Flow[T]]
"""Makes the flow of a query at a time, epoch seconds."""

ByBlock = Callable[[BlockAnswering, Driver, Sequence[Query], float], list[T | RecsysError]]
"""Runs queries of one time, epoch seconds, by blocks; an error stands in the place of a query that fails."""

BATCH_SIZE = 32
"""Queries that are answered side by side."""

IN_FLIGHT = 2
"""Batches under way: while Elasticsearch works on one, the answers of another are computed."""

# Fewer recommendations are as quick one by one: a block reads the vectors of all items once.
_FEWEST = 8
_SMALLER_BATCH = 8
# Queries in succession that Elasticsearch fails to answer, after which the others of a batch are not tried.
_MAX_FAILURES = 3


def answer_all(work: Workspace, queries: Iterable[Query]) -> Iterator[Answer | RecsysError]:
    """Yield the answers in the order of the queries, an error in the place of one that can't be answered.

    Plain recommendations are answered by blocks. Where Elasticsearch fails on a batch, its queries are tried again in smaller
    ones.
    """
    return BlocksFirst(work, can_block, BlockAnswering.answer, execute).run(queries)


def _batches(queries: Iterable[Query]) -> Iterator[list[Query]]:
    """Yield the queries in lists as long as they may be: recommendations by blocks, what has others among them in batches."""
    batch: list[Query] = []
    most = BLOCK_SIZE
    for query in queries:
        batch.append(query)
        if query_kind(query) != "recommend":
            most = BATCH_SIZE
        if len(batch) >= most:
            yield batch
            batch, most = [], BLOCK_SIZE
    if batch:
        yield batch


class BlocksFirst(Generic[T]):
    """Runs queries by blocks as far as that goes, the others side by side. Thread-safe.

    can: whether a query goes by blocks. by_block: runs such queries. make: the flow that does the same for one query.
    """

    def __init__(
        self, work: Workspace, can: Callable[[ServingSnapshot, Query], bool], by_block: ByBlock[T], make: MakeFlow[T]
    ) -> None:
        self._work, self._can, self._by_block, self._make = work, can, by_block, make
        self._lock = Lock()
        self._blocks: BlockAnswering | None = None

    def run(self, queries: Iterable[Query]) -> Iterator[T | RecsysError]:
        """Yield what comes of the queries in their order."""
        for found in map_ahead(self.run_batch, _batches(queries), IN_FLIGHT):
            yield from found

    def run_batch(self, queries: Sequence[Query], driver: Driver | None = None) -> list[T | RecsysError]:
        """Return what comes of queries that are run together. driver: in place of the store's own."""
        found: dict[int, T | RecsysError] = {}
        if sum(query_kind(query) == "recommend" for query in queries) >= _FEWEST:
            # Where Elasticsearch fails, it is asked again for fewer at once.
            with suppress(EngineError):
                found = self._work.run_with_driver(partial(self._by_blocks, queries, time.time()), driver)
        others = batched((query for place, query in enumerate(queries) if place not in found), BATCH_SIZE)
        results = chain.from_iterable(_run_batch(self._work, batch, self._make, driver) for batch in others)
        return [found[place] if place in found else next(results) for place in range(len(queries))]

    def _by_blocks(
        self, queries: Sequence[Query], now: float, driver: Driver, snapshot: ServingSnapshot
    ) -> dict[int, T | RecsysError]:
        """Return place of a query -> what comes of it, of those that go by blocks."""
        places = [place for place, query in enumerate(queries) if self._can(snapshot, query)]
        if len(places) < _FEWEST:
            return {}
        with self._lock:
            if self._blocks is None or self._blocks.snapshot is not snapshot:
                self._blocks = BlockAnswering(snapshot)
            blocks = self._blocks
        found = self._by_block(blocks, driver, [queries[place] for place in places], now)
        return dict(zip(places, found, strict=True))


def _run_batch(work: Workspace, batch: list[Query], make: MakeFlow[T], driver: Driver | None) -> Iterator[T | RecsysError]:
    now = time.time()
    try:
        yield from work.run_all(lambda snapshot: [make(snapshot, query, now) for query in batch], driver)
        return
    except EngineError as error:
        failed: EngineError = error
    if len(batch) == 1:
        yield failed
        return
    failures = 0
    for part in batched(batch, _SMALLER_BATCH if len(batch) > _SMALLER_BATCH else 1):
        if failures >= _MAX_FAILURES:
            yield from [failed] * len(part)  # it would only be waited for again
            continue
        for found in _run_batch(work, part, make, driver):
            failures = failures + 1 if isinstance(found, EngineError) else 0
            yield found
