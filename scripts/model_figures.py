"""What each model answers on a data set, alone and beside the others, under one protocol.

    python scripts/model_figures.py lastfm|beauty|retailrocket|gowalla FOLDER    FOLDER holds the data set
    python scripts/model_figures.py sample SEED       a sample store, made at ES_RECSYS_URL or on a node of its own

The last new item of each user is to be found (where order means nothing, a random fifth of their items) among all items that
they have no event on, by models trained without it and without the one before it, which chooses settings and weights. Then
the same where only the newest event is known, or the newest three; and, where items are described, among items of which no
model has seen an event. "ensemble" is that of the models in ALWAYS; what one more makes of it is told as a difference,
question by question. Intervals are of 95 %, by bootstrap over the questions.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from figure_data import READERS, DataSet, sample
from numpy.typing import NDArray

from es_recsys.dataset import Interactions, ItemTable
from es_recsys.evaluation import bootstrap
from es_recsys.evaluation.holdout import leave_last_out, random_holdout
from es_recsys.evaluation.holdout_split import HoldoutSplit
from es_recsys.evaluation.metrics import ndcg
from es_recsys.item_ids import ItemIds
from es_recsys.models import DEPTHS, MODELS, Model
from es_recsys.models.base import ContentModel, TrainingCallback, rows_of_all_items
from es_recsys.models.lsa import LSAConfig
from es_recsys.models.types import HistoryBatch, take
from es_recsys.training import early_stopping
from es_recsys.training.aligned_models import AlignedModel
from es_recsys.training.ensemble_candidates import Candidates
from es_recsys.training.ensemble_selection import MarginalGain, select_ensemble, with_model
from es_recsys.training.model_trials import trials_of

N = 10
ALWAYS = ("covisitation", "userknn", "ease", "bspm", "als", "sasrec", "affinity", "popularity")
# Models of which one training takes as long as all trials of another, and the seconds that it may take.
LONG, LONGEST = frozenset({"sasrec"}), 90.0
DESCRIBED = frozenset({"affinity", "lsa", "fused"})
EASE_ITEMS = 6_000
VALIDATION_USERS, TEST_USERS = 2_000, 6_000
NEW_ITEMS = 0.2  # share of the described items that lose their events
SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)

Values = NDArray[np.float64]


class Figures:
    """Prints each figure as it is found, and keeps them for a file."""

    def __init__(self, data: str) -> None:
        self.rows: list[dict[str, Any]] = []
        self._data = data

    def add(self, situation: str, what: str, values: Values, base: Values | None = None, note: str = "") -> None:
        """values, base: NDCG of each question; of both the interval is that of their difference."""
        found = bootstrap(values if base is None else values - base, np.random.default_rng(0))
        interval = f"[{found.low:.4f}, {found.high:.4f}]"
        if base is not None:
            interval = f"{found.mean:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"
        row = {"data": self._data, "situation": situation, "what": what, "ndcg": round(float(values.mean()), 5)}
        self.rows.append({**row, "interval": interval, "questions": len(values), "note": note})
        print(*self.rows[-1].values(), sep=" | ", flush=True)


class Taste(ContentModel):
    """The mean text vector of a history: what a profile's taste answers without any training."""

    name: ClassVar[str] = "taste"
    config_class: ClassVar[type] = LSAConfig

    def fit(
        self,
        data: Interactions,
        rng: np.random.Generator,
        items: ItemTable | None = None,
        callback: TrainingCallback | None = None,
    ) -> Self:
        """Only takes the vectors of `items`."""
        assert items is not None
        ids, vectors = rows_of_all_items(data, items, items.vectors["text_vector"])
        return self._set_learned(ids, {"vectors": vectors})


def suitable_models(data: DataSet, names: Sequence[str]) -> list[str]:
    """Those of the models that these data have something for."""
    described = data.items is not None
    vectors = data.items is not None and bool(data.items.vectors)
    lacking = {name for name in DESCRIBED if not described} | ({"fused"} if not vectors else set())
    if len(data.events.item_ids) > EASE_ITEMS:
        lacking.add("ease")
    return [name for name in names if name not in lacking]


def split(data: DataSet) -> tuple[HoldoutSplit, HoldoutSplit]:
    """What chooses, and what is tested; what is learned from has neither. Every item to be found is worth the same."""
    hold = leave_last_out if data.ordered else random_holdout
    test = hold(data.events, np.random.default_rng(3), TEST_USERS)
    chosen = hold(test.train, np.random.default_rng(5), VALIDATION_USERS)
    return replace(chosen, gains=()), replace(test, train=chosen.train, gains=())


def newest(part: HoldoutSplit, events: int) -> HoldoutSplit:
    """The same users of whom only the newest events are known."""
    histories = part.histories.last(events)
    return replace(part, histories=histories, seen=tuple(np.unique(histories.one(user).items) for user in range(len(part))))


def new_items(data: DataSet) -> HoldoutSplit:
    """A share of the described items loses all events; among these alone the last item of a user is to be found."""
    assert data.items is not None
    events = data.events
    described = np.isin(events.item_ids, data.items.item_ids[[bool(text) for text in data.items.texts]])
    new = described & (np.random.default_rng(11).random(len(described)) < NEW_ITEMS)
    last = np.append(np.diff(events.users) > 0, True)
    train = take(events, ~new[events.items] & ~last)
    known = np.isin(events.users, train.users[train.weights > 0])
    rows = np.flatnonzero(last & new[events.items] & (events.weights > 0) & known)
    targets = list(events.items[rows][:, None].astype(np.int64))
    users = events.users[rows].astype(np.int64)
    out = (np.flatnonzero(~new),) * len(users)
    return HoldoutSplit("new items", train, HistoryBatch.of_users(train, users), out, tuple(targets), (), users)


def alone(model: Model, part: HoldoutSplit) -> Values:
    asked = AlignedModel(model, ItemIds.of(part.train.item_ids.tolist()))
    return ndcg([items for items, _ in asked.recommend_idx(part.histories, N, part.seen)], part.targets, N)


def ensemble_ndcg(models: Mapping[str, Model], weights: Mapping[str, float], part: HoldoutSplit) -> Values:
    """What ensemble.py answers, of many users at once."""
    ids = ItemIds.of(part.train.item_ids.tolist())
    asked = {name: AlignedModel(models[name], ids) for name, weight in weights.items() if weight > 0}
    lists = {name: one.recommend_idx(part.histories, DEPTHS[models[name].kind], part.seen) for name, one in asked.items()}
    union = [np.unique(np.concatenate([own[user][0] for own in lists.values()])) for user in range(len(part))]
    total = [np.zeros(len(own)) for own in union]
    for name, one in asked.items():
        for user, raw in enumerate(one.score_idx(part.histories, union)):
            best = lists[name][user][1][:1]
            if len(best) and best[0] > 0:
                total[user] += weights[name] * raw / best[0]
    answers = [own[np.argsort(-score, kind="stable")[:N]] for own, score in zip(union, total, strict=True)]
    return ndcg(answers, part.targets, N)


def tuned(
    name: str, data: DataSet, chosen: HoldoutSplit, seconds: float, score: Callable[[Model], float] | None = None
) -> tuple[Model, Any, str]:
    """The model with the settings that answer the validation questions best (by `score`), its config, and how it was found."""
    began = time.process_time()
    seconds = LONGEST if name in LONG else seconds
    trials = trials_of(name, chosen, 7, data.items, TrainingCallback(deadline=began + seconds))
    fixed = MODELS[name].config_for(chosen.train, data.ordered) if name in LONG else None
    config, result = trials.tune(data.ordered, began + seconds, fixed, score)
    return trials.model(config), config, f"{result.tried} trials, {time.process_time() - began:.0f} s"


def best_share(candidates: Candidates, weights: Mapping[str, float], name: str) -> float:
    """The share of one more model with which the validation questions are answered best; 0 where none is better than without."""
    return max(SHARES, key=lambda share: float(candidates.each(with_model(weights, name, share)).mean()))


def measure(data: DataSet, names: Sequence[str], seconds: float) -> Figures:
    """All figures of one data set."""
    figures = Figures(data.name)
    chosen, test = split(data)
    shape = f"{len(data.events.user_ids):,} users, {len(data.events.item_ids):,} items, {len(data.events.items):,} events"
    print(f"{data.name}: {shape}; {test.kind}; {len(chosen):,} and {len(test):,} questions", flush=True)
    configs: dict[str, Any] = {}
    models: dict[str, Model] = {}
    for name in suitable_models(data, (*ALWAYS, *names)):
        models[name], configs[name], how = tuned(name, data, chosen, seconds)
        figures.add("all known", name, alone(models[name], test), note=how)
    always = {name: models[name] for name in suitable_models(data, ALWAYS)}
    more = {name: models[name] for name in suitable_models(data, names)}
    beside = MarginalGain(always, chosen)
    for name in [name for name in more if name not in LONG]:
        more[f"{name}, tuned for it"] = tuned(name, data, chosen, seconds, partial(beside, name))[0]
    if data.items is not None and "text_vector" in data.items.vectors:
        models["taste"] = more["taste"] = Taste().fit(chosen.train, np.random.default_rng(0), data.items)
    for situation, events in (("all known", 0), ("newest 3", 3), ("newest 1", 1)):
        ask, answer = (newest(part, events) if events else part for part in (chosen, test))
        if events:
            for name, model in models.items():
                figures.add(situation, name, alone(model, answer))
        in_the_ensemble(figures, situation, always, more, ask, answer)
    if data.items is not None and data.ordered:
        of_new_items(figures, data, configs)
    return figures


def in_the_ensemble(
    figures: Figures,
    situation: str,
    always: Mapping[str, Model],
    more: Mapping[str, Model],
    ask: HoldoutSplit,
    answer: HoldoutSplit,
) -> None:
    """The ensemble, and what one more model changes in it."""
    weights, candidates = select_ensemble(always, ask).weights, Candidates.of(always, ask)
    base = ensemble_ndcg(always, weights, answer)
    figures.add(situation, "ensemble", base, note=" ".join(f"{name} {share:.0%}" for name, share in weights.items()))
    for name, model in more.items():
        share = best_share(candidates.beside(name, model), weights, name)
        values = ensemble_ndcg({**always, name: model}, with_model(weights, name, share), answer) if share else base
        figures.add(situation, f"ensemble with {name}", values, base, f"{share:.0%}")


def of_new_items(figures: Figures, data: DataSet, configs: Mapping[str, Any]) -> None:
    """Models that read the catalogue, trained without the events of some of the items."""
    part, rng = new_items(data), np.random.default_rng
    assert data.items is not None
    for name in [name for name in configs if MODELS[name].reads_items]:
        kind: Any = MODELS[name]
        callback = TrainingCallback(deadline=time.process_time() + LONGEST)
        figures.add(
            "new items", name, alone(early_stopping.fit(kind(configs[name]), part.train, rng(7), data.items, callback), part)
        )
    if "text_vector" in data.items.vectors:
        figures.add("new items", "taste", alone(Taste().fit(part.train, rng(7), data.items), part))
    count = len(data.events.item_ids) - len(part.seen[0])
    chance = float((1.0 / np.log2(np.arange(2, N + 2))).sum() / count)
    print(f"{count:,} new items; by chance {chance:.4f}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=[*READERS, "sample"])
    parser.add_argument("source", help="the folder of the data set, or the seed of a sample store")
    parser.add_argument("--models", nargs="*", default=["lsa", "fused"], help="measured beside those that are always there")
    parser.add_argument("--seconds", type=float, default=10.0, help="of trying settings, for each model")
    parser.add_argument("--out", type=Path, help="JSON")
    arguments = parser.parse_args()
    data = sample(int(arguments.source)) if arguments.data == "sample" else READERS[arguments.data](Path(arguments.source))
    figures = measure(data, arguments.models, arguments.seconds)
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(figures.rows, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
