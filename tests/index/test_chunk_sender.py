"""The retry logic against a double that answers as it is told; the same against a real server is in tests/faults."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import elastic_transport
import numpy as np
import pytest
from elasticsearch import ApiError

from es_recsys.errors import IndexStateError, WriteError
from es_recsys.index.bulk import BulkSettings, bulk_write
from es_recsys.index.bulk_actions import Action
from es_recsys.index.chunk_sender import RetryPolicy
from es_recsys.index.dead_letters import DeadLetterFile
from es_recsys.progress import ProgressCounter

QUICK = RetryPolicy(attempts=4, initial_delay_s=0.001, max_delay_s=0.004, block_timeout_s=600.0, block_poll_s=0.005)
Answer = Callable[[list[tuple[str, str]]], list[dict[str, Any]]]


class Double:
    """Stands for the client: `answer` gets the (operation, id) pairs of a request and returns the items or raises."""

    def __init__(self, answer: Answer) -> None:
        self.requests: list[list[tuple[str, str]]] = []
        self.indices = self
        self._answer = answer
        self._lock = threading.Lock()

    def exists(self, index: str) -> bool:
        return index == "there"

    def options(self, **options: Any) -> Double:
        assert options["max_retries"] == 0
        return self

    def bulk(self, index: str, operations: list[bytes], filter_path: list[str]) -> dict[str, Any]:
        lines = [json.loads(line) for line in operations[0].splitlines()]
        pairs = [
            (name, line[name]["_id"])
            for line in lines
            for name in ("index", "create", "update", "delete")
            if isinstance(line.get(name), dict)
        ]
        with self._lock:
            self.requests.append(pairs)
        return {"items": [{pair[0]: result} for pair, result in zip(pairs, self._answer(pairs), strict=False)]}


def refusal(status: int, kind: str, reason: str = "no") -> ApiError:
    metadata = elastic_transport.ApiResponseMeta(
        status, "1.1", elastic_transport.HttpHeaders(), 0.0, elastic_transport.NodeConfig("http", "h", 1)
    )
    return ApiError(kind, metadata, {"error": {"type": kind, "reason": reason}})


def failed(status: int, kind: str = "x", reason: str = "no") -> dict[str, Any]:
    return {"status": status, "error": {"type": kind, "reason": reason}}


def run(double: Double, actions: list[Action], **more: Any) -> Any:
    settings = BulkSettings(retry=more.pop("retry", QUICK), **more.pop("chunks", {}))
    return bulk_write(double, actions, index="there", settings=settings, rng=np.random.default_rng(1), **more)  # type: ignore[arg-type]


def writes(n: int, operation: Any = "index") -> list[Action]:
    return [Action(str(i), {"n": i}, operation) for i in range(n)]


def test_only_the_refused_documents_are_sent_again() -> None:
    refused = {"1", "3"}

    def answer(pairs: list[tuple[str, str]]) -> list[dict[str, Any]]:
        results = [failed(429, "es_rejected_execution_exception") if i in refused else {"status": 201} for _, i in pairs]
        refused.clear()
        return results

    double = Double(answer)
    report = run(double, writes(5))
    assert (report.created, report.retried, report.failed) == (5, 2, 0)
    assert [[i for _, i in request] for request in double.requests] == [["0", "1", "2", "3", "4"], ["1", "3"]]


def test_a_document_that_stays_refused_becomes_a_dead_letter_with_its_reason(tmp_path: Path) -> None:
    double = Double(lambda pairs: [failed(429, "busy", "queue full") if i == "2" else {"status": 200} for _, i in pairs])
    letters = DeadLetterFile(tmp_path / "sub" / "dead.jsonl")
    report = run(double, writes(4), dead_letters=letters)
    assert (report.updated, report.failed) == (3, 1)
    assert len(double.requests) == QUICK.attempts
    [letter] = [json.loads(line) for line in letters.path.read_text().splitlines()]
    assert letter == {
        "id": "2", "operation": "index", "status": 429, "type": "busy", "reason": "queue full", "document": {"n": 2},
    }  # fmt: skip


def test_a_lost_answer_is_no_conflict() -> None:
    """The first request was carried out and its answer lost: `create` then meets its own document."""
    lost = [True]

    def answer(pairs: list[tuple[str, str]]) -> list[dict[str, Any]]:
        if lost.pop() if lost else False:
            raise elastic_transport.ConnectionError("cut")
        return [failed(409, "version_conflict_engine_exception") for _ in pairs]

    assert run(Double(answer), writes(3, "create")).created == 3
    assert run(Double(answer), writes(3, "create")).failed == 3


def test_deleting_what_is_gone_is_no_failure() -> None:
    report = run(Double(lambda pairs: [{"status": 404}, {"status": 200}]), writes(2, "delete"))
    assert (report.missing, report.deleted, report.failed) == (1, 1, 0)


@pytest.mark.parametrize("status", [400, 413])
def test_a_refused_request_is_halved_until_the_one_to_blame_is_found(status: int) -> None:
    def answer(pairs: list[tuple[str, str]]) -> list[dict[str, Any]]:
        if any(i == "5" for _, i in pairs):
            raise refusal(status, "action_request_validation_exception", "id too long")
        return [{"status": 201} for _ in pairs]

    report = run(Double(answer), writes(8))
    assert (report.created, report.failed) == (7, 1)
    assert report.failures[0].id == "5" and report.failures[0].reason == "id too long"


def test_a_block_is_named_and_waited_out(caplog: pytest.LogCaptureFixture) -> None:
    blocked = [True, True, True]

    def answer(pairs: list[tuple[str, str]]) -> list[dict[str, Any]]:
        if blocked:
            blocked.pop()
            return [failed(429, "cluster_block_exception", "disk usage exceeded flood-stage watermark") for _ in pairs]
        return [{"status": 201} for _ in pairs]

    report = run(Double(answer), writes(3))
    assert (report.created, report.failed, blocked) == (3, 0, [])
    [said] = caplog.messages
    assert "there takes no writes" in said and "flood-stage" in said


def test_a_block_that_stays_ends_with_an_error_and_loses_nothing(tmp_path: Path) -> None:
    letters = DeadLetterFile(tmp_path / "dead.jsonl")
    double = Double(lambda pairs: [failed(403, "cluster_block_exception", "index write (api)") for _ in pairs])
    with pytest.raises(WriteError, match=r"refused writes to there .*index write"):
        run(double, writes(7), dead_letters=letters, chunks={"chunk_documents": 2}, retry=replace(QUICK, block_timeout_s=0.05))
    assert {json.loads(line)["id"] for line in letters.path.read_text().splitlines()} >= {"0", "1", "2", "3"}


def test_no_answer_at_all_ends_with_an_error_after_the_attempts(tmp_path: Path) -> None:
    def answer(pairs: list[tuple[str, str]]) -> list[dict[str, Any]]:
        raise elastic_transport.ConnectionTimeout("late")

    letters = DeadLetterFile(tmp_path / "dead.jsonl")
    double = Double(answer)
    with pytest.raises(WriteError, match="did not answer 4 times"):
        run(double, writes(2), dead_letters=letters)
    assert len(double.requests) == QUICK.attempts and letters.count == 2


def test_missing_rights_end_at_once() -> None:
    def answer(pairs: list[tuple[str, str]]) -> list[dict[str, Any]]:
        raise refusal(403, "security_exception", "action is unauthorized")

    double = Double(answer)
    with pytest.raises(WriteError, match="unauthorized"):
        run(double, writes(2))
    assert len(double.requests) == 1


def test_an_index_that_is_not_there_is_not_made_by_accident() -> None:
    with pytest.raises(IndexStateError, match="elsewhere"):
        bulk_write(Double(lambda pairs: []), writes(1), index="elsewhere")  # type: ignore[arg-type]


def test_writes_to_one_id_never_overtake_one_another() -> None:
    flying: set[str] = set()
    lock = threading.Lock()
    order: list[tuple[str, str]] = []

    def answer(pairs: list[tuple[str, str]]) -> list[dict[str, Any]]:
        ids = {i for _, i in pairs}
        with lock:
            assert not ids & flying and len(ids) == len(pairs)
            flying.update(ids)
        time.sleep(0.002)
        with lock:
            flying.difference_update(ids)
            order.extend(pairs)
        return [{"status": 200} for _ in pairs]

    rng = np.random.default_rng(0)
    actions = [Action(str(rng.integers(6)), {"n": n}) for n in range(60)]
    assert run(Double(answer), actions, chunks={"chunk_documents": 3}).updated == 60


def test_chunks_keep_to_their_bounds_and_progress_counts_all() -> None:
    told: list[tuple[float, float | None]] = []
    double = Double(lambda pairs: [{"status": 201} for _ in pairs])
    actions = [Action(str(i), {"text": "x" * 100}) for i in range(50)]
    run(double, actions, chunks={"chunk_bytes": 1_000}, progress=ProgressCounter(lambda *so_far: told.append(so_far), 50))
    assert max(len(request) for request in double.requests) == 7
    assert told[-1] == (50, 50) and told == sorted(told)


def test_an_error_of_the_source_comes_through_and_what_was_sent_counts(tmp_path: Path) -> None:
    def source() -> Any:
        yield from writes(4)
        raise RuntimeError("the file ends here")

    letters = DeadLetterFile(tmp_path / "dead.jsonl")
    double = Double(lambda pairs: [{"status": 201} for _ in pairs])
    with pytest.raises(RuntimeError, match="the file ends here"):
        run(double, source(), dead_letters=letters, chunks={"chunk_documents": 3})
    sent = {i for request in double.requests for _, i in request}
    kept = {json.loads(line)["id"] for line in letters.path.read_text().splitlines()}
    assert sent | kept == {"0", "1", "2", "3"} and not sent & kept
