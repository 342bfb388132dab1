"""Items without events have a place in models of behaviour by what they are like."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from es_recsys.dataset import History, Interactions, ItemTable
from es_recsys.item_ids import ItemIds
from es_recsys.linear_algebra import CSR
from es_recsys.models import MODELS, Model, neighbours
from es_recsys.models.covisitation import CoVisitation, CoVisitationConfig
from es_recsys.models.new_items import find_new_items
from es_recsys.models.types import NEW_ITEM_DISCOUNT, NewItems
from es_recsys.training.item_table import table_of
from es_recsys.types import Item

TAKING = [name for name, kind in MODELS.items() if kind.takes_new_items]


def _data(seed: int = 0, users: int = 60, items: int = 40) -> Interactions:
    """Users who like items of one half each; the items 3, 13, 23 and 33 have no events."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        half = np.array([item for item in range(items) if item % 2 == user % 2 and item % 10 != 3])
        rows += [(user, item) for item in rng.choice(half, 8, replace=False).tolist()]
    owner, item = np.array(rows, np.int32).T
    return Interactions(
        user_ids=np.array([f"u{user:02d}" for user in range(users)]),
        item_ids=np.array([f"i{item:02d}" for item in range(items) if item % 10 != 3]),
        users=owner,
        items=np.array([place - (place + 6) // 10 for place in item.tolist()], np.int32),
        weights=np.ones(len(owner), np.float32),
        times=np.arange(len(owner), dtype=np.float64),
        timed=False,
    )


def _catalogue(described: bool = True) -> ItemTable:
    """Odd items and even ones are two kinds."""
    rng = np.random.default_rng(1)
    items = [
        Item(item_id=f"i{number:02d}", categories=(("odd",) if number % 2 else ("even",)) if described else ())
        for number in range(40)
    ]
    vectors = np.array([[float(number % 2), float(1 - number % 2), 0.1] for number in range(40)], np.float32)
    vectors += 0.1 * rng.normal(size=vectors.shape).astype(np.float32)
    return table_of(items, {"text_vector": vectors} if described else {})


def _fitted(name: str) -> Model:
    kind = MODELS[name]
    return kind(kind.default_config(True, False)).fit(_data(), np.random.default_rng(7))


def test_items_without_events_are_mixtures_of_what_is_like_them() -> None:
    found = find_new_items(_data(), _catalogue(), np.random.default_rng(0))
    assert found is not None and [found.item_ids[at] for at in found.new] == ["i03", "i13", "i23", "i33"]
    np.testing.assert_allclose(found.mixtures.sum(axis=1), 1.0)
    shares = found.mixtures.toarray()
    odd = np.array([int(item_id[1:]) % 2 == 1 for item_id in found.item_ids])
    assert shares[:, odd].sum(axis=1).min() > 0.9 and not shares[:, found.new].any()


def test_what_says_nothing_of_items_changes_nothing() -> None:
    assert find_new_items(_data(), _catalogue(described=False), np.random.default_rng(0)) is None
    known = replace(_data(), item_ids=np.array([f"k{number:02d}" for number in range(36)]))
    table = table_of([Item(item_id=item_id, categories=("odd",)) for item_id in known.item_ids.tolist()])
    assert find_new_items(known, table, np.random.default_rng(0)) is None, "all have events"


@pytest.mark.parametrize("name", TAKING)
def test_new_items_come_beside_the_others_whose_scores_stay(name: str, tmp_path: Path) -> None:
    plain, model = _fitted(name), _fitted(name)
    places = find_new_items(_data(), _catalogue(), np.random.default_rng(0))
    assert places is not None
    model.add_new_items(places)
    history = History.of(["i01", "i05", "i07"])
    before = plain.score(history, plain.item_ids[:])
    np.testing.assert_allclose(model.score(history, plain.item_ids[:]), before, rtol=1e-4, atol=1e-6)
    every = np.zeros(len(places.item_ids))
    every[np.searchsorted(places.item_ids, plain.item_ids[:])] = before
    new = [places.item_ids[at] for at in places.new]
    np.testing.assert_allclose(model.score(history, new), NEW_ITEM_DISCOUNT * (places.mixtures @ every), rtol=1e-3, atol=1e-5)
    # A history of a new item leads to what is like it, and never to itself.
    found = dict(model.recommend(History.of(["i13"]), 10, {"i13"}))
    assert found and all(int(item_id[1:]) % 2 == 1 for item_id in list(found)[:5])
    model.save(tmp_path / name)
    again = type(model).load(tmp_path / name)
    np.testing.assert_array_equal(again.score(history, places.item_ids), model.score(history, places.item_ids))
    assert model.fingerprint != plain.fingerprint


def test_new_items_of_a_large_catalogue_need_memory_for_a_block_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    known, new = 300, 3_000
    ids = [f"i{number:04d}" for number in range(known + new)]
    model = CoVisitation(CoVisitationConfig(neighbours=20))

    def added() -> tuple[dict[str, np.ndarray], int]:
        rows = sparse.random(known, known, 20 / known, "csr", np.float32, rng=np.random.default_rng(1))
        model._learned(ItemIds.of(ids[:known]), CSR(rows.indptr.astype(np.int64), rows.indices, rows.data))
        columns = np.concatenate([np.random.default_rng(k).permutation(known)[:20] for k in range(new)])
        mixtures = sparse.csr_matrix((np.full(20 * new, 0.05), (np.repeat(np.arange(new), 20), columns)), (new, known + new))
        tracemalloc.start()
        model.add_new_items(NewItems(ids, np.arange(known, known + new), mixtures))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return {name: np.array(values) for name, values in model._arrays.items()}, peak

    whole, at_once = added()
    monkeypatch.setattr(neighbours, "_ENTRIES", 20_000)
    blocks, by_block = added()
    assert by_block < 0.6 * at_once, (by_block, at_once)
    assert len(whole["items"]) > 15 * len(ids)
    for name, values in whole.items():
        np.testing.assert_array_equal(blocks[name], values, err_msg=name)
