"""What answers compute has one BLAS thread; afterwards there are as many as before."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

from es_recsys.blas import on_one_thread
from es_recsys.flows.effects import Flow, Pause, Top
from es_recsys.runtime.drive import AsyncDriver, Driver
from es_recsys.types import History

BEFORE = 2


def threads() -> set[int]:
    return {library.num_threads for library in ThreadpoolController().select(user_api="blas").lib_controllers}


@pytest.fixture(autouse=True)
def several() -> Iterator[None]:
    np.linalg.inv(np.eye(2))  # numpy's BLAS is there
    with threadpool_limits(BEFORE, "blas"):
        yield


class Model:
    """Answers with what it finds."""

    def weights(self, *_: Any) -> set[int]:
        return threads()

    def weights_of_all(self, histories: list[History], *_: Any) -> list[set[int]]:
        return [threads()] * len(histories)


def told() -> Flow[list[set[int]]]:
    """What a flow finds in its own steps, also after an error, and in what it asks of a model."""
    first = threads()
    try:
        yield Pause(-1.0)
    except ValueError:
        second = threads()
    return [first, second, (yield Top(Model(), History.of(["i"]), 1, frozenset())), threads()]  # type: ignore[arg-type]


def test_it_ends_with_the_function_and_with_its_error() -> None:
    assert on_one_thread(lambda: on_one_thread(threads) | threads()) == {1}
    assert threads() == {BEFORE}
    with pytest.raises(ZeroDivisionError):
        on_one_thread(lambda: 1 // 0)
    assert threads() == {BEFORE}


def test_flows_are_driven_so() -> None:
    driver = Driver(None, None)  # type: ignore[arg-type]
    answers: list[Any] = [driver.run(told()), *driver.run_all([told(), told()])]
    assert answers == [[{1}] * 4] * 3
    assert threads() == {BEFORE}


def test_flows_of_an_event_loop_are_driven_so() -> None:
    async def both() -> list[Any]:
        driver = AsyncDriver(None, None)  # type: ignore[arg-type]
        return await asyncio.gather(driver.run(waiting()), driver.run(waiting()))

    def waiting() -> Flow[tuple[set[int], set[int]]]:
        before = threads()
        yield Pause(0.01)
        return before, threads()

    assert asyncio.run(both()) == [({1}, {1})] * 2
    assert threads() == {BEFORE}
