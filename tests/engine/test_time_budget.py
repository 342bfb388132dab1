"""What a call may wait in all."""

from __future__ import annotations

import threading
import time

import pytest
from elastic_transport import ConnectionTimeout

from es_recsys.engine.time_budget import TimeBudget, spending, within_budget


def test_without_a_budget_a_request_may_wait_as_long_as_its_own_timeout() -> None:
    with spending(7.0) as timeout_s:
        assert timeout_s == 7.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that a clock shows, to be moved on."""
    shown = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: shown[0])
    return shown


def test_what_one_request_waits_another_may_not(clock: list[float]) -> None:
    with within_budget(2.0):
        with spending(7.0) as first:
            clock[0] += 0.5
        clock[0] += 60.0  # what isn't waited for costs nothing
        with spending(0.25) as second:
            pass
        with within_budget(60.0), spending(7.0) as third:
            clock[0] += 1.5
        with pytest.raises(ConnectionTimeout), spending(7.0):
            pass
    assert (first, second, third) == (2.0, 0.25, 1.5)


def test_what_is_waited_for_at_the_same_time_counts_once(clock: list[float]) -> None:
    budget = TimeBudget(4.0)
    together = threading.Barrier(9)

    def wait() -> None:
        budget.begin()
        together.wait()
        together.wait()
        budget.end()

    threads = [threading.Thread(target=wait) for _ in range(8)]
    for thread in threads:
        thread.start()
    together.wait()
    clock[0] += 1.5
    assert budget.begin() == 2.5
    budget.end()
    together.wait()
    for thread in threads:
        thread.join()
    assert budget.begin() == 2.5
