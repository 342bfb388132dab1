"""The result of one check, and how a function that may fail becomes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from es_recsys.errors import RecsysError

__all__ = ["Check", "run_check"]


@dataclass(frozen=True, slots=True)
class Check:
    """The result of a check.

    name: what was checked; what: what was found; remedy: what to do about it, where it is not ok.
    """

    name: str
    ok: bool
    what: str
    remedy: str = ""


def run_check(name: str, probe: Callable[[], str]) -> Check:
    """Return what `probe` found, or the RecsysError that it raised, as a check."""
    try:
        return Check(name, True, probe())
    except RecsysError as error:
        return Check(name, False, error.what, error.remedy)
