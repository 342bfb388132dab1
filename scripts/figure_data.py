"""Data sets as the models read them, for `model_figures.py`."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measuring import load_sample, own_store

from es_recsys.dataset import Interactions, ItemTable
from es_recsys.event_types import event_weight
from es_recsys.events.interactions import read_interactions
from es_recsys.sample import sample_store
from es_recsys.training.item_table import item_table, table_of
from es_recsys.types import Item

__all__ = ["READERS", "DataSet", "interactions", "sample"]

Row = tuple[str, str, str]  # user, item, event type


@dataclass(frozen=True, eq=False)
class DataSet:
    """items: None where nothing is known of them but events. ordered: whether the order of events means anything."""

    name: str
    events: Interactions
    items: ItemTable | None
    ordered: bool


def lastfm(folder: Path) -> DataSet:
    """LastFM.txt.gz: a user and its items a line, oldest first."""
    return DataSet("lastfm", interactions(_views(folder / "LastFM.txt.gz")), None, True)


def beauty(folder: Path) -> DataSet:
    """Beauty.txt.gz alike; the attributes of items, numbers without a meaning, are their tags and texts."""
    events = interactions(_views(folder / "Beauty.txt.gz"))
    with gzip.open(folder / "Beauty_item2attributes.json.gz", "rt", encoding="ascii") as file:
        attributes = json.load(file)
    words = {item: tuple(f"a{number}" for number in attributes.get(item, ())) for item in events.item_ids.tolist()}
    items = [Item(item_id=item, title=" ".join(own) or item, tags=own) for item, own in words.items()]
    return DataSet("beauty", events, table_of(items), True)


def gowalla(folder: Path) -> DataSet:
    """A random tenth of the users of train, valid and test; the order in the files is that of the items."""
    rows: dict[str, list[Row]] = defaultdict(list)
    for name in ("train", "valid", "test"):
        for row in _views(folder / f"{name}.txt.gz"):
            rows[row[0]].append(row)
    users = np.random.default_rng(1).permutation(sorted(rows))[: len(rows) // 10].tolist()
    return DataSet("gowalla", interactions(_shuffled([row for user in users for row in rows[user]])), None, False)


def retailrocket(folder: Path) -> DataSet:
    """Views, carts and purchases without times."""
    files = {"view": "view_ecommerce", "cart": "add_to_cart_ecommerce", "purchase": "purchase_ecommerce"}
    rows: list[Row] = []
    for kind, file in files.items():
        lines = _lines(folder / f"{file}.dat.gz")
        next(lines)
        rows += [(user, item, kind) for user, item, _ in lines]
    return DataSet("retailrocket", interactions(_shuffled(rows)), None, False)


def sample(seed: int) -> DataSet:
    """A sample store of 1,500 shoppers with texts, pictures and what encoders make of them."""
    with own_store(f"model_figures_{seed}") as client:
        load_sample(client, sample_store(seed, 2_000, 1_500))
        work = client.workspace
        items = item_table(work, work.snapshots.latest().metadata)
        return DataSet("sample", read_interactions(work.events, work.now()), items, True)


READERS: Mapping[str, Callable[[Path], DataSet]] = {
    "lastfm": lastfm,
    "beauty": beauty,
    "gowalla": gowalla,
    "retailrocket": retailrocket,
}


def _lines(path: Path) -> Iterator[list[str]]:
    with gzip.open(path, "rt", encoding="ascii") as file:
        for line in file:
            yield line.split()


def _views(path: Path) -> list[Row]:
    return [(user, item, "view") for user, *items in _lines(path) for item in items]


def _shuffled(rows: list[Row]) -> list[Row]:
    return [rows[place] for place in np.random.default_rng(0).permutation(len(rows))]


def interactions(rows: Sequence[Row]) -> Interactions:
    """Events without times, in the order of the rows."""
    user_ids, users = np.unique([user for user, _, _ in rows], return_inverse=True)
    item_ids, items = np.unique([item for _, item, _ in rows], return_inverse=True)
    types = tuple(sorted({kind for _, _, kind in rows}))
    kinds = np.array([types.index(kind) for _, _, kind in rows], np.int8)
    order = np.argsort(users, kind="stable")
    weights = np.array([event_weight(kind) for kind in types], np.float32)[kinds]
    ordered = users[order]
    return Interactions(
        user_ids=user_ids,
        item_ids=item_ids,
        users=np.asarray(ordered, np.int32),
        items=np.asarray(items[order], np.int32),
        weights=weights[order],
        times=(np.arange(len(ordered)) - np.searchsorted(ordered, ordered)).astype(np.float64),
        timed=False,
        type_idx=kinds[order],
        event_types=types,
        values=np.full(len(ordered), np.nan, np.float32),
    )
