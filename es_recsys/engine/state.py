"""The state file of the embedded node, which outlives a command: HOME/engine/node.json."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from es_recsys.engine import processes

__all__ = ["NodeState", "read", "remove", "write"]


@dataclass(frozen=True, slots=True)
class NodeState:
    """A node that was started.

    started: start time of its process as the system writes it; since: epoch seconds. owner: id of the process that it ends
    with, None where it outlives the command that started it.
    """

    pid: int
    started: str
    url: str
    version: str
    heap: str
    java: str
    data: str
    log: str
    since: float
    owner: int | None = None

    def is_alive(self) -> bool:
        return processes.is_alive(self.pid, self.started)


def _path(folder: Path) -> Path:
    return folder / "node.json"


def read(folder: Path) -> NodeState | None:
    """Return the state in `folder`, whether its process still runs or not; None where there is none that can be read."""
    try:
        return NodeState(**json.loads(_path(folder).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def write(folder: Path, state: NodeState) -> None:
    """Write the state file of `folder`, whole or not at all."""
    draft = folder / f".node.json.{os.getpid()}"
    draft.write_text(json.dumps(asdict(state), indent=1), encoding="utf-8")
    draft.replace(_path(folder))


def remove(folder: Path) -> None:
    """Delete the state file of `folder`, if there is one."""
    _path(folder).unlink(missing_ok=True)
