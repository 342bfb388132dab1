"""The flow of an answer: its requests, another ranking policy, and what is logged."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from es_recsys.errors import EngineError, InputError
from es_recsys.events.actors import actor_of
from es_recsys.events.profile_documents import to_document
from es_recsys.events.profile_state import ProfileConfig, empty_state
from es_recsys.forward_index import Documents, ForwardIndex, ItemBlock
from es_recsys.index_metadata import IndexMetadata, IndexState
from es_recsys.query import Answer, Query
from es_recsys.serving.answering import execute
from es_recsys.serving.operations import Document, Get, GetAndSearch, LogAnswer, MultiSearch
from es_recsys.serving.ranking_policy import ranking_policy
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.settings import Settings

HITS = {"hits": {"hits": [{"_id": "a", "_score": 2.0}, {"_id": "b", "_score": 1.0}], "total": {"value": 2}}}
NOW = 1_700_000_000.0


@pytest.fixture
def snapshot(tmp_path: Path) -> ServingSnapshot:
    encoder: Any = SimpleNamespace(fields=lambda *_: ())
    return ServingSnapshot(Settings(home=tmp_path), IndexMetadata("shop", 1), b"s" * 32, encoder, popularity=[("b", 3.0)])


def driven(flow: Generator[Any, Any, Answer], response: dict[str, Any]) -> tuple[Answer, list[Any]]:
    """The answer, and its operations, every search answered with one response."""
    operations: list[Any] = []
    result: Any = None
    try:
        while True:
            operations.append(flow.send(result))
            last = operations[-1]
            result = [response for _ in last.bodies] if isinstance(last, MultiSearch) else None
    except StopIteration as done:
        return done.value, operations


def test_an_answer_takes_two_requests_and_is_logged(snapshot: ServingSnapshot) -> None:
    answer, operations = driven(execute(snapshot, Query(text="shoes"), NOW), HITS)
    first, second, log = operations
    assert isinstance(first, MultiSearch) and isinstance(second, MultiSearch) and isinstance(log, LogAnswer)
    assert first.index == snapshot.metadata.index and len(first.bodies) == 2
    assert [hit.item_id for hit in answer.hits] == ["a", "b"]
    assert (log.record["kind"], log.record["situation"], log.record["user_key"]) == ("search", "query", None)
    assert [hit["item_id"] for hit in log.record["hits"]] == ["a", "b"]


def test_another_policy_ranks_otherwise_and_changes_nothing_of_the_store(snapshot: ServingSnapshot) -> None:
    plain = ranking_policy(snapshot)
    weights = {"query": {"lexical": 0.0, "popularity": 1.0}}
    answer, (first, *_) = driven(execute(snapshot, Query(text="shoes"), NOW, replace(plain, retriever_weights=weights)), HITS)
    assert len(first.bodies) == 1
    assert answer.hits[0].item_id == "b" and set(answer.hits[0].parts) == {"popularity"}
    again, (first, *_) = driven(execute(snapshot, Query(text="shoes"), NOW), HITS)
    assert len(first.bodies) == 2 and set(again.hits[0].parts) == {"lexical"}


@pytest.mark.parametrize(("status", "error"), [(400, InputError), (503, EngineError)])
def test_where_every_search_fails_there_is_no_answer(snapshot: ServingSnapshot, status: int, error: type[Exception]) -> None:
    failed = {"error": {"type": "x", "reason": "why"}, "status": status}
    with pytest.raises(error, match="why"):
        driven(execute(snapshot, Query(text="shoes"), NOW), failed)


def test_an_item_that_is_gone_makes_room(snapshot: ServingSnapshot) -> None:
    """The forward index may hold an item that was deleted a moment ago: where documents are asked for, that shows."""
    snapshot = replace(snapshot, popularity=[("gone", 3.0), ("a", 2.0), ("b", 1.0)], forward=_forward(["a", "b", "gone"]))
    flow, result = execute(snapshot, Query(n=2, diversity=0.5), NOW), None
    with pytest.raises(StopIteration) as done:
        while True:
            operation = flow.send(result)
            result = [_found(body) for body in operation.bodies] if isinstance(operation, MultiSearch) else None
    answer = done.value.value
    assert [(hit.item_id, hit.rank) for hit in answer.hits] == [("a", 1), ("b", 2)]
    assert not answer.ranking.degraded


def _found(body: dict[str, Any]) -> dict[str, Any]:
    """The response of an index that holds "a" and "b"."""
    ids = body["query"]["constant_score"]["filter"].get("ids", {}).get("values", ["a", "b"])
    hits = [{"_id": item_id, "_score": 1.0, "_source": {"title": item_id}} for item_id in ids if item_id in ("a", "b")]
    return {"hits": {"hits": hits[: body["size"]], "total": {"value": 2}}}


def _forward(item_ids: list[str]) -> ForwardIndex:
    n = len(item_ids)
    block = ItemBlock(item_ids, [None] * n, np.full(n, np.nan), np.arange(n), {}, Documents.of([b"{}"] * n))
    return ForwardIndex.of(block, IndexState("shop-items-000001", "uuid", {0: n}), {})


@pytest.mark.parametrize("now_stored", [1, 2, None])
def test_an_answer_for_a_user_at_hand_holds_where_the_profile_is_still_the_same(
    snapshot: ServingSnapshot, now_stored: int | None
) -> None:
    key = snapshot.key_of(actor_of("u"))

    def document(seq_no: int) -> Document:
        return Document(
            {**to_document(empty_state(key, ProfileConfig.of(snapshot.settings.profiles, timed=True))), "user_key": key},
            seq_no,
            1,
        )

    stored: list[Document | None] = [document(1)]
    asked: list[str] = []

    def answer() -> Answer:
        flow, result = execute(snapshot, Query(text="shoes", user_id="u"), NOW), None
        try:
            while True:
                operation = flow.send(result)
                asked.append(type(operation).__name__ + ("" if getattr(operation, "source", True) else " of a version"))
                read = getattr(operation, "read", operation)
                search = getattr(operation, "search", operation)
                responses = [HITS for _ in search.bodies] if isinstance(search, MultiSearch) else None
                found = stored[-1] if isinstance(read, Get) else None
                result = (found, responses) if isinstance(operation, GetAndSearch) else responses or found
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]

    first = answer()
    assert asked[0] == "Get" and "GetAndSearch" not in asked
    stored.append(None if now_stored is None else document(now_stored))
    asked.clear()
    again = answer()
    assert [hit.item_id for hit in again.hits] == [hit.item_id for hit in first.hits]
    assert asked[0] == "GetAndSearch" and asked.count("LogAnswer") == 1
    assert ("Get" in asked) == (now_stored != 1)
