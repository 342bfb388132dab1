"""What a user is answered after a first, second, third and fifth event, by what is known of others.

    python scripts/new_users.py lastfm|beauty|retailrocket|gowalla FOLDER [--out FILE.json]
    python scripts/new_users.py sample SEED

A part of the users is apart: no model learns from them. Of each only the first events are known, and their next five new items
are to be found among all others. Compared are popularity; what is popular in the user's segment (by what the first events say
of them); co-visitation from all events or from the newest alone; the other models; the ensemble that whole histories of the
other users choose, as `train` does; and the one that their newest events alone choose, with popularity and with segments as
well, of which an n-th is left after n events, as answers have it. NDCG@10 with its 95 % interval, by bootstrap over users, and
the difference to co-visitation, question by question; of that of a first event to that of whole histories, and with segments
to that without them.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from figure_data import READERS, DataSet, sample
from model_figures import EASE_ITEMS, N, Values, alone, ensemble_ndcg
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances_argmin

from es_recsys.dataset import Interactions, ItemTable
from es_recsys.evaluation import bootstrap
from es_recsys.evaluation.holdout import leave_last_out, random_holdout
from es_recsys.evaluation.holdout_split import HoldoutSplit
from es_recsys.models import MODELS, Model
from es_recsys.models.base import TrainingCallback
from es_recsys.models.covisitation import CoVisitation, CoVisitationConfig
from es_recsys.models.popularity import Popularity, PopularityConfig
from es_recsys.models.segments import Segments
from es_recsys.models.types import HistoryBatch, take
from es_recsys.models.user_features import user_features
from es_recsys.search.retriever_weights import MOST_FEW_EVENTS
from es_recsys.training.ensemble_selection import select_ensemble

EVENTS = (1, 2, 3, 5)
NEXT = 5
APART, MOST_APART, ASKED = 0.3, 1_200, 1_500
LEARNED = ("covisitation", "als", "ease", "affinity")
_PRIOR = 20.0
FIRST, WITH_SEGMENTS, WHOLE = "of a first event", "of a first event, with segments", "ensemble of whole histories"
_BASES = {FIRST: WHOLE, WITH_SEGMENTS: FIRST}


class SegmentPopularity(Model):
    """What is popular among the users of the segment that a history is nearest to, the shares of `Segments`."""

    name: ClassVar[str] = "segments"
    config_class: ClassVar[type] = PopularityConfig
    kind: ClassVar[str] = "neighbours"

    def fit(
        self,
        data: Interactions,
        rng: np.random.Generator,
        items: ItemTable | None = None,
        callback: TrainingCallback | None = None,
    ) -> Self:
        self.segments = Segments().fit(data, rng, items)
        users = np.unique(data.users[data.weights > 0]).astype(np.int64)
        self._order = self.segments.item_ids.find(data.item_ids.tolist())
        groups = self._nearest(HistoryBatch.of_users(data, users))
        rows = data.weights > 0
        cells = np.unique(np.searchsorted(users, data.users[rows]) * len(data.item_ids) + data.items[rows])
        owner, item = np.divmod(cells, len(data.item_ids))
        counts = np.zeros((int(groups.max()) + 1, len(data.item_ids)))
        np.add.at(counts, (groups[owner], item), 1.0)
        shares = (counts + _PRIOR * counts.sum(axis=0) / len(users)) / (np.bincount(groups)[:, None] + _PRIOR)
        return self._set_learned(data.item_ids.tolist(), {"shares": shares.astype(np.float32)})

    def _nearest(self, batch: HistoryBatch) -> NDArray[np.int64]:
        own = replace(batch, items=self._order[batch.items])
        where = self.segments.map.where(own, user_features(own, self.segments.map.properties))
        return np.asarray(pairwise_distances_argmin(where, self.segments.map.centres), np.int64)

    def _all_scores(self, batch: HistoryBatch) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self._arrays["shares"][self._nearest(batch)[0]]
        return found

    def _contributions(self, batch: HistoryBatch, item_idx: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.zeros((len(batch.items), len(item_idx)))


def after(data: Interactions, train: Interactions, users: NDArray[np.int64], events: int) -> HoldoutSplit:
    """The first events of the users, and the next new items of each."""
    starts = np.searchsorted(data.users, np.arange(len(data.user_ids) + 1))
    rows, lengths, seen, targets = [], [], [], []
    for user in users.tolist():
        begin, end = int(starts[user]), int(starts[user + 1])
        cut = begin + events
        known = data.items[begin:cut].astype(np.int64)
        new = [item for item in dict.fromkeys(data.items[cut:end].tolist()) if item not in set(known.tolist())]
        if cut >= end or not new or not (data.weights[begin:cut] > 0).any():
            continue
        rows.append(np.arange(begin, cut))
        lengths.append(cut - begin)
        seen.append(np.unique(known))
        targets.append(np.array(new[:NEXT], np.int64))
    histories = HistoryBatch.of_rows(data, np.concatenate(rows), np.array(lengths, np.int64))
    return HoldoutSplit(f"after {events} events", train, histories, tuple(seen), tuple(targets))


def fitted(data: DataSet, train: Interactions) -> dict[str, Model]:
    """All that is compared, with the usual settings."""
    rng = np.random.default_rng
    found: dict[str, Model] = {"popularity": Popularity().fit(train, rng(7))}
    found["segments"] = SegmentPopularity().fit(train, rng(7), data.items)
    described = data.items is not None and any(data.items.categories)
    lacking = {name for name, lacks in (("ease", len(train.item_ids) > EASE_ITEMS), ("affinity", not described)) if lacks}
    for name in LEARNED:
        if name not in lacking:
            kind = MODELS[name]
            found[name] = kind(kind.default_config(data.ordered, train.timed)).fit(train, rng(7), data.items)
            print(name, "is trained", flush=True)
    config = CoVisitation.default_config(data.ordered, train.timed)
    assert isinstance(config, CoVisitationConfig)
    found["newest event alone"] = CoVisitation(replace(config, half_life=0.05)).fit(train, rng(7))
    return found


def measure(data: DataSet) -> list[dict[str, Any]]:
    events = data.events
    order = np.random.default_rng(3).permutation(np.unique(events.users)).astype(np.int64)
    apart = np.sort(order[: min(round(APART * len(order)), MOST_APART)])
    hold = leave_last_out if data.ordered else random_holdout
    asked = replace(hold(take(events, ~np.isin(events.users, apart)), np.random.default_rng(9), ASKED), gains=())
    models = fitted(data, asked.train)
    usual = {name: model for name, model in models.items() if name in LEARNED}
    whole = dict(select_ensemble(usual, asked).weights)
    print("whole histories choose", whole, flush=True)
    known = {**usual, "popularity": models["popularity"]}
    ensembles = {FIRST: known, WITH_SEGMENTS: {**known, "segments": models["segments"]}}
    cut = replace(asked, histories=asked.histories.last(1))
    first = {name: select_ensemble(some, cut).weights for name, some in ensembles.items()}
    print("newest events choose", first, flush=True)
    figures: list[dict[str, Any]] = []
    for count in EVENTS:
        answer = after(events, asked.train, apart, count)
        values: dict[str, Values] = {name: alone(model, answer) for name, model in models.items()}
        values[WHOLE] = ensemble_ndcg(usual, whole, answer)
        for name, some in ensembles.items():
            left = 1.0 / count if count <= MOST_FEW_EVENTS else 0.0
            shares = {one: left * first[name].get(one, 0.0) + (1.0 - left) * whole.get(one, 0.0) for one in some}
            values[name] = ensemble_ndcg(some, shares, answer)
        for name, own in values.items():
            base = _BASES.get(name, "covisitation")
            mean, change = bootstrap(own, np.random.default_rng(0)), bootstrap(own - values[base], np.random.default_rng(0))
            row = {"data": data.name, "events": count, "users": len(answer), "what": name, "ndcg": mean.to_dict(), "over": base}
            figures.append({**row, "change": change.to_dict()})
            print(count, len(answer), name, f"NDCG@{N} {mean}", f"over {base} {change}", sep=" | ", flush=True)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=[*READERS, "sample"])
    parser.add_argument("source", help="the folder of the data set, or the seed of a sample store")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    data = sample(int(arguments.source)) if arguments.data == "sample" else READERS[arguments.data](Path(arguments.source))
    figures = measure(data)
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
