"""Benchmark: what a client does around a request, ours and the official one as it comes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from elasticsearch import AsyncElasticsearch
from measuring import timed

from bench.loading import FIELD
from bench.questions import Questions, bare_client, credentials
from es_recsys import Client, engine
from es_recsys.events.actors import actor_of
from es_recsys.serving.drivers import AsyncDriver
from es_recsys.serving.operations import Flow, Get, MultiSearch, Operation

__all__ = ["COLUMNS", "transport"]

COLUMNS = ["least of all calls, ms", "ours", "official client", "ratio", "processor's time: ours", "official client", "ratio"]
CALLS = 500

Measured = dict[str, list[tuple[float, float]]]
"""Client -> seconds and the thread's seconds of processor of each call."""


def transport(client: Client, questions: Questions, calls: int) -> list[list[str]]:
    """Rows: a profile by its id, and an `_msearch` of words and of a vector, 200 ids each; in a thread and in an event loop."""
    snapshot = client.workspace.snapshots.latest()
    profile = Get(snapshot.metadata.profiles, snapshot.key_of(actor_of(questions.user(0))))
    vector = snapshot.encoder.vector(snapshot.metadata, FIELD, questions.text(0))
    ids_only = {"size": 200, "_source": False, "stored_fields": "_none_", "docvalue_fields": ["item_id"]}
    words = {"query": {"match": {"title": questions.text(0)}}, **ids_only}
    nearest = {"knn": {"field": FIELD, "query_vector": vector.tolist(), "k": 200, "num_candidates": 200}, **ids_only}
    search = MultiSearch(snapshot.metadata.index, (words, nearest))
    lines = [line for body in search.bodies for line in ({}, body)]
    count = min(CALLS, calls)
    rows = []
    with bare_client(client) as bare:
        driver = client.workspace.driver
        pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "GET of a profile": (lambda: driver.perform(profile), lambda: bare.get(index=profile.index, id=profile.id)),
            "_msearch of two bodies": (lambda: driver.perform(search), lambda: bare.msearch(index=search.index, searches=lines)),
        }
        for name, (ours, theirs) in pairs.items():
            rows.append(_row(name, _in_turns({"ours": ours, "theirs": theirs}, count)))
    return rows + asyncio.run(_looping(client, profile, search, lines, count))


async def _looping(client: Client, profile: Get, search: MultiSearch, lines: list[Any], count: int) -> list[list[str]]:
    url = client.workspace.url
    driver = AsyncDriver(engine.connect_async(client.settings, url), client.workspace.log)
    bare = AsyncElasticsearch(url, **credentials(client.settings))
    pairs: dict[str, tuple[Callable[[], Awaitable[object]], Callable[[], Awaitable[object]]]] = {
        "GET of a profile, event loop": (
            lambda: driver.run(_one(profile)),
            lambda: bare.get(index=profile.index, id=profile.id),
        ),
        "_msearch of two bodies, event loop": (
            lambda: driver.run(_one(search)),
            lambda: bare.msearch(index=search.index, searches=lines),
        ),
    }
    rows = []
    for name, (ours, theirs) in pairs.items():
        seconds: Measured = {"ours": [], "theirs": []}
        for _ in range(count):
            for who, call in (("ours", ours), ("theirs", theirs)):
                started, used = time.perf_counter(), time.thread_time()
                await call()
                seconds[who].append((time.perf_counter() - started, time.thread_time() - used))
        rows.append(_row(name, seconds))
    await driver.client.close()
    await driver.close()
    await bare.close()
    return rows


def _one(operation: Operation) -> Flow[Any]:
    return (yield operation)


def _in_turns(calls: Mapping[str, Callable[[], object]], count: int) -> Measured:
    seconds: Measured = {name: [] for name in calls}
    for _ in range(count):
        for name, call in calls.items():
            used = time.thread_time()
            seconds[name].append((timed(call), time.thread_time() - used))
    return seconds


def _row(name: str, seconds: Measured) -> list[str]:
    cells = [name]
    for part in (0, 1):
        ours, theirs = (min(call[part] for call in seconds[who]) * 1_000 for who in ("ours", "theirs"))
        cells += [f"{ours:.2f}", f"{theirs:.2f}", f"{ours / theirs:.2f}"]
    return cells
