"""Nodes over sockets: connections are kept while they are good, and each failure is the error that the transport knows."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from elastic_transport import ConnectionError, ConnectionTimeout, HttpHeaders, NodeConfig, TransportApiResponse

from es_recsys.engine.http_nodes import NOT_CONNECTED, AsyncHttpNode, HttpNode

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
CLOSING = OK.replace(b"content-type", b"connection: close\r\ncontent-type")


class Server:
    """Answers each request of its connections by `answer`; None closes the connection. Counts connections, keeps requests."""

    def __init__(self) -> None:
        self.answer: Callable[[bytes], bytes | None] = lambda request: OK
        self.connections: list[socket.socket] = []
        self.requests: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listening.accept()[0]
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            while request := connection.recv(1 << 20):
                length = int(request.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
                while len(request.partition(b"\r\n\r\n")[2]) < length:
                    request += connection.recv(1 << 20)
                self.requests.append(request)
                answer = self.answer(request)
                if answer is None:
                    break
                connection.sendall(answer)
                if b"connection: close" in answer:
                    break
        except OSError:
            pass
        connection.close()

    def drop(self) -> None:
        """Close all connections, as a server does that ends."""
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def close(self) -> None:
        if self._listening.fileno() < 0:
            return
        self._listening.shutdown(socket.SHUT_RDWR)  # or it would still take one more
        self._listening.close()
        self.drop()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


class Called:
    """A node of either kind, called in the same way."""

    def __init__(self, kind: str, port: int, **options: Any) -> None:
        config = NodeConfig("http", "127.0.0.1", port, **options)
        self.node: Any = (HttpNode if kind == "threads" else AsyncHttpNode)(config)
        self.loop = asyncio.new_event_loop()

    def __call__(self, method: str = "GET", target: str = "/", body: bytes | None = None, **options: Any) -> TransportApiResponse:
        return self._result(self.node.perform_request(method, target, body=body, **options))  # type: ignore[no-any-return]

    def together(self, count: int) -> list[TransportApiResponse]:
        if isinstance(self.node, HttpNode):
            with ThreadPoolExecutor(count) as pool:
                return list(pool.map(lambda _: self(), range(count)))

        async def all_at_once() -> list[Any]:
            return await asyncio.gather(*(self.node.perform_request("GET", "/") for _ in range(count)))

        return self.loop.run_until_complete(all_at_once())

    def wait(self) -> None:
        """Let the event loop see what happened to its connections."""
        self.loop.run_until_complete(asyncio.sleep(0.02))

    def close(self) -> None:
        self._result(self.node.close())
        self.wait()
        self.loop.close()

    def _result(self, given: Any) -> Any:
        return self.loop.run_until_complete(given) if asyncio.iscoroutine(given) else given


@pytest.fixture(params=["threads", "event loop"])
def call(request: pytest.FixtureRequest, server: Server) -> Iterator[Called]:
    made = Called(request.param, server.port, connections_per_node=4, path_prefix="prefix", headers={"authorization": "ApiKey k"})
    yield made
    made.close()


def test_requests_after_each_other_share_a_connection(call: Called, server: Server) -> None:
    for _ in range(5):
        meta, body = call("POST", "/x?y=1", b'{"a": 1}', headers=HttpHeaders({"Content-Type": "application/json"}))
        assert (meta.status, meta.mimetype, body) == (200, "application/json", b"{}")
    assert len(server.connections) == 1
    head, _, sent = server.requests[-1].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /prefix/x?y=1 HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n" % server.port)
    assert b"authorization: ApiKey k" in head and b"content-type: application/json" in head and sent == b'{"a": 1}'


def test_a_long_body_arrives_whole_and_a_long_response_too(call: Called, server: Server) -> None:
    long = bytes(range(32, 127)) * 50_000
    server.answer = lambda request: b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(long), request[-len(long) :])
    assert call("POST", "/", long).body == long


def test_requests_at_once_have_connections_of_their_own_and_few_are_kept(call: Called, server: Server) -> None:
    barrier = threading.Barrier(8)

    def answer(request: bytes) -> bytes:
        barrier.wait(60)  # all are under way at once
        return OK

    server.answer = answer
    assert [one.body for one in call.together(8)] == [b"{}"] * 8
    assert len(server.connections) == 8 and len(call.node._idle) == 4


@pytest.mark.parametrize("how", ["dropped", "said so"])
def test_a_connection_that_was_closed_is_not_used_again(how: str, call: Called, server: Server) -> None:
    server.answer = lambda request: CLOSING if how == "said so" else OK
    assert call().body == b"{}"
    server.drop()
    call.wait()
    assert call().body == b"{}"
    assert len(server.connections) == 2 == len(server.requests)


def test_a_connection_with_something_nobody_asked_for_is_not_used_again(call: Called, server: Server) -> None:
    assert call().body == b"{}"
    server.connections[0].sendall(OK)
    call.wait()
    assert call().body == b"{}"
    assert len(server.connections) == 2


@pytest.mark.parametrize("answer", [None, OK[:-1], b"\x15\x03\x03\r\n\r\n"], ids=["none", "half", "TLS"])
def test_what_is_not_answered_whole_is_a_lost_connection(answer: bytes | None, call: Called, server: Server) -> None:
    answers = iter([answer])

    def answered(request: bytes) -> bytes | None:
        if answer == OK[:-1]:
            threading.Timer(0.1, server.drop).start()
        return next(answers, None)

    server.answer = answered
    with pytest.raises(ConnectionError) as raised:
        call()
    assert NOT_CONNECTED not in str(raised.value)
    assert not call.node._idle


def test_nobody_listening_is_a_request_that_was_not_sent(call: Called, server: Server) -> None:
    server.close()
    with pytest.raises(ConnectionError, match=NOT_CONNECTED):
        call()


def test_one_that_waits_too_long_has_its_connection_closed(call: Called, server: Server) -> None:
    ended = threading.Event()
    server.answer = lambda request: (ended.wait(60), OK)[1]  # type: ignore[func-returns-value]
    with pytest.raises(ConnectionTimeout):
        call(request_timeout=0.05)
    assert not call.node._idle
    ended.set()
    server.answer = lambda request: OK
    assert call(request_timeout=None).body == b"{}"


def test_a_header_that_would_be_read_as_two_is_not_sent(call: Called, server: Server) -> None:
    with pytest.raises(ValueError, match="can't be sent"):
        call(headers=HttpHeaders({"x-opaque-id": "a\r\nhost: elsewhere"}))
    assert not server.requests


async def test_who_no_longer_waits_leaves_no_connection(server: Server) -> None:
    node = AsyncHttpNode(NodeConfig("http", "127.0.0.1", server.port))
    ended = threading.Event()
    server.answer = lambda request: (ended.wait(60), OK)[1]  # type: ignore[func-returns-value]
    asked = asyncio.create_task(node.perform_request("GET", "/"))
    while not server.requests:
        await asyncio.sleep(0.005)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    ended.set()
    assert not node._idle
    assert (await node.perform_request("GET", "/")).body == b"{}"
    assert len(server.connections) == 2
    await node.close()
