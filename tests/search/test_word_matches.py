"""The best of what matches the words, found without a request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from es_recsys.dataset import Taste
from es_recsys.forward_index import Documents, ForwardIndex, ItemBlock, ItemVectors
from es_recsys.index_metadata import IndexMetadata, IndexState, VectorMetadata
from es_recsys.search.past_searches import PastSearches
from es_recsys.search.query_dsl import Body, Clause
from es_recsys.search.retrieval_plan import matches_of_plan, plan_retrieval
from es_recsys.search.retriever_weights import damped_weights, retriever_weights
from es_recsys.search.retrievers import Retriever, active_retrievers
from es_recsys.search.word_matches import BestMatches, WordMatches, best_matches, parse_matches
from tests.support.search_inputs import Inputs, inputs

N, NOW = 900, 1_790_000_000.0
IDS = [f"i{row:03d}" for row in range(N)]
METADATA = IndexMetadata(
    store="shop",
    version=1,
    vectors={
        "text_vector": VectorMetadata(8, "f", "m"),
        "als_vector": VectorMetadata(6, "f", "als", "max_inner_product"),
    },
    fields={"created_at": "date"},
)


def unit(rng: np.random.Generator, n: int, d: int) -> NDArray[np.float32]:
    rows = rng.normal(size=(n, d)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


RNG = np.random.default_rng(5)
TEXTS, FACTORS = unit(RNG, N, 8), RNG.normal(size=(N, 6)).astype(np.float32)
AGES = RNG.uniform(0.0, 90 * 86_400.0, N)
QUERY, LONG, USER = unit(RNG, 2, 8)[0], unit(RNG, 1, 8)[0], RNG.normal(size=6).astype(np.float32)
VIEWED = [(f"i{row:03d}", float(300 - row)) for row in range(0, 300, 2)]
POPULAR = [(f"i{row:03d}", 1_000.0 - row) for row in range(100, 400)]


@pytest.fixture(scope="module")
def forward() -> ForwardIndex:
    vectors = {"text_vector": ItemVectors.of(TEXTS, np.float32), "als_vector": ItemVectors.of(FACTORS, np.float32)}
    block = ItemBlock(IDS, [None] * N, NOW - AGES, np.arange(N), vectors, Documents.of([b"{}"] * N))
    state = IndexState("shop-items-000001", "u", {0: N})
    return ForwardIndex.of(block, state, {}, vectors).with_changes(ItemBlock.empty(METADATA.dims, vectors), ["i007"])


def case_of(forward: ForwardIndex | None, **changes: Any) -> Inputs:
    given: dict[str, Any] = {
        "metadata": METADATA,
        "now": NOW,
        "text": "rain",
        "vectors": {"text_vector": QUERY},
        "tastes": {"text_vector": Taste(LONG, None)},
        "factors": {"als": USER},
        "neighbours": {"covisitation": VIEWED},
        "popularity": POPULAR,
        "strength": 10.0,
        "exclude": frozenset({"i110"}),
        "forward": forward,
    }
    return inputs(**{**given, **changes})


def queries_of(case: Inputs) -> list[tuple[Retriever, Clause]]:
    return [(each, query) for each in active_retrievers(*case) if (query := each.build_query(*case)) is not None]


def weights_of(case: Inputs) -> dict[str, float]:
    retrievers = [retriever for retriever, _ in queries_of(case)]
    return damped_weights(*case, retriever_weights(*case, retrievers), retrievers, [9.0, 8.5, 8.0])


def best_of(case: Inputs, matches: WordMatches, n: int) -> BestMatches:
    return best_matches(*case, queries_of(case), weights_of(case), matches, 9.0, n)


def totals(case: Inputs, words: NDArray[np.float64], among: NDArray[np.bool_]) -> NDArray[np.float64]:
    """What each item scores, worked out by itself. words (N,): BM25. among (N,): whose best product counts."""
    raw = FACTORS @ USER
    lists = [dict(VIEWED), dict(POPULAR)]
    pivot = case.policy.settings.freshness_days * 86_400.0
    scores = {
        "lexical": words / 9.0,
        "text_vector": TEXTS @ QUERY,
        "taste_text": TEXTS @ LONG,
        "als": raw / raw[among].max(),
        "covisitation": np.array([lists[0].get(item_id, 0.0) / 300.0 for item_id in IDS]),
        "popularity": np.array([lists[1].get(item_id, 0.0) / 900.0 for item_id in IDS]),
        "recency": pivot / (pivot + AGES),
    }
    lowest = {"als": -1.0}
    found: NDArray[np.float64] = sum(
        (w * np.clip(scores[name], lowest.get(name, 0.0), 1.0) for name, w in weights_of(case).items() if name in scores),
        np.zeros(N),
    )
    return found


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"personalization": 0.3},
        {"vectors": {}},
        {"tastes": {}, "factors": {}},
        {"retriever_weights": {"query": {"recency": 0.2}}},
        {"retriever_weights": {"query_kind": {"als": 2.0, "text_vector": 0.9}, "query_vague": {"als": 1.0, "covisitation": 3.0}}},
    ],
)
def test_the_best_matches_are_found(forward: ForwardIndex, changes: dict[str, Any]) -> None:
    case = case_of(forward, **changes)
    words = np.where(np.arange(N) % 3 == 1, RNG.uniform(1.0, 9.0, N), 0.0)
    among = (words > 0.0) & ~np.isin(IDS, ["i007", "i110"])
    rows = np.flatnonzero(words > 0.0)
    rows = rows[IDS.index("i007") != rows]  # it was deleted
    found = best_of(case, WordMatches(rows.astype(np.int32), words[rows].astype(np.float32), complete=True), 20)
    expected = np.where(among, totals(case, words, among), -np.inf)
    assert set(found.words) == {IDS[row] for row in np.argsort(-expected)[:20]}
    assert found.words == {item_id: pytest.approx(words[IDS.index(item_id)]) for item_id in found.words}
    if "als" in weights_of(case):
        assert found.best == {"als": pytest.approx((FACTORS @ USER)[among].max(), rel=1e-3)}


def test_fewer_than_are_wanted_are_all(forward: ForwardIndex) -> None:
    found = best_of(
        case_of(forward), WordMatches(np.array([3, 110, 5], np.int32), np.array([4.0, 8.0, 2.0], np.float32), complete=True), 20
    )
    assert found.words == {"i003": 4.0, "i005": 2.0}


def test_what_is_demoted_comes_after_all_others(forward: ForwardIndex) -> None:
    matches = WordMatches(np.array([3, 5, 9], np.int32), np.array([9.0, 2.0, 1.0], np.float32), complete=True)
    assert set(best_of(case_of(forward, demote=frozenset({"i003"})), matches, 2).words) == {"i005", "i009"}


def test_lists_are_looked_up_once(forward: ForwardIndex) -> None:
    case = case_of(forward)
    matches = WordMatches(np.arange(50, dtype=np.int32), np.ones(50, np.float32), complete=True)
    first = best_of(case, matches, 5)
    listed = dict(case.user.listed)
    assert set(listed) == {"covisitation", "popularity"}
    assert best_of(case, matches, 5) == first and all(case.user.listed[name] is listed[name] for name in listed)
    other = forward.with_changes(ItemBlock.empty(METADATA.dims, METADATA.dims), ["i400"])
    best_of(case._replace(policy=replace(case.policy, forward=other)), matches, 5)
    assert not any(case.user.listed[name] is listed[name] for name in listed)


def test_where_the_client_does_not_know_all_none_are_asked_for(forward: ForwardIndex) -> None:
    def body(case: Inputs) -> Body | None:
        return matches_of_plan(case.request, case.policy, plan_retrieval(*case))

    asked = body(case_of(forward))
    assert asked is not None and "must_not" not in asked["query"]["bool"]
    assert body(case_of(None)) is None
    assert body(case_of(forward, metadata=replace(METADATA, notes={"variants": 2.0}))) is None
    assert body(case_of(forward, tastes={"text_vector": Taste(np.ones(3, np.float32), None)})) is None


def response_of(hits: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"hits": {"hits": hits}, **more}


def test_matches_are_read_by_writes_and_by_ids(forward: ForwardIndex) -> None:
    case = case_of(forward)
    by_write = [{"_seq_no": 4, "_score": 3.0}, {"_seq_no": 5_000, "_score": 2.5}, {"_seq_no": 7, "_score": 2.0}]
    by_id = [{"fields": {"item_id": ["i004"]}, "_score": 3.0}, {"fields": {"item_id": ["new"]}, "_score": 2.5}]
    for hits in (by_write, by_id):
        found = parse_matches(response_of(hits), 1, case.request, case.policy)
        assert found is not None and found.complete
        assert found.rows.tolist() == [4] and found.scores.tolist() == [pytest.approx(3.0, rel=1e-4)]


def test_matches_that_are_too_many_or_that_failed_are_not_all(forward: ForwardIndex) -> None:
    case = case_of(forward)
    body = matches_of_plan(case.request, case.policy, plan_retrieval(*case))
    assert body is not None
    many = parse_matches(response_of([{"_seq_no": 4, "_score": 3.0}] * body["size"]), 1, case.request, case.policy)
    assert many is not None and not many.complete
    assert parse_matches({"error": {"type": "x"}, "status": 500}, 1, case.request, case.policy) is None
    partial = response_of([], timed_out=True)
    assert parse_matches(partial, 1, case.request, case.policy) is None


def test_they_hold_until_an_item_is_written_or_words_weigh_differently(forward: ForwardIndex) -> None:
    past, (request, _, policy) = PastSearches(), case_of(forward)
    matches = WordMatches(np.array([3], np.int32), np.ones(1, np.float32), complete=True)
    assert past.matches(request, policy) is None
    past.store_matches(request, policy, matches)
    assert past.matches(replace(request, text="Rain", now=9.0, n=50, exclude=frozenset({"i1"})), policy) is matches
    assert past.matches(replace(request, filters=({"term": {"brand": "x"}},)), policy) is None
    assert past.matches(request, replace(policy, metadata=replace(METADATA, text_boosts={"title": 2.0}))) is None
    assert past.matches(request, replace(policy, forward=None)) is None
    unwritten = forward.at(IndexState("shop-items-000001", "u", {0: N + 1}))
    assert past.matches(request, replace(policy, forward=unwritten)) is matches
    written = forward.with_changes(ItemBlock.empty(METADATA.dims, METADATA.dims), ["i008"])
    assert past.matches(request, replace(policy, forward=written)) is None
