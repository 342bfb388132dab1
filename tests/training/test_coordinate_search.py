"""Hill climbing on surfaces whose top is known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from es_recsys.errors import OutOfTime
from es_recsys.training.coordinate_search import CoordinateSearchResult, coordinate_search


@dataclass(frozen=True)
class Point:
    x: int = 0
    y: int = 0


MOVES = {"x": tuple(range(-5, 6)), "y": tuple(range(-5, 6))}
tried: list[Point] = []


def change(point: Point, setting: str, value: Any) -> Point:
    return replace(point, **{setting: value})


def hill(point: Point) -> float:
    tried.append(point)
    return -abs(point.x - 3) - abs(point.y + 2)


def coordinate_ascent(start: Point, **more: Any) -> CoordinateSearchResult[Point]:
    tried.clear()
    return coordinate_search(start, MOVES, change, hill, **more)


def test_it_reaches_the_top_and_tries_nothing_twice() -> None:
    found = coordinate_ascent(Point())
    assert found.config == Point(3, -2) and found.score == 0 and not found.cut_short
    assert found.trials == len(tried) == len(set(tried)) < 20


def test_a_second_round_follows_what_the_first_opened() -> None:
    def ridge(point: Point) -> float:
        return -abs(point.x - point.y) * 3 + point.y if point.x < 3 else -9.0

    once, twice = (coordinate_search(Point(1, 0), MOVES, change, ridge, rounds=rounds).score for rounds in (1, 3))
    assert twice >= once == 0


def test_what_is_not_listed_is_entered_at_every_value() -> None:
    assert coordinate_ascent(Point(40, 40)).config == Point(3, -2)


def test_when_time_is_out_the_best_so_far_stands() -> None:
    found = coordinate_ascent(Point(2, -2), deadline=0.0)
    assert found.config == Point(2, -2) and found.cut_short and found.trials == 1


def test_what_runs_out_of_time_is_no_trial() -> None:
    def slow(point: Point) -> float:
        if point.x == 3:
            raise OutOfTime("It took too long.")
        return float(point.x)

    found = coordinate_search(Point(1, 0), MOVES, change, slow)
    assert found.config == Point(2, 0) and found.cut_short and found.trials == 2
    with pytest.raises(OutOfTime):
        coordinate_search(Point(3, 0), MOVES, change, slow)


def test_at_the_top_it_stays() -> None:
    assert coordinate_ascent(Point(3, -2)).trials == 5
