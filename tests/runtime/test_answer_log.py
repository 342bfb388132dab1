"""The answer log: what is written is read, a crash costs one line, and erasing touches one user's lines alone."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from es_recsys.errors import SetupError
from es_recsys.runtime.answer_log import AnswerLog

ANNA, BEN = "a" * 32, "b" * 32


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


def test_a_log_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(SetupError, match="taken") as caught:
        AnswerLog(tmp_path / "taken").write([{"n": 1}])
    assert caught.value.remedy
