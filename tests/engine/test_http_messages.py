"""Requests and responses of HTTP as bytes: whole in whatever parts they come, and an error for what is none."""

from __future__ import annotations

import gzip
import http.client
import io
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.engine.http_messages import HttpError, HttpResponse, ResponseReader, request_parts


def read(parts: Iterable[bytes], method: str = "GET") -> HttpResponse | None:
    reader = ResponseReader(method)
    for part in parts:
        if (response := reader.feed(part)) is not None:
            return response
    return None


def chunked(body: bytes, size: int, trailer: bytes = b"") -> bytes:
    cuts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(cut), cut) for cut in cuts) + b"0\r\n" + trailer + b"\r\n"


def response_of(body: bytes, kind: str) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nWarning: a\r\nwarning: b\r\n"
    if kind == "length":
        return head + b"content-length: %d\r\n\r\n%b" % (len(body), body)
    trailer = b"X-Sum: 1\r\n" if kind == "trailer" else b""
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body, 7, trailer)


@given(
    body=st.binary(max_size=60),
    kind=st.sampled_from(["length", "chunked", "trailer"]),
    interim=st.booleans(),
    cuts=st.lists(st.integers(0, 250), max_size=8),
)
def test_a_response_is_whole_at_its_last_byte_however_it_is_cut(body: bytes, kind: str, interim: bool, cuts: list[int]) -> None:
    sent = (b"HTTP/1.1 100 Continue\r\n\r\n" if interim else b"") + response_of(body, kind)
    ends = [0, *sorted(cut % len(sent) for cut in cuts), len(sent) - 1]
    assert read(sent[a:b] for a, b in pairwise(ends)) is None
    found = read([*(sent[a:b] for a, b in pairwise(ends)), sent[-1:]])
    assert found is not None and (found.status, found.body, found.reusable) == (200, body, True)
    assert found.headers["content-type"] == "application/json" and found.headers["warning"] == "a, b"


def test_the_standard_library_reads_the_same() -> None:
    class Sent(io.BytesIO):
        def makefile(self, *_: Any) -> Sent:
            return self

    for kind in ("length", "chunked", "trailer"):
        sent = response_of(b"x" * 1_000, kind)
        theirs, ours = http.client.HTTPResponse(Sent(sent), method="GET"), read([sent])  # type: ignore[arg-type]
        theirs.begin()
        assert ours is not None and (ours.status, ours.body) == (theirs.status, theirs.read())


@pytest.mark.parametrize(
    ("head", "method", "reusable"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 500", "HEAD", True),
        (b"HTTP/1.1 204 No Content", "GET", True),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nConnection: close", "GET", False),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 0", "GET", False),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\nConnection: keep-alive", "GET", True),
    ],
)
def test_a_response_without_a_body_is_whole_with_its_head(head: bytes, method: str, reusable: bool) -> None:
    found = read([head + b"\r\n\r\n"], method)
    assert found is not None and (found.body, found.reusable) == (b"", reusable)


def test_without_a_length_it_ends_with_the_connection() -> None:
    reader = ResponseReader("GET")
    assert reader.feed(b"HTTP/1.1 200 OK\r\n\r\nhal") is None and reader.feed(b"f") is None
    assert reader.end() == HttpResponse(200, {}, b"half", reusable=False)


def test_what_comes_after_it_spoils_the_connection() -> None:
    found = read([response_of(b"x", "length") + b"HTTP/1.1 200 OK"])
    assert found is not None and found.body == b"x" and not found.reusable


def test_a_packed_body_is_unpacked() -> None:
    packed = gzip.compress(b'{"a": 1}')
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n"
    found = read([head % len(packed) + packed])
    assert found is not None and found.body == b'{"a": 1}'
    with pytest.raises(HttpError, match="unpacked"):
        read([head % 9 + packed[:9]])


@pytest.mark.parametrize(
    "sent",
    [
        b"\x15\x03\x03\x00\x02\x02\x50\r\n\r\n",  # TLS
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 2\xb20 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno value\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nmany\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n",
        b"x" * 70_000,
    ],
    ids=range(10),
)
def test_what_is_no_response_is_an_error(sent: bytes) -> None:
    with pytest.raises(HttpError):
        read([sent])


@pytest.mark.parametrize("kind", ["length", "chunked", "trailer"])
def test_a_response_that_is_cut_short_is_an_error(kind: str) -> None:
    sent = response_of(b"some", kind)
    for end in range(len(sent)):
        reader = ResponseReader("GET")
        assert reader.feed(sent[:end]) is None
        with pytest.raises(HttpError, match="closed before"):
            reader.end()


def test_a_request_has_a_length_where_it_may_have_a_body() -> None:
    assert request_parts("GET", "/", "h:1", {"accept": "a"}, None) == [b"GET / HTTP/1.1\r\nhost: h:1\r\naccept: a\r\n\r\n"]
    assert request_parts("POST", "/", "h:1", {}, None) == [b"POST / HTTP/1.1\r\nhost: h:1\r\ncontent-length: 0\r\n\r\n"]
    short, long = b"{}", b"x" * 100_000
    assert request_parts("GET", "/", "h", {}, short) == [b"GET / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\n{}"]
    assert request_parts("PUT", "/", "h", {}, long)[1] is long


@pytest.mark.parametrize("target", ["/a b", "/a\r\nx: y", "/\u00e9", "/a\x7f"])
def test_a_target_that_would_be_read_otherwise_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="can't be sent"):
        request_parts("GET", target, "h", {}, None)


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\nx: y", "a\0"])
def test_a_header_that_would_be_read_as_two_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="can't be sent"):
        request_parts("GET", "/", "h", {"authorization": value}, None)
