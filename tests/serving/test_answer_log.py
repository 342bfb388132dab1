"""The answer log: what is written is read, a crash costs one line, and erasing touches one user's lines alone."""

from __future__ import annotations

import os
import resource
import signal
import stat
import threading
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Self

import numpy as np
import pytest

from es_recsys.serving import answer_log
from es_recsys.serving.answer_log import AnswerLog

ANNA, BEN = "a" * 32, "b" * 32


class Noon(datetime):
    """A clock that stands still, so that no day ends between two lines."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls(2026, 6, 1, 12, tzinfo=tz)


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_log, "datetime", Noon)


def _day(log: AnswerLog) -> Path:
    (path,) = log.folder.glob("*.jsonl")
    return path


def test_what_is_written_is_read_in_order(tmp_path: Path) -> None:
    log = AnswerLog(tmp_path / "answers")
    assert list(log.read()) == []
    log.write([{"user_key": ANNA, "n": 1}, {"user_key": None, "n": 2}])
    log.write([{"n": 3, "score": np.float32(0.5)}])
    assert [record["n"] for record in log.read()] == [1, 2, 3]
    assert _day(log).read_bytes().count(b"\n") == 3


def test_days_are_read_oldest_first(tmp_path: Path) -> None:
    log = AnswerLog(tmp_path)
    log.write([{"n": 2}])
    (tmp_path / "2020-01-01.jsonl").write_bytes(b'{"n": 1}\n')
    assert [record["n"] for record in log.read()] == [1, 2]


def test_a_cut_off_line_is_left_out_and_spoils_nothing_after_it(tmp_path: Path) -> None:
    log = AnswerLog(tmp_path)
    log.write([{"n": 1}, {"n": 2, "query": "running shoes"}])
    path = _day(log)
    path.write_bytes(path.read_bytes()[:-9])
    assert [record["n"] for record in log.read()] == [1]
    log.write([{"n": 3}])
    assert [record["n"] for record in log.read()] == [1, 3]


def test_erasing_blanks_one_users_lines_alone(tmp_path: Path) -> None:
    log = AnswerLog(tmp_path)
    log.write([{"user_key": (ANNA, BEN)[n % 2], "n": n} for n in range(10)])
    before = _day(log).stat().st_size
    assert log.erase(ANNA) == 5
    assert [record["n"] for record in log.read()] == [1, 3, 5, 7, 9]
    assert ANNA.encode() not in _day(log).read_bytes()
    assert _day(log).stat().st_size == before
    assert log.erase(ANNA) == 0


def test_erasing_takes_a_cut_off_line_too(tmp_path: Path) -> None:
    log = AnswerLog(tmp_path)
    log.write([{"user_key": BEN, "n": 1}, {"user_key": ANNA, "query": "a gift for my sister"}])
    path = _day(log)
    path.write_bytes(path.read_bytes()[:-9])
    assert log.erase(ANNA) == 1
    assert b"sister" not in path.read_bytes()
    log.write([{"user_key": BEN, "n": 2}])
    assert [record["n"] for record in log.read()] == [1, 2]


def test_a_writer_loses_nothing_while_a_user_is_erased(tmp_path: Path) -> None:
    log = AnswerLog(tmp_path)
    log.write([{"user_key": ANNA, "n": n} for n in range(200)])
    done = threading.Event()

    def append() -> None:
        other = AnswerLog(tmp_path)
        for n in range(300):
            other.write([{"user_key": BEN, "n": n, "padding": "x" * (n % 97)}])
        done.set()

    writer = threading.Thread(target=append)
    writer.start()
    erased = log.erase(ANNA)
    while not done.is_set():
        erased += log.erase(ANNA)
    writer.join()
    assert erased == 200
    assert [record["n"] for record in log.read()] == list(range(300))


def test_several_writers_keep_their_lines_whole(tmp_path: Path) -> None:
    def append(name: int) -> None:
        log = AnswerLog(tmp_path)
        for n in range(50):
            log.write([{"name": name, "n": n, "padding": "y" * 500}])

    threads = [threading.Thread(target=append, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = list(AnswerLog(tmp_path).read())
    assert len(found) == 200
    for name in range(4):
        assert [record["n"] for record in found if record["name"] == name] == list(range(50))


def _full(log: AnswerLog) -> None:
    """Every file of the log is on a full disk."""
    log.folder.mkdir(exist_ok=True)
    (log.folder / f"{Noon.now(UTC):%Y-%m-%d}.jsonl").symlink_to("/dev/full")


def _no_folder(log: AnswerLog) -> None:
    log.folder.write_text("")


@pytest.mark.parametrize("spoil", [_full, _no_folder])
def test_a_log_that_can_not_be_written_costs_nothing_and_says_so_once(
    spoil: Callable[[AnswerLog], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = AnswerLog(tmp_path / "taken")
    spoil(log)
    for n in range(3):
        log.write([{"n": n}])
    assert len(caplog.messages) == 1 and "taken can't be written" in caplog.messages[0] and "doctor" in caplog.messages[0]


def test_a_limit_of_the_file_is_said_and_what_was_there_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = AnswerLog(tmp_path)
    log.write([{"n": 1}])
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, limit[1]))
    try:
        log.write([{"n": 2, "padding": "x" * 100}])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    assert len(caplog.messages) == 1
    log.write([{"n": 3}])
    log.write([{"n": 4}])
    assert [record["n"] for record in log.read()] == [1, 3, 4]


def test_the_log_has_a_size_that_it_does_not_outgrow_and_the_oldest_go(tmp_path: Path) -> None:
    limit = 64_000
    (tmp_path / "2020-01-01.jsonl").write_bytes(b'{"n": -1}\n' * 1_000)
    log, other = AnswerLog(tmp_path, limit), AnswerLog(tmp_path, limit)
    for n in range(2_000):
        (log, other)[n % 2].write([{"n": n, "padding": "x" * 100}])
        if n % 100 == 0:
            assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1.1 * limit
    kept = [record["n"] for record in log.read()]
    assert kept == sorted(kept) and kept[-1] == 1_999 and kept[0] > 1_000 and len(kept) > 300
    assert not (tmp_path / "2020-01-01.jsonl").exists()


def test_nothing_is_logged_where_it_may_hold_nothing(tmp_path: Path) -> None:
    AnswerLog(tmp_path, 0).write([{"n": 1}])
    assert not list(tmp_path.iterdir())


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        log = AnswerLog(tmp_path / "home" / "answers")
        log.write([{"n": 1}])
    finally:
        os.umask(before)
    assert stat.S_IMODE(_day(log).stat().st_mode) == 0o600
    assert [stat.S_IMODE(path.stat().st_mode) for path in (log.folder, log.folder.parent)] == [0o700, 0o700]
