from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from es_recsys import engine
from es_recsys.engine import embedded, processes, state
from es_recsys.engine.state import NodeState
from es_recsys.errors import EngineError
from es_recsys.settings import Settings

_SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", cache=tmp_path / "cache")


@pytest.fixture
def started_processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def _start(command: list[str], among: list[subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    among.append(process)
    assert process.stdout is not None and process.stdout.readline()
    return process


def _write_state(settings: Settings, pid: int, started: str) -> NodeState:
    node_state = NodeState(pid, started, "http://127.0.0.1:1", "9.2.0", "256m", "java", "data", "log", time.time())
    folder = embedded.node_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    state.write(folder, node_state)
    return node_state


def test_a_process_that_runs_is_up_and_stop_ends_it(settings: Settings, started_processes: list[subprocess.Popen[bytes]]) -> None:
    process = _start(_SLEEPER, started_processes)
    started = processes.started_at(process.pid)
    assert started is not None
    node_state = _write_state(settings, process.pid, started)
    assert engine.status(settings) == node_state
    assert engine.stop(settings)
    assert process.wait(60) != 0
    assert engine.status(settings) is None
    assert not engine.stop(settings), "a second stop has nothing to end"


def test_a_process_that_is_gone_is_not_up(settings: Settings, started_processes: list[subprocess.Popen[bytes]]) -> None:
    process = _start(_SLEEPER, started_processes)
    started = processes.started_at(process.pid)
    assert started is not None
    _write_state(settings, process.pid, started)
    process.kill()
    # Ended but not collected yet, then gone altogether.
    assert processes.started_at(process.pid) in (None, started)
    process.wait()
    assert engine.status(settings) is None
    assert not engine.stop(settings)


def test_a_pid_that_another_process_has_now_is_left_alone(
    settings: Settings, started_processes: list[subprocess.Popen[bytes]]
) -> None:
    process = _start(_SLEEPER, started_processes)
    _write_state(settings, process.pid, "the start of the one before it")
    assert engine.status(settings) is None
    assert not engine.stop(settings)
    time.sleep(0.1)
    assert process.poll() is None, "a stranger with the same id must not be ended"
    assert state.read(embedded.node_folder(settings)) is None, "and its state is removed"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"pid": 1, "unknown": 2}', b"\xff\xfe"])
def test_a_damaged_state_file_means_not_up(settings: Settings, content: bytes) -> None:
    folder = embedded.node_folder(settings)
    folder.mkdir(parents=True)
    (folder / "node.json").write_bytes(content)
    assert engine.status(settings) is None
    assert not engine.stop(settings)


def test_stop_without_a_home_is_safe(settings: Settings) -> None:
    assert not engine.stop(settings)


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    for call in (engine.start, engine.stop, engine.start_owned):
        with pytest.raises(EngineError, match="can't be written") as raised:
            call(Settings(home=blocked))
        assert "ES_RECSYS_HOME" in raised.value.remedy


def test_what_is_written_is_read_back(settings: Settings) -> None:
    node_state = _write_state(settings, os.getpid(), str(processes.started_at(os.getpid())))
    assert state.read(embedded.node_folder(settings)) == node_state
    assert node_state.is_alive()
    assert [path.name for path in embedded.node_folder(settings).iterdir()] == ["node.json"]


def test_a_url_is_taken_as_it_is(tmp_path: Path) -> None:
    assert engine.resolve_url(Settings(url="http://127.0.0.1:1", home=tmp_path / "home")) == "http://127.0.0.1:1"
    assert not (tmp_path / "home").exists()
