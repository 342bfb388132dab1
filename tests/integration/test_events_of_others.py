"""Events that stand in the two indices of User Behavior Insights, or in a table of a database."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from elasticsearch.helpers import bulk

from es_recsys import Client, Item
from es_recsys.errors import InputError, SetupError
from es_recsys.jobs.load_events import EventsReport
from es_recsys.jobs.row_sources import SourceName
from es_recsys.jobs.sync_events import EventSource, follow_events, load_source_events
from es_recsys.serving.workspace import Workspace
from es_recsys.settings import EncoderSettings, Settings
from es_recsys.sources import ReadOptions

pytestmark = pytest.mark.engine

START = 1_764_400_000_000
# As the plugins make them: of queries the fields are declared, of events the ids only as far as Elasticsearch guesses them.
QUERIES_MAPPING: Mapping[str, Any] = {
    "dynamic": False,
    "properties": {
        "timestamp": {"type": "date"},
        "query_id": {"type": "keyword", "ignore_above": 100},
        "query": {"type": "text"},
        "user_query": {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}},
        "client_id": {"type": "keyword", "ignore_above": 100},
    },
}
EVENTS_MAPPING: Mapping[str, Any] = {
    "properties": {
        "action_name": {"type": "keyword", "ignore_above": 100},
        "client_id": {"type": "keyword", "ignore_above": 100},
        "timestamp": {"type": "date", "format": "strict_date_time||epoch_millis", "ignore_malformed": True},
        "event_attributes": {"dynamic": True, "properties": {"object": {"properties": {"object_id": {"type": "keyword"}}}}},
    }
}


def _query(number: int, words: str | None, minute: int = 0) -> dict[str, Any]:
    found = {
        "timestamp": START + 60_000 * minute,
        "query_id": f"q{number}",
        "client_id": f"c{number}",
        "query": '{"match_all": {}}',
    }
    return found if words is None else {**found, "user_query": words}


def _event(action: str, number: int, user: str | None, item: str | None, minute: int = 1) -> dict[str, Any]:
    found = {
        "action_name": action,
        "timestamp": START + 60_000 * minute,
        "query_id": f"q{number}",
        "client_id": f"c{number}",
        "application": "shop",
        "message_type": "CLICK_THROUGH",
    }
    attributes = {"object": {"object_id": item, "object_id_field": "_id"}, "position": {"ordinal": 3}}
    return {**found, **({"user_id": user} if user else {}), **({"event_attributes": attributes} if item else {})}


@pytest.fixture
def work(settings: Settings) -> Iterator[Workspace]:
    plain = settings.model_copy(update={"encoders": EncoderSettings(text="none", image="none")})
    with Client(settings=plain) as client:
        client.insert_items(Item(item_id=f"p{n}", title=f"thing {n}") for n in range(5))
        yield client.workspace


@pytest.fixture
def ubi(es: Elasticsearch, store_name: str) -> str:
    """Three queries: one that somebody clicked after, one of nobody, and one that has an event of its own without its words."""
    events, queries = f"{store_name}_ubi_events", f"{store_name}_ubi_queries"
    es.indices.create(index=events, mappings=EVENTS_MAPPING, settings={"number_of_shards": 2})
    es.indices.create(index=queries, mappings=QUERIES_MAPPING)
    found = [_query(1, "red shoes"), _query(2, "blue hat"), _query(3, "green sock"), _query(4, None)]
    done = [
        _event("click", 1, "ann", "p1"),
        _event("add_to_cart", 1, "ann", "p1", 2),
        _event("on_search", 3, "bob", None),
        _event("click", 3, "bob", "p2", 2),
    ]
    actions = [{"_index": queries, "_source": each} for each in found] + [{"_index": events, "_source": each} for each in done]
    bulk(es, actions, refresh=True)
    return events


def _ubi(name: str, **given: Any) -> EventSource:
    return EventSource(SourceName(name), max_errors=0, **given)


def test_queries_are_searches_of_whoever_clicked(work: Workspace, ubi: str) -> None:
    report = load_source_events(work, _ubi(ubi))
    assert report.loaded.added == 6 and report.rejected == 0
    found = {(event.event_type, event.user_id, event.session_id, event.query, event.item_id) for event in work.events.scan()}
    assert found == {
        ("search", "ann", "c1", "red shoes", None),
        ("click", "ann", "c1", None, "p1"),
        ("cart", "ann", "c1", None, "p1"),
        ("search", None, "c2", "blue hat", None),
        ("search", "bob", "c3", "green sock", None),
        ("click", "bob", "c3", None, "p2"),
    }
    assert {event.query_id for event in work.events.scan() if event.user_id == "ann"} == {"q1"}
    again = load_source_events(work, _ubi(ubi))
    assert (again.loaded.added, again.loaded.duplicates) == (0, 6)


def test_following_reads_what_came_since(es: Elasticsearch, work: Workspace, ubi: str) -> None:
    def wait(_: float) -> None:
        es.index(index=ubi, document=_event("purchase", 1, "ann", "p1", 24 * 60), refresh=True)
        waits.append(es.count(index=ubi)["count"])

    waits: list[int] = []
    reports = follow_events(work, _ubi(ubi), 10.0, wait=wait)
    first, second, third = islice(reports, 3)
    reports.close()
    assert isinstance(first, EventsReport) and isinstance(second, EventsReport) and isinstance(third, EventsReport)
    assert (first.loaded.added, second.loaded.added, second.loaded.duplicates) == (6, 1, 6)
    assert (third.loaded.added, third.loaded.duplicates) == (0, 2), "only what came within an hour of the last; twice the same"
    assert waits == [5, 6]


def test_the_queries_may_stand_elsewhere_or_nowhere(es: Elasticsearch, work: Workspace, ubi: str) -> None:
    with pytest.raises(InputError, match="There is no index nothing_of_queries"):
        load_source_events(work, _ubi(ubi, queries="nothing_of_queries"))
    es.indices.delete(index=ubi.replace("events", "queries"))
    with pytest.raises(InputError, match="query"):
        load_source_events(work, _ubi(ubi))
    report = load_source_events(work, EventSource(SourceName(ubi), max_errors=1))
    assert (report.loaded.added, report.rejected) == (3, 1), "a search without words says nothing"


def test_an_index_of_other_events_is_read_by_its_columns(es: Elasticsearch, work: Workspace, store_name: str) -> None:
    name = f"{store_name}_tracking"
    rows = [{"what": "pv", "who": f"u{n % 2}", "about": {"sku": f"p{n}"}, "ts": START + n} for n in range(5)]
    bulk(es, [{"_index": name, "_source": row} for row in rows], refresh=True)
    columns = {"event_type": "what", "user_id": "who", "item_id": "about.sku", "timestamp": "ts"}
    with pytest.raises(InputError, match=r"Did you mean about\.sku"):
        load_source_events(work, EventSource(SourceName(name), ReadOptions(columns={**columns, "item_id": "about.skuu"})))
    with pytest.raises(InputError, match="no events of UBI"):
        load_source_events(work, _ubi(name, queries="any"))
    report = load_source_events(work, EventSource(SourceName(name), ReadOptions(columns=columns)))
    assert report.loaded.added == 5
    assert Counter(event.event_type for event in work.events.scan()) == {"view": 5}


def test_orders_of_a_database(work: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "shop.db"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE orders (customer TEXT, product TEXT, qty INTEGER, total NUMERIC, at TIMESTAMP, note BLOB)")
        rows = [(f"u{n}", f"p{n}", 2, 9.5, f"2025-11-0{n + 1} 10:00:00", b"\x00") for n in range(5)]
        database.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)", rows)
    url = f"sqlite:///{file}"
    columns = {"user_id": "customer", "item_id": "product", "value": "qty", "timestamp": "at"}
    options = ReadOptions(columns=columns, constants={"event_type": "purchase"})
    source = EventSource(SourceName(sql_url=url, table="orders"), options, last=True)
    assert load_source_events(work, source).loaded.added == 5
    assert {(event.event_type, event.value) for event in work.events.scan()} == {("purchase", 2.0)}
    with sqlite3.connect(file) as database:
        database.execute("INSERT INTO orders VALUES ('u9', 'p1', 1, 1, '2025-11-09 10:00:00', NULL)")
    later = load_source_events(work, source)
    assert (later.loaded.added, later.loaded.duplicates) == (1, 1)
    with pytest.raises(InputError, match="Did you mean customer"):
        load_source_events(
            work, EventSource(SourceName(sql_url=url, table="orders"), ReadOptions(columns={"user_id": "custmer"}))
        )
    with pytest.raises(InputError, match="Did you mean orders"):
        load_source_events(work, EventSource(SourceName(sql_url=url, table="order")))
    with pytest.raises(InputError, match="password"):
        load_source_events(work, EventSource(SourceName(sql_url="postgresql://a:b@127.0.0.1/x", table="t")))
    with pytest.raises(InputError, match="There is no database"):
        load_source_events(work, EventSource(SourceName(sql_url="sqlite:////nowhere/at.db", table="t")))
    file.write_bytes(b"no database" * 100)
    with pytest.raises(SetupError, match="can't be read"):
        load_source_events(work, source)


def test_the_client_takes_them_all(work: Workspace, ubi: str, tmp_path: Path) -> None:
    with Client(settings=work.settings) as client:
        assert client.load_events(f"index:{ubi}", since="last").loaded.added == 6
        file = tmp_path / "events.jsonl"
        file.write_text(f'{{"user_id": "ann", "item_id": "p3", "timestamp": {START}}}\n')
        assert client.load_events([file], constants={"event_type": "view"}).loaded.added == 1
        with pytest.raises(InputError, match="since"):
            client.load_events(file, since="yesterday")
        with pytest.raises(InputError, match="No table"):
            client.load_events("table:orders")
