"""What answers compute has one BLAS thread; afterwards there are as many as before."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from es_recsys import blas
from es_recsys.blas import _libraries, on_one_thread
from es_recsys.dataset import History
from es_recsys.serving.drivers import AsyncDriver, Driver
from es_recsys.serving.joined_flows import run_all
from es_recsys.serving.operations import Flow, Recommend, RunBlocking, Sleep

BEFORE = 2


def threads() -> set[int]:
    """Of the libraries that answers compute with; scipy's own may have come later."""
    return {library.num_threads for library in _libraries()}


@pytest.fixture(autouse=True)
def several() -> Iterator[None]:
    np.linalg.inv(np.eye(2))  # numpy's BLAS is there
    libraries = _libraries()
    usual = [library.num_threads for library in libraries]
    set_all(libraries, [BEFORE] * len(libraries))
    yield
    set_all(libraries, usual)


def set_all(libraries: Sequence[Any], numbers: Sequence[int]) -> None:
    """As somebody who does not stay in charge of them."""
    for library, number in zip(libraries, numbers, strict=True):
        library.set_num_threads(number)
        library.clear_controlling_thread(force=True)


class Model:
    """Answers with what it finds."""

    item_ids = ()

    def recommend(self, *_: Any) -> set[int]:
        return threads()

    def recommend_batch(self, histories: list[History], *_: Any) -> list[set[int]]:
        return [threads()] * len(histories)


def told() -> Flow[list[set[int]]]:
    """What a flow finds in its own steps, also after an error, and in what it asks of a model."""
    first = threads()
    try:
        yield Sleep(-1.0)
    except ValueError:
        second = threads()
    return [first, second, (yield Recommend(Model(), History.of(["i"]), 1, frozenset())), threads()]  # type: ignore[arg-type]


def test_it_ends_with_the_function_and_with_its_error() -> None:
    assert on_one_thread(lambda: on_one_thread(threads) | threads()) == {1}
    assert threads() == {BEFORE}
    with pytest.raises(ZeroDivisionError):
        on_one_thread(lambda: 1 // 0)
    assert threads() == {BEFORE}


def test_of_threads_that_overlap_the_last_one_brings_it_back() -> None:
    inside, leave, found = threading.Event(), threading.Event(), list[set[int]]()

    def stay() -> None:
        inside.set()
        assert leave.wait(60)
        found.append(threads())

    other = threading.Thread(target=on_one_thread, args=(stay,))

    def overlap() -> None:
        other.start()
        assert inside.wait(60)

    on_one_thread(overlap)
    assert threads() == {1}
    leave.set()
    other.join(60)
    assert found == [{1}] and threads() == {BEFORE}
    assert on_one_thread(threads) == {1}


def test_a_limit_of_somebody_else_stays() -> None:
    with threadpool_limits(1, "blas"):
        assert on_one_thread(threads) == {1} == threads()
    assert threads() == {BEFORE}
    with threadpool_limits(3, "blas"):
        assert on_one_thread(threads) == {1}
        assert threads() == {3}


def test_an_answer_takes_it_once_and_lifts_it_for_what_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    enter = blas._Limit.enter
    monkeypatch.setattr(blas._Limit, "enter", lambda limit: (taken.append(limit), enter(limit))[1])

    def flow() -> Flow[list[set[int]]]:
        known = yield RunBlocking(threads, threads)
        for _ in range(5):
            yield Sleep(0.0)
        inside = threads()
        return [known, inside, (yield Recommend(Model(), History.of(["i"]), 1, frozenset()))]  # type: ignore[arg-type]

    def blocking() -> Flow[set[int]]:
        return (yield RunBlocking(threads))  # type: ignore[no-any-return]

    driver = Driver(None, None)  # type: ignore[arg-type]
    assert driver.run(flow()) == [{1}] * 3 and len(taken) == 1
    assert driver.run(blocking()) == {BEFORE} == threads()
    assert asyncio.run(AsyncDriver(None, None).run(blocking())) == {BEFORE} == threads()  # type: ignore[arg-type]


def test_flows_are_driven_so() -> None:
    driver = Driver(None, None)  # type: ignore[arg-type]
    answers: list[Any] = [driver.run(told()), *run_all(driver, [told(), told()])]
    assert answers == [[{1}] * 4] * 3
    assert threads() == {BEFORE}


def test_flows_of_an_event_loop_are_driven_so() -> None:
    async def both() -> list[Any]:
        driver = AsyncDriver(None, None)  # type: ignore[arg-type]
        return await asyncio.gather(driver.run(waiting()), driver.run(waiting()))

    def waiting() -> Flow[tuple[set[int], set[int]]]:
        before = threads()
        yield Sleep(0.01)
        return before, threads()

    assert asyncio.run(both()) == [({1}, {1})] * 2
    assert threads() == {BEFORE}
