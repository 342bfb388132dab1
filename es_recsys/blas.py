"""Limit of one BLAS thread for what is computed for one answer or one user.

That takes a millisecond at most. Shared out among threads it waits for the last of them, and beside other answers, or an
Elasticsearch on the same machine, that one waits for a core: a system of 256 unknowns then took 160 ms instead of one.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import ParamSpec, TypeVar

from threadpoolctl import LibController, ThreadpoolController  # type: ignore[import-untyped]

__all__ = ["lifted", "on_one_thread", "one_thread"]

P = ParamSpec("P")
T = TypeVar("T")


def on_one_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function while the BLAS libraries of the process have one thread, and return its result.

    They have one thread until it returns, or the last of those that run beside it in other threads.
    """
    with one_thread():
        return function(*args, **kwargs)


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit the BLAS libraries to one thread inside a `with` block, as `on_one_thread` does.

    Costs ten to thirty microseconds, and nothing inside another one; so an answer takes it once, and others go on with one thread
    while it waits for Elasticsearch.
    """
    _limit.enter()
    try:
        yield
    finally:
        _limit.leave()


@contextmanager
def lifted() -> Iterator[None]:
    """Give the limit of a surrounding `one_thread` back inside a `with` block, for what may need all threads."""
    _limit.leave()
    try:
        yield
    finally:
        _limit.enter()


class _Limit:
    """Limit of BLAS threads while any thread of the process is inside.

    threadpoolctl's own limits bring back what the thread that leaves has found, and that may be the limit of another one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before: list[tuple[LibController, int]] = []

    def enter(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                several = [(library, library.num_threads) for library in _libraries() if library.num_threads > 1]
                for library, _ in several:
                    library.set_num_threads(1)
                # Another thread may have taken hold of the library; then that one's limit is what counts.
                self._before = [(library, threads) for library, threads in several if library.num_threads == 1]

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                for library, threads in self._before:
                    _release(library)
                    library.set_num_threads(threads)
                    _release(library)


_limit = _Limit()


def _release(library: LibController) -> None:
    """Let another thread set the number of threads than the one that has set it first."""
    release = getattr(library, "clear_controlling_thread", None)
    if release is not None:
        release(force=True)


def _libraries() -> list[LibController]:
    """Return the BLAS libraries of the process: numpy's, and scipy's own once that is loaded."""
    return _find_libraries("scipy.linalg" in sys.modules)


@cache
def _find_libraries(_with_scipy: bool) -> list[LibController]:
    # Looked for once, as it takes a millisecond. Where OpenMP makes the threads, each thread has a limit of its own.
    found = ThreadpoolController().select(user_api="blas").lib_controllers
    return [library for library in found if getattr(library, "threading_layer", None) != "openmp"]
