"""Load, sync and delete against a real Elasticsearch."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elasticsearch import BadRequestError, Elasticsearch

from es_recsys.errors import FingerprintMismatch, InputError, StoreNotFound
from es_recsys.index import catalog, mapping_updates, mappings, stored_metadata, versions
from es_recsys.index.bulk import bulk_write
from es_recsys.index.bulk_actions import Action
from es_recsys.index.dead_letters import DeadLetterFile
from es_recsys.index.documents import Vectors, from_document
from es_recsys.index.fetch import fetch_sources, fetch_vectors
from es_recsys.index.items_report import ItemsReport
from es_recsys.index_metadata import VectorMetadata
from es_recsys.types import Item

pytestmark = pytest.mark.engine

TEXT = {"text_vector": VectorMetadata(4, "f" * 32, "tiny")}


@dataclass
class Encoder:
    """Gives each title a direction of its own and counts what it was asked."""

    fields: tuple[str, ...] = ("text_vector",)
    asked: list[str] = field(default_factory=list)

    def __call__(self, items: Sequence[Item]) -> list[Vectors]:
        self.asked += [i.item_id for i in items]
        return [{name: self.vector(i) if i.title else None for name in self.fields} for i in items]

    @staticmethod
    def vector(of: Item) -> np.ndarray[Any, np.dtype[np.float32]]:
        return np.random.default_rng(len(of.title) + ord(of.title[-1])).normal(size=4).astype(np.float32)


def things(n: int, start: int = 0) -> list[Item]:
    return [
        Item(item_id=f"i{i}", title=f"thing {i}", price=i, tags=("a",), attributes={"year": 1900 + i}) for i in range(start, n)
    ]


def load(es: Elasticsearch, store: str, items: Sequence[Item], encode: Encoder, **more: Any) -> ItemsReport:
    return catalog.load(es, store, items, encode, vectors=TEXT, count=len(items), **more)


def counts(report: ItemsReport) -> tuple[int, int, int, int, int]:
    return report.added, report.changed, report.unchanged, report.removed, report.failed


def test_a_first_load_makes_the_store_and_a_second_costs_nothing(es: Elasticsearch, store_name: str) -> None:
    encode, items = Encoder(), things(600)
    assert counts(load(es, store_name, items, encode)) == (600, 0, 0, 0, 0)
    metadata = stored_metadata.read_metadata(es, store_name)
    assert (metadata.version, metadata.vectors, metadata.fields["attributes.year"]) == (1, TEXT, "double")
    assert es.count(index=metadata.index)["count"] == 600
    encode.asked.clear()
    assert counts(load(es, store_name, items, encode)) == (0, 0, 600, 0, 0)
    assert encode.asked == []


def test_items_come_back_as_they_were(es: Elasticsearch, store_name: str) -> None:
    whole = Item(
        item_id="a/b\n\u202e%20", group_id="a/b",
        title="Zwölf", description="d", categories=("x", "y"), tags=("t",), brand="b", price=1.5,
        currency="EUR", image="p/q.png", audio="s.wav", created_at=datetime(2020, 1, 2, 3, 4, 5, 678, UTC), available=False,
        attributes={"when": datetime(1999, 5, 6, tzinfo=UTC), "n": 3, "f": 2.5, "l": ("p", "q"), "ok": True, "a.b": "dots"},
    )  # fmt: skip
    load(es, store_name, [whole], Encoder())
    source = fetch_sources(es, stored_metadata.read_metadata(es, store_name).index, [whole.item_id])[whole.item_id]
    assert from_document(source) == whole
    assert stored_metadata.read_metadata(es, store_name).fields["attributes.when"] == "date"


def test_a_store_of_an_earlier_release_learns_new_fields(
    es: Elasticsearch, store_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = {name: mappings.load(name) for name in ("items", "profiles")}
    del bodies["items"]["mappings"]["properties"]["group_id"]
    with monkeypatch.context() as earlier:
        earlier.setattr(mappings, "load", lambda name: copy.deepcopy(bodies[name]))
        load(es, store_name, things(2), Encoder())
        assert "group_id" not in stored_metadata.read_metadata(es, store_name).fields
    assert counts(load(es, store_name, [Item(item_id="i9", title="thing 9", group_id="g")], Encoder())) == (1, 0, 0, 0, 0)
    assert stored_metadata.read_metadata(es, store_name).fields["group_id"] == "keyword"


def test_only_what_changed_is_encoded_and_models_vectors_stay(es: Elasticsearch, store_name: str) -> None:
    encode, items = Encoder(), things(50)
    load(es, store_name, items, encode)
    metadata = mapping_updates.add_vectors(
        es, stored_metadata.read_metadata(es, store_name), {"als_vector": VectorMetadata(2, "a" * 32, "als")}, 50
    )
    bulk_write(
        es, [Action("i7", {"als_vector": [1.0, 2.0]}, "update")], index=metadata.index, dims={"als_vector": 2}, refresh=True
    )
    encode.asked.clear()
    items[7] = items[7].model_copy(update={"title": "another"})
    assert counts(load(es, store_name, items, encode)) == (0, 1, 49, 0, 0)
    assert encode.asked == ["i7"]
    stored = fetch_vectors(es, metadata.index, ["i7", "nobody"], ["als_vector", "text_vector"])
    assert stored["i7"]["als_vector"].tolist() == [1.0, 2.0]
    assert np.allclose(stored["i7"]["text_vector"], Encoder.vector(items[7]), atol=1e-6)
    assert "nobody" not in stored


def test_a_content_that_goes_takes_its_vector_along(es: Elasticsearch, store_name: str) -> None:
    load(es, store_name, things(1), Encoder())
    load(es, store_name, [Item(item_id="i0", description="no title")], Encoder())
    assert fetch_vectors(es, stored_metadata.read_metadata(es, store_name).index, ["i0"], ["text_vector"]) == {"i0": {}}


def test_of_two_items_with_one_id_the_last_stays_also_on_the_next_run(es: Elasticsearch, store_name: str) -> None:
    items = [Item(item_id="x", title="first"), *things(700), Item(item_id="x", title="last")]
    for _ in range(3):
        load(es, store_name, items, Encoder())
        assert fetch_sources(es, stored_metadata.read_metadata(es, store_name).index, ["x"])["x"]["title"] == "last"


def test_sync_adds_changes_and_removes(es: Elasticsearch, store_name: str) -> None:
    load(es, store_name, things(300), Encoder())
    items = [*things(200, 50), Item(item_id="new", title="new"), Item(item_id="i60", title="changed")]
    report = catalog.load(es, store_name, items, Encoder(), vectors=TEXT, remove_others=True)
    assert (report.added, report.removed, report.failed) == (1, 150, 0)
    index = stored_metadata.read_metadata(es, store_name).index
    assert es.count(index=index)["count"] == 151
    assert set(fetch_sources(es, index, ["i0", "i60", "i199", "i200", "i299", "new"], ["title"])) == {
        "i60",
        "i199",
        "new",
    }


def test_sync_with_nothing_removes_nothing(es: Elasticsearch, store_name: str) -> None:
    load(es, store_name, things(3), Encoder())
    with pytest.raises(InputError, match="everything would be removed"):
        catalog.load(es, store_name, [], Encoder(), vectors=TEXT, remove_others=True)
    assert es.count(index=stored_metadata.read_metadata(es, store_name).index)["count"] == 3


def test_delete(es: Elasticsearch, store_name: str) -> None:
    with pytest.raises(StoreNotFound, match="items load"):
        catalog.delete(es, store_name, ["i0"])
    load(es, store_name, things(5), Encoder())
    assert counts(catalog.delete(es, store_name, ["i0", "i1", "nobody"])) == (0, 0, 1, 2, 0)
    assert es.count(index=stored_metadata.read_metadata(es, store_name).index)["count"] == 3


def test_another_encoder_is_refused_with_the_way_out(es: Elasticsearch, store_name: str) -> None:
    load(es, store_name, things(3), Encoder())
    other = {"text_vector": replace(TEXT["text_vector"], fingerprint="e" * 32, model="other")}
    with pytest.raises(FingerprintMismatch, match=r"made by tiny .*other .*index drop"):
        catalog.load(es, store_name, things(3), Encoder(), vectors=other)
    with pytest.raises(FingerprintMismatch, match="Set the encoder for text to tiny"):
        catalog.load(es, store_name, things(3))


def test_a_new_encoder_reaches_the_items_that_were_there(es: Elasticsearch, store_name: str) -> None:
    load(es, store_name, things(20), Encoder())
    both = {**TEXT, "image_vector": VectorMetadata(4, "1" * 32, "pictures")}
    encode = Encoder(("text_vector", "image_vector"))
    assert counts(catalog.load(es, store_name, things(20), encode, vectors=both)) == (0, 20, 0, 0, 0)
    assert set(fetch_vectors(es, stored_metadata.read_metadata(es, store_name).index, ["i3"], list(both))["i3"]) == set(both)


def test_bad_items_become_dead_letters_and_the_rest_loads(es: Elasticsearch, store_name: str, tmp_path: Path) -> None:
    class Broken(Encoder):
        def __call__(self, items: Sequence[Item]) -> list[Vectors]:
            bad = np.array([1, np.nan, 0, 0], np.float32)
            return [{"text_vector": bad if i.item_id == "i4" else self.vector(i)} for i in items]

    items = things(10)
    items[2] = Item(item_id="i2", title="odd", attributes={"year": "long ago"})  # taken, as the text that it is
    items[3] = Item(item_id="i3", title="odd", attributes={"weight": float("nan")})
    letters = DeadLetterFile(tmp_path / "dead.jsonl")
    assert counts(load(es, store_name, items, Broken(), dead_letters=letters)) == (8, 0, 0, 0, 2)
    reasons = {row["id"]: row["reason"] for row in map(json.loads, letters.path.read_text().splitlines())}
    assert set(reasons) == {"i3", "i4"} and "attributes.weight" in reasons["i3"] and "text_vector" in reasons["i4"]


def test_too_many_attributes_are_refused_with_the_way_out(es: Elasticsearch, store_name: str) -> None:
    wide = [Item(item_id=f"w{i}", title="t", attributes={f"a{i}_{j}": j for j in range(400)}) for i in range(4)]
    report = load(es, store_name, wide, Encoder())
    assert report.added >= 2 and report.failed >= 1
    assert "put rare ones into one attribute" in report.failures[0].reason


def test_an_interrupted_load_goes_on_where_it_was(es: Elasticsearch, store_name: str) -> None:
    def broken(items: list[Item]) -> Iterator[Item]:
        yield from items[:1_500]
        raise KeyboardInterrupt

    items = things(2_000)
    with pytest.raises(KeyboardInterrupt):
        catalog.load(es, store_name, broken(items), Encoder(), vectors=TEXT)
    encode = Encoder()
    report = load(es, store_name, items, encode)
    assert report.unchanged >= 500 and report.added + report.unchanged + report.changed == 2_000
    assert len(encode.asked) == 2_000 - report.unchanged
    assert es.count(index=stored_metadata.read_metadata(es, store_name).index)["count"] == 2_000
    interval = es.indices.get_settings(index=f"{store_name}-items", flat_settings=True)
    assert "index.refresh_interval" not in next(iter(interval.values()))["settings"]


def test_a_store_that_grew_gets_a_graph(es: Elasticsearch, store_name: str) -> None:
    load(es, store_name, things(3), Encoder())
    index = stored_metadata.read_metadata(es, store_name).index
    mapping_updates.switch_to_hnsw(es, stored_metadata.read_metadata(es, store_name), 3)
    assert es.indices.get_mapping(index=index)[index]["mappings"]["properties"]["text_vector"]["index_options"]["type"] == "flat"
    mapping_updates.switch_to_hnsw(es, stored_metadata.read_metadata(es, store_name), 50_000)
    options = es.indices.get_mapping(index=index)[index]["mappings"]["properties"]["text_vector"]["index_options"]
    assert options["type"] == "int8_hnsw"
    knn = {"field": "text_vector", "query_vector": [1, 0, 0, 0], "k": 3, "num_candidates": 10}
    assert len(es.search(index=index, knn=knn)["hits"]["hits"]) == 3
    assert versions.list_versions(es, store_name)[0].documents == 3


def test_words_of_all_fields_and_years_are_found(es: Elasticsearch, store_name: str) -> None:
    items = [
        Item(item_id="film", title="Alien", description="in space", categories=("Horror",), tags=("ship",), brand="Fox",
             attributes={"actors": ("Sigourney Weaver", "John Hurt"), "year": 1979}),
        Item(item_id="other", title="Brazil"),
    ]  # fmt: skip
    load(es, store_name, items, Encoder())
    for words in ("alien", "spaces", "horror", "ships", "fox", "weaver", "1979"):
        hits = es.search(index=f"{store_name}-items", query={"match": {"all_text": words}})["hits"]["hits"]
        assert [hit["_id"] for hit in hits] == ["film"], words
    phrase = {"match_phrase": {"all_text": "Weaver John"}}
    assert not es.search(index=f"{store_name}-items", query=phrase)["hits"]["hits"]


def test_chinese_words_are_found(es: Elasticsearch, store_name: str) -> None:
    catalog.load(es, store_name, [Item(item_id="1", title="红色跑步鞋"), Item(item_id="2", title="蓝色外套")], language="chinese")
    hits = es.search(index=f"{store_name}-items", query={"match": {"title": "跑步"}})["hits"]["hits"]
    assert [hit["_id"] for hit in hits] == ["1"]


def test_german_words_are_found_in_other_forms(es: Elasticsearch, store_name: str) -> None:
    try:
        es.indices.analyze(analyzer="german", text="Häuser")
    except BadRequestError:
        pytest.skip("this server has no German analyzer")
    catalog.load(es, store_name, [Item(item_id="1", title="Kleine Häuser"), Item(item_id="2", title="Boote")], language="de")
    hits = es.search(index=f"{store_name}-items", query={"match": {"title": "Haus"}})["hits"]["hits"]
    assert [hit["_id"] for hit in hits] == ["1"]


def test_items_that_change_their_product_are_counted(es: Elasticsearch, store_name: str) -> None:
    items = things(4)
    assert load(es, store_name, items, Encoder()).regrouped == 0
    moved = [items[0].model_copy(update={"group_id": "g"}), items[1].model_copy(update={"group_id": "g", "price": 5.0})]
    assert load(es, store_name, [*moved, items[2].model_copy(update={"price": 9.0}), *things(6, 5)], Encoder()).regrouped == 2
    assert load(es, store_name, [moved[0].model_copy(update={"price": 7.0}), moved[1]], Encoder()).regrouped == 0
    assert load(es, store_name, [items[0]], Encoder()).regrouped == 1
