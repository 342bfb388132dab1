"""Bulk writes through a proxy that does what networks and overloaded servers do, to a real Elasticsearch."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from elasticsearch import Elasticsearch
from waiting import wait_until

from es_recsys.index import versions
from es_recsys.index.bulk import BulkReport, BulkSettings, bulk_write
from es_recsys.index.bulk_actions import Action
from es_recsys.index.chunk_sender import RetryPolicy
from es_recsys.index.dead_letters import DeadLetterFile
from es_recsys.index_metadata import IndexMetadata, VectorMetadata
from es_recsys.progress import ProgressCounter

pytestmark = pytest.mark.engine

QUICK = RetryPolicy(attempts=12, initial_delay_s=0.01, max_delay_s=0.1, block_poll_s=0.1, request_timeout_s=120)

Reply = tuple[int, bytes] | None
Fault = Callable[[bytes, Callable[[bytes], tuple[int, bytes]]], Reply]
"""Gets the body of a bulk and a function that forwards one; gives the reply, or None to hang up without one."""


class Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    target: str
    fault: Fault

    def _forward(self, body: bytes) -> tuple[int, bytes]:
        place = urlsplit(self.target)
        connection = http.client.HTTPConnection(place.hostname or "", place.port)
        kept = {k: v for k, v in self.headers.items() if k.lower() in {"accept", "content-type"}}
        connection.request(self.command, self.path, body, kept)
        with connection.getresponse() as answer:
            return answer.status, answer.read()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        faulty = "/_bulk" in self.path
        reply = type(self).fault(body, self._forward) if faulty else self._forward(body)
        if reply is None:
            self.close_connection = True
            self.connection.close()
            return
        status, content = reply
        self.send_response(status)
        self.send_header("content-type", "application/vnd.elasticsearch+json;compatible-with=9")
        self.send_header("x-elastic-product", "Elasticsearch")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = _answer

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def through(es_url: str, fault: Fault) -> Iterator[Elasticsearch]:
    handler = type("Faulty", (Proxy,), {"target": es_url, "fault": staticmethod(fault)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with Elasticsearch(f"http://127.0.0.1:{server.server_port}") as client:
            yield client
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def index(es: Elasticsearch, store_name: str) -> str:
    metadata = IndexMetadata(store_name, 1, vectors={"text_vector": VectorMetadata(2, "f" * 32, "tiny")})
    return versions.create(es, metadata, count=100, live=True).index


def write(client: Elasticsearch, index: str, actions: list[Action], **more: Any) -> BulkReport:
    settings = BulkSettings(chunk_documents=50, retry=more.pop("retry", QUICK))
    return bulk_write(client, actions, index=index, settings=settings, refresh=True, rng=np.random.default_rng(0), **more)


def things(n: int, operation: Any = "create") -> list[Action]:
    return [Action(f"i{i}", {"item_id": f"i{i}", "title": f"thing {i}"}, operation) for i in range(n)]


def pairs_of(body: bytes) -> list[tuple[bytes, bytes]]:
    lines = body.splitlines()
    return list(zip(lines[::2], lines[1::2], strict=True))


def test_429_on_a_third_of_the_items_and_all_land(es: Elasticsearch, es_url: str, index: str) -> None:
    lock, attempts = threading.Lock(), Counter[str]()

    def is_refused(item_id: str) -> bool:
        attempts[item_id] += 1
        return int(item_id[1:]) % 3 == 0 and attempts[item_id] <= 2

    def fault(body: bytes, forward: Callable[[bytes], tuple[int, bytes]]) -> Reply:
        pairs = pairs_of(body)
        with lock:
            busy = [is_refused(json.loads(action)["create"]["_id"]) for action, _ in pairs]
        passed = b"".join(a + b"\n" + b + b"\n" for (a, b), no in zip(pairs, busy, strict=True) if not no)
        status, content = forward(passed) if passed else (200, b'{"items":[]}')
        if status != 200:
            return status, content
        stored = iter(json.loads(content)["items"])
        full = {"create": {"status": 429, "error": {"type": "es_rejected_execution_exception", "reason": "queue full"}}}
        return 200, json.dumps({"items": [full if no else next(stored) for no in busy]}).encode()

    with through(es_url, fault) as client:
        report = write(client, index, things(500))
    assert (report.created, report.failed) == (500, 0)
    assert report.retried == 2 * 167
    assert es.count(index=index)["count"] == 500


def test_answers_cut_after_the_request_leave_neither_gap_nor_duplicate(es: Elasticsearch, es_url: str, index: str) -> None:
    turn, lock = [0], threading.Lock()

    def fault(body: bytes, forward: Callable[[bytes], tuple[int, bytes]]) -> Reply:
        reply = forward(body)
        with lock:
            turn[0] += 1
            return None if turn[0] % 2 else reply

    with through(es_url, fault) as client:
        report = write(client, index, things(300))
    assert (report.created, report.failed) == (300, 0)
    assert turn[0] > 6
    hits = es.search(index=index, size=1_000, version=True)["hits"]["hits"]
    assert sorted(hit["_id"] for hit in hits) == sorted(f"i{i}" for i in range(300))
    assert {hit["_version"] for hit in hits} == {1}


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateway_that_fails_now_and_then(es: Elasticsearch, es_url: str, index: str, status: int) -> None:
    turn, lock = [0], threading.Lock()

    def fault(body: bytes, forward: Callable[[bytes], tuple[int, bytes]]) -> Reply:
        with lock:
            turn[0] += 1
            fails = turn[0] % 2
        return (status, b"<html>bad gateway</html>") if fails else forward(body)

    with through(es_url, fault) as client:
        assert write(client, index, things(120)).created == 120
    assert es.count(index=index)["count"] == 120


def test_one_conflict_in_500_is_one_dead_letter(es: Elasticsearch, index: str, tmp_path: Path) -> None:
    actions = things(500)
    actions[321] = Action("bad", {"item_id": "bad", "price": "extra cheap"}, "create")
    letters = DeadLetterFile(tmp_path / "dead.jsonl")
    report = write(es, index, actions, dead_letters=letters)
    assert (report.created, report.failed) == (499, 1)
    assert es.count(index=index)["count"] == 499
    [letter] = [json.loads(line) for line in letters.path.read_text().splitlines()]
    assert (letter["id"], letter["status"], letter["document"]) == ("bad", 400, actions[321].document)
    assert "[price]" in letter["reason"] and "extra cheap" in letter["reason"]


@pytest.mark.parametrize("block", ["read_only_allow_delete", "write"])
def test_a_full_disk_pauses_and_goes_on_by_itself(
    es: Elasticsearch, index: str, block: str, caplog: pytest.LogCaptureFixture
) -> None:
    setting = f"index.blocks.{block}"
    es.indices.put_settings(index=index, settings={setting: True})

    def lift() -> None:
        wait_until(lambda: bool(caplog.messages))
        time.sleep(0.3)
        es.indices.put_settings(index=index, settings={setting: None})

    done: list[float] = []
    lifter = threading.Thread(target=lift)
    lifter.start()
    report = write(es, index, things(200), progress=ProgressCounter(lambda so_far, _: done.append(so_far), 200))
    lifter.join()
    assert (report.created, report.failed) == (200, 0)
    assert caplog.messages and all(index in message and "blocked by" in message for message in caplog.messages)
    assert done[-1] == 200


def test_a_document_beyond_the_servers_limits_does_not_take_others_with_it(es: Elasticsearch, index: str) -> None:
    actions = things(60)
    actions[17] = Action("x" * 600, {"title": "its id is too long"}, "create")
    report = write(es, index, actions)
    assert (report.created, report.failed) == (59, 1)
    assert "too long" in report.failures[0].reason
