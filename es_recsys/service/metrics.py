"""What the service counts and times, for Prometheus."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

__all__ = ["Metrics", "shared_metrics"]

_SHARED = "PROMETHEUS_MULTIPROC_DIR"
_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


@contextmanager
def shared_metrics() -> Iterator[None]:
    """Have the processes that are started inside a `with` block count together, in files of a temporary folder."""
    with TemporaryDirectory(prefix="es-recsys-metrics-") as folder:
        os.environ[_SHARED] = folder
        try:
            yield
        finally:
            del os.environ[_SHARED]


class Metrics:
    """The counters of a process, or of all processes inside of `shared_metrics`. No label holds what somebody sent."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter("requests", "Requests by route and status", "route", "status")
        self.seconds = self._histogram("request_seconds", "Seconds of requests", "route")
        self._stages = self._histogram("stage_seconds", "Seconds in Elasticsearch and in the ranking", "stage")
        self.degraded = self._counter("degraded", "Answers that lack a retriever", "retriever")
        self.passed_through = self._counter("passed_through", "Searches that could not be made personal")
        self.fallbacks = self._counter("fallbacks", "Searches in Elasticsearch's order, as the ranking failed")
        self.events = self._counter("events", "Events by outcome", "outcome")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"es_recsys_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(f"es_recsys_{name}", text, labels, buckets=_BUCKETS, registry=self.registry)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a part of an answer."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._stages.labels(name).observe(time.perf_counter() - started)

    def text(self) -> bytes:
        """Return all in Prometheus's text form."""
        registry = self.registry
        if _SHARED in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
