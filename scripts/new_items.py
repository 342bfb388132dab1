"""What models of behaviour answer about items without events, which stand where what is like them stands (models/new_items.py).

    python scripts/new_items.py sample SEED | beauty FOLDER [--models NAME...] [--out FILE.json]

A tenth of the described items loses all events, and so does the last event of each user, which is to be found: among the items
without events alone, where content alone (each vector of the content by itself, as a taste) and chance, which is what popularity
knows of them, are compared; and among all items, with and without a place for new ones, where the item has events and where it
has none. Recall@20 with its 95 % interval by bootstrap over users.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
from figure_data import beauty, sample
from model_figures import Taste
from numpy.typing import NDArray

from es_recsys.dataset import Interactions, ItemTable
from es_recsys.evaluation import bootstrap
from es_recsys.evaluation.metrics import recall
from es_recsys.item_ids import ItemIds
from es_recsys.models import MODELS, Model
from es_recsys.models.lsa import LSAConfig
from es_recsys.models.new_items import find_new_items
from es_recsys.models.types import HistoryBatch, take
from es_recsys.training.aligned_models import AlignedModel

AT, SHARE, MOST = 20, 0.1, 3_000


class Question:
    """Users of whom the last item is to be found, some items left out for all."""

    def __init__(self, data: Interactions, visible: Interactions, rows: NDArray[np.int64], out: NDArray[np.int64]) -> None:
        users = data.users[rows].astype(np.int64)
        self.histories = HistoryBatch.of_users(visible, users)
        self.targets = [data.items[row : row + 1].astype(np.int64) for row in rows.tolist()]
        self.seen = tuple(np.union1d(out, self.histories.one(user).items) for user in range(len(users)))

    def ask(self, model: Model, ids: ItemIds) -> NDArray[np.float64]:
        lists: Sequence[Any] = AlignedModel(model, ids).recommend_idx(self.histories, AT, self.seen)
        return recall([items for items, _ in lists], self.targets, AT)


def measure(data: Interactions, items: ItemTable, ordered: bool, names: Sequence[str]) -> list[dict[str, Any]]:
    described = np.isin(data.item_ids, items.item_ids)
    new = described & (np.random.default_rng(11).random(len(described)) < SHARE)
    last = np.append(np.diff(data.users) > 0, True)
    train, visible = take(data, ~new[data.items] & ~last), take(data, ~last)
    able = last & (data.weights > 0) & np.isin(data.users, train.users[train.weights > 0])
    found = np.flatnonzero(able & new[data.items])
    others = np.random.default_rng(1).permutation(np.flatnonzero(able & ~new[data.items]))[:MOST]
    ids, none = ItemIds.of(data.item_ids.tolist()), np.zeros(0, np.int64)
    among_new = Question(data, train, found, np.flatnonzero(~new))
    questions = {
        "new items among all": Question(data, train, found, none),
        "other items": Question(data, train, others, none),
        "other items, new ones in histories": Question(data, visible, others, none),
    }
    print(f"{int(new.sum()):,} new items of {len(new):,}; {len(found):,} and {len(others):,} questions", flush=True)
    figures: list[dict[str, Any]] = []

    def add(what: str, name: str, values: NDArray[np.float64], base: NDArray[np.float64] | None = None) -> None:
        mean = bootstrap(values, np.random.default_rng(0))
        change = None if base is None else bootstrap(values - base, np.random.default_rng(0))
        figures.append({"what": what, "model": name, "recall": mean.to_dict(), "change": change and change.to_dict()})
        print(what, name, mean, "" if change is None else f"change {change}", sep=" | ", flush=True)

    for field in items.vectors:
        one = ItemTable(
            **{**{name: getattr(items, name) for name in items.__slots__}, "vectors": {"text_vector": items.vectors[field]}}
        )
        add(
            "new items alone",
            f"content alone, {field}",
            among_new.ask(Taste(LSAConfig(half_life=4.0)).fit(train, np.random.default_rng(7), one), ids),
        )
    places = find_new_items(train, items, np.random.default_rng(7))
    if places is not None:
        print(f"by chance, as of popularity: {AT / len(places.new):.4f}, as {len(places.new):,} have no event", flush=True)
    for name in names:
        kind = MODELS[name]
        plain = kind(kind.default_config(ordered, train.timed)).fit(train, np.random.default_rng(7))
        model = copy(plain) if places is None else copy(plain).add_new_items(places)
        add("new items alone", name, among_new.ask(model, ids), among_new.ask(plain, ids))
        for what, question in questions.items():
            add(what, name, question.ask(model, ids), question.ask(plain, ids))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=["sample", "beauty"])
    parser.add_argument("source", help="the seed of a sample store, or the folder of the data set")
    parser.add_argument("--models", nargs="+", default=["covisitation", "ease", "als"])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    data = sample(int(arguments.source)) if arguments.data == "sample" else beauty(Path(arguments.source))
    assert data.items is not None
    figures = measure(data.events, data.items, data.ordered, arguments.models)
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
