"""The embedded node: one for a HOME, either kept between commands or owned by the process that started it."""

from __future__ import annotations

import atexit
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from es_recsys.engine import machine, state
from es_recsys.engine.distribution import Distribution, ensure_distribution
from es_recsys.engine.jars import VERSION
from es_recsys.engine.java import Java, find_java
from es_recsys.engine.node import Node, Plan, launch
from es_recsys.engine.processes import end, started_at
from es_recsys.engine.state import NodeState
from es_recsys.errors import EngineError
from es_recsys.locks import file_lock
from es_recsys.private import make_folder
from es_recsys.settings import Settings

__all__ = ["Endpoint", "OwnedNode", "again", "ensure", "own", "prepare", "start", "status", "stop"]

STOP_WAIT_S = 30.0
_kept: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An Elasticsearch that can be asked. embedded: it is our own node."""

    url: str
    embedded: bool


def folder(settings: Settings) -> Path:
    """Where the embedded node of these settings keeps data, logs and state."""
    return settings.home / "engine"


def ensure(settings: Settings) -> Endpoint:
    """`settings.url` where one is set (not asked whether it answers), else the embedded node, started where it is not up.

    Raises EngineError where it can't be started.
    """
    if settings.url:
        return Endpoint(settings.url, embedded=False)
    return Endpoint(start(settings).url, embedded=True)


def start(settings: Settings) -> NodeState:
    """The node that is up, or a new one that outlives this process. Several callers at once start one."""
    running = status(settings)
    if running is not None:
        return running
    with _alone(settings):
        running = status(settings)
        if running is not None:
            return running
        node, found = _launch(settings, owned=False)
        # Only now, when others can find and stop it: had this process been killed before, the node would have ended too.
        node.stay()
        # Kept, so that an ended node is collected by this process and no warning tells of one that runs.
        _kept.append(node.process)
        return found


def again(settings: Settings) -> str:
    """The address of the node that is up, or of one that is started in the place of one that ended by itself.

    Raises EngineError where it was stopped on purpose, or can't be started.
    """
    known = state.read(folder(settings))
    if known is None:
        raise EngineError("The embedded node was stopped.", "Start it: es-recsys engine start.")
    return known.url if known.alive() else start(settings).url


def stop(settings: Settings) -> bool:
    """Ends the kept node, by its process id and no other way; False where none was up."""
    with _alone(settings):
        known = state.read(folder(settings))
        ended = known is not None and end(known.pid, known.started, STOP_WAIT_S)
        state.forget(folder(settings))
    for process in [p for p in _kept if p.poll() is not None]:
        _kept.remove(process)
    return ended


def status(settings: Settings) -> NodeState | None:
    """The kept node where its process runs, else None."""
    known = state.read(folder(settings))
    return known if known is not None and known.alive() else None


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Holds the lock of this HOME's node."""
    lock = folder(settings) / "lock"
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
    """A node that ends with `close`, with its `with` block, or with this process, however that ends."""

    def __init__(self, endpoint: Endpoint, node: Node | None) -> None:
        self.endpoint = endpoint
        self._node = node
        if node is not None:
            atexit.register(node.close)

    @property
    def url(self) -> str:
        return self.endpoint.url

    @property
    def node(self) -> Node | None:
        """The process; None where a kept node was up already, which is used and left alone."""
        return self._node

    def close(self) -> None:
        if self._node is not None:
            atexit.unregister(self._node.close)
            self._node.close()
            self._node = None

    def __enter__(self) -> OwnedNode:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def own(settings: Settings) -> OwnedNode:
    """Starts a node on the data of `settings.home` that ends with its owner; where a kept one is up, uses that."""
    with _alone(settings):
        running = status(settings)
        if running is not None:
            return OwnedNode(Endpoint(running.url, embedded=True), None)
        node, _ = _launch(settings, owned=True)
    return OwnedNode(Endpoint(node.url, embedded=True), node)


def prepare(settings: Settings) -> tuple[Java, Distribution]:
    """Java and a complete HOME, made where there is none; checks memory and disk first."""
    machine.check_memory(settings.heap, machine.available_memory())
    machine.check_disk(settings.home, machine.free_disk(settings.home))
    java = find_java(settings.java)
    return java, ensure_distribution(settings.cache, java)


def _launch(settings: Settings, *, owned: bool) -> tuple[Node, NodeState]:
    place = folder(settings)
    java, distribution = prepare(settings)
    plan = Plan(distribution, java, settings.heap, place, place / "data")
    node = launch(plan)
    pid = node.process.pid
    started = started_at(pid)
    if started is None:
        raise EngineError("The embedded node ended right after its start.", f"Its log is {node.log}.")
    known = NodeState(
        pid=pid,
        started=started,
        url=node.url,
        version=VERSION,
        heap=plan.heap,
        java=str(java.path),
        data=str(plan.data),
        log=str(node.log),
        since=time.time(),
        owner=os.getpid() if owned else None,
    )
    state.write(place, known)
    return node, known
