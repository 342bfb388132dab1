"""Queries that wait in an event loop at the same time are answered together, and one alone by itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from es_recsys import Answer, Query
from es_recsys.errors import InputError, RecsysError
from es_recsys.query import Ranking
from es_recsys.serving import concurrent_answers
from es_recsys.serving.concurrent_answers import ConcurrentAnswers
from es_recsys.serving.drivers import AsyncDriver, Driver
from es_recsys.serving.operations import Flow, LogAnswer
from es_recsys.settings import Settings


def _answer(query: Query) -> Answer:
    if query.text == "bad":
        raise InputError("It can't be answered.")
    return Answer(f"answer {query.text}", "search", Ranking((), 0), 0.0)


class _Store:
    """Answers by the text alone. batches: texts of what was answered together; alone: the others, each with its thread.

    lasts: called in each batch.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, lasts: Callable[[Sequence[str]], None] = lambda _: None) -> None:
        self.batches: list[list[str]] = []
        self.alone: list[str] = []
        self.logged: list[Mapping[str, Any]] = []
        self._lasts = lasts
        monkeypatch.setattr(concurrent_answers, "execute", self._flow)
        work: Any = SimpleNamespace(es=None, settings=Settings(), with_retry=lambda make: make(None))
        self.driver = AsyncDriver(SimpleNamespace(), self)  # type: ignore[type-var]
        self.answers = ConcurrentAnswers(work, self.driver)
        self.answers._batches = self  # type: ignore[assignment]

    def _flow(self, snapshot: None, query: Query, now: float) -> Flow[Answer]:
        self.alone.append(query.text)
        answer = _answer(query)
        yield LogAnswer({"answer_id": answer.answer_id})
        return answer

    def run_batch(self, queries: Sequence[Query], driver: Driver) -> list[Answer | RecsysError]:
        texts = [query.text for query in queries]
        self.batches.append(texts)
        assert threading.current_thread() is not threading.main_thread()
        self._lasts(texts)
        found: list[Answer | RecsysError] = []
        for query in queries:
            try:
                found.append(_answer(query))
                driver.log.write([{"answer_id": found[-1].answer_id, "took_ms": 0.0}])  # type: ignore[union-attr]
            except RecsysError as error:
                found.append(error)
        return found

    def write(self, records: Sequence[Mapping[str, Any]]) -> None:
        self.logged += records

    def ask(self, texts: Sequence[str]) -> list[asyncio.Task[Answer]]:
        return [asyncio.create_task(self.answers.answer(Query(text=text))) for text in texts]

    async def closed(self) -> None:
        await self.answers.close()
        await self.driver.close()


def _texts(n: int, name: str = "q") -> list[str]:
    return [f"{name}{k}" for k in range(n)]


async def test_one_alone_or_a_few_stay_in_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    store = _Store(monkeypatch)
    for n in (1, 7):
        answers = await asyncio.gather(*store.ask(_texts(n)))
        assert [answer.answer_id for answer in answers] == [f"answer q{k}" for k in range(n)]
    assert not store.batches and len(store.alone) == 8
    await store.closed()
    assert len(store.logged) == 8


async def test_pictures_are_no_part_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    store = _Store(monkeypatch)
    pictures = [Query(text=f"p{k}", image=b"...") for k in range(20)]
    await asyncio.gather(*(store.answers.answer(query) for query in pictures), *store.ask(_texts(8)))
    assert store.batches == [_texts(8)] and sorted(store.alone) == sorted(query.text for query in pictures)
    await store.closed()


@pytest.mark.parametrize(("n", "sizes"), [(8, [8]), (12, [12]), (32, [16, 16]), (100, [32, 32, 32])])
async def test_many_at_once_are_answered_together(n: int, sizes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    store = _Store(monkeypatch)
    answers = await asyncio.gather(*store.ask(_texts(n)))
    assert [answer.answer_id for answer in answers] == [f"answer q{k}" for k in range(n)]
    assert [len(batch) for batch in store.batches] == sizes
    assert len(store.alone) == n - sum(sizes)
    await store.closed()
    assert sorted(record["answer_id"] for record in store.logged) == sorted(answer.answer_id for answer in answers)
    together = {record["answer_id"]: record["took_ms"] for record in store.logged if "took_ms" in record}
    assert together == {answer.answer_id: answer.took_ms for answer in answers if answer.took_ms}
    assert len(together) == sum(sizes)


async def _with_two_batches_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[_Store, list[asyncio.Task[Answer]], threading.Event]:
    """Return a store, what it was asked, and what lets the batches that are computed go on."""
    goes_on, begun = threading.Event(), threading.Semaphore(0)

    def lasts(texts: Sequence[str]) -> None:
        begun.release()
        assert goes_on.wait(60)

    store = _Store(monkeypatch, lasts)
    asked = store.ask(_texts(16))
    for _ in range(2):
        await asyncio.to_thread(begun.acquire)
    return store, asked, goes_on


async def test_those_that_come_while_batches_are_under_way_are_together(monkeypatch: pytest.MonkeyPatch) -> None:
    store, asked, goes_on = await _with_two_batches_under_way(monkeypatch)
    for k in range(20):  # each in a turn of its own
        asked += store.ask([f"late{k}"])
        await asyncio.sleep(0.001)
    assert not any(task.done() for task in asked)
    goes_on.set()
    await asyncio.gather(*asked)
    assert [len(batch) for batch in store.batches[:2]] == [8, 8]
    assert sum(len(batch) for batch in store.batches[2:]) >= 16
    await store.closed()


async def test_an_error_of_one_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    store = _Store(monkeypatch)
    found = await asyncio.gather(*store.ask([*_texts(9), "bad", *_texts(6, "r")]), return_exceptions=True)
    assert [type(each) for each in found] == [Answer] * 9 + [InputError] + [Answer] * 6
    assert not store.alone
    await store.closed()
    assert len(store.logged) == 15


async def test_where_a_batch_breaks_each_is_answered_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(texts: Sequence[str]) -> None:
        raise ValueError("nobody thought of that")

    store = _Store(monkeypatch, breaks)
    found = await asyncio.gather(*store.ask([*_texts(15), "bad"]), return_exceptions=True)
    assert [type(each) for each in found] == [Answer] * 15 + [InputError]
    assert len(store.batches) == 2 and len(store.alone) == 16
    await store.closed()


async def test_whoever_gives_up_costs_no_other_and_is_not_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    store, asked, goes_on = await _with_two_batches_under_way(monkeypatch)
    asked[3].cancel()  # while it is computed
    late = store.ask(_texts(10, "late"))
    await asyncio.sleep(0.001)
    late[0].cancel()  # while it waits
    closing = asyncio.create_task(store.closed())
    await asyncio.sleep(0.001)
    assert not closing.done()
    goes_on.set()
    found = await asyncio.gather(*asked, *late, return_exceptions=True)
    given_up = [place for place, each in enumerate(found) if isinstance(each, asyncio.CancelledError)]
    assert given_up == [3, 16]
    assert all(isinstance(each, Answer) for place, each in enumerate(found) if place not in given_up)
    await closing
    logged = {record["answer_id"] for record in store.logged}
    assert len(logged) == 24 and not logged & {"answer q3", "answer late0"}


async def test_closing_waits_for_a_batch_that_all_gave_up(monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on, begun = threading.Event(), threading.Semaphore(0)

    def lasts(texts: Sequence[str]) -> None:
        begun.release()
        assert goes_on.wait(60)

    store = _Store(monkeypatch, lasts)
    asked = store.ask(_texts(8))
    await asyncio.to_thread(begun.acquire)
    for task in asked:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    closing = asyncio.create_task(store.closed())
    await asyncio.sleep(0.01)
    assert not closing.done()
    goes_on.set()
    await closing
    assert not store.logged and not store.alone
