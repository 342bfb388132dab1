"""The embedded node of a home folder: in the background between commands, or owned by the process that started it."""

from __future__ import annotations

import atexit
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from es_recsys.engine import machine, state
from es_recsys.engine.distribution import Distribution, ensure_distribution
from es_recsys.engine.jars import VERSION
from es_recsys.engine.java import Java, find_java
from es_recsys.engine.node import Node, NodeConfig, launch
from es_recsys.engine.processes import started_at, terminate
from es_recsys.engine.state import NodeState
from es_recsys.errors import EngineError
from es_recsys.locks import file_lock
from es_recsys.private import make_folder
from es_recsys.settings import Settings

__all__ = ["OwnedNode", "node_folder", "resolve_url", "running_url", "start", "start_owned", "status", "stop"]

_STOP_WAIT_S = 30.0
_background: list[subprocess.Popen[bytes]] = []
"""Processes of nodes that this process started and that outlive it."""


def node_folder(settings: Settings) -> Path:
    """Return the folder of the embedded node's data, logs and state."""
    return settings.home / "engine"


def resolve_url(settings: Settings) -> str:
    """Return `settings.url` where one is set (without calling it), else that of the embedded node, started where it is not up.

    Raises EngineError where it can't be started.
    """
    return settings.url or start(settings).url


def start(settings: Settings) -> NodeState:
    """Return the node that is up, or start one that outlives this process. Several callers at once start one."""
    running = status(settings)
    if running is not None:
        return running
    with _node_lock(settings):
        running = status(settings)
        if running is not None:
            return running
        node, node_state = _launch(settings, owned=False)
        # Only now, when others can find and stop it: had this process been killed before, the node would have ended too.
        node.detach()
        # Referenced, so that this process collects it once it ends and Python warns of no process that still runs.
        _background.append(node.process)
        return node_state


def running_url(settings: Settings) -> str:
    """Return the URL of the node that is up; start one where it ended by itself.

    Raises EngineError where it was stopped on purpose, or can't be started.
    """
    last = state.read(node_folder(settings))
    if last is None:
        raise EngineError("The embedded node was stopped.", "Start it: es-recsys engine start.")
    return last.url if last.is_alive() else start(settings).url


def stop(settings: Settings) -> bool:
    """End the node of the state file, by its process id and no other way. Return False where none was up."""
    with _node_lock(settings):
        last = state.read(node_folder(settings))
        ended = last is not None and terminate(last.pid, last.started, _STOP_WAIT_S)
        state.remove(node_folder(settings))
    for process in [p for p in _background if p.poll() is not None]:
        _background.remove(process)
    return ended


def status(settings: Settings) -> NodeState | None:
    """Return the state of the node that is up, else None."""
    last = state.read(node_folder(settings))
    return last if last is not None and last.is_alive() else None


@contextmanager
def _node_lock(settings: Settings) -> Iterator[None]:
    """Hold the lock under which the node of a home folder is started and stopped."""
    lock = node_folder(settings) / "lock"
    try:
        make_folder(lock.parent)
        lock.touch()
    except OSError as error:
        raise EngineError(
            f"The folder {lock.parent} can't be written ({error.strerror}).", "Make it writable, or set ES_RECSYS_HOME."
        ) from error
    with file_lock(lock):
        yield


class OwnedNode:
    """A node that ends with `close`, with its `with` block, or with this process, however that ends.

    node: None where a node in the background was up already, which is used and left alone.
    """

    def __init__(self, url: str, node: Node | None) -> None:
        self.url = url
        self.node = node
        if node is not None:
            atexit.register(node.close)

    def close(self) -> None:
        if self.node is not None:
            atexit.unregister(self.node.close)
            self.node.close()
            self.node = None

    def __enter__(self) -> OwnedNode:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def start_owned(settings: Settings) -> OwnedNode:
    """Start a node on the data of `settings.home` that ends with its owner; where one is up in the background, use that."""
    with _node_lock(settings):
        running = status(settings)
        if running is not None:
            return OwnedNode(running.url, None)
        node, _ = _launch(settings, owned=True)
    return OwnedNode(node.url, node)


def _prepare(settings: Settings) -> tuple[Java, Distribution]:
    """Return Java and a complete distribution, built where there is none. Check memory and disk first."""
    machine.check_memory(settings.heap, machine.available_memory())
    machine.check_disk(settings.home, machine.free_disk(settings.home))
    java = find_java(settings.java)
    return java, ensure_distribution(settings.cache, java)


def _launch(settings: Settings, *, owned: bool) -> tuple[Node, NodeState]:
    folder = node_folder(settings)
    java, distribution = _prepare(settings)
    config = NodeConfig(distribution, java, settings.heap, folder, folder / "data")
    node = launch(config)
    pid = node.process.pid
    started = started_at(pid)
    if started is None:
        raise EngineError("The embedded node ended right after its start.", f"Its log is {node.log}.")
    node_state = NodeState(
        pid=pid,
        started=started,
        url=node.url,
        version=VERSION,
        heap=config.heap,
        java=str(java.path),
        data=str(config.data),
        log=str(node.log),
        since=time.time(),
        owner=os.getpid() if owned else None,
    )
    state.write(folder, node_state)
    return node, node_state
