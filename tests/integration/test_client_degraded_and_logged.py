"""A part of an answer that fails is named and the rest answers; every answer is logged, without a user id. On a real engine."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from sample_answers import QUERY, files_of, ids_of, view

from es_recsys import Answer, Client, Query
from es_recsys.errors import EncodingError
from es_recsys.serving.drivers import Driver
from es_recsys.serving.operations import MultiSearch, Operation

pytestmark = pytest.mark.engine


class FailingSearches:
    """A driver's steps in which the searches on one vector field bring a vector of another length."""

    def __init__(self, driver: Driver, field: str) -> None:
        self.steps_of_really = driver.steps_of
        self.field = field
        self.failed = 0

    def __call__(self, operation: Operation) -> Any:
        if isinstance(operation, MultiSearch):
            operation = MultiSearch(operation.index, tuple(map(self._spoilt, operation.bodies)))
        return self.steps_of_really(operation)

    def _spoilt(self, part: Any) -> Any:
        if isinstance(part, list):
            return [self._spoilt(each) for each in part]
        if not isinstance(part, Mapping):
            return part
        if part.get("field") == self.field and "query_vector" in part:
            self.failed += 1
            return {**part, "query_vector": [1.0, 2.0]}
        return {name: self._spoilt(each) for name, each in part.items()}


def test_a_retriever_that_fails_is_named_and_the_rest_answers(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshots = client.workspace.snapshots
    without_forward_index = replace(snapshots.current(), forward=None)
    for name in ("current", "known"):
        monkeypatch.setattr(snapshots, name, lambda: without_forward_index)
    whole = client.search(QUERY)
    failing = FailingSearches(client.workspace.driver, "text_vector")
    monkeypatch.setattr(client.workspace.driver, "steps_of", failing)
    answer = client.search(QUERY)
    assert failing.failed
    assert answer.ranking.degraded == ("text_vector",)
    assert answer.to_dict()["degraded"] == ["text_vector"]
    assert len(answer.hits) == 10
    assert all("text_vector" not in hit.parts for hit in answer.hits)
    assert all(sum(hit.parts.values()) == pytest.approx(hit.score, abs=1e-9) for hit in answer.hits)
    monkeypatch.setattr(client.workspace.driver, "steps_of", failing.steps_of_really)
    assert ids_of(client.search(QUERY)) == ids_of(whole)


def test_an_encoder_that_fails_is_named(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise EncodingError("It can't be encoded.", "Try later.")

    encoder = type(client.workspace.snapshots.current().encoder)
    monkeypatch.setattr(encoder, "vector", fail)
    monkeypatch.setattr(encoder, "known_vector", lambda *_: None)
    answer = client.search(QUERY)
    assert answer.ranking.degraded == ("text_vector",)
    assert answer.hits


def test_one_record_an_answer_and_no_user_id_anywhere(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    canary = "canary-4711-user"
    caplog.set_level(logging.DEBUG)
    before = {record["answer_id"] for record in client.workspace.log.read()}
    client.put_events(view(canary, "p0001"))
    answers = [
        client.search(QUERY, user_id=canary),
        client.recommend(canary, n=3),
        client.similar_items("p0001", user_id=canary),
        client.rank(canary, ["p0001", "p0002"]),
        *(found for found in client.execute_many([Query(user_id=canary)] * 2) if isinstance(found, Answer)),
    ]
    records = [record for record in client.workspace.log.read() if record["answer_id"] not in before]
    assert [record["answer_id"] for record in records] == [answer.answer_id for answer in answers]
    assert [record["kind"] for record in records] == ["search", "recommend", "similar", "rank", "recommend", "recommend"]
    for record, answer in zip(records, answers, strict=True):
        assert record["hits"] == [
            {
                "item_id": h.item_id,
                "position": h.rank,
                "score": h.score,
                "parts": dict(h.parts),
                "propensity": 1.0,
                "inclusion_probability": 1.0,
            }
            for h in answer.hits
        ]
        assert record["store"] == client.settings.index
    assert len({record["user_key"] for record in records}) == 1
    assert canary not in caplog.text
    assert canary.encode() not in files_of(client.settings.home)
    client.workspace.es.indices.refresh(index=f"{client.settings.index}*")
    for index in client.workspace.es.indices.get(index=f"{client.settings.index}*"):
        for hit in client.workspace.es.search(index=index, size=500)["hits"]["hits"]:
            assert canary not in str(hit)
    client.delete_user(canary)
