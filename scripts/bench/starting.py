"""Benchmark: how long the command line takes to start."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median

from measuring import timed

from es_recsys import Client

__all__ = ["COLUMNS", "starting"]

COLUMNS = ["a process", "s", "of processor, s", "goal"]
RUNS = 5


def starting(client: Client) -> list[list[str]]:
    """Rows: processes of their own, the second on the client's store, its node up."""
    command = str(Path(sys.executable).with_name("es-recsys"))
    settings = client.settings
    environment = {
        **os.environ,
        "ES_RECSYS_URL": client.workspace.url,
        "ES_RECSYS_INDEX": settings.index,
        "ES_RECSYS_HOME": str(settings.home),
    }

    def run(name: str, goal: str, *words: str) -> list[str]:
        def act() -> None:
            subprocess.run([command, *words], env=environment, check=True, stdout=subprocess.DEVNULL)

        act()
        before = _processor_s()
        wall = median([timed(act) for _ in range(RUNS)])
        # On a busy machine this tells more than the clock.
        processor = (_processor_s() - before) / RUNS
        return [name, f"{wall:.2f}", f"{processor:.2f}", goal]

    return [
        run("es-recsys --help", "at most .3", "--help"),
        run("es-recsys search, a cold process", "at most 2", "search", "red shoes"),
    ]


def _processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
