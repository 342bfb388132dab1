"""One search for words and vectors: what its scores say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.index_metadata import IndexMetadata
from es_recsys.search.joined_search import parse_joined, rest_scores
from es_recsys.search.lexical import BOOSTS
from es_recsys.search.request import RankingPolicy, Request

POLICY = RankingPolicy(metadata=IndexMetadata(store="shop", version=1))


def mark(request: Request) -> float:
    """A power of two above what the words can score."""
    constant = BOOSTS["title.whole"] + BOOSTS["title.itself"] + BOOSTS["names.itself"]
    most = 64.0 * (len(request.text.split()) + 1) * (sum(BOOSTS.values()) - constant) + constant
    return float(2.0 ** np.ceil(np.log2(most)))


def response(scores: list[float], total: int | None = None) -> dict[str, Any]:
    hits = [
        {"_score": float(np.float32(score)), "_seq_no": row, "fields": {"item_id": [f"i{row}"]}}
        for row, score in sorted(enumerate(scores), key=lambda each: -each[1])
    ]
    return {"hits": {"hits": hits, "total": {"value": len(scores) if total is None else total}}}


@given(
    st.lists(st.tuples(st.one_of(st.just(0.0), st.floats(0.01, 300.0)), st.integers(0, 3)), max_size=30),
    st.sampled_from(["shoe", "red shoe", "a much longer query of eight words altogether"]),
)
def test_a_score_tells_words_and_vectors_apart(hits: list[tuple[float, int]], text: str) -> None:
    request = Request(now=0.0, text=text)
    found = parse_joined(response([words + mark(request) * found_by for words, found_by in hits]), 2, request, POLICY)
    precision = mark(request) * 2.0**-21
    for row, (words, found_by) in enumerate(hits):
        item_id = f"i{row}"
        assert found.words.get(item_id, 0.0) == pytest.approx(words, abs=precision)
        assert (item_id in found.unmatched) == (item_id not in found.words)
        assert [item_id in nearest for nearest in found.nearest] == [bool(found_by & 1), bool(found_by & 2)]
        assert found.seq_no[item_id] == row
    assert list(found.words.values()) == sorted(found.words.values(), reverse=True)
    assert found.matches == len(found.words)


@given(st.floats(0.01, 300.0), st.integers(0, 3))
def test_words_score_the_same_whatever_found_the_item(words: float, found_by: int) -> None:
    request = Request(now=0.0, text="red shoe")
    alone, joined = (parse_joined(response([score]), 2, request, POLICY) for score in (words, words + found_by * mark(request)))
    step = mark(request) * 2.0**-22
    assert abs(alone.words["i0"] - joined.words["i0"]) <= step
    assert rest_scores(response([words]), 2, request, POLICY) == dict(alone.words)


def test_items_beyond_those_listed_are_counted() -> None:
    request = Request(now=0.0, text="red shoe")
    found = parse_joined(response([mark(request), mark(request) + 3.0, 2.0], total=500), 1, request, POLICY)
    assert found.matches == 499
