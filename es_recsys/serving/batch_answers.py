"""Answer many queries, with their searches joined into few requests."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from es_recsys.batching import batched
from es_recsys.errors import EngineError, RecsysError
from es_recsys.query import Answer, Query
from es_recsys.serving.answering import execute
from es_recsys.serving.workspace import Workspace

__all__ = ["BATCH_SIZE", "answer_all"]

BATCH_SIZE = 32
"""Queries that are answered side by side."""

_SMALLER_BATCH = 8
# Queries in succession that Elasticsearch fails to answer, after which the others of a batch are not tried.
_MAX_FAILURES = 3


def answer_all(work: Workspace, queries: Iterable[Query]) -> Iterator[Answer | RecsysError]:
    """Yield the answers in the order of the queries, an error in the place of one that can't be answered.

    Where Elasticsearch fails on a batch, its queries are tried again in smaller ones.
    """
    for batch in batched(queries, BATCH_SIZE):
        yield from _answer_batch(work, batch)


def _answer_batch(work: Workspace, batch: list[Query]) -> Iterator[Answer | RecsysError]:
    now = time.time()
    try:
        yield from work.run_all(lambda snapshot: [execute(snapshot, query, now) for query in batch])
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
        for found in _answer_batch(work, part):
            failures = failures + 1 if isinstance(found, EngineError) else 0
            yield found
