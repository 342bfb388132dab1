"""The service on a real Elasticsearch: an adopted index, neutral and personal answers, events, keys."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from fastapi.testclient import TestClient

from es_recsys import Client, Settings
from es_recsys.jobs.load_events import load_events
from es_recsys.sample import SampleStore
from es_recsys.service.app import make_app

pytestmark = pytest.mark.engine

SHOES = {
    "query": {"match": {"name": "shoes"}},
    "aggs": {"makers": {"terms": {"field": "maker"}}},
    "highlight": {"fields": {"name": {}}},
}


@pytest.fixture(scope="module")
def source(es: Elasticsearch, sample: SampleStore) -> Iterator[str]:
    """An index with a mapping of its own, whose item id is a field."""
    name = "their-products"
    es.indices.create(
        index=name,
        mappings={"properties": {"sku": {"type": "keyword"}, "name": {"type": "text"}, "maker": {"type": "keyword"}}},
        settings={"number_of_shards": 2, "number_of_replicas": 0},
    )
    operations: list[dict[str, Any]] = []
    for number, item in enumerate(sample.items):
        operations += [
            {"index": {"_id": f"d{number}"}},
            {"sku": item.item_id, "name": item.title, "maker": item.brand, "price": item.price},
        ]
    es.bulk(index=name, operations=operations, refresh=True)
    yield name
    es.indices.delete(index=name)


@pytest.fixture(scope="module")
def settings_of_store(module_settings: Callable[..., Settings], sample: SampleStore, sample_events: Any, source: str) -> Settings:
    settings = module_settings()
    with Client(settings=settings) as client:
        client.sync_items(f"index:{source}", columns={"item_id": "sku", "title": "name", "brand": "maker", "price": "price"})
        load_events(client.workspace, [sample_events])
        client.train(["covisitation"])
    return settings


@pytest.fixture(scope="module")
def service(settings_of_store: Settings) -> Iterator[TestClient]:
    with TestClient(make_app(settings_of_store), base_url="http://localhost:8000") as client:
        yield client


def _personal(user: str, **more: Any) -> dict[str, Any]:
    return {**SHOES, "ext": {"es_recsys": {"user_id": user, **more}}}


def _ids(answer: Any) -> list[str]:
    return [hit["_id"] for hit in answer["hits"]["hits"]]


def _same(one: Any, other: Any) -> bool:
    return {**one, "took": 0} == {**other, "took": 0}


def test_without_ext_the_answer_is_elasticsearchs(service: TestClient, es: Elasticsearch, source: str) -> None:
    found = service.post(f"/{source}/_search?preference=x", json=SHOES)
    assert found.status_code == 200
    assert found.headers["x-elastic-product"] == "Elasticsearch"
    assert found.headers["x-es-recsys"] == "passed-through"
    assert _same(found.json(), es.search(index=source, preference="x", **SHOES).body)


def test_a_personal_answer_reorders_the_hits(service: TestClient, sample: SampleStore, source: str) -> None:
    one, other = sample.opposites
    neutral = service.post(f"/{source}/_search", json={**SHOES, "size": 200}).json()
    mine = service.post(f"/{source}/_search", json=_personal(one.user_id, explain=True)).json()
    theirs = service.post(f"/{source}/_search", json=_personal(other.user_id)).json()
    assert mine["_es_recsys"]["personal"] is True
    assert _ids(mine) != _ids(theirs)
    assert set(_ids(mine)) <= set(_ids(neutral))
    assert mine["hits"]["total"] == neutral["hits"]["total"]
    assert mine["aggregations"] == neutral["aggregations"]
    hits = mine["hits"]["hits"]
    assert all("highlight" in hit and "sku" in hit["_source"] and "fields" not in hit for hit in hits)
    scores = [hit["_score"] for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert mine["hits"]["max_score"] == scores[0]
    for hit in hits:
        assert hit["_es_recsys"]["item_id"] == hit["_source"]["sku"]
        assert sum(hit["_es_recsys"]["parts"].values()) == pytest.approx(hit["_score"], abs=1e-5)
    assert all("_es_recsys" not in hit for hit in theirs["hits"]["hits"])


def test_pages_of_a_personal_answer_go_on_where_the_one_before_ends(
    service: TestClient, sample: SampleStore, source: str
) -> None:
    user = sample.opposites[0].user_id
    whole = service.post(f"/{source}/_search", json={**_personal(user), "size": 20}).json()
    pages = [service.post(f"/{source}/_search", json={**_personal(user), "size": 10, "from": first}).json() for first in (0, 10)]
    assert [*_ids(pages[0]), *_ids(pages[1])] == _ids(whole)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sort": [{"price": "asc"}]}, "sorts"),
        ({"from": 200}, "beyond"),
        ({"size": 0}, "no hits"),
        ({"rescore": {"window_size": 5, "query": {"rescore_query": {"match": {"maker": "x"}}}}}, "orders"),
    ],
)
def test_what_cannot_be_personal_is_passed_through_and_says_so(
    service: TestClient, es: Elasticsearch, sample: SampleStore, source: str, change: dict[str, Any], reason: str
) -> None:
    sent = {**_personal(sample.opposites[0].user_id), **change}
    found = service.post(f"/{source}/_search?preference=x", json=sent)
    said = found.json().pop("_es_recsys")
    assert said["personal"] is False
    assert reason in said["passed_through"]
    assert found.headers["x-es-recsys"] == "passed-through"
    body = {name: value for name, value in sent.items() if name != "ext"}
    answer = {name: value for name, value in found.json().items() if name != "_es_recsys"}
    assert _same(answer, es.perform_request("POST", f"/{source}/_search?preference=x", headers=_JSON, body=body).body)


_JSON = {"accept": "application/json", "content-type": "application/json"}


def test_several_searches_at_once(service: TestClient, sample: SampleStore, source: str) -> None:
    user = sample.opposites[0].user_id
    lines = [{}, SHOES, {}, _personal(user), {}, _personal(user, personalization=0), {}, {"sort": ["name"]}]
    sent = "".join(json.dumps(line) + "\n" for line in lines)
    found = service.post(f"/{source}/_msearch", content=sent, headers={"content-type": "application/x-ndjson"})
    assert found.status_code == 200
    neutral, mine, impersonal, wrong = found.json()["responses"]
    alone = service.post(f"/{source}/_search", json=_personal(user)).json()
    assert (_ids(mine), mine["status"]) == (_ids(alone), 200)
    assert (_ids(neutral), _ids(impersonal)) == (_ids(neutral), _ids(neutral))
    assert _ids(mine) != _ids(neutral)
    assert (wrong["status"], wrong["error"]["type"]) == (400, "search_phase_execution_exception")
    assert found.headers["x-es-recsys"] == "mixed"


def test_an_event_changes_the_next_answer(service: TestClient, sample: SampleStore, source: str) -> None:
    asked = {**SHOES, "size": 100, "ext": {"es_recsys": {"session_id": "s-new", "explain": True}}}
    before = service.post(f"/{source}/_search", json=asked).json()
    wanted = before["hits"]["hits"][-1]
    sku = wanted["_source"]["sku"]
    events = [
        {"event_type": "purchase", "session_id": "s-new", "item_id": sku},
        {"action_name": "add_to_cart", "client_id": "s-new", "event_attributes": {"object": {"object_id": sku}}},
        {"event_type": "view", "item_id": sku},
    ]
    report = service.post("/api/v1/events", json=events).json()
    assert (report["added"], report["rejected_count"], report["rejected"][0]["event"]) == (2, 1, 3)
    after = service.post(f"/{source}/_search", json=asked).json()
    assert sorted(_ids(after)) == sorted(_ids(before))
    assert _ids(after) != _ids(before)
    assert any(sku in hit["_es_recsys"]["because"] for hit in after["hits"]["hits"])


def test_a_query_of_ubi_is_recorded_and_named(service: TestClient, source: str, settings_of_store: Settings) -> None:
    ubi = {"user_query": "shoes", "client_id": "c-1", "query_id": "q-1", "application": "shop", "object_id_field": "sku"}
    found = service.post(f"/{source}/_search", json={**SHOES, "ext": {"ubi": ubi}}).json()
    assert found["ext"] == {"ubi": {"query_id": "q-1"}}
    assert "_es_recsys" not in found
    service.portal.call(_written, service.app.state.service)  # type: ignore[union-attr]
    with Client(settings=settings_of_store) as client:
        (row,) = client.workspace.events.rows(session_id="c-1")
        assert (row.event_type, row.query) == ("search", "shoes")


async def _written(state: Any) -> None:
    import asyncio

    await asyncio.gather(*state._writing)


def test_recommendations(service: TestClient, sample: SampleStore, settings_of_store: Settings) -> None:
    user = sample.opposites[0].user_id
    found = service.get(f"/api/v1/recommend/{user}", params={"n": 5, "explain": "true"}).json()
    with Client(settings=settings_of_store) as client:
        assert [hit["item_id"] for hit in found["hits"]] == [hit.item_id for hit in client.recommend(user, n=5).hits]
    assert service.get(f"/api/v1/recommend/{user}", params={"n": 0}).status_code == 400
    assert service.get(f"/api/v1/recommend/{user}", params={"what": 1}).status_code == 400


def test_an_index_that_is_not_adopted_is_refused(service: TestClient, es: Elasticsearch, settings_of_store: Settings) -> None:
    for name in ("secrets", f"{settings_of_store.index}-profiles", "_all", "their-*", "their-products,secrets"):
        found = service.post(f"/{name}/_search", json={})
        assert (found.status_code, found.json()["error"]["type"]) == (404, "index_not_found_exception")


def test_health_and_metrics(service: TestClient, source: str) -> None:
    assert service.get("/health/live").json() == {"status": "live"}
    assert service.get("/health/ready").json() == {"status": "ready"}
    service.post(f"/{source}/_search", json=SHOES)
    text = service.get("/metrics").text
    assert 'es_recsys_requests_total{route="/{index}/_search",status="200"}' in text
    assert source not in text
