"""Whether this machine can hold the files and run the embedded node."""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from es_recsys.engine import machine
from es_recsys.engine.checks import Check, attempt
from es_recsys.engine.java import find_java
from es_recsys.errors import SetupError
from es_recsys.settings import Settings

__all__ = ["PYTHON", "can_log", "can_run_node", "disk", "has_python", "is_writable", "memory"]

PYTHON = (3, 11)


def has_python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> Check:
    """Whether this Python is new enough."""
    wanted = ".".join(map(str, PYTHON))
    told = f"{platform.python_implementation()} {'.'.join(map(str, version))}"
    return Check("python", version >= PYTHON, f"{told}.", f"Make an environment with Python {wanted} or newer.")


def can_run_node(settings: Settings, *, up: bool = False) -> Iterator[Check]:
    """Java, memory and disk of the embedded node; memory is not asked for where it is `up` and has its own already."""
    yield attempt("java", lambda: _java(settings.java))
    if not up:
        yield attempt("memory", lambda: memory(settings.heap, machine.available_memory()))
    yield attempt("disk", lambda: disk(settings.home, machine.free_disk(settings.home)))


def _java(named: str | None) -> str:
    java = find_java(named)
    slow = "" if java.vectors else " It lacks the vector module: vector indices build slower, answers are the same."
    return f"Java {java.version} at {java.path}.{slow}"


def memory(heap: str, available: int | None) -> str:
    """Raises EngineError where too little is available."""
    machine.check_memory(heap, available)
    if available is None:
        return "This system does not tell how much memory is available."
    needed = machine.memory_needed(heap) // machine.MIB
    return f"{available // machine.MIB:,} MiB available; a node with a heap of {heap} needs {needed:,} MiB."


def disk(folder: Path, free: int) -> str:
    """Raises EngineError where too little is free."""
    machine.check_disk(folder, free)
    return f"{free // machine.MIB:,} MiB free for {folder}."


def can_log(settings: Settings) -> Check:
    """Whether answers are logged: not on a full disk, or in a folder that can't be written."""
    folder = settings.answers
    if not settings.answer_log_mib:
        return Check("answer log", True, "Answers are not logged (ES_RECSYS_ANSWER_LOG_MIB is 0).")
    found = is_writable("answer log", folder, "ES_RECSYS_HOME")
    if not found.ok:
        return replace(found, what=f"Answers are not logged. {found.what}")
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    if not there.is_dir():
        return Check("answer log", False, f"Answers are not logged. {there} is no folder.", "Move it, or set ES_RECSYS_HOME.")
    if shutil.disk_usage(there).free < 1 << 20:
        return Check("answer log", False, f"Answers are not logged. The disk of {folder} is full.", "Make room.")
    return found


def is_writable(name: str, folder: Path, setting: str) -> Check:
    """Whether files can be made in `folder`, or in the nearest folder above it that exists. Nothing is left there."""

    def ask() -> str:
        try:
            there = folder.absolute()
            while not there.exists():
                there = there.parent
            with tempfile.TemporaryFile(dir=there):
                return f"{folder} is writable{'' if there == folder.absolute() else ', and is made when it is needed'}."
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise SetupError(f"{folder} can't be written ({reason}).", f"Make it writable, or set {setting}.") from error

    return attempt(name, ask)
