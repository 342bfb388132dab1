"""A picture or a sound over HTTP: it finds what is near, and the body on the adopted index narrows and shows that."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from elasticsearch import Elasticsearch
from fastapi.testclient import TestClient
from PIL import Image
from sounds import chord, noise, tone, wav

from es_recsys import Client, Event, Item, Settings
from es_recsys.service.app import make_app

pytestmark = pytest.mark.engine

KINDS: dict[str, Callable[[int], Any]] = {
    "low": lambda n: tone(110 + 5 * n, seed=n),
    "chord": lambda n: chord(400 + 20 * n, seed=n),
    "noise": noise,
}
COUNT = 6


@pytest.fixture(scope="module")
def source(es: Elasticsearch) -> Iterator[str]:
    """An index of records whose item id is a field."""
    name = "their-records"
    keyword = {"type": "keyword"}
    es.indices.create(index=name, mappings={"properties": {"sku": keyword, "name": {"type": "text"}, "side": keyword}})
    operations: list[dict[str, Any]] = []
    for kind in KINDS:
        for n in range(COUNT):
            document = {"sku": f"{kind}{n}", "name": f"a record of {kind}", "side": "ab"[n % 2], "price": n}
            operations += [{"index": {"_id": f"d-{kind}{n}"}}, document]
    es.bulk(index=name, operations=operations, refresh=True)
    yield name
    es.indices.delete(index=name)


@pytest.fixture(scope="module")
def settings(module_settings: Callable[..., Settings], source: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = module_settings()
    folder = tmp_path_factory.mktemp("sounds")
    with Client(settings=settings) as client:
        client.sync_items(f"index:{source}", columns={"item_id": "sku", "title": "name", "tags": "side"})
        items = []
        for kind, make in KINDS.items():
            for n in range(COUNT):
                (folder / f"{kind}{n}.flac").write_bytes(wav(make(n), "FLAC"))
                items.append(Item(item_id=f"{kind}{n}", title=f"a record of {kind}", audio=f"{kind}{n}.flac", tags=["ab"[n % 2]]))
        client.insert_items(items, base=folder)
        client.put_events([Event(event_type="purchase", user_id="u", item_id=f"noise{n}") for n in (3, 5)])
        client.put_events([Event(event_type="dislike", user_id="u", item_id="noise1")])
    return settings


@pytest.fixture(scope="module")
def service(settings: Settings) -> Iterator[TestClient]:
    with TestClient(make_app(settings), base_url="http://localhost:8000") as client:
        yield client


def _sound(kind: str) -> str:
    return base64.b64encode(wav(KINDS[kind](COUNT))).decode()


def _asked(**ext: Any) -> dict[str, Any]:
    return {"size": 5, "ext": {"es_recsys": ext}}


def _skus(answer: Any) -> list[str]:
    return [hit["_source"]["sku"] for hit in answer["hits"]["hits"]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_finds_the_documents_like_it(service: TestClient, settings: Settings, source: str, kind: str) -> None:
    found = service.post(f"/{source}/_search", json=_asked(audio=_sound(kind)))
    assert (found.status_code, found.headers["x-es-recsys"]) == (200, "passed-through"), found.text
    assert found.json()["_es_recsys"]["personal"] is False
    with Client(settings=settings) as client:
        own = client.search(audio=wav(KINDS[kind](COUNT)), n=5)
    assert _skus(found.json()) == [hit.item_id for hit in own.hits]
    assert {sku.rstrip("0123456789") for sku in _skus(found.json())} == {kind}
    scores = [hit["_score"] for hit in found.json()["hits"]["hits"]]
    assert scores == sorted(scores, reverse=True) and 0.5 < scores[0] <= 1.0


def test_the_query_narrows_what_is_near_and_all_else_of_the_body_stays(service: TestClient, source: str) -> None:
    body = {
        **_asked(audio=_sound("chord")),
        "query": {"bool": {"filter": {"term": {"side": "a"}}, "must": {"match": {"name": "chord"}}}},
        "aggs": {"sides": {"terms": {"field": "side"}}},
        "highlight": {"fields": {"name": {}}},
    }
    found = service.post(f"/{source}/_search", json=body).json()
    assert sorted(_skus(found)) == ["chord0", "chord2", "chord4"] and found["hits"]["total"]["value"] == 3
    assert [(each["key"], each["doc_count"]) for each in found["aggregations"]["sides"]["buckets"]] == [("a", 3)]
    assert all(hit["highlight"]["name"] == ["a record of <em>chord</em>"] for hit in found["hits"]["hits"])
    cheapest = service.post(f"/{source}/_search", json={**body, "sort": ["price"]}).json()
    assert _skus(cheapest) == ["chord0", "chord2", "chord4"] and "sorts" in cheapest["_es_recsys"]["passed_through"]


def test_for_somebody_it_is_personal_and_pages_meet(service: TestClient, source: str) -> None:
    mine = _asked(audio=f"data:audio/wav;base64,{_sound('noise')}", user_id="u", explain=True)
    whole = service.post(f"/{source}/_search", json={**mine, "size": 18}).json()
    assert whole["_es_recsys"]["personal"] is True
    neutral = service.post(f"/{source}/_search", json={**_asked(audio=_sound("noise")), "size": 18}).json()
    assert set(_skus(neutral)) - set(_skus(whole)) == {"noise1"} and len(_skus(whole)) == len(_skus(neutral)) - 1
    parts = {hit["_source"]["sku"]: hit["_es_recsys"]["parts"] for hit in whole["hits"]["hits"]}
    assert parts["noise4"]["query"] > 0.0 and parts["noise4"]["taste_audio"] > 0.0
    assert any(hit["_es_recsys"]["because"] for hit in whole["hits"]["hits"])
    pages = [service.post(f"/{source}/_search", json={**mine, "size": 9, "from": first}).json() for first in (0, 9)]
    assert [*_skus(pages[0]), *_skus(pages[1])] == _skus(whole)


def test_several_at_once(service: TestClient, source: str) -> None:
    asked = [_asked(audio=_sound("low")), {"query": {"match": {"name": "chord"}}}, _asked(audio="bm9pc2U=", user_id="u")]
    sent = "".join(f"{{}}\n{json.dumps(one)}\n" for one in asked)
    found = service.post(f"/{source}/_msearch", content=sent, headers={"content-type": "application/x-ndjson"})
    near, named, wrong = found.json()["responses"]
    assert {sku[:3] for sku in _skus(near)} == {"low"} and {sku[:5] for sku in _skus(named)} == {"chord"}
    assert (wrong["status"], wrong["error"]["type"]) == (400, "illegal_argument_exception")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ext": {"es_recsys": {"audio": "no base64!"}}}, "audio] must be the bytes"),
        ({"ext": {"es_recsys": {"audio": ["bm9pc2U="]}}}, "audio] must be the bytes"),
        ({"ext": {"es_recsys": {"audio": ""}}}, "audio] must be the bytes"),
        ({"ext": {"es_recsys": {"audio": "/etc/passwd"}}}, "audio] must be the bytes"),
        ({"ext": {"es_recsys": {"audio": "bm9pc2U="}}}, "can't be"),
        ({"knn": {"field": "v", "query_vector": [1.0]}}, "has no knn"),
        ({"retriever": {"standard": {}}}, "has no retriever"),
    ],
)
def test_what_finds_nothing_says_why(service: TestClient, source: str, change: dict[str, Any], reason: str) -> None:
    found = service.post(f"/{source}/_search", json={**_asked(audio=_sound("low")), **change})
    assert found.status_code == 400 and reason in found.json()["error"]["reason"], found.text


def test_a_picture_where_there_are_none_and_parts_that_are_left_out(service: TestClient, source: str) -> None:
    picture = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(picture, "PNG")
    sent = _asked(image=base64.b64encode(picture.getvalue()).decode())
    found = service.post(f"/{source}/_search", json=sent)
    assert found.status_code == 400 and "no pictures to compare with" in found.json()["error"]["reason"]
    found = service.post(f"/{source}/_search?filter_path=took", json=_asked(audio=_sound("low")))
    assert found.status_code == 400 and "filter_path" in found.json()["error"]["reason"]


def test_one_that_is_too_large_is_refused(service: TestClient, source: str) -> None:
    found = service.post(f"/{source}/_search", json=_asked(audio="A" * (1 << 20)))
    assert found.status_code == 413 and "MAX_BODY_KIB" in found.json()["error"]["reason"]
