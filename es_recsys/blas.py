"""Limit of one BLAS thread for what is computed for one answer or one user.

That takes a millisecond at most. Shared out among threads it waits for the last of them, and beside other answers, or an
Elasticsearch on the same machine, that one waits for a core: a system of 256 unknowns then took 160 ms instead of one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache
from typing import ParamSpec, TypeVar

from threadpoolctl import LibController, ThreadpoolController  # type: ignore[import-untyped]

__all__ = ["on_one_thread"]

P = ParamSpec("P")
T = TypeVar("T")


def on_one_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function while the BLAS libraries of the process have one thread, and return its result.

    They have one thread until it returns, or the last of those that run beside it in other threads; so the function must not wait
    for anything. Costs about ten microseconds.
    """
    _limit.enter()
    try:
        return function(*args, **kwargs)
    finally:
        _limit.leave()


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


@cache
def _libraries() -> list[LibController]:
    # Looked for once, as it takes a millisecond; numpy's is there by now. Where OpenMP makes the threads, each thread has a
    # limit of its own.
    found = ThreadpoolController().select(user_api="blas").lib_controllers
    return [library for library in found if getattr(library, "threading_layer", None) != "openmp"]
