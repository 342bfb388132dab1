"""Reading an index of another cluster that refuses, is busy or falls silent; whatever happens there, nothing is written to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from odd_index import make_odd_index

from es_recsys.errors import EngineError
from es_recsys.index import source_index
from es_recsys.jobs.row_sources import SourceName
from es_recsys.jobs.sync_items import ItemSource, sync_items
from es_recsys.serving.workspace import Workspace
from es_recsys.settings import EncoderSettings, Settings
from es_recsys.sources import ReadOptions

pytestmark = pytest.mark.engine

COUNT = 60
Through = Callable[[Any], AbstractContextManager[Any]]


@pytest.fixture
def source(es: Elasticsearch, store_name: str) -> ItemSource:
    name = make_odd_index(es, store_name, COUNT)
    return ItemSource(SourceName(name), ReadOptions(columns={"title": "name.en"}), whole=True)


@pytest.fixture
def through(settings: Settings, through_proxy: Through) -> Through:
    """through(change): a store whose items come from the same server behind a proxy, in a `with` block."""

    @contextmanager
    def begin(change: Any) -> Iterator[Workspace]:
        plain = settings.model_copy(update={"encoders": EncoderSettings(text="none", image="none")})
        with through_proxy(change) as url, Workspace(plain.model_copy(update={"from_url": url})) as work:
            yield work

    return begin


def _answer(reply: Any, status: int, kind: str) -> Any:
    error = {"type": kind, "reason": "because", "root_cause": [{"type": kind, "reason": "because"}]}
    return replace(reply, status=status, body=json.dumps({"error": error, "status": status}).encode())


def test_an_index_is_read_and_nothing_else(through: Through, source: ItemSource) -> None:
    seen: set[tuple[str, str]] = set()

    def watch(method: str, path: str, reply: Any) -> Any:
        seen.add((method, path.split("?")[0].rsplit("/", 1)[-1]))
        return reply

    with through(watch) as work:
        assert sync_items(work, source).added == COUNT
    assert seen == {("GET", ""), ("GET", "_field_caps"), ("POST", "_search"), ("POST", "_pit"), ("DELETE", "_pit")}


@pytest.mark.parametrize(
    ("last", "status", "kind", "told"),
    [
        ("_field_caps", 403, "security_exception", "privilege read"),
        ("_pit", 403, "security_exception", "privilege read"),
        ("_field_caps", 401, "security_exception", "ES_RECSYS_FROM_API_KEY"),
        ("/_search", 404, "search_context_missing_exception", "was cut off"),
        ("_pit", 500, "out_of_memory", "answered 500"),
    ],
)
def test_a_refusal_is_told_and_nothing_is_written(
    es: Elasticsearch,
    through: Through,
    source: ItemSource,
    last: str,
    status: int,
    kind: str,
    told: str,
) -> None:
    def refuse(method: str, path: str, reply: Any) -> Any:
        return _answer(reply, status, kind) if path.split("?")[0].endswith(last) and method != "DELETE" else reply

    with through(refuse) as work, pytest.raises(EngineError) as caught:
        sync_items(work, source)
    assert told in str(caught.value)
    assert not es.indices.exists(index=f"{work.settings.index}-items")


def test_a_busy_cluster_is_asked_again(through: Through, source: ItemSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_index, "_BUSY_PAUSES_S", (0.01, 0.01))
    refused = {"searches": 0}

    def busy(method: str, path: str, reply: Any) -> Any:
        if path.split("?")[0] == "/_search" and refused["searches"] < 2:
            refused["searches"] += 1
            return _answer(reply, 429, "es_rejected_execution_exception")
        return reply

    with through(busy) as work:
        assert sync_items(work, source).added == COUNT
    assert refused["searches"] == 2


def test_a_source_that_falls_silent_changes_nothing(es: Elasticsearch, through: Through, source: ItemSource) -> None:
    silent = {"now": False}

    def cut(method: str, path: str, reply: Any) -> Any:
        return None if silent["now"] and path.split("?")[0] == "/_search" else reply

    with through(cut) as work:
        sync_items(work, source)
        silent["now"] = True
        with pytest.raises(EngineError, match="can't be reached"):
            sync_items(work, source)
    assert es.count(index=f"{work.settings.index}-items")["count"] == COUNT
