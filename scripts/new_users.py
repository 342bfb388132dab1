"""What a user is answered after a first, second, third and fifth event, by what is known of others.

    python scripts/new_users.py lastfm|beauty|retailrocket|gowalla FOLDER [--out FILE.json]
    python scripts/new_users.py sample SEED

A part of the users is apart: no model learns from them. Of each only the first events are known, and their next five new items
are to be found among all others. A third of these users chooses the shares of ensembles, the others are tested. Compared are
popularity; what is popular in the user's segment (by what the first events say of them); co-visitation from all events or from
the newest alone, as a session is answered; the other models; the ensemble that whole histories choose, as `train` does; and the
ones that histories of as many events choose. NDCG@10 with its 95 % interval, by bootstrap over users, and the difference to
co-visitation, question by question; of the last ensembles the difference to that of whole histories.
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
from es_recsys.evaluation.holdout_split import HoldoutSplit
from es_recsys.models import MODELS, Model
from es_recsys.models.base import TrainingCallback
from es_recsys.models.covisitation import CoVisitation, CoVisitationConfig
from es_recsys.models.popularity import Popularity, PopularityConfig
from es_recsys.models.segments import Segments
from es_recsys.models.types import HistoryBatch, take
from es_recsys.models.user_features import user_features
from es_recsys.training.ensemble_selection import select_ensemble

EVENTS = (1, 2, 3, 5)
NEXT = 5
APART, MOST_APART = 0.45, 7_000
LEARNED = ("covisitation", "als", "ease", "bspm", "affinity")
_PRIOR = 20.0


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
    """The first events of the users, and the next new items of each; all but the last item for `events` 0."""
    starts = np.searchsorted(data.users, np.arange(len(data.user_ids) + 1))
    rows, lengths, seen, targets = [], [], [], []
    for user in users.tolist():
        begin, end = int(starts[user]), int(starts[user + 1])
        cut = begin + events if events else end - 1
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
    train = take(events, ~np.isin(events.users, apart))
    apart = np.random.default_rng(5).permutation(apart)
    choosing, tested = np.sort(apart[: len(apart) // 3]), np.sort(apart[len(apart) // 3 :])
    models = fitted(data, train)
    usual = {name: model for name, model in models.items() if name in LEARNED}
    whole = select_ensemble(usual, after(events, train, choosing, 0)).weights
    print("whole histories choose", whole, flush=True)
    known = {**usual, "popularity": models["popularity"]}
    ensembles = {"of as many events": usual, "of as many, with popularity": known}
    ensembles |= {"of as many, with segments": {**known, "segments": models["segments"]}}
    figures: list[dict[str, Any]] = []
    for count in EVENTS:
        ask, answer = after(events, train, choosing, count), after(events, train, tested, count)
        values: dict[str, Values] = {name: alone(model, answer) for name, model in models.items()}
        values["ensemble of whole histories"] = ensemble_ndcg(usual, whole, answer)
        notes: dict[str, str] = {}
        for name, some in ensembles.items():
            chosen = select_ensemble(some, ask).weights
            values[name] = ensemble_ndcg(some, chosen, answer)
            notes[name] = " ".join(f"{one} {share:.0%}" for one, share in chosen.items())
        for name, own in values.items():
            base, note = "ensemble of whole histories" if name in ensembles else "covisitation", notes.get(name, "")
            mean, change = bootstrap(own, np.random.default_rng(0)), bootstrap(own - values[base], np.random.default_rng(0))
            row = {"data": data.name, "events": count, "users": len(answer), "what": name, "ndcg": mean.to_dict(), "over": base}
            figures.append({**row, "change": change.to_dict(), "note": note})
            print(count, len(answer), name, f"NDCG@{N} {mean}", f"over {base} {change}", note, sep=" | ", flush=True)
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
