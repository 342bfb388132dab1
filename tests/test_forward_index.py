"""The forward index: what goes in comes out, whatever the ids, and changes give what building anew gives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from es_recsys.errors import ModelError
from es_recsys.forward_index import Documents, ForwardIndex, ItemBlock, ItemVectors, concatenate, concatenate_on_disk
from es_recsys.forward_index.item_table import ItemTable
from es_recsys.index_metadata import IndexState

STATE = IndexState("shop-items-000001", "u1", {0: 7})
PRINTS = {"text_vector": "t" * 32, "als_vector": "a" * 32}
DIMS = {"text_vector": 3, "als_vector": 2}

# Of an item: created_at, group_id, seq_no, and whether it has vectors.
Row = tuple[float | None, str | None, int, bool]
Items = Mapping[str, Row]

item_ids = st.one_of(st.text(max_size=6), st.sampled_from(["a", "á", "á", "🛍️", "商品", "a\x00", ""]))
rows = st.tuples(
    st.one_of(st.none(), st.integers(0, 5).map(float)),
    st.one_of(st.none(), st.sampled_from("gh")),
    st.integers(0, 99),
    st.booleans(),
)
catalogues = st.dictionaries(item_ids, rows, max_size=12)


def vector_of(item_id: str, row: Row, d: int) -> list[float]:
    return [float(1 + (len(item_id) + row[2] + i) % 7) for i in range(d)] if row[3] else [0.0] * d


def document_of(item_id: str, row: Row) -> dict[str, object]:
    return {"title": item_id * row[2], "available": row[3]} if row[2] % 3 else {}


def block(items: Items) -> ItemBlock:
    vectors = {
        field: ItemVectors.of(np.array([vector_of(*one, d) for one in items.items()], np.float32).reshape(-1, d))
        for field, d in DIMS.items()
    }
    return ItemBlock(
        list(items),
        [row[1] for row in items.values()],
        np.array([math.nan if row[0] is None else row[0] for row in items.values()], np.float64),
        np.array([row[2] for row in items.values()], np.int64),
        vectors,
        Documents.of([orjson.dumps(document_of(*one)) for one in items.items()]),
    )


def index_of(items: Items) -> ForwardIndex:
    return ForwardIndex.of(block(items), STATE, PRINTS)


def newest(items: Items, n: int, now: float | None = None) -> list[str]:
    dated = {item_id: row[0] for item_id, row in items.items() if row[0] is not None}
    return sorted(dated, key=lambda one: (-dated[one] if now is None else abs(dated[one] - now), one))[:n]


def check(forward: ForwardIndex, items: Items, others: Sequence[str] = ("?",)) -> None:
    """Compare everything that the index says of the items with what they are."""
    assert len(forward) == len(items)
    asked = [*items, *(other for other in others if other not in items)]
    found = forward.rows(asked)
    here = found[: len(items)]
    assert (here >= 0).all() and len(set(here.tolist())) == len(items) and (found[len(items) :] == -1).all()
    assert forward.item_ids(here) == list(items)
    assert forward.documents(here) == [document_of(*one) for one in items.items()]
    assert forward.products(here) == [item_id if row[1] is None else row[1] for item_id, row in items.items()]
    dates = [math.nan if row[0] is None else row[0] for row in items.values()] + [math.nan] * (len(asked) - len(items))
    assert forward.created_at(found).tolist() == pytest.approx(dates, nan_ok=True)
    assert forward.seq_no(found).tolist() == [row[2] for row in items.values()] + [-1] * (len(asked) - len(items))
    for field, d in DIMS.items():
        vectors = np.zeros((len(asked), d), np.float32)
        vectors[: len(items)] = np.array([vector_of(*one, d) for one in items.items()], np.float32).reshape(-1, d)
        assert forward.vectors(field, found) == pytest.approx(vectors, rel=1e-3)
        products = np.where(vectors.any(axis=1), vectors.sum(axis=1), np.nan)
        ones = np.ones(d, np.float32)
        assert forward.scores(field, found, ones).tolist() == pytest.approx(products.tolist(), rel=1e-3, nan_ok=True)
        both = forward.scores(field, found, np.stack([ones, -ones]))
        assert both.shape == (len(asked), 2)
        assert both[:, 1].tolist() == pytest.approx((-products).tolist(), rel=1e-3, nan_ok=True)
        of_all = forward.all_scores(field, np.stack([ones, -ones]))
        assert of_all.shape == (2, forward.end)
        expected = np.full(of_all.shape, -np.inf)
        expected[:, here] = np.where(np.isnan(both[: len(items)]), -np.inf, both[: len(items)]).T
        assert of_all == pytest.approx(expected, rel=1e-6)
    for n in (0, 1, 3, 100):
        assert forward.newest(n) == newest(items, n)
        assert forward.newest(n, 2.0) == newest(items, n, 2.0)
    assert forward.missing_from([list(items)]) == []
    assert sorted(forward.missing_from([["?"]])) == sorted(items.keys() - {"?"})


@given(catalogues, st.lists(item_ids, max_size=5))
def test_what_goes_in_comes_out(items: Items, others: list[str]) -> None:
    check(index_of(items), items, others)


@given(catalogues, st.lists(st.tuples(catalogues, st.lists(item_ids, max_size=4)), max_size=4), st.data())
def test_changes_give_what_building_anew_gives(
    items: dict[str, Row], changes: list[tuple[Items, list[str]]], data: st.DataObject
) -> None:
    forward, now = index_of(items), dict(items)
    for written, lost in changes:
        known = data.draw(st.lists(st.sampled_from(sorted(now)), max_size=3)) if now else []
        deleted = [item_id for item_id in (*lost, *known) if item_id not in written]
        before, old = forward, dict(now)
        forward = forward.with_changes(block(written), deleted)
        now = {item_id: row for item_id, row in {**now, **written}.items() if item_id not in deleted}
        check(before, old)
    check(forward, now)


@settings(max_examples=15)
@given(catalogues, catalogues)
def test_it_comes_back_from_its_folder_with_its_changes(
    tmp_path_factory: pytest.TempPathFactory, items: Items, written: Items
) -> None:
    folder = tmp_path_factory.mktemp("forward") / "000001"
    deleted = [item_id for item_id in list(items)[:2] if item_id not in written]
    later = IndexState(STATE.index, STATE.uuid, {0: 9})
    forward = index_of(items).with_changes(block(written), deleted, later)
    forward.save(folder)
    loaded = ForwardIndex.load(folder)
    check(loaded, {item_id: row for item_id, row in {**items, **written}.items() if item_id not in deleted})
    assert (loaded.state, loaded.fingerprints, loaded.changed, loaded.dims) == (later, PRINTS, 0, DIMS)
    assert [path.name for path in folder.parent.iterdir()] == ["000001"]


def test_a_damaged_one_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "000001"
    with pytest.raises(ModelError):
        ForwardIndex.load(folder)
    index_of({"a": (None, None, 0, True)}).save(folder)
    (folder / "created_at.npy").unlink()
    with pytest.raises(ModelError, match=r"created_at\.npy"):
        ForwardIndex.load(folder)


def test_blocks_joined_on_disk_are_those_joined_in_memory(tmp_path: Path) -> None:
    parts = [{f"i{n}": (float(n), None, n, n % 3 > 0) for n in range(start, start + 5)} for start in (0, 5, 10)]
    blocks = [block(part) for part in parts]
    whole = {item_id: row for part in parts for item_id, row in part.items()}
    check(ForwardIndex.of(concatenate(blocks), STATE, PRINTS), whole)
    check(ForwardIndex.of(concatenate_on_disk(blocks, DIMS, tmp_path), STATE, PRINTS), whole)
    again = ForwardIndex.of(concatenate(blocks), STATE, PRINTS)
    assert [len(one) for one in again.blocks(4)] == [4, 4, 4, 3]


@pytest.mark.parametrize("length", [1e-12, 1.0, 1e12])
def test_rounding_alters_a_cosine_by_little_however_long_the_vectors(length: float) -> None:
    rng = np.random.default_rng(0)
    exact = rng.normal(size=(300, 384))
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    rounded = ItemBlock(
        [str(i) for i in range(300)],
        [None] * 300,
        np.zeros(300),
        np.zeros(300, np.int64),
        {"text_vector": ItemVectors.of((exact * length).astype(np.float32))},
        Documents.of([b"{}"] * 300),
    )
    forward = ForwardIndex.of(rounded, STATE, {})
    found = forward.scores("text_vector", np.arange(300), exact[0].astype(np.float32)) / length
    errors = np.abs(found - exact @ exact[0])
    assert errors.mean() < 2e-5 and errors.max() < 5e-4


@given(st.dictionaries(item_ids, st.just((None, None, 0, False)), min_size=1, max_size=12), st.data())
def test_a_write_tells_its_item_also_before_a_newer_one(items: Items, data: st.DataObject) -> None:
    # In an index with one shard each write has a number of its own.
    numbered = {item_id: (*row[:2], 3 * k, row[3]) for k, (item_id, row) in enumerate(reversed(items.items()))}
    forward = index_of(numbered)
    asked = [row[2] for row in numbered.values()]
    assert forward.written_items([*asked, 1, 10**9]) == [*numbered, None, None]
    again, gone = (data.draw(st.lists(st.sampled_from(list(items)), unique=True)) for _ in range(2))
    rewritten = {item_id: (None, None, 100 + k, False) for k, item_id in enumerate(again)}
    changed = forward.with_changes(block(rewritten), [item_id for item_id in gone if item_id not in rewritten])
    assert changed.written_items(asked) == list(numbered)
    assert changed.written_items([row[2] for row in rewritten.values()]) == again
    assert index_of({}).written_items([0]) == [None]


def test_a_field_that_is_not_there() -> None:
    with pytest.raises(KeyError):
        index_of({}).scores("image_vector", np.zeros(0, np.int64), np.zeros(3, np.float32))


def test_a_state_comes_back_from_json() -> None:
    assert IndexState.from_dict(STATE.to_dict()) == STATE


def test_what_expired_and_who_wrote_it(tmp_path: Path) -> None:
    def made(items: dict[str, tuple[float, str | None]]) -> ItemBlock:
        plain = block(dict.fromkeys(items, (None, None, 1, False)))
        dates = np.array([date for date, _ in items.values()])
        return replace(plain, expires_at=dates, authors=[author for _, author in items.values()])

    forward = ForwardIndex.of(made({"a": (5.0, "x"), "b": (math.nan, "y"), "c": (3.0, None), "d": (4.0, "x")}), STATE, PRINTS)
    assert [forward.expired(now) for now in (2.9, 3.0, 4.5, 9.0)] == [set(), {"c"}, {"c", "d"}, {"a", "c", "d"}]
    assert (forward.expired(9.0, 4.0), forward.expired(9.0, most=2)) == ({"a"}, None)
    assert (forward.written_by(["x"]), forward.written_by(["x", "y", "?"]), forward.written_by([])) == (
        {"a", "d"},
        {"a", "b", "d"},
        set(),
    )
    changed = forward.with_changes(made({"d": (8.0, "y"), "e": (1.0, "x")}), ["c"])
    changed.save(tmp_path / "f")
    for one in (changed, ForwardIndex.load(tmp_path / "f")):
        assert [one.expired(now) for now in (3.0, 5.0, 9.0)] == [{"e"}, {"a", "e"}, {"a", "d", "e"}]
        assert (one.written_by(["x"]), one.written_by(["y"], most=1)) == ({"a", "e"}, None)


def test_items_that_an_earlier_release_wrote_are_found_by_author_and_by_write() -> None:
    made = replace(block({name: (None, None, n, False) for n, name in enumerate("abcd")}), authors=["y", None, "x", "y"])
    table = ItemTable.of(made, {})
    later = {"author_rows", "author_begins", "by_seq_no"}
    assert later <= table.arrays().keys()
    for arrays in (table.arrays(), {name: array for name, array in table.arrays().items() if name not in later}):
        read = ItemTable.from_arrays(arrays)
        assert [read.written_by([name]).tolist() for name in ("x", "y", "z")] == [[2], [0, 3], []]
        assert sorted(read.written_by(["y", "x", "y"]).tolist()) == [0, 2, 3]
        assert read.written(np.array([3, 0, 9])).tolist() == [3, 0, -1]
