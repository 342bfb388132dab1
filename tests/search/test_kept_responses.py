"""Responses that all users share, and the stamp that they are kept under."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from es_recsys.forward_index import Documents, ForwardIndex, ItemBlock, ItemVectors
from es_recsys.index_metadata import IndexMetadata, IndexState
from es_recsys.search.kept_responses import KeptResponses, kept_key, stamp_of, without_excluded
from es_recsys.search.request import Request
from es_recsys.search.retrieval_plan import plan_retrieval
from es_recsys.search.word_matches import WordMatches
from es_recsys.settings import SearchSettings
from tests.support.search_inputs import Inputs, inputs

IDS = [f"i{row}" for row in range(9)]
METADATA = IndexMetadata(store="shop", version=1)


def forward(shards: int = 1) -> ForwardIndex:
    block = ItemBlock(IDS, [None] * 9, np.zeros(9), np.arange(9), dict[str, ItemVectors](), Documents.of([b"{}"] * 9))
    return ForwardIndex.of(block, IndexState("shop-items-000001", "u", dict.fromkeys(range(shards), 9)), {}, {})


def case(**changes: Any) -> Inputs:
    return inputs(**{"metadata": METADATA, "now": 0.0, "text": "shoes", "forward": forward(), **changes})


def key(given: Inputs) -> bytes | None:
    return kept_key(given.request, given.policy, plan_retrieval(*given))


def response(*ids: str, total: int | None = None) -> dict[str, Any]:
    hits = [{"_index": "shop", "_id": one, "_score": 1.0, "_seq_no": 7, "_primary_term": 1} for one in ids]
    return {"took": 1, "hits": {"total": {"value": len(ids) if total is None else total}, "hits": hits}}


def matches(*rows: int, complete: bool = True) -> WordMatches:
    return WordMatches(np.array(rows, np.int32), np.ones(len(rows), np.float32), complete)


def test_searches_are_told_apart_by_all_that_is_asked() -> None:
    assert key(case()) == key(case(now=9.0, n=20))
    others = [case(text="hats"), case(filters=({"term": {"brand": "x"}},)), case(settings=SearchSettings(depth=70))]
    assert len({key(case()), *map(key, others)}) == 4


def test_some_searches_are_not_kept() -> None:
    assert key(case(forward=None)) is None
    assert key(case(forward=forward(shards=2))) is None
    assert key(case(offset=200)) is None
    assert key(case(text="")) is None


def test_a_stamp_is_how_many_items_there_are_and_their_last_write() -> None:
    counted = {"hits": {"total": {"value": 9}, "hits": []}, "aggregations": {"last_write": {"value": 31.0}}}
    assert stamp_of(counted) == (9, 31.0)
    assert stamp_of({**counted, "aggregations": {"last_write": {"value": None}}}) == (9, None)
    assert stamp_of({"error": "x"}) is None
    assert stamp_of({**counted, "timed_out": True}) is None


def test_what_failed_is_not_kept() -> None:
    kept = KeptResponses()
    kept.store(b"a", (9, 31.0), [response("i1"), {"error": "x"}])
    kept.store(b"b", (9, 31.0), [{**response("i1"), "_shards": {"failed": 1}}])
    assert kept.get(b"a") is kept.get(b"b") is None
    kept.store(b"c", (9, 31.0), [response("i1", "i2")])
    stamp, (found,) = kept.get(b"c") or pytest.fail("nothing is kept")
    assert stamp == (9, 31.0) and found["hits"]["total"] == {"value": 2}
    assert found["hits"]["hits"] == [{"_id": one, "_score": 1.0, "_seq_no": 7} for one in ("i1", "i2")]


@pytest.mark.parametrize(
    ("found", "known", "total"),
    [
        (response("i1", "i2"), None, 2),  # all that matches is among the hits
        (response("i1", "i2", total=5), None, None),
        (response("i1", "i2", total=5), matches(1, 2, 3, complete=False), None),
        (response("i1", "i2", total=5), matches(1, 2, 3, 4, 6), 4),  # i4 matches, i5 doesn't
        (response("i1", "i4"), matches(1, 4), None),
    ],
)
def test_exclusions_that_no_hit_shows_change_the_total_alone(
    found: dict[str, Any], known: WordMatches | None, total: int | None
) -> None:
    request = Request(now=0.0, text="shoes", exclude=frozenset({"i4", "i5", "gone"}))
    own = without_excluded([found, response()], request, case().policy, known)
    if total is None:
        assert own is None
    else:
        assert own is not None and own[0]["hits"] == {"total": {"value": total}, "hits": found["hits"]["hits"]}
        assert own[1] == response()
