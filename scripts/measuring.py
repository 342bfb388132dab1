"""What the measuring scripts share: a store of their own, the machine's shape, medians, tables."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch

from es_recsys import Client
from es_recsys.errors import StoreNotFound
from es_recsys.jobs.load_events import load_events
from es_recsys.sample import SampleStore
from es_recsys.serving.workspace import drop_store
from es_recsys.settings import load_settings

__all__ = ["ProcessorClock", "busy", "load_sample", "machine", "median_ms", "own_store", "percentile_ms", "show", "timed"]


class ProcessorClock:
    """A reporter that prints each line with the processor time of this process: since the line before it, and in all."""

    def __init__(self) -> None:
        self._began = self._last = time.process_time()

    def __call__(self, done: float, total: float | None) -> None:
        """Of what is counted nothing is printed."""

    def part(self, what: str, done: float, total: float) -> None:
        """Nor of parts."""

    def line(self, text: str) -> None:
        now = time.process_time()
        print(f"{now - self._last:7.1f} {now - self._began:7.1f} s  {text}", flush=True)
        self._last = now


@contextmanager
def own_store(name: str, **options: Any) -> Iterator[Client]:
    """A client of a store of this process, which ends with the block: at ES_RECSYS_URL, else on a node of its own."""
    with tempfile.TemporaryDirectory(prefix="es-recsys-measured-") as home:
        settings = load_settings(index=f"{name}_{os.getpid()}", home=Path(home), **options)
        with Client(settings=settings, keep=False) as client:
            try:
                yield client
            finally:
                with suppress(StoreNotFound):
                    drop_store(client.workspace)


def load_sample(client: Client, store: SampleStore) -> None:
    """The sample store's items, with their pictures, and its events into the client's store."""
    with tempfile.TemporaryDirectory() as folder:
        store.write(Path(folder))
        client.insert_items(store.items, base=folder)
        load_events(client.workspace, [Path(folder) / "events.jsonl"])


def machine(client: Client | None = None) -> str:
    """The machine's shape in a line."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    shape = [f"{cores} cores ({_processor()})", f"{_memory():.0f} GiB of memory", f"Python {platform.python_version()}"]
    if client is not None:
        where = "given" if client.settings.url else f"embedded, heap {client.settings.heap}"
        shape.append(f"Elasticsearch {client.workspace.es.info()['version']['number']} ({where})")
    return ", ".join(shape)


def busy() -> str:
    """How many processes wanted a core, on average of the last minute: what the figures share the machine with."""
    return f"load {os.getloadavg()[0]:.1f}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def timed(act: Callable[..., object], *args: object) -> float:
    """Seconds that `act` takes."""
    started = time.perf_counter()
    act(*args)
    return time.perf_counter() - started


def stored_bytes(es: Elasticsearch, index: str) -> float:
    """What an index takes on disk, replicas left out."""
    return float(es.indices.stats(index=index, metric="store")["_all"]["primaries"]["store"]["size_in_bytes"])


def median_ms(seconds: Sequence[float]) -> float:
    return percentile_ms(seconds, 50)


def percentile_ms(seconds: Sequence[float], percent: float) -> float:
    return float(np.percentile(np.asarray(seconds), percent)) * 1_000


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table in Markdown, its columns aligned: fit for a terminal and for docs/."""
    widths = [max(len(row[place]) for row in (columns, *rows)) for place in range(len(columns))]
    lines = [columns, ["-" * width for width in widths], *rows]
    print(f"\n{title}\n")
    for line in lines:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")
    print(flush=True)
