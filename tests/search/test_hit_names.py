"""Hits without an id get theirs by the numbers of their writes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from es_recsys.forward_index import Documents, ForwardIndex, ItemBlock
from es_recsys.index_metadata import IndexMetadata, IndexState
from es_recsys.search.hit_names import hit_fields, ids_body, item_of_write, name_hits, unknown_writes
from es_recsys.search.query_dsl import IDS_ONLY, item_id_of
from es_recsys.search.request import RankingPolicy


def policy(checkpoints: dict[int, int] | None, variants: float | None = None) -> RankingPolicy:
    """checkpoints: of the forward index, which has the items a and b of the writes 7 and 3; None for none."""
    metadata = IndexMetadata(store="shop", version=1, notes={} if variants is None else {"variants": variants})
    if checkpoints is None:
        return RankingPolicy(metadata=metadata)
    items = ItemBlock(["a", "b"], [None, None], np.full(2, np.nan), np.array([7, 3]), {}, Documents.of([b"{}", b"{}"]))
    return RankingPolicy(metadata=metadata, forward=ForwardIndex.of(items, IndexState("i", "u", checkpoints), {}))


def response(*numbers: int) -> dict[str, Any]:
    return {"hits": {"hits": [{"_seq_no": number, "_score": 1.0} for number in numbers]}}


def test_no_field_is_asked_for_where_numbers_tell_the_items() -> None:
    assert "docvalue_fields" not in hit_fields(policy({0: 9}))


@pytest.mark.parametrize(
    ("given", "fields"),
    [(policy({0: 9, 1: 9}), ["item_id"]), (policy(None), ["item_id"]), (policy({0: 9}, 2.0), ["item_id", "group_id"])],
)
def test_ids_are_asked_for_where_they_do_not(given: RankingPolicy, fields: list[str]) -> None:
    assert hit_fields(given) == {**IDS_ONLY, "docvalue_fields": fields, "seq_no_primary_term": True}


def test_hits_are_named() -> None:
    responses = [response(3, 7), response(7, 8), {"error": {"type": "some"}}]
    assert unknown_writes(policy({0: 9}), responses) == [8]
    assert ids_body([8])["query"]["constant_score"]["filter"]["terms"] == {"_seq_no": [8]}
    item_of = item_of_write({"hits": {"hits": [{"_seq_no": 8, "fields": {"item_id": ["c"]}}]}})
    name_hits(responses, item_of)
    assert [[item_id_of(hit) for hit in each.get("hits", {}).get("hits", ())] for each in responses] == [
        ["b", "a"],
        ["a", "c"],
        [],
    ]


def test_a_hit_that_was_written_again_since_is_left_out() -> None:
    responses = [response(3, 8, 7)]
    assert unknown_writes(policy({0: 9}), responses) == [8]
    name_hits(responses, {})
    assert [hit["_id"] for hit in responses[0]["hits"]["hits"]] == ["b", "a"]


def test_hits_that_have_an_id_keep_it() -> None:
    named: dict[str, Any] = {"hits": {"hits": [{"_id": "x", "_seq_no": 3}, {"fields": {"item_id": ["y"]}, "_seq_no": 7}]}}
    assert unknown_writes(policy({0: 9}), [named]) == []
    name_hits([named], {})
    assert [item_id_of(hit) for hit in named["hits"]["hits"]] == ["x", "y"]
