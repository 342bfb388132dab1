"""Benchmark: loading a file of events, with cleaning and profiles, against parsing it and filling a bare table."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import orjson

from bench import loading
from es_recsys import Client

__all__ = ["COLUMNS", "NEWEST", "SPAN_S", "event_load", "make_events", "write_events"]

COLUMNS = ["measured", "events", "ours, s", "of processor, s", "bare, s", "of processor, s", "ratio", "goal"]
ITEMS, USERS = 3_000, 6_000
FEW_EVENTS, FEW_USERS = 1_000, 50
NEWEST = 1_750_000_000.0
SPAN_S = 180 * 86_400.0
EVENTS_A_SESSION = 8
FIELDS = ("event_type", "timestamp", "user_id", "session_id", "item_id", "query", "value", "position")
TYPES = (("view", 0.66), ("click", 0.12), ("search", 0.08), ("cart", 0.06), ("purchase", 0.04), ("like", 0.02), ("rating", 0.02))

BARE = f"""
import json, sqlite3, sys
fields = {FIELDS!r}
def rows(path):
    with open(path, "rb") as lines:
        for line in lines:
            given = json.loads(line)
            yield [given.get(name) for name in fields]
database = sqlite3.connect(sys.argv[2])
database.execute(f"CREATE TABLE event ({{', '.join(fields)}})")
with database:
    database.executemany(f"INSERT INTO event VALUES ({{', '.join('?' * len(fields))}})", rows(sys.argv[1]))
database.close()
"""


def event_load(client: Client, events: int) -> list[list[str]]:
    """Rows: a file of events into a store whose catalogue holds the items, then a small file into the same, filled store."""
    catalogue = loading.make(client.settings, ITEMS)
    loading.index(client, catalogue)
    items = [item.item_id for item in catalogue.items]
    with TemporaryDirectory() as name:
        folder = Path(name)
        many, few = folder / "many.jsonl", folder / "few.jsonl"
        write_events(many, make_events(items, events, USERS, NEWEST - SPAN_S, SPAN_S, seed=7))
        write_events(few, make_events(items, FEW_EVENTS, FEW_USERS, NEWEST, 86_400.0, seed=8))
        return [
            _row(client, folder, f"all into a new store, {USERS:,} users", many, events, "at most 5"),
            _row(client, folder, f"into that store, {FEW_USERS} of the users", few, FEW_EVENTS, ""),
        ]


def _row(client: Client, folder: Path, name: str, path: Path, events: int, goal: str) -> list[str]:
    bare, bare_processor = _run([sys.executable, "-c", BARE, str(path), str(folder / f"{path.stem}.db")])
    command = str(Path(sys.executable).with_name("es-recsys"))
    ours, processor = _run([command, "events", "load", str(path)], client)
    figures = (f"{ours:.2f}", f"{processor:.2f}", f"{bare:.2f}", f"{bare_processor:.2f}")
    return [name, f"{events:,}", *figures, f"{ours / bare:.1f}", goal]


def _run(command: list[str], client: Client | None = None) -> tuple[float, float]:
    """Seconds on the clock and of the processor that a process of its own takes."""
    environment = dict(os.environ)
    if client is not None:
        settings = client.settings
        environment |= {
            "ES_RECSYS_URL": client.workspace.url,
            "ES_RECSYS_INDEX": settings.index,
            "ES_RECSYS_HOME": str(settings.home),
        }
    before, started = _processor_s(), time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started, _processor_s() - before


def _processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def make_events(items: list[str], count: int, users: int, start: float, span: float, seed: int) -> Iterator[dict[str, object]]:
    """Sessions of some minutes, in the order of their beginnings; popular items have most events, and active users."""
    rng = np.random.default_rng(seed)
    sessions = -(-count // EVENTS_A_SESSION)
    whose = rng.permutation(np.concatenate([np.arange(users), _skewed(rng, users, max(sessions - users, 0))])[:sessions])
    begins = np.sort(start + span * rng.random(sessions))
    names, shares = zip(*TYPES, strict=True)
    types = rng.choice(len(names), count, p=shares)
    chosen, pauses = _skewed(rng, len(items), count), rng.exponential(40.0, count) + 3.0
    positions, values = rng.integers(1, 30, count), rng.integers(1, 6, count)
    for number in range(count):
        session = number // EVENTS_A_SESSION
        moment = begins[session] + pauses[session * EVENTS_A_SESSION : number + 1].sum()
        event: dict[str, object] = {
            "event_type": names[types[number]],
            "timestamp": str(np.datetime64(int(moment * 1_000), "ms")) + "Z",
            "user_id": f"user-{whose[session]}",
            "session_id": f"session-{seed}-{session}",
        }
        if event["event_type"] == "search":
            event["query"] = f"query {chosen[number] % 500}"
        else:
            event["item_id"] = items[chosen[number]]
        if event["event_type"] in ("purchase", "rating"):
            event["value"] = int(values[number])
        if event["event_type"] == "click":
            event["position"] = int(positions[number])
        yield event


def _skewed(rng: np.random.Generator, n: int, count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """(count,) numbers below n, the first ones most often."""
    weights = 1.0 / (np.arange(n) + 10.0) ** 0.8
    return rng.choice(n, count, p=weights / weights.sum())


def write_events(path: Path, events: Iterator[dict[str, object]]) -> None:
    with path.open("wb") as out:
        out.writelines(orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE) for event in events)
