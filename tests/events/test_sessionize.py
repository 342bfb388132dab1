from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.events.sessions import sessionize


def test_half_an_hour_of_silence_ends_a_session() -> None:
    users = np.array([0, 0, 0, 1, 1], np.int32)
    times = np.array([0.0, 1_800.0, 3_600.1, 3_600.2, 3_601.0])
    numbers = sessionize(users, times)
    assert numbers.tolist() == [0, 0, 1, 2, 2]
    assert numbers.dtype == np.int32
    assert sessionize(users, times, gap=1e9).tolist() == [0, 0, 0, 1, 1]


def test_no_events() -> None:
    assert len(sessionize(np.zeros(0, np.int32), np.zeros(0))) == 0


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0, 1e5)), max_size=50))
def test_as_one_would_by_hand(events: list[tuple[int, float]]) -> None:
    events.sort()
    expected, number = [], -1
    for i, (user, time) in enumerate(events):
        if i == 0 or events[i - 1][0] != user or time - events[i - 1][1] > 1_800.0:
            number += 1
        expected.append(number)
    users = np.array([user for user, _ in events], np.int32)
    times = np.array([time for _, time in events], np.float64)
    assert sessionize(users, times).tolist() == expected
