"""Cut a stream into lists, and work on several of them at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

__all__ = ["batched", "map_ahead"]

T = TypeVar("T")
R = TypeVar("R")


def batched(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of `size` values, in order; the last may be shorter.

    As `itertools.batched` of Python 3.12.
    """
    stream = iter(values)
    while batch := list(islice(stream, size)):
        yield batch


def map_ahead(function: Callable[[T], R], values: Iterable[T], threads: int) -> Iterator[R]:
    """Yield `function` of each value, in order, called in so many threads.

    Of the values, one more is taken than are worked on. What a call or the values raise comes after the results before it.
    """
    stream = iter(values)
    started: deque[Future[R]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="es-recsys-ahead") as pool:
        try:
            while True:
                try:
                    value = next(stream)
                except StopIteration:
                    break
                except Exception:
                    yield from _results(started)
                    raise
                started.append(pool.submit(function, value))
                if len(started) > threads:
                    yield started.popleft().result()
            yield from _results(started)
        finally:
            for waiting in started:
                waiting.cancel()


def _results(started: deque[Future[R]]) -> Iterator[R]:
    while started:
        yield started.popleft().result()
