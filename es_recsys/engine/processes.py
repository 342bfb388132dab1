"""Processes of others by id: is it the one that we know, and how to end it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

__all__ = ["alive", "end", "started_at"]


def started_at(pid: int) -> str | None:
    """When process `pid` started, as the system writes it; with the pid it names one process for ever, since ids are
    used again. None where there is no such process, or it has ended and waits to be collected."""
    if sys.platform == "linux":
        try:
            # The name, in parentheses, may hold spaces and parentheses of its own.
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return None
        return None if fields[0] in "ZX" else f"{boot}/{fields[19]}"
    told = subprocess.run(  # noqa: S603
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split(maxsplit=1)
    return None if len(told) < 2 or told[0].startswith("Z") else told[1].strip()


def alive(pid: int, started: str) -> bool:
    """Whether the process that had this pid and start time still runs."""
    return started_at(pid) == started


def end(pid: int, started: str, wait_s: float) -> bool:
    """Ends that process: politely, and after `wait_s` seconds by force. False where it had ended already."""
    if not _signal(pid, started, signal.SIGTERM):
        return False
    if not _gone(pid, started, wait_s):
        _signal(pid, started, getattr(signal, "SIGKILL", signal.SIGTERM))
        _gone(pid, started, 10.0)
    return True


def _signal(pid: int, started: str, number: int) -> bool:
    if not alive(pid, started):
        return False
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _gone(pid: int, started: str, wait_s: float) -> bool:
    until = time.monotonic() + wait_s
    while alive(pid, started):
        if time.monotonic() >= until:
            return False
        time.sleep(0.05)
    return True
