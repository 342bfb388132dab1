"""Benchmark: where the time of a call goes. What is looked at is wrapped from outside for as long as that takes."""

from __future__ import annotations

import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import orjson
from elasticsearch import Elasticsearch

from es_recsys import Client

__all__ = ["COLUMNS", "breakdown"]

COLUMNS = [
    "ms per call, mean", "whole", "took", "transport", "JSON", "encoding", "models", "answer log", "Python",
    "requests", "bodies", "hits", "KiB sent", "KiB received",
]  # fmt: skip

PYTHON, HTTP, JSON, ENCODING, MODELS, LOG = "Python", "HTTP", "JSON", "encoding", "models", "answer log"
MODEL_METHODS = ("score", "recommend", "recommend_batch", "user_vector", "query_vector", "explain")

Exchange = tuple[str, bytes, bytes]
"""A request's target and body, and the body of its response."""


class Sections:
    """Seconds of each section of the program, without the sections inside it, in the thread that made this."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._thread = threading.get_ident()
        self._open: list[str] = []
        self._since = 0.0

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time counted as that of the section."""

        def call(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != self._thread:
                return function(*args, **kwargs)
            self._charge()
            self._open.append(name)
            try:
                return function(*args, **kwargs)
            finally:
                self._charge()
                self._open.pop()

        return call

    def _charge(self) -> None:
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now


def breakdown(
    client: Client, plain: Elasticsearch, calls_of: Mapping[str, Callable[[int], object]], calls: int
) -> list[list[str]]:
    """Rows: the average call of each kind."""
    rows = []
    for name, call in calls_of.items():
        sections, exchanges = Sections(), list[Exchange]()
        with _watched(client, plain, sections, exchanges):
            whole = sections.timed(PYTHON, call)
            for k in range(calls):
                whole(k)
        rows.append([name, *_figures(sections, exchanges, calls)])
    return rows


def _figures(sections: Sections, exchanges: list[Exchange], calls: int) -> list[str]:
    """In the order of `COLUMNS`."""
    seconds, took = sections.seconds, sum(_took_s(response) for _, _, response in exchanges)
    shares = [
        sum(seconds.values()),
        took,
        seconds[HTTP] - took,
        *(seconds[name] for name in (JSON, ENCODING, MODELS, LOG, PYTHON)),
    ]
    counts = [
        len(exchanges),
        sum(_bodies(target, body) for target, body, _ in exchanges),
        sum(_hits(response) for _, _, response in exchanges),
    ]
    sizes = [sum(len(exchange[part]) for exchange in exchanges) / 1024 for part in (1, 2)]
    return [
        *(f"{share / calls * 1_000:.2f}" for share in shares),
        f"{counts[0] / calls:.1f}",
        f"{counts[1] / calls:.1f}",
        f"{counts[2] / calls:,.0f}",
        *(f"{size / calls:,.1f}" for size in sizes),
    ]


@contextmanager
def _watched(client: Client, plain: Elasticsearch, sections: Sections, exchanges: list[Exchange]) -> Iterator[None]:
    work = client.workspace
    snapshot = work.snapshots.current()
    watched: list[tuple[Any, str, str]] = [(type(snapshot.encoder), "vector", ENCODING), (work.log, "write", LOG)]
    for model in snapshot.models.values():
        watched += [(model, method, MODELS) for method in MODEL_METHODS]
    nodes = list[Any]()
    for es in (work.es, plain):
        watched += [(es.transport.serializers, method, JSON) for method in ("dumps", "loads")]
        nodes += es.transport.node_pool.all()
    with ExitStack() as stack:
        for owner, method, section in watched:
            wrapped = sections.timed(section, getattr(owner, method))
            stack.enter_context(patch.object(owner, method, wrapped))
        for node in nodes:
            send = sections.timed(HTTP, node.perform_request)
            stack.enter_context(patch.object(node, "perform_request", _kept(send, exchanges)))
        yield


def _kept(send: Callable[..., Any], exchanges: list[Exchange]) -> Callable[..., Any]:
    def perform_request(method: str, target: str, body: bytes | None = None, **options: Any) -> Any:
        response = send(method, target, body=body, **options)
        exchanges.append((target, body or b"", response.body))
        return response

    return perform_request


def _took_s(response: bytes) -> float:
    found = re.match(rb'\{"took":(\d+)', response)
    return int(found[1]) / 1_000 if found else 0.0


def _bodies(target: str, body: bytes) -> int:
    return len(body.splitlines()) // 2 if "/_msearch" in target else 1


def _hits(response: bytes) -> int:
    """Documents of a response, of a search, several, or a read by id."""
    content = orjson.loads(response)
    if not isinstance(content, dict):
        return 0
    if "docs" in content or "found" in content:
        return sum(bool(document.get("found")) for document in content.get("docs", [content]))
    return sum(len(one.get("hits", {}).get("hits", ())) for one in content.get("responses", [content]))
