from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from waiting import wait_until

from es_recsys import engine
from es_recsys.errors import EngineError
from es_recsys.settings import Settings

SECRET = "do-not-show-me"


def _info(number: str) -> tuple[int, Any]:
    return 200, {"name": "n", "cluster_name": "c", "version": {"number": number}, "tagline": "You Know, for Search"}


@contextmanager
def _server(status: int, body: Any, *, product: bool = True, delay_s: float = 0.0) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A server that gives one answer to all; its address, and the headers of each request."""
    seen: list[dict[str, str]] = []
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append({name.lower(): value for name, value in self.headers.items()})
            ended.wait(delay_s)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            if product:
                self.send_header("X-Elastic-Product", "Elasticsearch")
            content = json.dumps(body).encode()
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with suppress(BrokenPipeError):  # a client that no longer waits
                self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port where nothing listens; it is held, so that no other process can take it."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        yield int(one.getsockname()[1])


def _check(**settings: Any) -> str:
    with engine.connect(Settings(**settings)) as client:
        return engine.check_server(client)


def _fails(**settings: Any) -> EngineError:
    with pytest.raises(EngineError) as raised:
        _check(**settings)
    error = raised.value
    assert error.remedy, "every error names a way out"
    assert SECRET not in str(error)
    return error


@pytest.mark.parametrize("number", ["9.2.0", "9.10.1", "10.0.0", "9.3.0-SNAPSHOT"])
def test_a_server_that_is_new_enough_tells_its_version(number: str) -> None:
    with _server(*_info(number)) as (url, _):
        assert _check(url=url) == number


@pytest.mark.parametrize("number", ["9.1.9", "8.19.0", "7.10.2"])
def test_one_that_is_too_old_is_refused_with_both_versions(number: str) -> None:
    with _server(*_info(number)) as (url, _):
        error = _fails(url=url)
    assert number in error.what and "9.2" in error.what and url in error.what


def test_one_without_a_version_is_refused() -> None:
    with _server(200, {"tagline": "?"}) as (url, _):
        assert "does not report its version" in _fails(url=url).what


async def test_the_asynchronous_client_says_the_same(closed_port: int) -> None:
    with _server(*_info("9.1.0")) as (url, _):
        async with engine.connect_async(Settings(url=url)) as client:
            with pytest.raises(EngineError, match=r"9\.1\.0"):
                await engine.check_server_async(client)
    async with engine.connect_async(Settings(url=f"http://127.0.0.1:{closed_port}")) as client:
        with pytest.raises(EngineError, match="can't be reached"):
            await engine.check_server_async(client)


def test_a_refused_connection_names_the_address_and_no_password(closed_port: int) -> None:
    error = _fails(url=f"http://someone:{SECRET}@127.0.0.1:{closed_port}")
    assert f"http://127.0.0.1:{closed_port}" in error.what and "can't be reached" in error.what
    assert "--url" in error.remedy


@pytest.mark.parametrize(
    ("status", "product", "told"),
    [
        (401, True, "credentials"),
        (403, True, "may not do this"),
        (500, True, "answered 500"),
        (200, False, "is not Elasticsearch"),
    ],
)
def test_each_refusal_is_told_apart(status: int, product: bool, told: str) -> None:
    body = {"error": {"type": "x", "reason": f"bad key {SECRET}"}, "status": status}
    with _server(status, body, product=product) as (url, seen):
        assert told in _fails(url=url, api_key=SECRET).what
    assert len(seen) == 1, "none of these is tried again"


def test_an_overloaded_server_is_asked_three_times() -> None:
    with _server(503, {"error": "busy", "status": 503}) as (url, seen):
        assert "503" in _fails(url=url).what
    assert len(seen) == 3


def test_one_that_does_not_answer_is_not_waited_for() -> None:
    with _server(*_info("9.2.0"), delay_s=600) as (url, seen):
        error = _fails(url=url, search={"timeout_s": 0.5})
        assert wait_until(lambda: bool(seen))  # a slow server may read the request after it was given up
    assert "in time" in error.what and "TIMEOUT_S" in error.remedy
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("settings", "header"),
    [
        ({"api_key": "a2V5"}, "ApiKey a2V5"),
        ({"username": "u", "password": "p"}, "Basic dTpw"),
        ({"password": "p"}, "Basic ZWxhc3RpYzpw"),
        ({"api_key": "a2V5", "username": "u", "password": "p"}, "ApiKey a2V5"),
        ({}, None),
    ],
)
def test_credentials_are_sent(settings: dict[str, Any], header: str | None) -> None:
    with _server(*_info("9.2.0")) as (url, seen):
        _check(url=url, **settings)
    assert seen[0].get("authorization") == header


@pytest.mark.parametrize(
    "url", ["localhost:9200", "http://localhost", "search", f"https://u:{SECRET}@h:99999", "ftp://h:21", "http://:9200"]
)
@pytest.mark.parametrize("make", [engine.connect, engine.connect_async])
def test_a_url_that_is_none_is_refused_without_being_shown(url: str, make: Callable[[Settings], Any]) -> None:
    with pytest.raises(EngineError, match="scheme, host or port") as raised:
        make(Settings(url=url))
    assert SECRET not in str(raised.value)


def test_without_a_url_there_is_nothing_to_connect_to() -> None:
    with pytest.raises(EngineError, match="No Elasticsearch is named"):
        engine.connect(Settings())


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"url": "http://h:9200", "ca_fingerprint": "a" * 64}, "does not begin with https"),
        ({"url": "https://h:9200", "ca_fingerprint": "zz"}, "SHA-256"),
        ({"url": "https://h:9200", "ca_certs": "absent.pem"}, "absent.pem"),
        ({"url": "https://h:9200", "ca_certs": __file__}, Path(__file__).name),
    ],
)
@pytest.mark.parametrize("make", [engine.connect, engine.connect_async])
def test_what_cannot_verify_a_certificate_is_refused(
    settings: dict[str, Any], told: str, make: Callable[[Settings], Any]
) -> None:
    with pytest.raises(EngineError) as raised:
        make(Settings(**settings))
    assert told in raised.value.what and raised.value.remedy


def test_plain_http_on_a_tls_address_is_told() -> None:
    with _server(*_info("9.2.0")) as (url, _):
        error = _fails(url=url.replace("http:", "https:"))
    assert "certificate" in error.what or "can't be reached" in error.what
