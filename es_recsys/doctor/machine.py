"""Checks of this machine: Python, folders, the answer log, and what the embedded node needs."""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from es_recsys.doctor.check import Check, run_check
from es_recsys.engine import machine
from es_recsys.engine.java import find_java
from es_recsys.errors import SetupError
from es_recsys.settings import Settings

__all__ = ["check_answer_log", "check_node_resources", "check_python", "check_writable"]

_MINIMUM_PYTHON = (3, 11)
_MIN_LOG_DISK = 1 << 20  # bytes


def check_python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> Check:
    """Check that this Python is new enough."""
    wanted = ".".join(map(str, _MINIMUM_PYTHON))
    found = f"{platform.python_implementation()} {'.'.join(map(str, version))}"
    return Check("python", version >= _MINIMUM_PYTHON, f"{found}.", f"Make an environment with Python {wanted} or newer.")


def check_node_resources(settings: Settings, *, running: bool = False) -> Iterator[Check]:
    """Check Java, memory and disk of the embedded node; not the memory of one that is running, which has its own already."""
    yield run_check("java", lambda: _describe_java(settings.java))
    if not running:
        yield run_check("memory", lambda: _describe_memory(settings.heap, machine.available_memory()))
    yield run_check("disk", lambda: _describe_disk(settings.home, machine.free_disk(settings.home)))


def _describe_java(named: str | None) -> str:
    java = find_java(named)
    slow = "" if java.has_vector_module else " It lacks the vector module: vector indices build slower, answers are the same."
    return f"Java {java.version} at {java.path}.{slow}"


def _describe_memory(heap: str, available: int | None) -> str:
    machine.check_memory(heap, available)
    if available is None:
        return "This system does not report how much memory is available."
    needed = machine.memory_needed(heap) // machine.MIB
    return f"{available // machine.MIB:,} MiB available; a node with a heap of {heap} needs {needed:,} MiB."


def _describe_disk(folder: Path, free: int) -> str:
    machine.check_disk(folder, free)
    return f"{free // machine.MIB:,} MiB free for {folder}."


def check_answer_log(settings: Settings) -> Check:
    """Check that answers are logged: they are not on a full disk, or in a folder that can't be written."""
    folder = settings.answers
    if not settings.answer_log_mib:
        return Check("answer log", True, "Answers are not logged (ES_RECSYS_ANSWER_LOG_MIB is 0).")
    found = check_writable("answer log", folder, "ES_RECSYS_HOME")
    if not found.ok:
        return replace(found, what=f"Answers are not logged. {found.what}")
    existing = machine.nearest_existing(folder)
    if not existing.is_dir():
        return Check("answer log", False, f"Answers are not logged. {existing} is no folder.", "Move it, or set ES_RECSYS_HOME.")
    if shutil.disk_usage(existing).free < _MIN_LOG_DISK:
        return Check("answer log", False, f"Answers are not logged. The disk of {folder} is full.", "Make room.")
    return found


def check_writable(name: str, folder: Path, setting: str) -> Check:
    """Check that files can be made in `folder`, or in the nearest folder above it that exists. Leave nothing there."""

    def probe() -> str:
        try:
            existing = machine.nearest_existing(folder)
            with tempfile.TemporaryFile(dir=existing):
                return f"{folder} is writable{'' if existing == folder.absolute() else ', and is made when it is needed'}."
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise SetupError(f"{folder} can't be written ({reason}).", f"Make it writable, or set {setting}.") from error

    return run_check(name, probe)
