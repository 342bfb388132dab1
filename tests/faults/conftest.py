"""A real HTTP proxy before a real Elasticsearch, that changes what it says."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

JSON = "application/vnd.elasticsearch+json;compatible-with=9"


@dataclass(frozen=True)
class Reply:
    """What is sent back.

    length: Content-Length, where it is to be another than that of the body. authorization: what the request came with.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": JSON, "x-elastic-product": "Elasticsearch"})
    length: int | None = None
    authorization: str | None = None


Change = Callable[[str, str, Reply], Reply | None]
"""Method, path and the true reply -> what is sent in its place; None: the connection is cut."""


@pytest.fixture
def through_proxy(es_url: str) -> Callable[[Change], AbstractContextManager[str]]:
    """through_proxy(change): address of a proxy before the session's Elasticsearch, in a `with` block."""
    return partial(_changing, es_url)


@contextmanager
def _changing(url: str, change: Change) -> Iterator[str]:
    place = urlsplit(url)

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            sent = self.rfile.read(int(self.headers.get("content-length", 0)))
            connection = http.client.HTTPConnection(place.hostname or "", place.port)
            kept = {k: v for k, v in self.headers.items() if k.lower() in {"accept", "content-type"}}
            connection.request(self.command, self.path, sent, kept)
            with connection.getresponse() as answer:
                names = ("content-type", "x-elastic-product")
                headers = {n: v for n in names if (v := answer.headers.get(n))}
                true = Reply(answer.status, answer.read(), headers, authorization=self.headers.get("authorization"))
            connection.close()
            reply = change(self.command, self.path, true)
            if reply is None:
                self.close_connection = True
                self.connection.close()
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body) if reply.length is None else reply.length))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)
            if reply.length is not None:
                self.close_connection = True

        do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = _answer

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
