"""The items that a search looks for beside the words: none scores more without the words than it is told that any can."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from es_recsys import forward_index
from es_recsys.dataset import Taste
from es_recsys.forward_index import Documents, ForwardIndex, ItemBlock, ItemVectors
from es_recsys.index_metadata import IndexMetadata, IndexState, VectorMetadata
from es_recsys.search import prior
from es_recsys.search.prior import find_head
from es_recsys.search.request import Head
from es_recsys.search.retriever_weights import largest_weights, retriever_weights
from es_recsys.search.retrievers import active_retrievers
from tests.support.search_inputs import Inputs, changed, inputs

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


def head_of(case: Inputs) -> Head | None:
    queries = [(each, query) for each in active_retrievers(*case) if (query := each.build_query(*case)) is not None]
    weights = retriever_weights(*case, [retriever for retriever, _ in queries])
    return find_head(*case, [each for each in queries if each[0].name in weights], weights)


def totals(case: Inputs) -> NDArray[np.float64]:
    """What each item scores without the words, worked out by itself."""
    queries = [each for each in active_retrievers(*case) if each.build_query(*case) is not None]
    weights = largest_weights(*case, retriever_weights(*case, queries), queries)
    raw = FACTORS @ USER
    lists = [dict(VIEWED), dict(POPULAR)]
    pivot = case.policy.settings.freshness_days * 86_400.0
    scores = {
        "text_vector": TEXTS @ QUERY,
        "taste_text": TEXTS @ LONG,
        "als": raw / np.delete(raw, 7).max(),
        "covisitation": np.array([lists[0].get(item_id, 0.0) / 300.0 for item_id in IDS]),
        "popularity": np.array([lists[1].get(item_id, 0.0) / 900.0 for item_id in IDS]),
        "recency": pivot / (pivot + AGES),
    }
    found: NDArray[np.float64] = sum(
        (w * np.clip(scores[name], 0.0, 1.0) for name, w in weights.items() if name in scores), np.zeros(N)
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
def test_they_are_the_best_without_the_words(
    forward: ForwardIndex, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prior, "_KEPT", N)
    case = case_of(forward, **changes)
    head = head_of(case)
    assert head is not None and len(head.item_ids) == 200
    expected = totals(case)
    shown = np.isin(IDS, head.item_ids)
    others = ~shown & ~np.isin(IDS, ["i007", "i110"])
    assert expected[shown].min() >= head.bound - 1e-5 and head.bound == pytest.approx(expected[others].max(), abs=1e-5)
    assert not {"i007", "i110"} & set(head.item_ids)


@pytest.mark.parametrize("changes", [{}, {"vectors": {}}])
def test_what_neither_prior_nor_vectors_hold_is_bounded(
    forward: ForwardIndex, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prior, "_KEPT", 230)
    monkeypatch.setattr(forward_index, "_LEAST_HIGHEST", 230)
    case = case_of(forward.with_changes(ItemBlock.empty(METADATA.dims, METADATA.dims), ["i007"]), **changes)
    head = head_of(case)
    assert head is not None and len(head.item_ids) == 200
    expected = totals(case)
    others = ~np.isin(IDS, [*head.item_ids, "i007", "i110"])
    assert expected[others].max() - 1e-5 <= head.bound <= expected[others].max() + 0.05


def test_what_is_known_of_the_user_is_computed_once(forward: ForwardIndex) -> None:
    case = case_of(forward)
    first = head_of(case)
    (found,) = case.user.priors.values()
    assert first is not None and set(first.best) == set(found.best) == {"als"}
    assert head_of(changed(case, vectors={})) is not None and list(case.user.priors.values()) == [found]
    assert not changed(case, tastes={}).user.priors  # another state finds its own
    other = forward.with_changes(ItemBlock.empty(METADATA.dims, METADATA.dims), [first.item_ids[0]])
    again = find_other(case, other)
    assert again is not None and first.item_ids[0] not in again.item_ids and len(case.user.priors) == 2


def find_other(case: Inputs, forward: ForwardIndex) -> Head | None:
    return head_of(case._replace(policy=replace(case.policy, forward=forward)))


def test_where_the_client_does_not_know_all_there_is_none(forward: ForwardIndex) -> None:
    assert head_of(case_of(None)) is None
    assert head_of(case_of(forward, metadata=replace(METADATA, notes={"variants": 2.0}))) is None
    assert head_of(case_of(forward, tastes={"text_vector": Taste(np.ones(3, np.float32), None)})) is None
