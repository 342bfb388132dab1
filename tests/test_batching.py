"""Lists of a stream, and work on several values at a time whose results keep their order."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from es_recsys.batching import batched, map_ahead


def test_batched_cuts_a_stream() -> None:
    assert list(batched(iter(range(5)), 2)) == [[0, 1], [2, 3], [4]]
    assert list(batched([], 2)) == []


def test_results_come_in_order_whichever_is_done_first() -> None:
    def slow_first(value: int) -> int:
        time.sleep(0.05 if value == 0 else 0.0)
        return value * value

    assert list(map_ahead(slow_first, range(6), 3)) == [0, 1, 4, 9, 16, 25]
    assert list(map_ahead(slow_first, [], 3)) == []


def test_two_are_worked_on_at_once() -> None:
    both = threading.Barrier(2, timeout=10)
    assert len(list(map_ahead(lambda _: both.wait(), range(4), 2))) == 4


def test_values_are_taken_no_further_ahead_than_one_more() -> None:
    taken = list[int]()

    def values() -> Iterator[int]:
        for value in range(100):
            taken.append(value)
            yield value

    results = map_ahead(abs, values(), 2)
    for expected in range(10):
        assert next(results) == expected
        assert len(taken) <= expected + 3
    results.close()  # type: ignore[attr-defined]
    assert len(taken) <= 12


def test_what_a_call_raises_comes_in_its_place() -> None:
    def divide(value: int) -> float:
        return 1 / value

    results = map_ahead(divide, [1, 2, 0, 4], 4)
    assert [next(results), next(results)] == [1.0, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_what_the_values_raise_comes_after_the_results_before_it() -> None:
    def values() -> Iterator[int]:
        yield from (1, 2)
        raise ValueError("no more")

    results = map_ahead(abs, values(), 4)
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(ValueError, match="no more"):
        next(results)
