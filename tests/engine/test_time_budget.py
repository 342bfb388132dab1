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


def test_what_one_request_waits_another_may_not() -> None:
    with within_budget(0.2):
        with spending(7.0) as first:
            time.sleep(0.1)
        with spending(0.01) as second:
            pass
        with within_budget(60.0), spending(7.0) as third:
            time.sleep(0.1)
        with pytest.raises(ConnectionTimeout), spending(7.0):
            pass
    assert first is not None and third is not None
    assert (first <= 0.2, second, third <= 0.1) == (True, 0.01, True)


def test_what_is_waited_for_at_the_same_time_counts_once() -> None:
    budget = TimeBudget(0.4)

    def wait() -> None:
        budget.begin()
        time.sleep(0.1)
        budget.end()

    threads = [threading.Thread(target=wait) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left = budget.begin()
    assert 0.0 < left <= 0.3
