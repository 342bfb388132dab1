"""Requests and responses of HTTP/1.1 as bytes, without the connections that they travel on."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["HttpError", "HttpResponse", "ResponseReader", "request_parts"]

_MAX_HEAD = 1 << 16
_JOINED = 1 << 16
_NOT_IN_TARGET, _NOT_IN_HEADER = re.compile(r"[^\x21-\x7e]"), re.compile(r"[\r\n\0]")
_CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]{1,15}")


class HttpError(Exception):
    """What came is no HTTP response, or was cut short."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A whole response. headers: by name in lower case. reusable: whether its connection may carry another request."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    reusable: bool


def request_parts(method: str, target: str, host: str, headers: Mapping[str, str], body: bytes | None) -> list[bytes]:
    """Return the bytes of a request, to be sent one after the other.

    Raises ValueError for a target or a header that would be read as more than one.
    """
    lines = [f"{method} {target} HTTP/1.1", f"host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
    if body is not None or method in ("POST", "PUT"):
        lines.append(f"content-length: {len(body or b'')}")
    if _NOT_IN_TARGET.search(target) or any(map(_NOT_IN_HEADER.search, lines)):
        raise ValueError("A request's target or header holds a character that it can't be sent with.")
    head = "\r\n".join((*lines, "", "")).encode("latin-1")
    if not body:
        return [head]
    # A short body goes with the head, a long one is not copied.
    return [head + body] if len(body) <= _JOINED else [head, body]


class ResponseReader:
    """Reads one response of whatever parts it comes in. Raises HttpError for what is none."""

    def __init__(self, method: str) -> None:
        self._method = method
        self._received = bytearray()
        self._position = 0  # what stands before it was read
        self._status: int | None = None
        self._headers: dict[str, str] = {}
        self._reusable = True
        self._chunks: list[bytes] | None = None
        self._length: int | None = None

    def feed(self, data: bytes | memoryview) -> HttpResponse | None:
        """Take what came; return the response where it is whole."""
        self._received += data
        while self._status is None:
            if not self._read_head():
                return None
        if self._chunks is not None:
            return self._response(b"".join(self._chunks), self._position) if self._read_chunks(self._chunks) else None
        if self._length is None or len(self._received) - self._position < self._length:
            return None
        end = self._position + self._length
        return self._response(bytes(self._received[self._position : end]), end)

    def end(self) -> HttpResponse:
        """Return the response that ends with the connection."""
        if self._status is None or self._chunks is not None or self._length is not None:
            raise HttpError("The connection was closed before the response was whole.")
        self._reusable = False
        return self._response(bytes(self._received[self._position :]), len(self._received))

    def _read_head(self) -> bool:
        """Read the status and headers where they are whole; an interim response is passed over."""
        end = self._received.find(b"\r\n\r\n", self._position)
        if end < 0:
            if len(self._received) - self._position > _MAX_HEAD:
                raise HttpError("The head of the response has no end.")
            return False
        lines = self._received[self._position : end].decode("latin-1").split("\r\n")
        self._position = end + 4
        version, _, rest = lines[0].partition(" ")
        if version not in ("HTTP/1.1", "HTTP/1.0") or not rest[:3].isdecimal():
            raise HttpError("What came is no HTTP response.")
        status = int(rest[:3])
        if status < 200:
            return True
        headers: dict[str, str] = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon:
                raise HttpError("A header of the response has no value.")
            name, value = name.lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        self._status, self._headers = status, headers
        wish = headers.get("connection", "").lower()
        self._reusable = wish != "close" if version == "HTTP/1.1" else wish == "keep-alive"
        self._find_length()
        return True

    def _find_length(self) -> None:
        if self._method == "HEAD" or self._status in (204, 304):
            self._length = 0
        elif "transfer-encoding" in self._headers:
            if self._headers["transfer-encoding"].lower() != "chunked":
                raise HttpError("The response has an encoding that was not asked for.")
            self._chunks = []
        elif "content-length" in self._headers:
            if not self._headers["content-length"].isdecimal():
                raise HttpError("The length of the response is no number.")
            self._length = int(self._headers["content-length"])

    def _read_chunks(self, chunks: list[bytes]) -> bool:
        """Read the chunks that are whole, and return whether the last one is."""
        while True:
            end = self._received.find(b"\r\n", self._position)
            if end < 0:
                return False
            size = _CHUNK_SIZE.match(self._received, self._position, end)
            if size is None:
                raise HttpError("A part of the response has no length.")
            count = int(size[0], 16)
            if count == 0:
                return self._read_trailer(end)
            if len(self._received) < end + count + 4:
                return False
            chunks.append(bytes(self._received[end + 2 : end + 2 + count]))
            self._position = end + count + 4

    def _read_trailer(self, end: int) -> bool:
        """Pass over headers after the last chunk, which nobody reads. end: of the last chunk's size."""
        stop = self._received.find(b"\r\n\r\n", end)
        if stop < 0:
            return False
        self._position = stop + 4
        return True

    def _response(self, body: bytes, end: int) -> HttpResponse:
        assert self._status is not None
        if self._headers.get("content-encoding", "").lower() == "gzip":
            try:
                body = gzip.decompress(body)
            except (OSError, EOFError) as error:
                raise HttpError("The response can't be unpacked.") from error
        # What comes after a response answers nothing that was asked.
        return HttpResponse(self._status, self._headers, body, self._reusable and len(self._received) == end)
