from __future__ import annotations

import pytest

from es_recsys.sources.future_times import FutureTimes

NOW = 1_790_000_000.0
HOUR = 3_600.0


def inference(*aheads: float, written: object = "2026-01-01 10:00") -> FutureTimes:
    found = FutureTimes(NOW)
    for future in aheads:
        found.add(NOW + future, written)
    return found


@pytest.mark.parametrize(("hours", "offset"), [(9, "+09:00"), (5.5, "+05:30"), (8.8, "+09:00"), (1, "+01:00"), (14, "+14:00")])
def test_local_times_of_a_zone_are_a_block(hours: float, offset: str) -> None:
    found = inference(*(hours * HOUR - minutes * 60.0 for minutes in range(0, 3_000, 7)))
    assert (found.block, found.local, found.offset) == (True, True, offset)


def test_all_ahead_is_a_block_too() -> None:
    assert inference(*(600.0 + 60 * n for n in range(20))).block


def test_some_wrong_clocks_are_none() -> None:
    behind = [-60.0 * n for n in range(600)]
    assert not inference(*behind, 3 * HOUR, 3.1 * HOUR, 2 * HOUR).block
    assert not inference(*behind, *(400 * 24 * HOUR for _ in range(50))).block
    assert inference(*behind).count == 0


def test_times_with_a_zone_are_not_local() -> None:
    found = inference(*(600.0 * n for n in range(20)), written=1_790_000_000)
    assert (found.block, found.local) == (True, False)
