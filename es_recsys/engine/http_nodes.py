"""Nodes of the Elasticsearch client that speak HTTP over sockets themselves: a request costs a fraction of the processor's time.

The client's own nodes stand on urllib3 and aiohttp, which do much that no request of ours needs. TLS is left to them.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from elastic_transport import (
    ApiResponseMeta,
    BaseAsyncNode,
    BaseNode,
    ConnectionError,
    ConnectionTimeout,
    HttpHeaders,
    NodeConfig,
    TransportApiResponse,
    TransportError,
)
from elastic_transport.client_utils import DEFAULT, DefaultType

from es_recsys.engine.http_messages import HttpError, HttpResponse, ResponseReader, request_parts

__all__ = ["NOT_CONNECTED", "AsyncHttpNode", "HttpNode"]

NOT_CONNECTED = "No connection could be made"
"""What the error says of a request that was not sent."""

_READ_BYTES = 1 << 17


class _NotConnected(OSError):
    """No connection could be made."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(f"{NOT_CONNECTED}: {cause}")


class _Exchange:
    """One request and its response, as both nodes tell the transport of them."""

    def __init__(
        self,
        node: BaseNode,
        method: str,
        target: str,
        body: bytes | None,
        headers: HttpHeaders | None,
        request_timeout: float | DefaultType | None,
    ) -> None:
        self._node, self._body = node, body
        self.method, self._target = method, node.path_prefix + target
        self.headers = node.headers.copy()
        self.headers.update(headers or {})
        self.timeout_s = node.config.request_timeout if request_timeout is DEFAULT else request_timeout
        host = f"[{node.host}]" if ":" in node.host else node.host
        self.parts = request_parts(method, self._target, f"{host}:{node.port}", dict(self.headers.items()), body)
        self._started = time.perf_counter()

    def answered(self, response: HttpResponse) -> TransportApiResponse:
        """Return the response as the transport reads it."""
        duration = time.perf_counter() - self._started
        meta = ApiResponseMeta(response.status, "1.1", HttpHeaders(response.headers), duration, self._node.config)
        self._log(meta=meta, response=response.body)
        return TransportApiResponse(meta, response.body)

    def failed(self, error: Exception) -> TransportError:
        """Return the error as the transport reads it."""
        translated: TransportError
        if isinstance(error, TimeoutError):
            translated = ConnectionTimeout("Connection timed out during request", errors=(error,))
        else:
            translated = ConnectionError(str(error) or type(error).__name__, errors=(error,))
        self._log(exception=translated)
        return translated

    def _log(self, **outcome: Any) -> None:
        self._node._log_request(self.method, self._target, self.headers, self._body, **outcome)


class HttpNode(BaseNode):
    """A node that is called from threads. It keeps connections that are idle, `connections_per_node` at most."""

    _CLIENT_META_HTTP_CLIENT = ("so", "1")

    def __init__(self, config: NodeConfig) -> None:
        super().__init__(config)
        self._idle: deque[socket.socket] = deque()  # its append and pop are atomic

    def perform_request(  # type: ignore[override]
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: HttpHeaders | None = None,
        request_timeout: float | DefaultType | None = DEFAULT,
    ) -> TransportApiResponse:
        exchange = _Exchange(self, method, target, body, headers, request_timeout)
        try:
            return exchange.answered(self._send(exchange))
        except (OSError, HttpError) as error:
            raise exchange.failed(error) from error

    def _send(self, exchange: _Exchange) -> HttpResponse:
        connection = self._connection(exchange.timeout_s)
        try:
            for part in exchange.parts:
                connection.sendall(part)
            response = _read(connection, ResponseReader(exchange.method))
        except BaseException:
            connection.close()
            raise
        if response.reusable and len(self._idle) < self.config.connections_per_node:
            self._idle.append(connection)
        else:
            connection.close()
        return response

    def _connection(self, timeout_s: float | None) -> socket.socket:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread took it
                break
            if _is_open(connection):
                connection.settimeout(timeout_s)
                return connection
            connection.close()
        try:
            connection = socket.create_connection((self.host, self.port), timeout_s)
        except TimeoutError:
            raise
        except OSError as error:
            raise _NotConnected(error) from error
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


def _read(connection: socket.socket, reader: ResponseReader) -> HttpResponse:
    while data := connection.recv(_READ_BYTES):
        if (response := reader.feed(data)) is not None:
            return response
    return reader.end()


def _is_open(connection: socket.socket) -> bool:
    """Return whether an idle connection is neither closed at the other end nor holds what nobody asked for."""
    connection.settimeout(0)
    try:
        connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


class AsyncHttpNode(BaseAsyncNode):
    """`HttpNode` for an event loop."""

    _CLIENT_META_HTTP_CLIENT = ("as", "1")

    def __init__(self, config: NodeConfig) -> None:
        super().__init__(config)
        self._idle: list[_Connection] = []

    async def perform_request(  # type: ignore[override]
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: HttpHeaders | None = None,
        request_timeout: float | DefaultType | None = DEFAULT,
    ) -> TransportApiResponse:
        exchange = _Exchange(self, method, target, body, headers, request_timeout)
        try:
            async with asyncio.timeout(exchange.timeout_s):
                return exchange.answered(await self._send(exchange))
        except (OSError, HttpError) as error:
            raise exchange.failed(error) from error

    async def _send(self, exchange: _Exchange) -> HttpResponse:
        connection = await self._connection()
        try:
            response = await connection.exchange(exchange.method, exchange.parts)
        except BaseException:
            connection.close()
            raise
        if response.reusable and len(self._idle) < self.config.connections_per_node:
            self._idle.append(connection)
        else:
            connection.close()
        return response

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        try:
            return (await asyncio.get_running_loop().create_connection(_Connection, self.host, self.port))[1]
        except OSError as error:
            raise _NotConnected(error) from error

    async def close(self) -> None:  # type: ignore[override]
        while self._idle:
            self._idle.pop().close()


class _Connection(asyncio.BufferedProtocol):
    """A connection that carries one request at a time."""

    def __init__(self) -> None:
        self.is_open = False
        self._buffer = bytearray(_READ_BYTES)
        self._transport: asyncio.Transport
        self._reader: ResponseReader | None = None
        self._response: asyncio.Future[HttpResponse]

    async def exchange(self, method: str, parts: Sequence[bytes]) -> HttpResponse:
        """Send a request and return its response. Raises OSError, HttpError."""
        self._reader, self._response = ResponseReader(method), asyncio.get_running_loop().create_future()
        for part in parts:
            self._transport.write(part)
        return await self._response

    def close(self) -> None:
        self.is_open = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self.is_open = transport, True

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._reader is None:  # nobody asked
            self.close()
            return
        try:
            response = self._reader.feed(memoryview(self._buffer)[:nbytes])
        except HttpError as error:
            self._fail(error)
        else:
            if response is not None:
                self._succeed(response)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if self._reader is None:
            return
        try:
            response = self._reader.end()
        except HttpError as error:
            self._fail(exc or error)
        else:
            self._succeed(response)

    def _succeed(self, response: HttpResponse) -> None:
        self._reader = None
        if not self._response.done():  # who asked may have gone
            self._response.set_result(response)

    def _fail(self, error: Exception) -> None:
        self._reader = None
        if not self._response.done():
            self._response.set_exception(error)
