"""Processes that this one did not start: whether one still runs, and how to end it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

__all__ = ["is_alive", "started_at", "terminate"]

_KILL_WAIT_S = 10.0


def started_at(pid: int) -> str | None:
    """Return when process `pid` started, as the system writes it; None where there is none, or it is a zombie.

    Process ids are used again: the id and the start time together identify a process. On Linux the start is counted from the
    boot, so that it stays the same when the clock is set.
    """
    if sys.platform == "linux":
        try:
            # The name, in parentheses, may hold spaces and parentheses of its own.
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return None
        return None if fields[0] in "ZX" else f"{boot}/{fields[19]}"
    output = subprocess.run(  # noqa: S603
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split(maxsplit=1)
    return None if len(output) < 2 or output[0].startswith("Z") else output[1].strip()


def is_alive(pid: int, started: str) -> bool:
    """Return whether the process of this id and start time still runs."""
    return started_at(pid) == started


def terminate(pid: int, started: str, wait_s: float) -> bool:
    """End that process with SIGTERM, after `wait_s` seconds with SIGKILL. Return False where it had ended already."""
    if not _send_signal(pid, started, signal.SIGTERM):
        return False
    if not _wait_for_end(pid, started, wait_s):
        _send_signal(pid, started, getattr(signal, "SIGKILL", signal.SIGTERM))
        _wait_for_end(pid, started, _KILL_WAIT_S)
    return True


def _send_signal(pid: int, started: str, number: int) -> bool:
    if not is_alive(pid, started):
        return False
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _wait_for_end(pid: int, started: str, wait_s: float) -> bool:
    until = time.monotonic() + wait_s
    while is_alive(pid, started):
        if time.monotonic() >= until:
            return False
        time.sleep(0.05)
    return True
