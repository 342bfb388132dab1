"""A sketch finds nearly what a scan of all vectors finds, with exact products, and says where it can't."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from es_recsys.forward_index import Documents, ForwardIndex, ItemBlock, ItemVectors
from es_recsys.index_metadata import IndexState
from es_recsys.top_k import highest
from es_recsys.vector_sketch import OVERSAMPLING, VectorSketch, best_of, multiply

N, D = 3_000, 256
STATE = IndexState("shop-items-000001", "u1", {0: 7})


def vectors_of(n: int, seed: int) -> NDArray[np.float32]:
    """Unit vectors in clusters, most of whose length lies in few directions, as those of text have it."""
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(D, D)))[0]
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(1).normal(size=(40, D))[rng.integers(40, size=n)]
    spread = (centres + 0.7 * rng.normal(size=(n, D))) / np.sqrt(1.0 + np.arange(D))
    found: NDArray[np.float32] = (spread @ turn / np.linalg.norm(spread, axis=1)[:, None]).astype(np.float32)
    return found


VECTORS = vectors_of(N, 2)
QUERIES = np.concatenate([VECTORS[::300], vectors_of(10, 3)])


def best(vectors: NDArray[np.float32], query: NDArray[np.float32], n: int) -> set[int]:
    return set(np.argsort(-(vectors @ query), kind="stable")[:n].tolist())


@pytest.mark.parametrize("at_once", [1, 20])
def test_nearly_all_are_found(at_once: int) -> None:
    sketch = VectorSketch.of(VECTORS)
    assert sketch is not None
    scores = np.concatenate([sketch.products(QUERIES[k : k + at_once]) for k in range(0, 20, at_once)])
    for own, query in zip(scores, QUERIES, strict=True):
        exact = VECTORS @ query
        some = highest(own, 50 * OVERSAMPLING)
        rows, products = best_of(some, exact[some], 50)
        assert len(rows) == 50 and len(set(rows.tolist()) & best(VECTORS, query, 50)) >= 49
        assert products.tolist() == exact[rows].tolist() == sorted(products.tolist(), reverse=True)


@pytest.mark.parametrize("queries", [QUERIES[:1], QUERIES])
def test_products_are_those_of_a_matrix(queries: NDArray[np.float32]) -> None:
    assert multiply(VECTORS, queries) == pytest.approx(queries @ VECTORS.T, abs=1e-5)


def test_where_it_would_not_pay_there_is_none() -> None:
    even = np.random.default_rng(0).normal(size=(4_000, 768)).astype(np.float32)
    assert VectorSketch.of(even) is None
    assert VectorSketch.of(VECTORS[:100]) is None
    assert VectorSketch.of(VECTORS[:, :128]) is None
    assert VectorSketch.of(np.zeros((1_000, D), np.float32)) is None


def test_lengths_count_and_what_has_no_vector_is_not_found() -> None:
    lengths = np.linspace(0.5, 2.0, N).astype(np.float32)
    lengths[::2] = 0.0
    forward = ForwardIndex.of(block(0, VECTORS * lengths[:, None]), STATE, {})
    scores = VECTORS @ QUERIES[0] * lengths
    (found,) = forward.nearest("text_vector", QUERIES[:1], 40)
    there = np.flatnonzero(lengths)
    assert len(found.keys() & {f"i{row}" for row in there[np.argsort(-scores[there])[:40]].tolist()}) >= 39
    assert found == {item_id: pytest.approx(float(scores[int(item_id[1:])]), abs=1e-5) for item_id in found}
    (everything,) = forward.nearest("text_vector", QUERIES[:1], N)
    assert {int(item_id[1:]) for item_id in everything} == set(there.tolist())


def test_who_leaves_out_a_few_more_finds_what_was_found_before(monkeypatch: pytest.MonkeyPatch) -> None:
    scans: list[str] = []
    rough = ForwardIndex.rough_scores

    def counted(forward: ForwardIndex, field: str, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        scans.append(field)
        return rough(forward, field, vectors)

    monkeypatch.setattr(ForwardIndex, "rough_scores", counted)
    forward = ForwardIndex.of(block(0, VECTORS), STATE, {})
    first = list(ForwardIndex.of(block(0, VECTORS), STATE, {}).nearest("text_vector", QUERIES[:1], 74)[0])
    assert scans.pop() == "text_vector"
    for left_out in (first[:1], first[:3], first[10:60]):
        (found,) = forward.nearest("text_vector", QUERIES[:1], 10, left_out)
        assert list(found) == [item_id for item_id in first if item_id not in left_out][:10]
    assert scans == ["text_vector"]


def block(first: int, vectors: NDArray[np.float32]) -> ItemBlock:
    n = len(vectors)
    return ItemBlock(
        [f"i{first + i}" for i in range(n)],
        [None] * n,
        np.zeros(n),
        np.arange(n),
        {"text_vector": ItemVectors.of(vectors, np.float32)},
        Documents.of([b"{}"] * n),
    )


@pytest.mark.parametrize("loaded", [False, True])
def test_a_forward_index_searches_by_sketches_its_changes_too(loaded: bool, tmp_path: Path) -> None:
    forward = ForwardIndex.of(block(0, VECTORS), STATE, {})
    assert forward.can_search("text_vector", QUERIES[0]) and not forward.scanned
    assert not forward.can_search("text_vector", QUERIES[0, 1:]) and not forward.can_search("image_vector", QUERIES[0])
    changed = forward.with_changes(block(N, vectors_of(200, 4)), [f"i{i}" for i in range(0, N, 3)])
    if loaded:
        changed.save(tmp_path / "forward")
        changed = ForwardIndex.load(tmp_path / "forward")
    there = np.concatenate([VECTORS, vectors_of(200, 4)])
    there[:N:3] = 0.0
    for query, found in zip(QUERIES, changed.nearest("text_vector", QUERIES, 60, {"i1", "i2"}), strict=True):
        expected = best(there, query, 62) - {1, 2}
        assert len({f"i{row}" for row in expected} & found.keys()) >= 58
        assert list(found.values()) == sorted(found.values(), reverse=True) and len(found) == 60
        assert found == {item_id: pytest.approx(float(there[int(item_id[1:])] @ query), abs=1e-5) for item_id in found}
