"""The service on a real Elasticsearch: an adopted index, neutral and personal answers, events, keys."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import orjson
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
        client.train(["covisitation"], budget=0.0)
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


def test_how_many_neighbours_are_found_is_not_that_of_the_window(
    service: TestClient, es: Elasticsearch, sample: SampleStore, source: str
) -> None:
    field = {"type": "dense_vector", "dims": 2, "similarity": "l2_norm"}
    es.indices.put_mapping(index=source, properties={"place": field})
    found = es.search(index=source, size=1_000)["hits"]["hits"]
    changes = [
        line for n, hit in enumerate(found) for line in ({"update": {"_id": hit["_id"]}}, {"doc": {"place": [n % 7, n % 5]}})
    ]
    es.bulk(index=source, operations=changes, refresh=True)
    knn = {"field": "place", "query_vector": [3, 3], "num_candidates": 300}
    for body in ({"knn": knn}, {"query": {"bool": {"must": {"knn": knn}}}}):
        neutral = service.post(f"/{source}/_search", json={**body, "size": 7}).json()
        sent = {**body, "size": 7, "ext": {"es_recsys": {"user_id": sample.opposites[0].user_id}}}
        mine = service.post(f"/{source}/_search", json=sent).json()
        assert mine["_es_recsys"]["personal"]
        assert mine["hits"]["total"] == neutral["hits"]["total"]


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


@pytest.mark.parametrize("url", ["docvalue_fields=sku,maker&_source=false", "stored_fields=_none_", "stored_fields=_id,sku"])
def test_fields_that_the_url_asks_for_are_in_a_personal_answer_as_well(
    service: TestClient, sample: SampleStore, source: str, url: str
) -> None:
    neutral = service.post(f"/{source}/_search?{url}", json={**SHOES, "size": 200}).json()["hits"]["hits"]
    mine = service.post(f"/{source}/_search?{url}", json={**_personal(sample.opposites[0].user_id), "size": 200}).json()
    assert mine["_es_recsys"]["personal"] is (url != "stored_fields=_none_")
    shown = [{**hit, "_score": 0} for hit in mine["hits"]["hits"]]
    for hit in neutral:
        assert {**hit, "_score": 0} in shown


@pytest.mark.parametrize(("size", "first"), [("3", "1"), (3.0, 1.0)])
def test_numbers_in_other_forms_are_those_of_a_page(
    service: TestClient, sample: SampleStore, source: str, size: Any, first: Any
) -> None:
    user = sample.opposites[0].user_id
    whole = service.post(f"/{source}/_search", json={**_personal(user), "size": 4}).json()
    page = service.post(f"/{source}/_search", json={**_personal(user), "size": size, "from": first}).json()
    assert page["_es_recsys"]["personal"] is True
    assert _ids(page) == _ids(whole)[1:]


def test_a_request_is_named_in_its_answer(service: TestClient, sample: SampleStore, source: str) -> None:
    personal = _personal(sample.opposites[0].user_id)
    for body in (SHOES, personal):
        found = service.post(f"/{source}/_search", json=body, headers={"x-opaque-id": "mine"})
        assert found.headers["x-opaque-id"] == "mine"
        lines = "".join(json.dumps(each) + "\n" for each in ({}, body))
        headers = {"x-opaque-id": "mine", "content-type": "application/x-ndjson"}
        assert service.post(f"/{source}/_msearch", content=lines, headers=headers).headers["x-opaque-id"] == "mine"


def test_a_pretty_answer_has_lines(service: TestClient, sample: SampleStore, source: str) -> None:
    personal = json.dumps(_personal(sample.opposites[0].user_id)).encode()
    pair = {"content": b"{}\n" + personal + b"\n", "headers": {"content-type": "application/x-ndjson"}}
    for path, sent in (("_search", {"json": json.loads(personal)}), ("_msearch", pair)):
        for flag, is_pretty in (("?pretty", True), ("?pretty=true", True), ("?pretty=false", False), ("", False)):
            found = service.post(f"/{source}/{path}{flag}", **sent)
            assert found.headers["x-es-recsys"] == "personal"
            assert (found.text.count("\n") > 20) is is_pretty


def test_a_path_may_end_with_a_slash(service: TestClient, es: Elasticsearch, source: str) -> None:
    lines = {"content": b"{}\n{}\n", "headers": {"content-type": "application/x-ndjson"}}
    for path, sent in ((f"/{source}/_search", {"json": {}}), (f"/{source}/_msearch", lines), ("/_msearch", lines)):
        with_slash, without = (service.post(f"{path}{end}", follow_redirects=False, **sent) for end in ("/", ""))
        assert with_slash.status_code == without.status_code
        assert with_slash.json().keys() == without.json().keys()
    assert es.perform_request("POST", f"/{source}/_search/", headers={"accept": "application/json"}).meta.status == 200


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


def test_a_body_may_stand_in_the_url(service: TestClient, sample: SampleStore, source: str) -> None:
    for body in (SHOES, _personal(sample.opposites[0].user_id)):
        given = {"source": json.dumps(body), "source_content_type": "application/json"}
        found = service.get(f"/{source}/_search", params=given)
        assert (found.status_code, found.json()["hits"]) == (200, service.post(f"/{source}/_search", json=body).json()["hits"])
    assert service.get(f"/{source}/_search", params={"source": "{}"}).status_code == 415
    assert service.post(f"/{source}/_search", params=given, json=SHOES).status_code == 400


def test_what_filter_path_leaves_out_of_several_answers_is_left_out(
    service: TestClient, sample: SampleStore, source: str
) -> None:
    lines = [{}, _personal(sample.opposites[0].user_id), {}, SHOES]
    sent = "".join(json.dumps(line) + "\n" for line in lines)
    headers = {"content-type": "application/x-ndjson"}
    for path in ("took", "responses.hits.total", "responses.aggregations.nothing"):
        found = service.post(f"/{source}/_msearch?filter_path={path}", content=sent, headers=headers)
        assert (found.status_code, found.headers["x-es-recsys"]) == (200, "passed-through")
        assert set(found.json()) <= {path.split(".")[0]}


def test_an_answer_of_ours_is_json_of_the_version_that_is_asked_for(
    service: TestClient, sample: SampleStore, source: str
) -> None:
    body, path = _personal(sample.opposites[0].user_id), f"/{source}/_search"
    for user in (body, {**body, "sort": ["price"]}):
        found = service.post(path, json=user, headers={"accept": "application/yaml"})
        assert (found.status_code, found.json()["error"]["type"]) == (406, "media_type_header_exception")
    assert service.post(path, json=SHOES, headers={"accept": "application/yaml"}).headers["content-type"] == "application/yaml"
    kind = "application/vnd.elasticsearch+json; compatible-with=8"
    found = service.post(path, content=json.dumps(body), headers={"accept": kind, "content-type": kind})
    assert found.headers["content-type"] == "application/vnd.elasticsearch+json;compatible-with=8"


ODD: list[dict[str, Any]] = [
    {"stored_fields": "_none_"},
    {"stored_fields": ["_none_"], "_source": False},
    {"docvalue_fields": None},
    {"docvalue_fields": "price"},
    {"fields": {"field": "price"}},
    {"sort": {"_score": {"order": "desc"}}},
    {"sort": [{"_score": "asc"}]},
    {"sort": [[]]},
    {"collapse": {"field": "maker"}},
    {"track_total_hits": False},
    {"query": None},
    {"query": {"match": {"name": {"query": "shoes", "boost": -1}}}},
    {"query": {"constant_score": {"filter": {"match": {"name": "shoes"}}, "boost": 0}}},
    {"aggs": []},
    {"min_score": "1e9"},
    {"_source": "na*"},
    {"highlight": 1},
    {"from": 190, "size": 20},
    {"suggest": {"text": "shoos", "s": {"term": {"field": "name"}}}},
    {"profile": True, "explain": True, "version": True, "seq_no_primary_term": True},
]


@pytest.mark.parametrize("change", ODD, ids=str)
def test_an_odd_body_has_the_status_that_elasticsearch_gives_it(
    service: TestClient, es: Elasticsearch, sample: SampleStore, source: str, change: dict[str, Any]
) -> None:
    sent = {**_personal(sample.opposites[0].user_id, explain=True), **change}
    found = service.post(f"/{source}/_search", json=sent)
    plain = {name: value for name, value in sent.items() if name != "ext"}
    own = service.post(f"/{source}/_search", json=plain)
    assert found.status_code == own.status_code, found.text
    if found.status_code == 200:
        assert found.json()["hits"].get("total") == own.json()["hits"].get("total")
        assert len(found.json()["hits"]["hits"]) == len(own.json()["hits"]["hits"])


@pytest.mark.parametrize("name", ["user_id", "session_id", "personalization", "diversity", "seen", "exclude_ids", "words"])
@pytest.mark.parametrize("value", [[], {}, [None], -1, 2, 10**30, "x" * 5_000, True, "", " ", {"a": [1]}, 0.5], ids=repr)
def test_no_value_of_ours_is_an_error_of_the_service(service: TestClient, source: str, name: str, value: Any) -> None:
    found = service.post(f"/{source}/_search", json={**SHOES, "ext": {"es_recsys": {"user_id": "u", name: value}}})
    assert found.status_code in (200, 400), found.text


@pytest.mark.parametrize(
    "raw",
    [
        b'{"query": {"match_all": {}}, "query": {"match_none": {}}}',
        b'{"query": {"terms": {"sku": {"index": "secrets", "index": "their-products", "id": "1", "path": "p"}}}}',
        b'{"query": {"match_all": {}}} {"query": {"match_all": {}}}',
        b'{query: {"match_all": {}}}',
        b'{"query": {"match_all": {}}} /* */',
    ],
)
def test_what_two_readers_may_understand_differently_is_refused(service: TestClient, source: str, raw: bytes) -> None:
    """Elasticsearch gets the text that was checked here, so both have to read the same in it."""
    for body, headers in ((raw, {}), (b"\n" + raw + b"\n", {"content-type": "application/x-ndjson"})):
        path = f"/{source}/_msearch" if headers else f"/{source}/_search"
        found = service.post(path, content=body, headers=headers or {"content-type": "application/json"})
        answer = found.json()
        assert found.status_code == 400 or answer["responses"][0]["status"] == 400


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


def test_what_is_bought_together_and_bought_again(service: TestClient, sample: SampleStore, settings_of_store: Settings) -> None:
    bought = dict.fromkeys(str(event.item_id) for event in sample.events if event.event_type == "purchase")
    with Client(settings=settings_of_store) as client:
        item = next(each for each in bought if client.bought_together(each, relaxed=True).hits)
        rules = client.bought_together(item, relaxed=True, n=5)
        found = service.get(f"/api/v1/bought-together/{item}", params={"n": 5, "relaxed": "true"}).json()
        assert [(hit["item_id"], hit["rule"]) for hit in found["hits"]] == [(hit.item_id, dict(hit.rule)) for hit in rules.hits]
        also = rules.hits[0].item_id
        cart = service.get(f"/api/v1/bought-together/{item}", params={"also": also, "relaxed": "1", "n": 50}).json()
        assert cart["hits"] and {item, also}.isdisjoint(hit["item_id"] for hit in cart["hits"])
        user = next(event.user_id for event in sample.events if event.event_type == "purchase" and event.user_id)
        again = service.get(f"/api/v1/recommend/{user}", params={"repeat": "true"}).json()
        assert [hit["item_id"] for hit in again["hits"]] == [hit.item_id for hit in client.recommend(user, repeat=True).hits]
    gone = service.get("/api/v1/bought-together/gone")
    assert gone.status_code == 400 and "no item 'gone'" in gone.json()["error"]["reason"]
    assert service.get(f"/api/v1/bought-together/{item}", params={"session_id": "s"}).status_code == 400


def test_an_index_that_is_not_adopted_is_refused(service: TestClient, es: Elasticsearch, settings_of_store: Settings) -> None:
    for name in ("secrets", f"{settings_of_store.index}-profiles", "_all", "their-*", "their-products,secrets"):
        found = service.post(f"/{name}/_search", json={})
        assert (found.status_code, found.json()["error"]["type"]) == (404, "index_not_found_exception")


def test_of_many_searches_only_those_of_indices_that_are_not_adopted_are_refused(service: TestClient, source: str) -> None:
    personal = {**SHOES, "ext": {"es_recsys": {"user_id": "nobody"}}}
    searches = [
        ({"index": "secrets"}, SHOES),
        ({"index": source}, SHOES),
        ({"index": "secrets"}, personal),
        ({"index": source}, personal),
    ]
    lines = b"".join(orjson.dumps(line) + b"\n" for pair in searches for line in pair)
    ndjson = {"content-type": "application/x-ndjson"}
    answered = service.post("/_msearch", content=lines, headers=ndjson)
    assert answered.status_code == 200
    responses = answered.json()["responses"]
    assert [one["status"] for one in responses] == [404, 200, 404, 200]
    for refused in responses[::2]:
        assert refused["error"]["type"] == "index_not_found_exception" and "hits" not in refused
    alone = service.post(f"/{source}/_search", json=SHOES).json()
    assert responses[1]["hits"] == alone["hits"]
    # Where nothing can be answered, and where responses may be left out, the refusal is the answer.
    for content, parameters in ((b"".join(lines.splitlines(keepends=True)[:2]), {}), (lines, {"filter_path": "responses.hits"})):
        assert service.post("/_msearch", content=content, headers=ndjson, params=parameters).status_code == 404


def test_health_and_metrics(service: TestClient, source: str) -> None:
    assert service.get("/health/live").json() == {"status": "live"}
    assert service.get("/health/ready").json() == {"status": "ready"}
    service.post(f"/{source}/_search", json=SHOES)
    text = service.get("/metrics").text
    assert 'es_recsys_requests_total{route="/{index}/_search",status="200"}' in text
    assert source not in text
