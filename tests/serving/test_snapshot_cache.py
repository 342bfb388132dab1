"""Threads go on with the old snapshot while one of them loads the next, unless the old one was made invalid."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from waiting import wait_until

from es_recsys.serving import snapshot_cache
from es_recsys.serving.snapshot_cache import SnapshotCache
from es_recsys.settings import Settings


class SlowCache(SnapshotCache):
    """Snapshots are numbers; each load but the first waits until it may go on."""

    def __init__(self, home: Path) -> None:
        client: Any = SimpleNamespace(options=lambda **_: None)
        super().__init__(Settings(home=home), client)
        self.loads = 0
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.failure: Exception | None = None

    def _load(self, old: Any, *, wait: bool) -> Any:
        self.loads += 1
        number = self.loads
        if old is not None:
            self.begun.set()
            assert self.may_end.wait(60)
        if self.failure is not None:
            raise self.failure
        return number


def in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    return thread, found


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SlowCache:
    cache = SlowCache(tmp_path)
    assert cache.current() == 1 and cache.current() == 1
    monkeypatch.setattr(snapshot_cache, "REFRESH_S", -1.0)
    return cache


@pytest.fixture
def ageing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[SlowCache, Callable[[float], None]]:
    """A cache whose snapshot is loaded anew from its fifth second on, and how to make time pass."""
    clock = [100.0]
    monkeypatch.setattr(snapshot_cache, "REFRESH_S", 10.0)
    monkeypatch.setattr(snapshot_cache.time, "monotonic", lambda: clock[0])
    cache = SlowCache(tmp_path)
    assert cache.known() is None and cache.current() == 1

    def pass_s(seconds: float) -> None:
        clock[0] += seconds

    return cache, pass_s


def loaded(cache: SlowCache) -> None:
    """Wait for the load in the background."""
    with cache._loading:
        pass


def test_nobody_waits_while_the_next_one_is_loaded_in_the_background(ageing: tuple[SlowCache, Callable[[float], None]]) -> None:
    cache, pass_s = ageing
    pass_s(4.0)
    assert cache.known() == 1 and not cache._loading.locked()
    pass_s(2.0)
    assert [cache.known(), cache.current()] == [1, 1]
    assert cache.begun.wait(60)
    pass_s(60.0)  # however long that takes
    assert [cache.known(), cache.current()] == [1, 1]
    cache.may_end.set()
    loaded(cache)
    pass_s(-60.0)
    assert cache.current() == 2 == cache.loads


def test_one_that_is_too_old_is_waited_for(ageing: tuple[SlowCache, Callable[[float], None]]) -> None:
    cache, pass_s = ageing
    cache.may_end.set()
    pass_s(11.0)
    assert cache.known() is None
    assert cache.current() == 2 == cache.known()


def test_a_failure_in_the_background_is_met_by_who_has_to_wait(ageing: tuple[SlowCache, Callable[[float], None]]) -> None:
    cache, pass_s = ageing
    cache.may_end.set()
    cache.failure = RuntimeError("away")
    pass_s(6.0)
    assert cache.current() == 1
    loaded(cache)
    assert cache.known() == 1
    pass_s(6.0)
    loaded(cache)
    with pytest.raises(RuntimeError):
        cache.current()


def test_an_invalid_one_is_at_nobodys_hand(ageing: tuple[SlowCache, Callable[[float], None]]) -> None:
    cache, _ = ageing
    cache.may_end.set()
    cache.invalidate()
    assert cache.known() is None
    assert cache.latest() == 2


def test_others_go_on_with_the_old_one_while_one_loads(cache: SlowCache) -> None:
    thread, found = in_thread(cache.current)
    assert cache.begun.wait(60)
    assert [cache.current() for _ in range(3)] == [1, 1, 1]
    cache.may_end.set()
    thread.join()
    assert found == [2] and cache.loads == 2


def test_an_invalid_one_is_waited_for_and_read_again_where_the_load_began_before(cache: SlowCache) -> None:
    thread, found = in_thread(cache.current)
    assert cache.begun.wait(60)
    other, later = in_thread(cache.latest)
    assert wait_until(cache._is_invalid)
    cache.may_end.set()
    thread.join()
    other.join()
    assert found == [2] and later == [3]


def test_after_a_failed_load_it_stays_invalid(cache: SlowCache) -> None:
    cache.may_end.set()
    cache.failure = RuntimeError("away")
    with pytest.raises(RuntimeError):
        cache.latest()
    with pytest.raises(RuntimeError):
        cache.current()
    cache.failure = None
    assert cache.current() == 4
