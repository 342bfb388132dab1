"""One thing that was looked at, and how a question that may fail becomes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from es_recsys.errors import RecsysError

__all__ = ["Check", "attempt"]


@dataclass(frozen=True, slots=True)
class Check:
    """name: what was looked at; what: what was found; remedy: what to do, where it is not ok."""

    name: str
    ok: bool
    what: str
    remedy: str = ""


def attempt(name: str, ask: Callable[[], str]) -> Check:
    """What `ask` found, or the error that it raised, as a check."""
    try:
        return Check(name, True, ask())
    except RecsysError as error:
        return Check(name, False, error.what, error.remedy)
