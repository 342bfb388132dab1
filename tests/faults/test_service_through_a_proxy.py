"""The service before an Elasticsearch that refuses, fails or is slow, and with whose credentials it is asked."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from fastapi.testclient import TestClient
from pydantic import SecretStr
from store_indices import delete_indices
from waiting import wait_until

from es_recsys import Client, Event, Item, Settings
from es_recsys.index_metadata import items_alias
from es_recsys.service.app import make_app
from es_recsys.service.circuit_breaker import CircuitBreaker
from es_recsys.settings import EncoderSettings, SearchSettings, ServiceSettings

pytestmark = pytest.mark.engine

Through = Callable[[Any], AbstractContextManager[str]]
SHOES = {"query": {"match": {"title": "shoe"}}}
PERSONAL = {**SHOES, "ext": {"es_recsys": {"user_id": "u1"}}}
CALLER = {"authorization": "ApiKey callers"}


@pytest.fixture(scope="module")
def stored(es: Elasticsearch, es_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    name, home = f"t{uuid.uuid4().hex[:12]}", tmp_path_factory.mktemp("home")
    settings = Settings(url=es_url, index=name, home=home, encoders=EncoderSettings(text="none", image="none"))
    with Client(settings=settings) as client:
        client.insert_items(Item(item_id=f"i{n}", title=f"red shoe {n}", brand="ab"[n % 2]) for n in range(20))
        client.put_events([Event(event_type="purchase", user_id="u1", item_id=f"i{n}") for n in range(1, 9, 2)])
        client.train(["covisitation"], budget=0.0)
    yield settings
    delete_indices(es, name)


@pytest.fixture
def serve(stored: Settings, through_proxy: Through) -> Callable[..., AbstractContextManager[TestClient]]:
    """serve(change, **settings): the service before the proxy, with an API key of its own."""

    @contextmanager
    def make(change: Any, search: SearchSettings | None = None, **given: Any) -> Iterator[TestClient]:
        with through_proxy(change) as url:
            changed = {
                "url": url,
                "api_key": SecretStr("services"),
                "service": ServiceSettings(**{"deadline_s": 120.0, **given}),
                "search": search or stored.search,
            }
            settings = stored.model_copy(update=changed)
            with TestClient(make_app(settings), base_url="http://localhost") as client:
                yield client

    return make


@pytest.fixture
def path(stored: Settings) -> str:
    return f"/{items_alias(stored.index)}/_search"


def test_the_callers_credentials_go_with_the_search_and_the_services_with_all_else(serve: Any, path: str) -> None:
    asked: list[tuple[str, str | None]] = []

    def record(method: str, target: str, reply: Any) -> Any:
        asked.append((target.split("?")[0], reply.authorization))
        return reply

    with serve(record) as client:
        neutral = client.post(path, json=SHOES, headers=CALLER)
        mine = client.post(path, json=PERSONAL, headers=CALLER)
    assert (neutral.status_code, mine.headers["x-es-recsys"]) == (200, "personal")
    # One for nobody; for a person the hits, and the documents of their page.
    assert [sent for target, sent in asked if target == path] == ["ApiKey callers"] * 3
    assert {sent for target, sent in asked if target != path} == {"ApiKey services"}


@pytest.mark.parametrize(("lent", "sent", "how"), [(False, None, "passed-through"), (True, "ApiKey services", "personal")])
def test_the_services_credentials_are_lent_only_where_that_is_set(
    serve: Any, path: str, lent: bool, sent: str | None, how: str
) -> None:
    asked: list[str | None] = []

    def record(method: str, target: str, reply: Any) -> Any:
        if target.split("?")[0] == path:
            asked.append(reply.authorization)
        return reply

    with serve(record, own_credentials=lent) as client:
        client.post(path, json=SHOES)
        assert client.post(path, json=PERSONAL).headers["x-es-recsys"] == how
    assert asked == [sent] * (3 if how == "personal" else 2)


def test_what_elasticsearch_refuses_to_the_caller_is_refused_in_its_words(serve: Any, path: str) -> None:
    refusal = {"error": {"type": "security_exception", "reason": "no", "root_cause": []}, "status": 403}

    def refuse(method: str, target: str, reply: Any) -> Any:
        if reply.authorization == CALLER["authorization"]:
            return replace(reply, status=403, body=json.dumps(refusal).encode())
        return reply

    with serve(refuse) as client:
        for _ in range(7):
            found = client.post(path, json=PERSONAL, headers=CALLER)
            assert (found.status_code, found.json()) == (403, refusal)
        # Somebody's refusals make no one else's answers impersonal.
        assert client.post(path, json=PERSONAL, headers={"authorization": "ApiKey other"}).headers["x-es-recsys"] == "personal"


@pytest.mark.parametrize(
    ("status", "reason", "sent"),
    [
        (401, "unable to authenticate with provided credentials: api key is expired", "ApiKey expired"),
        (401, "unable to authenticate user [u] for REST request", "Basic dTp3cm9uZw=="),
        (403, "action [indices:data/read/search] is unauthorized for API key id [k]", "ApiKey narrow"),
    ],
)
def test_credentials_that_are_refused_are_refused_in_each_form_of_a_search(
    serve: Any, path: str, status: int, reason: str, sent: str
) -> None:
    error = {"root_cause": [], "type": "security_exception", "reason": reason}
    refusal = {"error": error, "status": status}
    challenge = 'Basic realm="security", charset="UTF-8"'

    def refuse(method: str, target: str, reply: Any) -> Any:
        if reply.authorization != sent:
            return reply
        if status == 403 and "_msearch" in target:  # which tells of each search by itself
            body = {"took": 1, "responses": [refusal for _ in json.loads(reply.body)["responses"]]}
            return replace(reply, body=json.dumps(body).encode())
        headers = {**reply.headers, "www-authenticate": challenge}
        return replace(reply, status=status, headers=headers, body=json.dumps(refusal).encode())

    several = path.replace("_search", "_msearch")
    lines = "".join(json.dumps(line) + "\n" for line in ({}, PERSONAL, {}, SHOES)).encode()
    with serve(refuse) as client:
        for body in (SHOES, PERSONAL):
            found = client.post(path, json=body, headers={"authorization": sent})
            assert (found.status_code, found.json()) == (status, refusal)
            assert found.headers["www-authenticate"] == challenge
        for _ in range(6):
            headers = {"authorization": sent, "content-type": "application/x-ndjson"}
            found = client.post(several, content=lines, headers=headers)
            if status == 403:
                assert (found.status_code, found.json()["responses"]) == (200, [refusal, refusal])
            else:
                assert (found.status_code, found.json()) == (status, refusal)
        mine = client.post(several, content=lines, headers={**CALLER, "content-type": "application/x-ndjson"})
        assert [each["status"] for each in mine.json()["responses"]] == [200, 200]
        assert mine.json()["responses"][0]["_es_recsys"]["personal"] is True


@pytest.mark.parametrize("status", [401, 403])
def test_where_the_services_own_key_is_refused_callers_get_their_own_answer(serve: Any, path: str, status: int) -> None:
    refusal = {"error": {"type": "security_exception", "reason": "no", "root_cause": []}, "status": status}

    def refuse(method: str, target: str, reply: Any) -> Any:
        if reply.authorization != "ApiKey services":
            return reply
        return replace(reply, status=status, body=json.dumps(refusal).encode())

    with serve(refuse) as client:
        found = client.post(path, json=PERSONAL, headers=CALLER)
        assert (found.status_code, found.headers["x-es-recsys"]) == (200, "fallback")
        assert len(found.json()["hits"]["hits"]) == 10
        assert client.get("/health/ready").status_code == 503
        assert "services" not in found.text


def test_a_ranking_that_takes_too_long_is_given_up_for_their_own_answer(serve: Any, path: str, es: Elasticsearch) -> None:
    with serve(lambda method, target, reply: reply, deadline_s=1e-6) as client:
        for why in ["TimeoutError"] * 5 + ["CircuitOpen"] * 2:
            found = client.post(path, json=PERSONAL, headers=CALLER)
            assert (found.status_code, found.headers["x-es-recsys"]) == (200, "fallback")
            assert found.json()["_es_recsys"] == {"personal": False, "fallback": why}
        own = es.perform_request(
            "POST", path, headers={"accept": "application/json", "content-type": "application/json"}, body=SHOES
        )
        assert found.json()["hits"] == own.body["hits"]
        assert "es_recsys_fallbacks_total 7.0" in client.get("/metrics").text


def test_a_ranking_is_tried_again_after_a_while_however_many_ask(serve: Any, path: str) -> None:
    now = [0.0]
    with serve(lambda method, target, reply: reply, deadline_s=1e-6) as client:
        client.app.state.service.breaker = CircuitBreaker(lambda: now[0])  # type: ignore[attr-defined]
        reasons = []
        for now[0] in (0.0, 0.0, 0.0, 0.0, 0.0, 4.0, 8.0, 12.0):
            answer = client.post(path, json=PERSONAL, headers=CALLER).json()
            reasons.append(answer["_es_recsys"]["fallback"])
    assert reasons == ["TimeoutError"] * 5 + ["CircuitOpen"] * 2 + ["TimeoutError"]


def test_credentials_in_the_address_are_the_services_and_not_lent(stored: Settings, through_proxy: Through, path: str) -> None:
    asked: list[tuple[str, str | None]] = []

    def record(method: str, target: str, reply: Any) -> Any:
        asked.append((target.split("?")[0], reply.authorization))
        return reply

    with through_proxy(record) as url:
        settings = stored.model_copy(update={"url": url.replace("//", "//someone:p%40ss@")})
        with TestClient(make_app(settings), base_url="http://localhost") as client:
            assert client.post(path, json=SHOES).status_code == 200
            assert client.post(path, json=PERSONAL).headers["x-es-recsys"] == "passed-through"
    assert [sent for target, sent in asked if target == path] == [None, None]
    assert {sent for target, sent in asked if target != path} == {"Basic c29tZW9uZTpwQHNz"}


def test_a_call_has_one_deadline_for_all_that_it_asks(serve: Any, stored: Settings, path: str) -> None:
    wait_s = [0.0]

    def slow(method: str, target: str, reply: Any) -> Any:
        time.sleep(wait_s[0])
        return replace(reply, status=503, body=b"{}") if wait_s[0] else reply

    with serve(slow, deadline_s=0.9, search=stored.search.model_copy(update={"timeout_s": 1.0})) as client:
        # The first answers load what all need, which may take a slow machine longer.
        assert wait_until(lambda: client.post(path, json=PERSONAL, headers=CALLER).headers.get("x-es-recsys") == "personal")
        wait_s[0] = 0.95  # for each of three tries, of each of several round trips
        for send in (
            lambda: client.post(path, json=PERSONAL, headers=CALLER),
            lambda: client.get("/api/v1/recommend/u1", headers=CALLER),
        ):
            began = time.monotonic()
            found = send()
            assert (found.status_code, time.monotonic() - began < 2.8) == (503, True)


def test_connections_that_are_cut_are_a_503(serve: Any, path: str) -> None:
    with serve(lambda method, target, reply: None) as client:
        found = client.post(path, json=PERSONAL, headers=CALLER)
    assert (found.status_code, found.json()["error"]["type"]) == (503, "service_unavailable_exception")
