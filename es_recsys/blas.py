"""What is computed for one answer, or one user, is computed on one BLAS thread.

It takes a millisecond at most. Shared out among threads it waits for the last of them, and beside other answers, or an
Elasticsearch on the same machine, that one waits for a core: a system of 256 unknowns then took 50 ms instead of one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import ParamSpec, TypeVar

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

__all__ = ["on_one_thread"]

P = ParamSpec("P")
T = TypeVar("T")


def on_one_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What the function gives, which must not wait for anything: the BLAS libraries of the process have one thread until it
    returns. Costs about ten microseconds. Where it is called beside itself in several threads, the first that returns brings
    back what was before."""
    with _libraries().limit(limits=1, user_api="blas"):
        return function(*args, **kwargs)


@cache
def _libraries() -> ThreadpoolController:
    # Looked for once, as it takes a millisecond; numpy's is there by now.
    return ThreadpoolController()
