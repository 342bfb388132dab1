"""Benchmark: many answers, from an event loop and in batches, against one answer after the other."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import orjson
from elasticsearch import Elasticsearch
from measuring import timed

from bench.questions import Questions
from es_recsys import AsyncClient, Client
from es_recsys.jobs.batch import answer_file

__all__ = ["BATCH_COLUMNS", "CONCURRENT_COLUMNS", "batches", "concurrent"]

CONCURRENT_COLUMNS = ["answers/s", "32 at once", "one by one", "ratio", "goal", "cores busy", "goal"]
BATCH_COLUMNS = ["measured", "batch", "one by one", "ratio"]
AT_ONCE = 32
ROUNDS = 3
BLOCK, SINGLE = 200, 100

Asks = Callable[[AsyncClient, int], Coroutine[Any, Any, object]]


def concurrent(client: Client, questions: Questions, calls: int) -> list[list[str]]:
    """Rows: `AsyncClient` under 32 requests at once, `Client` with one after the other, in turns."""
    kinds: dict[str, tuple[Callable[[int], object], Asks]] = {
        "search, personal": (
            lambda k: client.search(questions.text(k), user_id=questions.user(k)),
            lambda each, k: each.search(questions.text(k), user_id=questions.user(k)),
        ),
        "recommend": (lambda k: client.recommend(questions.user(k)), lambda each, k: each.recommend(questions.user(k))),
    }
    count = min(BLOCK, max(calls // 10, 1))
    return asyncio.run(_concurrent(client, kinds, count))


async def _concurrent(client: Client, kinds: dict[str, tuple[Callable[[int], object], Asks]], count: int) -> list[list[str]]:
    rows = []
    async with AsyncClient(client.workspace.url, settings=client.settings) as other:
        for name, (one, ask) in kinds.items():
            # Both know the words and the users, or the later one would pay for what the earlier one learned.
            _one_by_one(one, range(ROUNDS * count))
            await _all_at_once(other, ask, range(ROUNDS * count))
            single, together, busy = list[float](), list[float](), list[float]()
            for turn in range(ROUNDS):
                numbers = range(turn * count, (turn + 1) * count)
                single.append(count / timed(_one_by_one, one, numbers))
                used, started = _processor_s(client.workspace.es), time.perf_counter()
                await _all_at_once(other, ask, numbers)
                seconds = time.perf_counter() - started
                together.append(count / seconds)
                busy.append((_processor_s(client.workspace.es) - used) / seconds / _cores())
            ratio = median(t / s for t, s in zip(together, single, strict=True))
            rates = [f"{median(rate):,.0f}" for rate in (together, single)]
            rows.append([name, *rates, f"{ratio:.2f}", "at least 1.4", f"{median(busy):.0%}", "or 85%"])
    return rows


def _one_by_one(one: Callable[[int], object], numbers: Sequence[int]) -> None:
    for k in numbers:
        one(k)


async def _all_at_once(client: AsyncClient, ask: Asks, numbers: Sequence[int]) -> None:
    waiting = iter(numbers)

    async def work() -> None:
        for k in waiting:
            await ask(client, k)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


def _processor_s(es: Elasticsearch) -> float:
    """Processor seconds of this process and of the nodes, which look at their own once a second."""
    time.sleep(1.1)
    nodes = es.nodes.stats(metric="process")["nodes"].values()
    used_ms: int = sum(node["process"]["cpu"]["total_in_millis"] for node in nodes)
    return time.process_time() + used_ms / 1_000


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def batches(client: Client, questions: Questions, calls: int) -> list[list[str]]:
    """Rows: `batch recommend` and `batch search`, from file to file, against the same one by one."""
    users = questions.users[: min(len(questions.users), calls)]
    pairs = [(questions.text(k), questions.user(k)) for k in range(min(len(users), calls))]
    kinds: list[tuple[str, str, list[dict[str, str]], Callable[[int], object]]] = [
        ("batch recommend, users/s", "recommend", [{"user_id": user} for user in users], lambda k: client.recommend(users[k])),
        (
            "batch search, personal, queries/s",
            "search",
            [{"query": text, "user_id": user} for text, user in pairs],
            lambda k: client.search(pairs[k][0], user_id=pairs[k][1]),
        ),
        (
            "batch search, neutral, queries/s",
            "search",
            [{"query": text} for text, _ in pairs],
            lambda k: client.search(pairs[k][0]),
        ),
    ]
    rows = []
    for name, kind, lines, one in kinds:
        count = min(SINGLE, len(lines))
        single = count / timed(_one_by_one, one, range(count))
        together = len(lines) / _batch_s(client, kind, lines)
        rows.append([name, f"{together:,.0f}", f"{single:,.0f}", f"{together / single:.2f}"])
    return rows


def _batch_s(client: Client, kind: str, lines: Sequence[dict[str, str]]) -> float:
    with TemporaryDirectory() as folder:
        file, out = Path(folder) / "requests.jsonl", Path(folder) / "answers.jsonl"
        file.write_bytes(b"\n".join(orjson.dumps(line) for line in lines))
        started = time.perf_counter()
        report = answer_file(client.execute_many, kind, file, n=10, out=out)
        seconds = time.perf_counter() - started
    assert report.answered == len(lines), report
    return seconds
