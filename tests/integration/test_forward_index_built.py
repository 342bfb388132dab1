"""The forward index against a real Elasticsearch: built, kept in step with writes and deletions, and equal to one built anew."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from elasticsearch import Elasticsearch

from es_recsys.forward_index import ForwardIndex
from es_recsys.index import catalog, stored_metadata
from es_recsys.index.documents import Vectors
from es_recsys.index.fetch import scan
from es_recsys.index.forward_index import TooManyChanges, build_forward_index, follow_index, vector_fingerprints
from es_recsys.index.sequence_numbers import index_state
from es_recsys.index_metadata import IndexMetadata, VectorMetadata
from es_recsys.types import Item

pytestmark = pytest.mark.engine

VECTORS = {"text_vector": VectorMetadata(2, "f" * 32, "tiny"), "image_vector": VectorMetadata(3, "e" * 32, "small")}


def encode(items: Sequence[Item]) -> list[Vectors]:
    """Every third item has no picture, and one without a price no vector at all."""
    return [
        {
            "text_vector": np.array([np.cos(i.price), np.sin(i.price)], np.float32),
            "image_vector": np.array([1, 2, i.price], np.float32) if i.price % 3 else None,
        }
        if i.price is not None
        else {}
        for i in items
    ]


def thing(n: int, price: float | None = 0.0, **more: object) -> Item:
    made = datetime.fromtimestamp(1.7e9 + 0.25 * n, UTC) if n % 4 else None
    values = {"item_id": f"ü{n}", "title": f"thing {n}", "price": n if price == 0.0 else price, "created_at": made}
    return Item(**{**values, **more})


def load(es: Elasticsearch, store: str, items: Sequence[Item], *, whole: bool = False) -> IndexMetadata:
    catalog.load(es, store, items, encode, vectors=VECTORS, remove_others=whole)
    return stored_metadata.read_metadata(es, store)


def built(es: Elasticsearch, metadata: IndexMetadata, folder: Path) -> ForwardIndex:
    build_forward_index(es, metadata, folder)
    return ForwardIndex.load(folder)


def followed(es: Elasticsearch, metadata: IndexMetadata, forward: ForwardIndex, most: int = 1_000) -> ForwardIndex:
    return follow_index(es, metadata, forward, index_state(es, metadata.index), most)


def check(es: Elasticsearch, metadata: IndexMetadata, forward: ForwardIndex) -> None:
    """Compare all that the index holds with the documents."""
    documents = {hit["_id"]: hit for page in scan(es, metadata.index, vectors=True, seq_no=True) for hit in page}
    assert len(forward) == len(documents)
    rows = forward.rows(list(documents))
    assert (rows >= 0).all()
    sources = [hit["_source"] for hit in documents.values()]
    assert forward.seq_no(rows).tolist() == [hit["_seq_no"] for hit in documents.values()]
    assert forward.products(rows) == [source.get("group_id", source["item_id"]) for source in sources]
    made = [source.get("created_at") for source in sources]
    moments = [math.nan if one is None else datetime.fromisoformat(one).timestamp() for one in made]
    assert forward.created_at(rows).tolist() == pytest.approx(moments, nan_ok=True, abs=1e-6)
    for field, d in metadata.dims.items():
        vectors = np.array([source.get(field) or [0.0] * d for source in sources], np.float32)
        assert forward.vectors(field, rows) == pytest.approx(vectors, rel=1e-3, abs=1e-3)
        expected = np.where(vectors.any(axis=1), vectors.sum(axis=1), np.nan)
        assert forward.scores(field, rows, np.ones(d, np.float32)).tolist() == pytest.approx(
            expected.tolist(), rel=1e-3, abs=1e-2, nan_ok=True
        )


def test_it_holds_all_items_and_follows_what_happens_to_them(es: Elasticsearch, store_name: str, tmp_path: Path) -> None:
    metadata = load(es, store_name, [thing(n) for n in range(1_200)])
    forward = built(es, metadata, tmp_path / "000001")
    check(es, metadata, forward)
    assert forward.fingerprints == vector_fingerprints(metadata)
    assert forward.newest(2) == ["ü1199", "ü1198"]
    assert followed(es, metadata, forward).changed == 0

    # Changed, added, made variants, without vectors, deleted; then back again.
    load(es, store_name, [thing(3, 99.0), thing(5, None), thing(2_000), thing(7, group_id="g"), thing(8, group_id="g")])
    catalog.delete(es, store_name, ["ü10", "ü11", "ü7"])
    forward = followed(es, metadata, forward)
    check(es, metadata, forward)
    assert forward.changed == 4 and forward.products(forward.rows(["ü8", "ü9"])) == ["g", "ü9"]
    assert forward.rows(["ü10", "ü7"]).tolist() == [-1, -1]
    catalog.delete(es, store_name, ["ü2000"])
    load(es, store_name, [thing(10), thing(3)])
    forward = followed(es, metadata, forward)
    check(es, metadata, forward)

    # Stored with its changes it is what a new one is.
    forward.save(tmp_path / "followed")
    again = ForwardIndex.load(tmp_path / "followed")
    check(es, metadata, again)
    assert again.state == built(es, metadata, tmp_path / "000001").state and again.changed == 0


def test_more_changes_than_memory_is_for_are_refused(es: Elasticsearch, store_name: str, tmp_path: Path) -> None:
    metadata = load(es, store_name, [thing(n) for n in range(20)])
    forward = built(es, metadata, tmp_path / "000001")
    load(es, store_name, [thing(n, 50.0) for n in range(10)])
    check(es, metadata, followed(es, metadata, forward, 10))
    with pytest.raises(TooManyChanges):
        followed(es, metadata, forward, 9)
    forward = followed(es, metadata, forward, 10)
    load(es, store_name, [thing(n, 50.0) for n in range(10, 20)])
    with pytest.raises(TooManyChanges):
        followed(es, metadata, forward, 15)


def test_a_store_without_vectors_and_one_without_items(es: Elasticsearch, store_name: str, tmp_path: Path) -> None:
    catalog.load(es, store_name, [thing(n) for n in range(5)])
    metadata = stored_metadata.read_metadata(es, store_name)
    check(es, metadata, built(es, metadata, tmp_path / "000001"))
    catalog.delete(es, store_name, [f"ü{n}" for n in range(5)])
    empty = built(es, metadata, tmp_path / "000001")
    assert len(empty) == 0 and empty.rows(["ü1"]).tolist() == [-1] and empty.newest(3) == []
    catalog.load(es, store_name, [thing(1)])
    check(es, metadata, followed(es, metadata, empty))


def test_writes_while_it_is_built_are_followed(es: Elasticsearch, store_name: str, tmp_path: Path) -> None:
    metadata = load(es, store_name, [thing(n) for n in range(30)])
    forward = built(es, metadata, tmp_path / "000001")
    # One that was acknowledged and not yet refreshed is found by the next look.
    es.update(index=metadata.index, id="ü1", doc={"group_id": "late"})
    state = index_state(es, metadata.index)
    assert state != forward.state
    forward = follow_index(es, metadata, forward, state, 10)
    assert forward.products(forward.rows(["ü1"])) == ["late"] and forward.state == state
