"""Quality of the models in service now, measured on events that came after their training."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from es_recsys.dataset import Interactions
from es_recsys.evaluation.holdout import next_items_after, split_moment
from es_recsys.evaluation.holdout_split import HoldoutSplit
from es_recsys.evaluation.statistics import Estimate, bootstrap, difference_words
from es_recsys.models import Model, UserKNN
from es_recsys.models.types import take
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.training.ensemble_candidates import Candidates
from es_recsys.training.model_trials import DEPTH
from es_recsys.training.selection_report import ExpectedQuality
from es_recsys.training.training_record import TrainingRecord

__all__ = ["Ensemble", "Quality", "ServedComparison", "compare", "held_out", "quality", "serving"]

FEWEST = 50  # users to ask
_USERS = 4_000
_NEWEST = 0.1
_FALL = 0.1  # share of the expected quality below which a loss is not worth a training, however sure it is


Ensemble = tuple[Mapping[str, Model], Mapping[str, float]]
"""Models by name, and the shares of those that answer."""


@dataclass(frozen=True, slots=True)
class Quality:
    """NDCG@20 of the next new item since the training, and what was expected.

    change: the difference, with its 95 % interval: normal, as the means are of different users. fallen: whether the whole
    interval lies below 0, and the mean by more than a tenth of the expected quality.
    """

    now: float
    expected_quality: ExpectedQuality
    change: Estimate
    fallen: bool

    def line(self) -> str:
        change = self.change
        verdict = "it has fallen" if self.fallen else "it has not fallen by more than chance and a tenth of it"
        return (
            f"Quality: NDCG@{DEPTH} of the next new item {self.now:.4f} since the training, of {change.n:,} users;"
            f" {self.expected_quality.ndcg:.4f} expected ({difference_words(change)}): {verdict}."
        )


@dataclass(frozen=True, slots=True)
class ServedComparison:
    """NDCG@20 of the models in service and of those of a new training, on events that neither had seen, paired by user.

    expected_quality: what the new ones did for the next new item.
    """

    users: int
    serving: float
    new: float
    gain: Estimate
    expected_quality: ExpectedQuality

    @property
    def worse(self) -> bool:
        """Whether the new models are worse by more than chance."""
        return self.gain.high < 0.0

    def line(self) -> str:
        return (
            f"On the newest events, held out of the training, of {self.users:,} users: NDCG@{DEPTH} {self.serving:.4f} by the"
            f" models in service, {self.new:.4f} by the new ones ({difference_words(self.gain)})."
        )


def serving(snapshot: ServingSnapshot, data: Interactions, until: float | None) -> Ensemble:
    """Return the models in service and their shares, to score in memory.

    What user-kNN finds in Elasticsearch when it answers is counted again from `data` up to `until` (epoch seconds; None: all)
    here.
    """
    table = snapshot.metadata.retriever_weights.get("no_query", {})
    models = {name: model for name, model in snapshot.models.items() if table.get(name, 0.0) > 0.0}
    near = models.get(UserKNN.name)
    if near is not None:
        known = data if until is None else take(data, data.times <= until)
        models[UserKNN.name] = UserKNN(near.config).fit(known, np.random.default_rng(0))
    return models, {name: table[name] for name in models}


def quality(snapshot: ServingSnapshot, record: TrainingRecord, data: Interactions, rng: np.random.Generator) -> Quality | str:
    """Return how well the models in service find what users did next after the training.

    Where that can't be told, returns why, as a line of the report.
    """
    if record.until is None:
        return "Quality: not compared, as the store has no times."
    if record.expected_quality is None:
        return "Quality: not compared, as there was too little to measure it on at the training."
    part = next_items_after(data, math.nextafter(record.until, math.inf), rng, _USERS, targets=record.targets)
    if len(part) < FEWEST:
        return (
            f"Quality: not compared; {len(part)} users that the training knew have come to a new item since, it takes {FEWEST}."
        )
    models, shares = serving(snapshot, data, record.until)
    if not models:
        return "Quality: not compared, as no model has a weight."
    each = Candidates.of(models, part).next(shares)
    return _judged(ExpectedQuality.of(each), record.expected_quality)


def _judged(now: ExpectedQuality, expected_quality: ExpectedQuality) -> Quality:
    error = math.hypot(now.error, expected_quality.error)
    change = Estimate.normal(now.ndcg - expected_quality.ndcg, error, now.users)
    return Quality(now.ndcg, expected_quality, change, change.high < 0.0 and change.mean < -_FALL * expected_quality.ndcg)


def held_out(
    record: TrainingRecord | None, data: Interactions, rng: np.random.Generator, targets: Collection[str] = ()
) -> HoldoutSplit | None:
    """Return a holdout split of the newest events, to compare the version in service with one that doesn't know them either.

    They are none that it was trained on, at most the newer half of those that came since, and of all events the newest tenth.
    None where there are too few users for it. targets: event types of what is to be found.
    """
    if record is None or record.until is None or not data.timed:
        return None
    since = data.times[data.times > record.until]
    if not len(since):
        return None
    moment = max(float(np.median(since)), split_moment(data, 1.0 - _NEWEST), math.nextafter(record.until, math.inf))
    part = next_items_after(data, moment, rng, _USERS, targets=targets)
    return part if len(part) >= FEWEST else None


def compare(
    old: Ensemble,
    new: Ensemble,
    part: HoldoutSplit,
    rng: np.random.Generator,
) -> ServedComparison:
    """Compare both ensembles on one holdout split that neither has learned from.

    Users count by the worth of their items (`HoldoutSplit.ndcg`).
    """
    before = Candidates.of(old[0], part).each(old[1])
    candidates = Candidates.of({name: new[0][name] for name in new[1]}, part)
    after = candidates.each(new[1])
    gain = bootstrap(after - before, rng)
    return ServedComparison(
        len(part), float(before.mean()), float(after.mean()), gain, ExpectedQuality.of(candidates.next(new[1]))
    )
