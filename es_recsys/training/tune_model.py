"""Tuning of a model's settings by trials, kept with the store for later trainings."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from es_recsys.data_digest import data_digest
from es_recsys.dataset import Interactions
from es_recsys.errors import InputError
from es_recsys.evaluation.holdout import leave_last_out, random_holdout, temporal_split
from es_recsys.evaluation.holdout_split import HoldoutSplit
from es_recsys.evaluation.statistics import p_words, paired_test
from es_recsys.evaluation.tuner import TuningResult
from es_recsys.index.item_digests import catalogue_digest
from es_recsys.models import MODELS
from es_recsys.models.base import TrainingCallback
from es_recsys.models.removed import wrong_model
from es_recsys.progress import ProgressReporter
from es_recsys.renamed import current_models
from es_recsys.serving.stored_interactions import load_interactions
from es_recsys.serving.workspace import Workspace
from es_recsys.training.item_table import item_table
from es_recsys.training.model_trials import DEPTH, Trials, listed_params, trials_of, with_params
from es_recsys.training.selection_report import Notes
from es_recsys.training.target_types import targets_of
from es_recsys.training.tuned_settings import load_tuned, save_history, save_tuned, tuned_path
from es_recsys.training.validation import Validation

__all__ = ["TUNE_SPLITS", "ModelTuneReport", "tune_model"]

TUNE_SPLITS: Mapping[str, Callable[..., HoldoutSplit]] = {
    "last": leave_last_out,
    "time": temporal_split,
    "random": random_holdout,
}
AUTO = "auto"
_LEVEL = 0.05
_LEAST_USERS = 20
_METRIC = f"NDCG@{DEPTH}"


@dataclass(frozen=True, slots=True)
class ModelTuneReport:
    """Report of a tuning.

    validation: NDCG@20 before (with the settings until now) and of the best trial. test: the same on events that no trial saw,
    with the p-value of their difference. kept: whether the best is used from now on.
    """

    model: str
    result: TuningResult
    validation: tuple[float, float]
    test: tuple[float, float]
    p: float
    kept: bool
    path: Path
    seconds: float

    def lines(self) -> Iterator[str]:
        it = self.result
        resumed = f", {it.resumed:,} of them by earlier runs" if it.resumed else ""
        yield f"{len(it.trials):,} trials of {self.model}{resumed}, in {self.seconds:.0f} s."
        yield f"{_METRIC} on validation {self.validation[0]:.4f} before, {self.validation[1]:.4f} with the best."
        yield f"On events that no trial saw {self.test[0]:.4f} before, {self.test[1]:.4f} with it ({p_words(self.p)})."
        if not self.kept:
            yield "No significantly better settings were found: they stay as they are."
            return
        assert it.best is not None
        yield "Settings: " + ", ".join(f"{name} {value}" for name, value in it.best.settings.items())
        yield f"Kept in {self.path}; `es-recsys train {self.model}` uses them from now on."

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": "tuning",
            "model": self.model,
            "metric": _METRIC,
            "validation": list(self.validation),
            "test": list(self.test),
            "p": self.p,
            "kept": self.kept,
            "trials": [one.to_dict() for one in self.result.trials],
            "seconds": round(self.seconds, 1),
        }


def tune_model(
    work: Workspace,
    name: str,
    *,
    split: str = AUTO,
    trials: int = 40,
    budget: float | None = None,
    users: int = 2_000,
    seed: int = 7,
    progress: ProgressReporter | None = None,
) -> ModelTuneReport:
    """Search the model's space for the settings that answer held-out events best; keep them where a check confirms them.

    The objective is that of `train`: NDCG@20 of items of the event types that the store is trained for, users weighted by their
    gains. split: "auto" holds out as `train` does; "last", "time" or "random" to decide it. A second part of the events, held
    out first, checks the choice once: it is kept where it is better there with p < 0.05. Broken off, the search goes on where
    it was, also within a long training, as long as the store has the same events with the same weights, and for a model that
    reads items the same items.

    Raises InputError for an unknown model or split, or a model without settings; MissingExtra.
    """
    (name,) = current_models([name])
    if name not in MODELS:
        raise wrong_model(name, MODELS)
    if split != AUTO and split not in TUNE_SPLITS:
        raise InputError(f"There is no split {split!r} to tune on.", f"Name one of: {', '.join((AUTO, *TUNE_SPLITS))}.")
    started, kind = time.monotonic(), MODELS[name]
    with work.translating_errors():
        metadata = work.snapshots.latest().metadata
        data = load_interactions(work, metadata, work.now())
        items = item_table(work, metadata) if kind.reads_items else None
        content = catalogue_digest(work.es, metadata.index) if kind.reads_items else ""
    targets = targets_of(metadata)
    if split == AUTO:
        as_train = Validation.of(data, np.random.default_rng(seed), Notes(None), targets)
        split, targets = as_train.method, as_train.targets
    ordered = split != "random"
    space = kind.search_space(ordered, data.timed)
    if not space:
        raise InputError(f"{name} has no settings to tune.", "Tune another model.")
    test, validation = _splits(data, split, users, seed, targets)
    deadline = time.process_time() + budget if budget is not None else float("inf")
    watch = _watch(name, "trial", progress)
    kept_at = work.settings.store_home / "checkpoints" / f"{name}-tune"
    on_validation = trials_of(name, validation, seed, items, replace(watch, checkpoints=kept_at, deadline=deadline))
    digest = data_digest(data, sorted(metadata.event_weights.items()), content, space, targets)
    defaults = kind.config_for(validation.train, ordered)
    before = load_tuned(work.settings, name) or defaults
    best, result = on_validation.tune(
        ordered,
        deadline,
        method="tpe",
        start=listed_params(kind, before, space),
        name=f"{name}/{split}/{users}/{seed}/{digest}",
        file=tuned_path(work.settings, name).with_suffix(".sqlite3"),
        trials=trials,
        seed=seed,
        progress=progress,
    )
    # Mostly the search began with it.
    known = next((one.value for one in result.trials if with_params(kind, defaults, one.settings) == before), None)
    first = float(on_validation.each(before).mean()) if known is None else known
    reached = -math.inf if result.best is None else result.best.value
    figures, p = _checked(
        trials_of(name, test, seed, items, _watch(name, "check", progress)), before, best if reached > first else before, seed
    )
    path, kept = tuned_path(work.settings, name), figures[1] > figures[0] and p < _LEVEL
    if kept and result.best is not None:
        path = save_tuned(work.settings, name, result.best.settings, ordered=ordered, timed=data.timed, base=defaults)
    report = ModelTuneReport(name, result, (first, max(first, reached)), figures, p, kept, path, time.monotonic() - started)
    save_history(work.settings, name, report.to_dict())
    return report


def _watch(name: str, stage: str, progress: ProgressReporter | None) -> TrainingCallback:
    if progress is None:
        return TrainingCallback()
    return TrainingCallback(lambda done, total, _: progress.part(f"{name}, {stage}", done, total))


def _splits(data: Interactions, split: str, users: int, seed: int, targets: tuple[str, ...]) -> tuple[HoldoutSplit, HoldoutSplit]:
    """Return the holdout split that checks the choice, and one of what is left then, which makes it.

    Raises InputError where too little is left.
    """
    test = TUNE_SPLITS[split](data, np.random.default_rng(seed), users, targets=targets)
    validation = TUNE_SPLITS[split](test.train, np.random.default_rng(seed + 1), users, targets=targets)
    if len(validation) < _LEAST_USERS or len(test) < _LEAST_USERS:
        raise InputError(
            f"Only {min(len(validation), len(test))} users have events enough to hold out twice.",
            "Load more events, or train with default settings.",
        )
    return test, validation


def _checked(trials: Trials, before: Any, best: Any, seed: int) -> tuple[tuple[float, float], float]:
    old = trials.each(before)
    if best == before:
        return (float(old.mean()), float(old.mean())), 1.0
    new = trials.each(best)
    return (float(old.mean()), float(new.mean())), paired_test(new, old, np.random.default_rng(seed))
