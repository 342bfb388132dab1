"""Who is let in: keys and their scopes, tokens of users, hosts, origins, sizes and rates."""

from __future__ import annotations

import gzip
import json
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from es_recsys.errors import InputError, SetupError
from es_recsys.event_types import EVENT_TYPES
from es_recsys.service.access import Caller, user_token
from es_recsys.service.api_keys import SCOPES, ApiKeys
from es_recsys.service.app import make_app
from es_recsys.service.circuit_breaker import CircuitBreaker
from es_recsys.service.errors import ServiceError
from es_recsys.service.event_input import MOST_EVENTS, read_posted_events
from es_recsys.service.server import bind
from es_recsys.settings import ServiceSettings, Settings

LOCAL = "http://localhost:8000"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a store whose Elasticsearch can't be reached: who isn't let in never gets there."""
    service = ServiceSettings(
        user_token_secret="shop", requests_per_minute=50, allowed_origins=("https://shop.example",), max_body_kib=1
    )
    return Settings(url="http://127.0.0.1:9", index="shop", home=tmp_path, service=service)


@pytest.fixture
def keyless(settings: Settings) -> Iterator[TestClient]:
    with TestClient(make_app(settings), base_url=LOCAL) as client:
        yield client


@pytest.fixture
def keys(settings: Settings) -> dict[str, str]:
    return {scope: ApiKeys(settings).create(scope)[1] for scope in SCOPES}


@pytest.fixture
def keyed(settings: Settings, keys: dict[str, str]) -> Iterator[TestClient]:
    with TestClient(make_app(settings), base_url="https://search.example") as client:
        yield client


def _header(key: str) -> dict[str, str]:
    return {"X-API-Key": key}


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "10.0.0.5", "", "localhost.evil", "["]
)
def test_without_keys_only_the_name_of_this_machine_is_answered(keyless: TestClient, host: str) -> None:
    for path in ("/", "/metrics", "/api/v1/recommend/u1"):
        found = keyless.get(path, headers={"host": host})
        assert (found.status_code, found.json()["error"]["type"]) == (403, "security_exception")


def test_without_keys_a_foreign_web_page_is_refused(keyless: TestClient) -> None:
    assert keyless.get("/metrics", headers={"origin": "https://evil.example"}).status_code == 403
    assert keyless.get("/metrics", headers={"origin": "null"}).status_code == 403
    assert keyless.get("/metrics", headers={"origin": "https://shop.example"}).status_code == 200
    assert keyless.get("/metrics", headers={"origin": LOCAL}).status_code == 200
    assert keyless.get("/metrics", headers={"origin": "http://localhost:3000"}).status_code == 403
    assert keyless.get("/metrics", headers={"host": "[::1]:8000"}).status_code == 200


def test_without_keys_a_picture_of_a_foreign_web_page_is_refused(keyless: TestClient) -> None:
    """Browsers send no origin with it, but say that it is of another site."""
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
        assert keyless.get("/metrics", headers={"sec-fetch-site": site}).status_code == status


def test_only_allowed_origins_get_the_headers_of_cors(keyed: TestClient, keys: dict[str, str]) -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "x-api-key"}
    allowed = keyed.options("/api/v1/events", headers={"origin": "https://shop.example", **asked})
    assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
    assert (
        "access-control-allow-origin"
        not in keyed.options("/api/v1/events", headers={"origin": "https://evil.example", **asked}).headers
    )


@pytest.mark.parametrize("key", ["", "esr_", "esr_1_2", "x" * 10_000, "esr__"])
def test_a_key_that_is_none_is_refused(keyed: TestClient, key: str) -> None:
    found = keyed.get("/metrics", headers=_header(key))
    assert (found.status_code, found.headers["www-authenticate"]) == (401, "ApiKey")


def test_scopes(keyed: TestClient, keys: dict[str, str]) -> None:
    assert {scope: keyed.get("/metrics", headers=_header(key)).status_code for scope, key in keys.items()} == {
        "public": 403,
        "read": 403,
        "write": 403,
        "admin": 200,
    }
    events = {"event_type": "view", "user_id": "u", "item_id": "i"}
    assert {
        scope: keyed.post("/api/v1/events", json=events, headers=_header(keys[scope])).status_code for scope in ("public", "read")
    } == {"public": 403, "read": 403}
    assert keyed.get("/api/v1/recommend/u", headers=_header(keys["public"])).status_code == 403


def test_a_revoked_key_is_refused_at_once_and_no_keys_left_open_nothing(
    keyed: TestClient, keys: dict[str, str], settings: Settings
) -> None:
    assert keyed.get("/metrics", headers=_header(keys["admin"])).status_code == 200
    store = ApiKeys(settings)
    for key in store.all():
        store.revoke(key.key_id)
    assert keyed.get("/metrics", headers=_header(keys["admin"])).status_code == 401
    assert keyed.get("/metrics", headers={"host": "localhost"}).status_code == 401
    with pytest.raises(InputError, match="no key"):
        store.revoke("x")


def test_keys_are_kept_as_hashes_for_the_owner(settings: Settings) -> None:
    keys = ApiKeys(settings)
    key, text = keys.create("read", "web")
    secret = text.split("_", 2)[2]
    assert secret not in keys.path.read_text()
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o600
    assert ApiKeys(settings).find(text) == key
    assert ApiKeys(settings).find(text[:-1]) is None
    with pytest.raises(InputError, match="scope"):
        keys.create("root")
    keys.path.write_text("{")
    with pytest.raises(SetupError, match="can't be read"):
        ApiKeys(settings).all()


def test_a_public_key_acts_for_a_session_or_with_the_shops_word() -> None:
    caller = Caller("k", "public", "shop")
    soon = int(time.time()) + 60
    caller.check_person(None, None)
    caller.check_person("u1", user_token("shop", "u1", soon))
    for token in (
        None,
        "",
        user_token("other", "u1", soon),
        user_token("shop", "u2", soon),
        user_token("shop", "u1", int(time.time()) - 1),
        user_token("shop", "u1", soon).replace(str(soon), str(soon + 1)),
        "é.é",
        7,
    ):
        with pytest.raises(ServiceError, match="public key"):
            caller.check_person("u1", token)
    with pytest.raises(ServiceError, match="reasons"):
        caller.check_person(None, None, explain=True)
    Caller("k", "read").check_person("u1", None, explain=True)


def test_a_key_that_calls_too_often_is_told_so(keyed: TestClient, keys: dict[str, str]) -> None:
    codes = [keyed.get("/metrics", headers=_header(keys["admin"])).status_code for _ in range(51)]
    assert (set(codes[:50]), codes[50]) == ({200}, 429)
    assert keyed.get("/metrics", headers=_header(keys["read"])).status_code == 403


def test_a_large_body_is_refused_packed_or_not(keyless: TestClient) -> None:
    large = json.dumps({"event_type": "view", "user_id": "u", "item_id": "i" * 5_000}).encode()
    for body, headers in ((large, {}), (gzip.compress(large), {"content-encoding": "gzip"})):
        found = keyless.post("/api/v1/events", content=body, headers=headers)
        assert (found.status_code, found.json()["error"]["type"]) == (413, "content_too_long_exception")
    assert keyless.post("/api/v1/events", content=b"x", headers={"content-encoding": "gzip"}).status_code == 400
    lines = b'{"event_type": "view", "user_id": "u", "item_id": "i"}\n' * 9
    for cut in (gzip.compress(lines)[:-8], gzip.compress(lines) * 2):
        found = keyless.post("/api/v1/events", content=cut, headers={"content-encoding": "gzip"})
        assert (found.status_code, found.json()["error"]["type"]) == (400, "parsing_exception")
    assert keyless.post("/api/v1/events", content=b"x", headers={"content-encoding": "br"}).status_code == 415


def test_an_order_of_many_lines_counts_as_many_events() -> None:
    row = {"event_type": "purchase", "user_id": "u", "items": [{"item_id": f"i{n}"} for n in range(MOST_EVENTS + 1)]}
    with pytest.raises(ServiceError, match="the most"):
        read_posted_events([row])


def test_an_unknown_action_is_told_without_options_of_the_command_line() -> None:
    rows = [{"event_type": f"buyed{n}", "user_id": "u", "item_id": "i"} for n in range(60)]
    events, rejected = read_posted_events(rows)
    assert (
        events == [] and rejected.skipped["the action 'buyed0' is unknown; event_type is one of: " + ", ".join(EVENT_TYPES)] == 1
    )
    assert not any("--" in reason for reason in rejected.skipped)


def test_unknown_paths_are_errors_of_the_same_shape(keyless: TestClient) -> None:
    for method, path, status in (
        ("GET", "/_cat/indices", 404),
        ("DELETE", "/shop-items/_search", 405),
        ("PUT", "/products", 404),
    ):
        found = keyless.request(method, path)
        assert (found.status_code, found.json()["status"]) == (status, status)
        assert found.headers["x-elastic-product"] == "Elasticsearch"


def test_a_trace_is_taken_over(keyless: TestClient) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    found = keyless.get("/health/live", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    assert found.headers["x-request-id"] == trace
    assert len(keyless.get("/health/live", headers={"traceparent": "evil\n"}).headers["x-request-id"]) == 32


def test_elasticsearch_that_is_down_is_a_503(keyless: TestClient, capfd: pytest.CaptureFixture[str]) -> None:
    assert keyless.get("/health/live").status_code == 200
    for path in ("/health/ready", "/", "/api/v1/recommend/u/1"):
        found = keyless.get(path)
        assert (found.status_code, found.json()["error"]["type"]) == (503, "service_unavailable_exception")
        assert found.headers["x-elastic-product"] == "Elasticsearch"
        assert "127.0.0.1:9" not in found.text  # where our Elasticsearch is
        assert "127.0.0.1:9" in "".join(capfd.readouterr())


def test_another_address_needs_keys(settings: Settings) -> None:
    with pytest.raises(InputError, match="keys create"):
        bind(settings, "0.0.0.0", 0)
    with bind(settings, "127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(SetupError, match="can't be listened on"):
            bind(settings, "127.0.0.1", port)
    ApiKeys(settings).create("read")
    bind(settings, "0.0.0.0", 0).close()


def test_no_secret_or_person_is_in_logs_metrics_or_errors(
    settings: Settings, keys: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    canary = "canary@example.org"
    seen: list[Any] = []
    with TestClient(make_app(settings), base_url="https://search.example", raise_server_exceptions=False) as client:
        headers = {**_header(keys["admin"]), "authorization": f"ApiKey {canary}", "x-opaque-id": canary}
        bodies = ({"ext": {"es_recsys": {"user_id": canary}}}, {"ext": {"es_recsys": {canary: 1}}}, {canary: 1})
        seen += [client.post("/shop-items/_search", json=body, headers=headers) for body in bodies]
        seen.append(client.get(f"/api/v1/recommend/{canary}", params={"session_id": canary, canary: canary}, headers=headers))
        seen.append(client.post(f"/{canary}/_search", params={"q": canary}, headers=headers))
        seen.append(client.post("/api/v1/events", json={"event_type": canary, "user_id": canary}, headers=headers))
        seen.append(client.get("/metrics", headers=headers))
    written = "".join(capfd.readouterr())
    assert "request" in written
    for text in (written, *(answer.text for answer in seen), *(str(answer.headers) for answer in seen)):
        assert "canary" not in text.replace("'canary@example.org' says nothing", "")
        assert all(key not in text for key in keys.values())


def test_the_breaker_opens_after_failures_in_a_row_and_tries_again_later() -> None:
    now = [0.0]
    breaker = CircuitBreaker(lambda: now[0])
    for _ in range(4):
        breaker.failed()
    breaker.succeeded()
    for _ in range(5):
        assert not breaker.is_open
        breaker.failed()
    assert breaker.is_open
    now[0] = 11.0
    assert not breaker.is_open
    breaker.failed()
    assert breaker.is_open
