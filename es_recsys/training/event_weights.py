"""Tuning of the event weights on held-out events of the type that counts, kept with the store.

Views and carts tell of purchases, but how much, each shop has its own way. Each type's usual weight (event_types.py) times a
factor is tried, one type after the other, up and down as long as the answers get better; the target's own weight stays, as only
the ratios count. Held out is a pair of a user and an item with all its events, whatever their type. One half of the users
chooses, the other says what the choice is worth: the best of many trials looks better than it is to those who chose it. Trials
are kept as they are made, so that a run that was broken off, or cut short by its budget, is gone on with.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.data_digest import data_digest
from es_recsys.dataset import Interactions
from es_recsys.errors import InputError
from es_recsys.evaluation.holdout import event_type_holdout
from es_recsys.evaluation.holdout_split import HoldoutSplit
from es_recsys.evaluation.statistics import Estimate, bootstrap, difference_words
from es_recsys.evaluation.tuner import optimize
from es_recsys.event_types import EVENT_TYPES
from es_recsys.events.interactions import reweight
from es_recsys.models.base import Model
from es_recsys.models.covisitation import CoVisitation
from es_recsys.models.registry import MODELS
from es_recsys.models.types import sample_users
from es_recsys.progress import Progress
from es_recsys.serving.refresh import set_event_weights
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.stored_interactions import load_interactions
from es_recsys.serving.workspace import Workspace
from es_recsys.training.ensemble_candidates import Candidates
from es_recsys.training.model_trials import DEPTH
from es_recsys.training.target_types import check_targets
from es_recsys.training.tuned_settings import tuned_path

__all__ = [
    "FACTORS",
    "EventWeightsReport",
    "ResetReport",
    "Trial",
    "TunedEventWeights",
    "reset_event_weights",
    "search_weights",
    "tune_event_weights",
]

FACTORS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
_FEWEST = 50  # events of a type, and users to ask
_USERS = 4_000
_EVENTS = 2_000_000
_SLOW = 0.1  # part of the time that one trial of a model may take


@dataclass(frozen=True, slots=True)
class TunedEventWeights:
    """Event weights that were found, and what they are worth on users who did not choose them.

    weights: event type -> weight that was chosen. users: those who chose and those who judge. before, after: NDCG@20 of the
    held-out events of the latter with the weights as they were and as chosen; alone: with the target's events and no others.
    gain: after - before; worth: after - alone; both paired by user, with 95 % intervals. kept: whether all of the gain's interval
    is above 0. trials: all that were to be scored; resumed: those of them that an earlier run had made.
    """

    held_out: str
    users: int
    models: tuple[str, ...]
    weights: Mapping[str, float]
    before: float
    after: float
    alone: float
    gain: Estimate
    worth: Estimate
    kept: bool
    trials: int
    resumed: int = 0


@dataclass(frozen=True, slots=True)
class ResetReport:
    """Report that the usual weights are back; removed: the weights that the store had of its own."""

    removed: Mapping[str, float]

    def lines(self) -> Iterator[str]:
        if not self.removed:
            yield "The store has the usual weights already."
            return
        yield "The usual weights are back, all profiles rebuilt. Train again: models use them."

    def to_dict(self) -> dict[str, Any]:
        return {"removed": dict(self.removed)}


@dataclass(frozen=True, slots=True)
class EventWeightsReport:
    """Report of a tuning of event weights: what was found, and how many seconds it took."""

    target: str
    found: TunedEventWeights
    seconds: float

    def lines(self) -> Iterator[str]:
        it = self.found
        yield (
            f"Held out: {it.held_out}, of {it.users:,} users, each pair of user and item out of all events;"
            f" answered by {', '.join(it.models)}."
        )
        yield (
            f"Of the half that no trial saw: NDCG@{DEPTH} {it.before:.4f} with the weights as they were, {it.after:.4f} with the"
            f" best of {it.trials} trials (gain {difference_words(it.gain)})."
        )
        if it.resumed:
            yield f"{it.resumed:,} of the trials were made by an earlier run."
        yield f"With {self.target} events alone: {it.alone:.4f}; events of other types add {difference_words(it.worth)}."
        yield "Best weights: " + ", ".join(f"{name} {weight:g}" for name, weight in it.weights.items()) + "."
        if it.kept:
            yield f"Stored with the store, all profiles rebuilt, in {self.seconds:.0f} s. Train again: models use them."
        else:
            yield "They are not significantly better, so the weights stay as they were."

    def to_dict(self) -> dict[str, Any]:
        it = self.found
        return {
            "target": self.target,
            "held_out": it.held_out,
            "users": it.users,
            "models": list(it.models),
            "weights": dict(it.weights),
            "ndcg_before": it.before,
            "ndcg_after": it.after,
            "ndcg_alone": it.alone,
            "gain": it.gain.to_dict(),
            "worth": it.worth.to_dict(),
            "kept": it.kept,
            "trials": it.trials,
            "resumed": it.resumed,
            "seconds": self.seconds,
        }


def tune_event_weights(
    work: Workspace, target: str = "purchase", *, budget: float = 300.0, seed: int = 7, progress: Progress | None = None
) -> EventWeightsReport:
    """Tune the event weights for held-out events of the type `target`, and store them where they are significantly better.

    The models are those that the store is served with (co-visitation where there are none yet). budget: seconds of processor
    time after which no further weight is tried. Raises InputError for a type that there isn't or of which there are too few,
    StoreNotFound, MissingExtra.
    """
    check_targets([target])
    started = time.monotonic()
    with work.translating_errors():
        snapshot = work.snapshots.latest()
        usual_weights = replace(snapshot.metadata, event_weights={})
        data = load_interactions(work, usual_weights, work.now())
        configs, shares = _served(snapshot)
        rng = np.random.default_rng(seed)
        digest = data_digest(data, target, seed, configs, shares)
        found = search_weights(
            data,
            target,
            configs,
            shares,
            rng,
            snapshot.metadata.event_weights,
            budget=budget,
            progress=progress,
            file=tuned_path(work.settings, "event_weights").with_suffix(".sqlite3"),
            name=digest,
        )
    if found.kept:
        set_event_weights(work, found.weights)
    return EventWeightsReport(target, found, time.monotonic() - started)


def reset_event_weights(work: Workspace) -> ResetReport:
    """Take back what tuning chose: events weigh as is usual again.

    Raises StoreNotFound.
    """
    with work.translating_errors():
        own = dict(work.snapshots.latest().metadata.event_weights)
    if own:
        set_event_weights(work, {})
    return ResetReport(own)


def search_weights(
    data: Interactions,
    target: str,
    configs: Mapping[str, Any],
    shares: Mapping[str, float],
    rng: np.random.Generator,
    present: Mapping[str, float] | None = None,
    *,
    budget: float = 300.0,
    progress: Progress | None = None,
    file: Path | None = None,
    name: str = "event weights",
) -> TunedEventWeights:
    """Return the event weights by which the ensemble of the models finds held-out events of the type `target` best.

    They are chosen on a half of the users and judged on the other. data: with the usual weights. configs, shares: model -> its
    config and its share in the ensemble. present: the weights as they are now, where they are not the usual ones. file, name: the
    study in which the trials are stored. Raises InputError where there is too little to hold out.
    """
    began = time.process_time()
    held = event_type_holdout(sample_users(data, _EVENTS, rng), target, rng, _USERS)
    if len(held) < _FEWEST:
        raise InputError(
            f"{len(held)} users have {target} events to hold out and others to know them by; it takes {_FEWEST}.",
            "Load more events, or name a target that there are more of.",
        )
    choosing, judging = np.array_split(rng.permutation(len(held)), 2)
    trial = Trial(held, configs, shares, int(rng.integers(2**31)), began + _SLOW * budget)
    types = tuple(name for name in _types(held.train) if name != target)
    result = optimize(
        dict.fromkeys(types, FACTORS),
        lambda factors: float(trial.each(_weights(factors, target))[choosing].mean()),
        method="coordinate",
        start={event_type: _nearest(event_type, present or {}, target) for event_type in types},
        deadline=began + budget,
        file=file,
        name=f"{name} {trial.models}",
        progress=progress,
    )
    weights = _weights({} if result.best is None else result.best.settings, target)
    only = {name: row.weight if name == target else 0.0 for name, row in EVENT_TYPES.items()}
    before, after, alone = (trial.each(one)[judging] for one in (dict(present or {}), weights, only))
    gain = bootstrap(after - before, rng)
    return TunedEventWeights(
        held.kind,
        len(held),
        trial.models,
        weights,
        float(before.mean()),
        float(after.mean()),
        float(alone.mean()),
        gain,
        bootstrap(after - alone, rng),
        gain.low > 0.0,
        result.tried,
        result.resumed,
    )


class Trial:
    """One holdout split, answered with many event weights.

    The model with the largest share always takes part. Any other does as long as a training of all of them ends by `deadline`
    (time.process_time seconds), so that there is time for many.
    """

    def __init__(
        self,
        held: HoldoutSplit,
        configs: Mapping[str, Any],
        shares: Mapping[str, float],
        seed: int,
        deadline: float = float("inf"),
    ) -> None:
        self._held, self._configs, self._seed = held, configs, seed
        self._contributions: dict[str, float] = {}
        for name in sorted(configs, key=lambda name: -shares[name]):
            if self._contributions and time.process_time() > deadline:
                break
            self._model(name, held.train)
            if not self._contributions or time.process_time() <= deadline:
                self._contributions[name] = shares[name]

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(self._contributions)

    def each(self, weights: Mapping[str, float]) -> NDArray[np.float64]:
        """Return NDCG@20 (n_users,) with these weights of the event types; 0 for all where no event weighs anything."""
        part = self._held.reweighted(reweight(self._held.train, weights).weights)
        if not (part.train.weights > 0).any():
            return np.zeros(len(part))
        models = {name: self._model(name, part.train) for name in self._contributions}
        return Candidates.of(models, part).each(self._contributions)

    def _model(self, name: str, train: Interactions) -> Model:
        return MODELS[name](self._configs[name]).fit(train, np.random.default_rng(self._seed))


def _served(snapshot: ServingSnapshot) -> tuple[dict[str, Any], dict[str, float]]:
    """Return configs and shares of the models in service that learn from events alone."""
    table = snapshot.metadata.retriever_weights.get("no_query", {})
    served = {name: model for name, model in snapshot.models.items() if not model.reads_items and table.get(name, 0.0) > 0.0}
    if not served:
        return {CoVisitation.name: CoVisitation.default_config(False, snapshot.metadata.timed)}, {CoVisitation.name: 1.0}
    return {name: model.config for name, model in served.items()}, {name: table[name] for name in served}


def _types(data: Interactions) -> tuple[str, ...]:
    """Return the event types that there are enough of to try weights."""
    assert data.type_idx is not None
    counts = np.bincount(data.type_idx, minlength=len(data.event_types)).tolist()
    return tuple(name for name, count in zip(data.event_types, counts, strict=True) if count >= _FEWEST)


def _nearest(name: str, present: Mapping[str, float], target: str) -> float:
    """Return the factor nearest to the weight that the type has now, relative to the target's."""
    unit = present.get(target, EVENT_TYPES[target].weight) / EVENT_TYPES[target].weight or 1.0
    factor = present.get(name, EVENT_TYPES[name].weight) / EVENT_TYPES[name].weight / unit
    return min(FACTORS, key=lambda one: abs(one - factor))


def _weights(factors: Mapping[str, float], target: str) -> dict[str, float]:
    """Return all the weights that differ from the usual or could; types that are too rare to try keep theirs."""
    return {**{name: EVENT_TYPES[name].weight * factor for name, factor in factors.items()}, target: EVENT_TYPES[target].weight}
