"""Hill climbing over a few discrete settings, one at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from es_recsys.errors import OutOfTime

__all__ = ["CoordinateSearchResult", "coordinate_search"]

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class CoordinateSearchResult(Generic[C]):
    """Outcome of a coordinate search.

    config: the best one found. score: its score. trials: how many were tried. cut_short: whether time ran out. failed: what
    settings could not be tried, as each raised it.
    """

    config: C
    score: float
    trials: int
    cut_short: bool
    failed: tuple[Exception, ...] = ()


def coordinate_search(
    start: C,
    moves: Mapping[str, Sequence[Any]],
    change: Callable[[C, str, Any], C],
    score: Callable[[C], float],
    *,
    rounds: int = 2,
    deadline: float = float("inf"),
) -> CoordinateSearchResult[C]:
    """Climb from `start` to the best config, one setting at a time, and return it with its score.

    It goes up and down each setting's ordered values from where it stands, as long as the score rises. change(config, setting,
    value) gives the changed config; configs are hashable. A setting whose present value isn't listed is entered at every value.
    Ends when a round changes nothing, or at `deadline` (time.monotonic seconds), also where `score` raises OutOfTime. A config
    for which it raises another error is passed over, and the error is among `failed`. What it raises for the start is raised.
    """
    seen = {start: score(start)}
    best = start
    cut = False
    failed: list[Exception] = []

    def better(config: C) -> bool:
        nonlocal best, cut
        if config not in seen:
            if cut or time.monotonic() > deadline:
                cut = True
                return False
            try:
                seen[config] = score(config)
            except OutOfTime:
                cut = True
                return False
            except Exception as error:
                seen[config] = -math.inf
                failed.append(error)
        if seen[config] > seen[best]:
            best = config
            return True
        return False

    for _ in range(rounds):
        before = best
        for setting, values in moves.items():
            at = [i for i, value in enumerate(values) if change(best, setting, value) == best]
            if not at:
                for value in values:
                    better(change(best, setting, value))
                continue
            for step in (1, -1):
                i, moved = at[0] + step, False
                while 0 <= i < len(values) and better(change(best, setting, values[i])):
                    i, moved = i + step, True
                if moved:
                    break
        if best == before or cut:
            break
    return CoordinateSearchResult(best, seen[best], len(seen), cut, tuple(failed))
