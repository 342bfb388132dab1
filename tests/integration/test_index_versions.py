"""Versions, aliases and copies against a real Elasticsearch."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from elasticsearch import Elasticsearch
from waiting import wait_until

from es_recsys.errors import FingerprintMismatch, IndexStateError, InputError, StoreNotFound
from es_recsys.index import catalog, reindex, stored_metadata, versions
from es_recsys.index.bulk import bulk_write
from es_recsys.index.bulk_actions import Action
from es_recsys.index.documents import Vectors
from es_recsys.index.fetch import fetch_sources, fetch_vectors
from es_recsys.index.swap import previous_version, swap
from es_recsys.index_metadata import IndexMetadata, VectorMetadata, items_alias, profiles_alias
from es_recsys.types import Item

pytestmark = pytest.mark.engine

TEXT = {"text_vector": VectorMetadata(2, "f" * 32, "tiny")}
ALS = {"als_vector": VectorMetadata(2, "a" * 32, "als", "max_inner_product")}


def angles(items: Sequence[Item]) -> list[Vectors]:
    return [{"text_vector": np.array([np.cos(i.price), np.sin(i.price)], np.float32)} for i in items]


def factors(items: Sequence[Item]) -> list[Vectors]:
    return [{"als_vector": np.array([i.price, 1], np.float32)} for i in items]


def things(*numbers: int) -> list[Item]:
    return [Item(item_id=f"i{n}", title=f"thing {n}", price=n) for n in numbers]


def make(es: Elasticsearch, store: str, n: int = 20) -> IndexMetadata:
    catalog.load(es, store, things(*range(n)), angles, vectors=TEXT, count=n)
    return stored_metadata.read_metadata(es, store)


def rollback(es: Elasticsearch, store: str) -> int:
    target = previous_version(es, store)
    swap(es, store, target)
    return target


def successor(es: Elasticsearch, old: IndexMetadata) -> IndexMetadata:
    version = versions.next_version(es, old.store)
    new = replace(old, version=version, vectors={**TEXT, **ALS}, models=("als",), fields={})
    return versions.create(es, new, count=20)


def test_what_a_version_says_of_itself_comes_back(es: Elasticsearch, store_name: str) -> None:
    metadata = make(es, store_name)
    told = replace(
        metadata, retriever_weights={"query": {"bm25": 0.7}}, text_boosts={"title": 2.0}, notes={"trained": [1, 2]}, timed=False
    )
    stored_metadata.write_metadata(es, told)
    assert stored_metadata.read_metadata(es, store_name) == told
    assert stored_metadata.read_version(es, store_name, 1) == told
    answer = es.indices.get_mapping(index=items_alias(store_name))
    assert stored_metadata.parse_metadata(store_name, answer.body) == told


def test_a_store_that_is_not_there(es: Elasticsearch, store_name: str) -> None:
    with pytest.raises(StoreNotFound, match="items load"):
        stored_metadata.read_metadata(es, store_name)
    with pytest.raises(StoreNotFound):
        versions.drop_store(es, store_name)
    assert versions.list_versions(es, store_name) == []
    assert versions.next_version(es, store_name) == 1


def test_an_index_of_someone_else_is_not_taken_for_a_store(es: Elasticsearch, store_name: str) -> None:
    es.indices.create(index=f"{store_name}-foreign", aliases={items_alias(store_name): {}})
    with pytest.raises(IndexStateError, match="not made by es-recsys"):
        stored_metadata.read_metadata(es, store_name)


def test_swap_moves_items_and_profiles_and_rollback_brings_them_back(es: Elasticsearch, store_name: str) -> None:
    old = make(es, store_name)
    new = successor(es, old)
    assert swap(es, store_name, new.version) == 1
    for alias, index in ((items_alias(store_name), new.index), (profiles_alias(store_name), new.profiles)):
        assert list(es.indices.get_alias(name=alias)) == [index]
    assert [info.live for info in versions.list_versions(es, store_name)] == [False, True]
    assert rollback(es, store_name) == 1
    assert stored_metadata.read_metadata(es, store_name).version == 1
    with pytest.raises(IndexStateError, match="no version before 1"):
        versions.drop(es, store_name, 2)
        rollback(es, store_name)


def test_rollback_goes_to_what_was_replaced_and_not_to_what_failed(es: Elasticsearch, store_name: str) -> None:
    old = make(es, store_name)
    bad, good = successor(es, old), successor(es, old)
    swap(es, store_name, bad.version)
    rollback(es, store_name)
    swap(es, store_name, good.version)
    assert rollback(es, store_name) == old.version


def test_the_live_version_is_never_dropped(es: Elasticsearch, store_name: str) -> None:
    new = successor(es, make(es, store_name))
    with pytest.raises(IndexStateError, match="is live"):
        versions.drop(es, store_name, 1)
    versions.drop(es, store_name, new.version)
    assert not es.indices.exists(index=new.index) and not es.indices.exists(index=new.profiles)
    for version in (new.version, 77):
        with pytest.raises(IndexStateError, match="no version"):
            versions.drop(es, store_name, version)
        with pytest.raises(IndexStateError, match="no version"):
            swap(es, store_name, version)
    assert versions.drop_store(es, store_name) == [1]


def test_the_list_tells_sizes_and_contents(es: Elasticsearch, store_name: str) -> None:
    successor(es, make(es, store_name, 7))
    first, second = [info.to_dict() for info in versions.list_versions(es, store_name)]
    assert (first["version"], first["live"], first["documents"], first["vectors"]) == (1, True, 7, {"text_vector": "tiny"})
    assert (second["version"], second["live"], second["documents"], second["models"]) == (2, False, 0, ["als"])
    assert first["bytes"] > 0 and first["created"] > 1.6e9


def test_a_version_is_made_once(es: Elasticsearch, store_name: str) -> None:
    metadata = make(es, store_name)
    with pytest.raises(IndexStateError, match="exists already"):
        versions.create(es, metadata, count=1)
    assert es.indices.exists(index=metadata.index)


def test_a_version_that_cant_be_made_leaves_nothing(es: Elasticsearch, store_name: str) -> None:
    metadata = IndexMetadata(store_name, 1, vectors={"text_vector": VectorMetadata(100_000, "f", "huge")})
    with pytest.raises(IndexStateError, match="was not made"):
        versions.create(es, metadata, count=1)
    with pytest.raises(InputError, match="klingon"):
        versions.create(es, replace(metadata, vectors={}, language="klingon"), count=1)
    assert not es.indices.exists(index=metadata.profiles)


def test_of_two_swaps_at_once_one_is_refused(es: Elasticsearch, store_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    old = make(es, store_name)
    mine, other = successor(es, old), successor(es, old)
    swap(es, store_name, other.version)
    monkeypatch.setattr("es_recsys.index.swap.live_version", lambda client, store: old.version)  # as read before the other's swap
    with pytest.raises(IndexStateError, match="swap again"):
        swap(es, store_name, mine.version)
    monkeypatch.undo()
    assert versions.live_version(es, store_name) == other.version


def test_a_copy_keeps_what_is_the_same_and_fills_what_is_new(es: Elasticsearch, store_name: str) -> None:
    old = make(es, store_name)
    new = successor(es, old)
    copied = reindex.copy_items(es, old, new, factors)
    assert copied.report.created == 20
    before, after = (fetch_vectors(es, m.index, ["i3"], ["text_vector", "als_vector"])["i3"] for m in (old, new))
    assert np.allclose(after["text_vector"], before["text_vector"], atol=1e-6)
    assert after["als_vector"].tolist() == [3.0, 1.0]
    assert fetch_sources(es, new.index, ["i3"]) == fetch_sources(es, old.index, ["i3"])
    reindex.catch_up_and_swap(es, old, new, copied, factors)
    assert catalog.load(es, store_name, things(*range(20)), angles, vectors=TEXT).unchanged == 20


def test_a_model_trained_anew_takes_none_of_the_old_factors_over(es: Elasticsearch, store_name: str) -> None:
    old = make(es, store_name)
    new = successor(es, old)
    reindex.copy_items(es, old, new, factors)
    newer = replace(new, version=3, vectors={**TEXT, "als_vector": replace(ALS["als_vector"], fingerprint="b" * 32)})
    versions.create(es, newer, count=20)
    reindex.copy_items(es, new, newer, lambda items: [{} for _ in items])
    assert fetch_vectors(es, newer.index, ["i3"], ["als_vector"]) == {"i3": {}}


def test_another_encoder_is_brought_in_without_loading_again(es: Elasticsearch, store_name: str) -> None:
    old = make(es, store_name)
    vectors = {"text_vector": VectorMetadata(3, "e" * 32, "wider")}
    new = versions.create(es, replace(old, version=2, vectors=vectors, fields={}), count=20)

    def wider(items: Sequence[Item]) -> list[Vectors]:
        return [{"text_vector": np.array([1, 2, i.price], np.float32)} for i in items]

    reindex.catch_up_and_swap(es, old, new, reindex.copy_items(es, old, new, wider), wider)
    assert fetch_vectors(es, new.index, ["i5"], ["text_vector"])["i5"]["text_vector"].tolist() == [1, 2, 5]
    assert catalog.load(es, store_name, things(*range(20)), wider, vectors=vectors).unchanged == 20


def test_catching_up_carries_writes_and_deletions(es: Elasticsearch, store_name: str) -> None:
    old = make(es, store_name)
    new = successor(es, old)
    copied = reindex.copy_items(es, old, new, factors)
    changed = [Item(item_id="i4", title="changed", price=40), *things(100, 101)]
    catalog.load(es, store_name, changed, angles, vectors=TEXT)
    catalog.delete(es, store_name, ["i5", "i6"])
    again = reindex.copy_changes(es, old, new, copied, factors)
    assert (again.report.created, again.report.updated) == (2, 1)
    assert es.count(index=new.index)["count"] == 20
    stored = fetch_sources(es, new.index, ["i4", "i5", "i100"])
    assert stored.keys() == {"i4", "i100"} and stored["i4"]["title"] == "changed"
    assert fetch_vectors(es, new.index, ["i4"], ["als_vector"])["i4"]["als_vector"].tolist() == [40.0, 1.0]
    assert reindex.copy_changes(es, old, new, again, factors).report.stored == 0


def test_catching_up_works_on_several_shards(es: Elasticsearch, store_name: str) -> None:
    old = make(es, store_name)
    for name in (old.index, old.profiles):
        es.indices.delete(index=name)
    body = versions.mappings.items_body(old, 20)
    body["settings"]["number_of_shards"] = 3
    es.indices.create(index=old.index, aliases={items_alias(store_name): {}}, **body)
    catalog.load(es, store_name, things(*range(40)), angles, vectors=TEXT)
    new = successor(es, old)
    copied = reindex.copy_items(es, old, new, factors)
    assert len(copied.checkpoints) == 3 and copied.report.created == 40
    catalog.load(es, store_name, [Item(item_id=f"i{n}", title="c", price=1) for n in range(10)], angles, vectors=TEXT)
    assert reindex.copy_changes(es, old, new, copied, factors).report.updated == 10


def test_profiles_are_copied_as_they_are(es: Elasticsearch, store_name: str) -> None:
    old = make(es, store_name)
    profile = {"user_key": "u", "applied_through": 7, "state": {"v": [0.5, 0.25], "counts": {"view": 3}}}
    bulk_write(es, [Action("u", profile)], index=old.profiles)
    new = successor(es, old)
    assert reindex.copy_profiles(es, old, new).created == 1
    assert es.get(index=new.profiles, id="u")["_source"] == profile


def test_a_load_that_a_swap_overtakes_goes_on_with_the_new_version(es: Elasticsearch, store_name: str) -> None:
    old = make(es, store_name)
    new = successor(es, old)
    copied = reindex.copy_items(es, old, new, factors)
    swapped: list[int] = []

    def slow(items: Sequence[Item]) -> list[Vectors]:
        if not swapped:
            swapped.append(1)
            reindex.catch_up_and_swap(es, old, new, copied, factors)
            time.sleep(1.1)
        return angles(items)

    changed = [Item(item_id=f"i{n}", title=f"changed {n}", price=n) for n in range(600)]
    report = catalog.load(es, store_name, changed, slow, vectors=TEXT)
    assert (report.version, report.failed) == (new.version, 0)
    assert es.count(index=new.index)["count"] == 600
    stored = fetch_sources(es, new.index, ["i0", "i19", "i599"])
    assert {source["title"] for source in stored.values()} == {"changed 0", "changed 19", "changed 599"}
    # What the new version's model gave the item stays with it.
    assert fetch_vectors(es, new.index, ["i3"], ["als_vector"])["i3"]["als_vector"].tolist() == [3.0, 1.0]


def test_a_sync_that_a_swap_overtakes_removes_from_the_new_version(es: Elasticsearch, store_name: str) -> None:
    old = make(es, store_name)
    new = successor(es, old)
    copied = reindex.copy_items(es, old, new, factors)

    def during() -> Iterator[Item]:
        yield from things(*range(5))
        reindex.catch_up_and_swap(es, old, new, copied, factors)
        yield Item(item_id="i5", title="changed", price=5)

    catalog.load(es, store_name, during(), angles, vectors=TEXT, remove_others=True)
    assert fetch_sources(es, new.index, [f"i{n}" for n in range(20)]).keys() == {f"i{n}" for n in range(6)}


def test_writes_and_deletions_at_the_moment_of_a_swap_are_carried_over(
    es: Elasticsearch, store_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = make(es, store_name)
    new = successor(es, old)
    copied = reindex.copy_items(es, old, new, factors)
    real_swap = reindex.swap

    def meanwhile(client: Elasticsearch, store: str, version: int) -> int | None:
        catalog.load(es, store, [Item(item_id="i1", title="just before", price=1), *things(50)], angles, vectors=TEXT)
        catalog.delete(es, store, ["i2", "i3"])
        before = real_swap(client, store, version)
        monkeypatch.undo()
        catalog.load(es, store, [Item(item_id="i1", title="after", price=1), *things(60)], angles, vectors=TEXT)
        catalog.load(es, store, [Item(item_id="i3", title="again", price=3)], angles, vectors=TEXT)
        return before

    monkeypatch.setattr(reindex, "swap", meanwhile)
    reindex.catch_up_and_swap(es, old, new, copied, factors)
    stored = fetch_sources(es, new.index, [f"i{n}" for n in range(70)])
    assert stored.keys() == {f"i{n}" for n in (*range(20), 50, 60)} - {"i2"}
    assert (stored["i1"]["title"], stored["i3"]["title"]) == ("after", "again")


def test_a_version_is_brought_up_to_anothers_items(es: Elasticsearch, store_name: str) -> None:
    old = make(es, store_name)
    new = successor(es, old)
    reindex.catch_up_and_swap(es, old, new, reindex.copy_items(es, old, new, factors), factors)
    fresh = [Item(item_id="i4", title="changed", price=40), *things(100, 101)]
    catalog.load(es, store_name, fresh, angles, vectors=TEXT)
    catalog.delete(es, store_name, ["i5", "i6"])
    done = reindex.mirror_items(
        es, stored_metadata.read_metadata(es, store_name), stored_metadata.read_version(es, store_name, 1)
    )
    assert (done.report.created, done.report.updated) == (2, 1)
    stored = fetch_sources(es, old.index, [f"i{n}" for n in range(120)])
    assert stored == fetch_sources(es, new.index, [f"i{n}" for n in range(120)])
    assert fetch_vectors(es, old.index, ["i100"], ["text_vector"])["i100"]["text_vector"].shape == (2,)
    # And forward again: the models' vectors of what stayed are as they were.
    reindex.swap_and_copy_rest(es, new, old, done)
    catalog.load(es, store_name, [Item(item_id="i7", title="later", price=7)], angles, vectors=TEXT)
    reindex.mirror_items(es, old, stored_metadata.read_version(es, store_name, new.version))
    kept = fetch_vectors(es, new.index, ["i7", "i8", "i100"], ["als_vector"])
    assert {name: found["als_vector"].tolist() for name, found in kept.items() if found} == {"i7": [7.0, 1.0], "i8": [8.0, 1.0]}


def test_vectors_of_another_encoder_are_not_brought_in(es: Elasticsearch, store_name: str) -> None:
    old = make(es, store_name)
    other = replace(old, version=2, vectors={"text_vector": VectorMetadata(2, "e" * 32, "other")}, fields={})
    new = versions.create(es, other, count=20)
    with pytest.raises(FingerprintMismatch, match="other"):
        reindex.mirror_items(es, old, new)


def test_what_is_left_of_a_version_is_told_and_blocks_nothing(es: Elasticsearch, store_name: str) -> None:
    old = make(es, store_name)
    new = successor(es, old)
    es.indices.delete(index=new.index)
    whole = successor(es, old)
    assert whole.version == 3
    assert [(one.version, one.incomplete) for one in versions.unfinished_versions(es, store_name)] == [(2, True), (3, False)]
    assert len(versions.list_versions(es, store_name)) == 2
    swap(es, store_name, 3)
    assert [one.version for one in versions.unfinished_versions(es, store_name)] == [2]
    versions.drop_unfinished(es, store_name, 2)
    assert versions.unfinished_versions(es, store_name) == []
    with pytest.raises(IndexStateError, match="is live"):
        versions.drop_unfinished(es, store_name, 3)
    assert previous_version(es, store_name) == 1


@pytest.mark.parametrize("kept", ["profiles", "items"])
def test_a_first_version_that_was_not_finished_blocks_nothing(es: Elasticsearch, store_name: str, kept: str) -> None:
    metadata = versions.create(es, IndexMetadata(store_name, 1, vectors=TEXT), count=1)
    es.indices.delete(index=metadata.index if kept == "profiles" else metadata.profiles)
    assert make(es, store_name).version == 2
    assert list(es.indices.get_alias(name=profiles_alias(store_name))) == [f"{store_name}-profiles-000002"]


def test_readers_see_no_failure_while_versions_swap_and_drop(es: Elasticsearch, store_name: str) -> None:
    old = make(es, store_name)
    failures: list[BaseException] = []
    answers: list[int] = []
    done = threading.Event()

    def read() -> None:
        knn = {"field": "text_vector", "query_vector": [1.0, 0.0], "k": 5, "num_candidates": 20}
        while not done.is_set():
            try:
                answer = es.search(index=items_alias(store_name), query={"match_all": {}}, knn=knn, size=30)
                answers.append(answer["hits"]["total"]["value"])
                es.count(index=profiles_alias(store_name))
            except Exception as error:
                failures.append(error)
            done.wait(0.02)  # what they read beside is to have its share of the machine

    def have_read(more: int) -> None:
        enough = len(answers) + more
        assert wait_until(lambda: len(answers) >= enough or bool(failures))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(3):
            new = successor(es, old)
            have_read(3)
            reindex.catch_up_and_swap(es, old, new, reindex.copy_items(es, old, new, factors), factors)
            have_read(3)
            rollback(es, store_name)
            have_read(3)
            swap(es, store_name, new.version)
            versions.drop(es, store_name, old.version)
            old = new
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert failures == []
    assert set(answers) == {20}
