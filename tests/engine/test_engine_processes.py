from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import wait_until

from es_recsys import engine
from es_recsys.engine import processes, state
from es_recsys.engine.state import NodeState
from es_recsys.settings import Settings

SLEEPER = "import sys, time; print('up', flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER


@pytest.fixture
def program() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", SLEEPER], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline()
        yield process
        process.kill()


def _state(pid: int, started: str) -> NodeState:
    return NodeState(pid, started, "http://127.0.0.1:1", "9.2.0", "512m", "java", "data", "log", 0.0)


def _settings(home: Path) -> Settings:
    return Settings(home=home, url=None)


def test_a_process_is_known_by_id_and_start(program: subprocess.Popen[bytes]) -> None:
    started = processes.started_at(program.pid)
    assert started is not None and processes.is_alive(program.pid, started)
    assert not processes.is_alive(program.pid, started + "0")
    assert processes.started_at(os.getpid()) != started


def test_an_ended_process_that_nobody_collected_is_not_alive(program: subprocess.Popen[bytes]) -> None:
    started = processes.started_at(program.pid)
    assert started is not None
    os.kill(program.pid, 9)
    assert wait_until(lambda: not processes.is_alive(program.pid, started))
    assert program.returncode is None  # it is a zombie still
    assert not processes.terminate(program.pid, started, 1.0)


def test_a_process_that_does_not_listen_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline()
        started = processes.started_at(process.pid)
        assert started is not None
        assert processes.terminate(process.pid, started, 0.2)
        assert process.wait(60) == -9


def test_state_is_kept_whole_and_nonsense_is_none(tmp_path: Path) -> None:
    assert state.read(tmp_path) is None
    kept = _state(5, "then")
    state.write(tmp_path, kept)
    assert state.read(tmp_path) == kept
    for nonsense in ("", "{", "[]", '{"pid": 3}', '{"unknown": 1}'):
        (tmp_path / "node.json").write_text(nonsense)
        assert state.read(tmp_path) is None


def test_a_state_file_of_a_process_that_is_gone_is_stale(tmp_path: Path) -> None:
    home = tmp_path / "engine"
    home.mkdir()
    state.write(home, _state(2**22 + 1, "long ago"))
    assert engine.status(_settings(tmp_path)) is None
    assert engine.stop(_settings(tmp_path)) is False
    assert state.read(home) is None


def test_an_id_that_another_process_has_now_is_left_alone(tmp_path: Path, program: subprocess.Popen[bytes]) -> None:
    home = tmp_path / "engine"
    home.mkdir()
    state.write(home, _state(program.pid, "long ago"))
    assert engine.status(_settings(tmp_path)) is None
    assert engine.stop(_settings(tmp_path)) is False
    assert program.poll() is None


def test_stop_ends_exactly_the_process_of_the_state_file(tmp_path: Path, program: subprocess.Popen[bytes]) -> None:
    home = tmp_path / "engine"
    home.mkdir()
    started = processes.started_at(program.pid)
    assert started is not None
    state.write(home, _state(program.pid, started))
    assert engine.status(_settings(tmp_path)) == _state(program.pid, started)
    assert engine.stop(_settings(tmp_path)) is True
    assert program.wait(60) == -15
    assert engine.status(_settings(tmp_path)) is None


def test_the_lock_is_held_by_one_process_and_freed_by_its_death(tmp_path: Path) -> None:
    code = (
        "import time\nfrom pathlib import Path\nfrom es_recsys.locks import file_lock\n"
        f"with file_lock(Path({str(tmp_path / 'lock')!r})):\n print('held', flush=True)\n time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as first:
        assert first.stdout is not None and first.stdout.readline() == b"held\n"
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as second:
            assert second.stdout is not None
            time.sleep(0.5)
            os.set_blocking(second.stdout.fileno(), False)
            assert second.stdout.read() is None
            first.kill()
            os.set_blocking(second.stdout.fileno(), True)
            assert second.stdout.readline() == b"held\n"
            second.kill()
