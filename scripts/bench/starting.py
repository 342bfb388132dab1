"""Benchmark, part 4: how long the command line takes to start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from measuring import timed

from es_recsys import Client

__all__ = ["starting"]

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

    def run(*words: str) -> float:
        def act() -> None:
            subprocess.run([command, *words], env=environment, check=True, stdout=subprocess.DEVNULL)

        act()
        return median([timed(act) for _ in range(RUNS)])

    start = run("--help")
    search = run("search", "red shoes")
    return [
        ["es-recsys --help, s", f"{start:.2f}", "", "", ".3"],
        ["es-recsys search, a cold process, s", f"{search:.2f}", "", "", "2"],
    ]
