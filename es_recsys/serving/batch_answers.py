"""Answer many queries, with their searches joined into few requests, and two batches of them under way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from es_recsys.batching import batched, map_ahead
from es_recsys.errors import EngineError, RecsysError
from es_recsys.query import Answer, Query
from es_recsys.serving.answering import execute
from es_recsys.serving.operations import Flow
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.workspace import Workspace

__all__ = ["BATCH_SIZE", "answer_all", "run_in_batches"]

T = TypeVar("T")

MakeFlow = Callable[[ServingSnapshot, Query, float], Flow[T]]
"""Makes the flow of a query at a time, epoch seconds."""

BATCH_SIZE = 32
"""Queries that are answered side by side."""

# While Elasticsearch works on one batch, the answers of another are computed.
_IN_FLIGHT = 2
_SMALLER_BATCH = 8
# Queries in succession that Elasticsearch fails to answer, after which the others of a batch are not tried.
_MAX_FAILURES = 3


def answer_all(work: Workspace, queries: Iterable[Query]) -> Iterator[Answer | RecsysError]:
    """Yield the answers in the order of the queries, an error in the place of one that can't be answered.

    Where Elasticsearch fails on a batch, its queries are tried again in smaller ones.
    """
    return run_in_batches(work, queries, execute)


def run_in_batches(work: Workspace, queries: Iterable[Query], make: MakeFlow[T]) -> Iterator[T | RecsysError]:
    """Yield what the flows of the queries return, as `answer_all` does with answers."""
    for found in map_ahead(lambda batch: list(_run_batch(work, batch, make)), batched(queries, BATCH_SIZE), _IN_FLIGHT):
        yield from found


def _run_batch(work: Workspace, batch: list[Query], make: MakeFlow[T]) -> Iterator[T | RecsysError]:
    now = time.time()
    try:
        yield from work.run_all(lambda snapshot: [make(snapshot, query, now) for query in batch])
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
        for found in _run_batch(work, part, make):
            failures = failures + 1 if isinstance(found, EngineError) else 0
            yield found
