"""Measures `es-recsys serve` under load against Elasticsearch alone: `python scripts/service_load.py`.

The catalogue of scripts/benchmark.py stands in a store of the run's own, at ES_RECSYS_URL, else on an embedded node. `wrk`
(Debian: apt install wrk) asks the service, in a process of its own, as often as it can, and then for a minute half as often,
in turns with the same bodies sent to Elasticsearch itself. Takes about five minutes, prints a table and drops its store. Ends
with 1 where a request failed or a goal was missed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.request import urlopen

import orjson
from bench import events, loading
from bench.questions import Questions, make_questions
from measuring import busy, machine, own_store, show

from es_recsys import Client
from es_recsys.index_metadata import items_alias
from es_recsys.settings import EncoderSettings, Settings

COLUMNS = ["answers", "most, 1/s", "asked, 1/s", "errors", "p99, ms", "p50, ms", "Elasticsearch alone", "more, ms", "goal"]
BODIES, ROUNDS, SATURATED_S, WARM_S = 2_000, 3, 8.0, 5.0
ALONE = 0.5
"""Seconds of Elasticsearch alone for each of the service's."""

SCRIPT = """
local bodies, k = {}, 0
for line in io.lines("%(file)s") do bodies[#bodies + 1] = line end
local headers = {["content-type"] = "application/json"}
function init() math.randomseed(os.time()); k = math.random(#bodies) end
function request()
  k = k %% #bodies + 1
  return wrk.format("POST", nil, headers, bodies[k])
end
%(delay)s
function done(summary, latency)
  local e = summary.errors
  local found = '\\nRESULT {"requests": %%d, "seconds": %%f, "errors": %%d, "p50": %%f, "p99": %%f}\\n'
  io.write(string.format(found, summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""
DELAY = "function delay() return %f * (0.5 + math.random()) end"


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk counted. p50, p99: milliseconds."""

    requests: int
    seconds: float
    errors: int
    p50: float
    p99: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=20_000, help="items")
    parser.add_argument("--seconds", type=float, default=60.0, help="that each kind of answers is asked for")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--workers", type=int, default=1, help="processes of the service")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("wrk is missing (Debian: apt install wrk)")
    started = time.monotonic()
    with (
        own_store("load", encoders=EncoderSettings(image="none")) as client,
        tempfile.TemporaryDirectory() as folder,
    ):
        print(f"{machine(client)}; {busy()} before the start", flush=True)
        catalogue = loading.make(client.settings, arguments.size)
        loading.index(client, catalogue)
        loading.store_forward_index(client)
        events.prepare(client, catalogue)
        files = _write_bodies(make_questions(catalogue, BODIES), Path(folder))
        del catalogue
        print(f"{time.monotonic() - started:.0f} seconds to make the store", flush=True)
        with _serving(client.settings, client.workspace.url, Path(folder) / "log", arguments.workers) as service:
            rows, missed = _measure(client, service, files, arguments.connections, arguments.seconds)
    title = f"The service, {arguments.size:,} items, {arguments.seconds:.0f} s of each kind at half the rate of saturation"
    show(title, COLUMNS, rows)
    print(f"{time.monotonic() - started:.0f} seconds; {busy()} at the end")
    return int(missed)


def _measure(
    client: Client, service: str, files: dict[str, Path], connections: int, seconds: float
) -> tuple[list[list[str]], bool]:
    path = f"/{items_alias(client.settings.index)}/_search"
    alone = f"{client.workspace.url}{path}", files["neutral"]
    rows, missed = list[list[str]](), False
    _load(*alone, connections, WARM_S)
    for kind, goal in (("neutral", "at most 2"), ("personal", "at most 1 time plus 2")):
        served = f"{service}{path}", files[kind]
        _load(*served, connections, WARM_S)
        most = _load(*served, connections, SATURATED_S)
        pace = most.rate / 2.0
        before = _impersonal(service)
        pairs = []
        for _ in range(ROUNDS):
            own = _load(*alone, connections, seconds * ALONE / ROUNDS, pace, most.p50 / 4.0)
            pairs.append((own, _load(*served, connections, seconds / ROUNDS, pace, most.p50 / 2.0)))
        errors = most.errors + sum(one.errors + own.errors for own, one in pairs) + int(_impersonal(service) - before)
        errors += sum(not load.requests for pair in pairs for load in pair)  # nothing came of it
        own_p50, p50 = (median(each[place].p50 for each in pairs) for place in (0, 1))
        missed |= bool(errors) or p50 - own_p50 > 2.0 + (own_p50 if kind == "personal" else 0.0)
        rates = f"{most.rate:,.0f}", f"{median(one.rate for _, one in pairs):,.0f}"
        figures = [median(one.p99 for _, one in pairs), p50, own_p50, p50 - own_p50]
        rows.append([kind, *rates, f"{errors}", *(f"{figure:.1f}" for figure in figures), goal])
    return rows, missed


def _load(url: str, bodies: Path, connections: int, seconds: float, rate: float = 0.0, latency_ms: float = 0.0) -> Load:
    """Have wrk ask. rate: requests a second, about (0: as many as it can). latency_ms: what an answer is thought to take."""
    pause_ms = max(connections / rate * 1_000.0 - latency_ms, 0.0) if rate else 0.0
    script = bodies.with_suffix(".lua")
    script.write_text(SCRIPT % {"file": bodies, "delay": DELAY % pause_ms if pause_ms else ""})
    length = f"{max(round(seconds), 1)}s"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{length}", "--timeout", "10s", "-s", str(script), url]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"^RESULT (.*)$", printed, re.MULTILINE)
    if found is None:
        raise SystemExit(f"wrk says nothing:\n{printed}")
    return Load(**orjson.loads(found[1]))


def _write_bodies(questions: Questions, folder: Path) -> dict[str, Path]:
    """Write the bodies, one a line: those of nobody, and the same for somebody."""
    files = {kind: folder / f"{kind}.jsonl" for kind in ("neutral", "personal")}
    bodies = [_body(questions.text(k)) for k in range(BODIES)]
    files["neutral"].write_bytes(b"\n".join(orjson.dumps(body) for body in bodies))
    personal = ({**body, "ext": {"es_recsys": {"user_id": questions.user(k)}}} for k, body in enumerate(bodies))
    files["personal"].write_bytes(b"\n".join(orjson.dumps(body) for body in personal))
    return files


def _body(text: str) -> dict[str, Any]:
    """Return what an application sends for a page of hits with a facet."""
    query = {"multi_match": {"query": text, "fields": ["title^2", "description"]}}
    return {"query": query, "aggs": {"brands": {"terms": {"field": "brand"}}}, "_source": ["title", "brand", "price"]}


def _impersonal(service: str) -> float:
    """Return how many answers were to be personal and weren't."""
    with urlopen(f"{service}/metrics") as answer:
        text = answer.read().decode()
    return sum(float(count) for count in re.findall(r"^es_recsys_(?:fallbacks|passed_through)_total (\S+)$", text, re.MULTILINE))


@contextmanager
def _serving(settings: Settings, url: str, log: Path, workers: int) -> Iterator[str]:
    """The service as a process of its own; yields its address."""
    environment = {
        **os.environ,
        "ES_RECSYS_URL": url,
        "ES_RECSYS_INDEX": settings.index,
        "ES_RECSYS_HOME": str(settings.home),
        "ES_RECSYS_CACHE": str(settings.cache),
        "ES_RECSYS_ENCODERS__IMAGE": "none",
    }
    command: Sequence[str] = [str(Path(sys.executable).with_name("es-recsys")), "serve", "--port", "0", "--workers", f"{workers}"]
    with log.open("w") as errors:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+:\d+", line)
        if found is None:
            raise SystemExit(f"The service didn't start: {line}{log.read_text()}")
        yield found[0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


if __name__ == "__main__":
    sys.exit(main())
