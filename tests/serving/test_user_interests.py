"""Where the interests of a user are looked for, and what is made of it where that fails."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from es_recsys.dataset import History, Profile
from es_recsys.errors import EngineError
from es_recsys.forward_index import Documents, ForwardIndex, ItemBlock, ItemVectors
from es_recsys.index_metadata import IndexMetadata, IndexState, VectorMetadata
from es_recsys.item_ids import ItemIds
from es_recsys.search.interests import Interests
from es_recsys.serving.operations import MultiGet
from es_recsys.serving.ranking_policy import ranking_policy
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.user_interests import liked_items, user_interests
from es_recsys.settings import SearchSettings, Settings

TEXT = {"text_vector": VectorMetadata(4, "f", "encoder", "cosine")}
IDS = [f"i{place}" for place in range(8)]
ROWS = np.repeat(np.eye(4, dtype=np.float32)[:2], 4, axis=0) + np.random.default_rng(0).normal(0, 0.05, (8, 4)).astype(np.float32)


def profile(ids: list[str] = IDS) -> Profile:
    return Profile("k", History.of(ids))


def snapshot(tmp_path: Path, vectors: dict[str, VectorMetadata], **more: Any) -> ServingSnapshot:
    return ServingSnapshot(Settings(home=tmp_path), IndexMetadata("shop", 1, vectors=vectors), b"", encoder=None, **more)  # type: ignore[arg-type]


def found_in(snapshot: ServingSnapshot, profile: Profile) -> Any:
    return user_interests(snapshot, ranking_policy(snapshot), profile)


def answered(flow: Any, result: Any = None) -> tuple[Interests | None, tuple[str, ...]]:
    """The flow's result, its one read answered with `result`, or failing with it."""
    try:
        operation = next(flow)
        assert isinstance(operation, MultiGet) and operation.fields == ("text_vector",)
        assert set(operation.ids) <= set(IDS)
        flow.throw(result) if isinstance(result, Exception) else flow.send(result)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise AssertionError("it asks twice")


def test_content_tells_them_and_items_without_it_are_left_out(tmp_path: Path) -> None:
    sources: dict[str, Any] = {name: {"text_vector": row.tolist()} for name, row in zip(IDS, ROWS, strict=True)}
    found, failed = answered(found_in(snapshot(tmp_path, TEXT), profile()), sources)
    assert failed == () and found is not None and len(found) == 2 and found.field == "text_vector"
    sources |= {"i0": {}, "i1": {"text_vector": [0.0] * 4}}
    found, _ = answered(found_in(snapshot(tmp_path, TEXT), profile()), sources)
    assert found is not None and found.shares.tolist() == pytest.approx([2 / 3, 1 / 3], abs=0.01)


def test_an_answer_does_without_where_the_read_fails(tmp_path: Path) -> None:
    found, failed = answered(found_in(snapshot(tmp_path, TEXT), profile()), EngineError("It is slow.", "Wait."))
    assert found is None and failed == ("interests",)


def test_nothing_is_read_where_there_is_too_little_or_nobody_wants_it(tmp_path: Path) -> None:
    assert answered(found_in(snapshot(tmp_path, TEXT), profile(IDS[:3]))) == (None, ())
    off = snapshot(tmp_path, TEXT)
    off = ServingSnapshot(off.settings.model_copy(update={"search": SearchSettings(interests=1)}), off.metadata, b"", None)  # type: ignore[arg-type]
    assert answered(found_in(off, profile())) == (None, ())


def test_a_store_without_content_uses_the_model_that_weighs_most(tmp_path: Path) -> None:
    wide = np.pad(ROWS, ((0, 0), (0, 60)))
    model = SimpleNamespace(name="als", field="als_vector", item_ids=ItemIds.of(IDS), item_vectors=wide)
    small = SimpleNamespace(name="a", field="a_vector", item_ids=ItemIds.of(IDS), item_vectors=ROWS)
    found, failed = answered(found_in(snapshot(tmp_path, {}, models={"a": small, "als": model}), profile([*IDS, "unknown"])))
    assert failed == () and found is not None and found.field == "als_vector" and len(found) == 2
    assert answered(found_in(snapshot(tmp_path, {}, models={"a": small}), profile())) == (None, ())
    assert answered(found_in(snapshot(tmp_path, {}), profile())) == (None, ())


def test_what_is_disliked_on_balance_is_no_interest() -> None:
    history = History(("a", "b", "a", "c"), np.array([1.0, 4.0, -3.0, 1.0], np.float32), np.arange(4.0)[::-1])
    assert liked_items(Profile("k", history)) == {"c": 1.0, "b": 2.0}


def test_vectors_of_the_forward_index_need_no_read(tmp_path: Path) -> None:
    made = np.full(len(IDS), np.nan)
    vectors = {"text_vector": ItemVectors.of(ROWS)}
    block = ItemBlock(IDS, [None] * len(IDS), made, np.arange(len(IDS)), vectors, Documents.of([b"{}"] * len(IDS)))
    forward = ForwardIndex.of(block, IndexState("shop-items-000001", "uuid", {0: 7}), {"text_vector": "f"})
    known = snapshot(tmp_path, TEXT, forward=forward)
    found, failed = answered(found_in(known, profile([*IDS, "deleted"])))
    assert failed == () and found is not None and len(found) == 2 and found.field == "text_vector"
    sources: dict[str, Any] = {name: {"text_vector": row.tolist()} for name, row in zip(IDS, ROWS, strict=True)}
    read, _ = answered(found_in(snapshot(tmp_path, TEXT), profile()), sources)
    assert read is not None
    np.testing.assert_allclose(found.vectors, read.vectors, atol=1e-3)
