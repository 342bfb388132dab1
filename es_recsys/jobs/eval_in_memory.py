"""Trains models on the split of an evaluation, and measures them in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any

import numpy as np

from es_recsys.errors import RecsysError
from es_recsys.evaluation import ModelRanker, measured
from es_recsys.evaluation.results import Measured
from es_recsys.jobs.eval_run import MEMORY, EvalRun
from es_recsys.models import MODELS, Model, Popularity
from es_recsys.models.base import TrainingCallback
from es_recsys.training import early_stopping
from es_recsys.training.model_selection import TrainSpec, select
from es_recsys.training.model_trials import trials_of
from es_recsys.training.selection_report import Notes
from es_recsys.training.tuned_settings import load_tuned
from es_recsys.training.validation import FEWEST, Validation

__all__ = ["measure_models", "measure_selected_ensemble"]

Curve = list[Mapping[str, float]]


def measure_models(run: EvalRun) -> Iterator[Measured]:
    """Train and measure each model by itself, popularity first.

    A model that can't be trained, or not in time, is left out with a note. Raises RecsysError for one that was named.
    """
    named = run.options.models
    names = tuple(dict.fromkeys((Popularity.name, *(named or MODELS))))
    late: list[str] = []
    validation = cache(
        lambda: Validation.of(run.split.train, np.random.default_rng(run.options.seed), Notes(None), run.train_targets)
    )
    for idx, name in enumerate(names):
        left = run.seconds_left()
        if left <= 0 and name != Popularity.name and name not in named:
            late.append(name)
            continue
        curve: Curve = []
        try:
            model, cost = measured(partial(_train, run, name, validation, curve, left / (len(names) - idx)))
        except RecsysError as error:
            if name in named:
                raise
            run.notes.append(f"{name} is left out. {error}")
            continue
        yield run.measure(name, MEMORY, ModelRanker(model, run.users), cost, curve)
    if late:
        run.notes.append(f"Not trained, as the {run.options.budget:.0f} s of processor time were over: {', '.join(late)}.")


def measure_selected_ensemble(run: EvalRun) -> Measured:
    """Select an ensemble on the split as `train` does, and measure it."""
    names = tuple(name for name in run.options.models if name != Popularity.name)
    reads_items = any(MODELS[name].reads_items for name in names)
    spec = TrainSpec(names, items=run.items if reads_items else None, targets=run.train_targets)
    rng = np.random.default_rng(run.options.seed)
    selected, cost = measured(lambda: select(run.split.train, rng, max(run.seconds_left(), 1.0), spec=spec))
    return run.measure_ensemble(selected.models, selected.weights, cost)


def _train(run: EvalRun, name: str, validation: Callable[[], Validation], curve: Curve, seconds: float) -> Model:
    """Train a model within `seconds` of processor time, half of them to tune it. curve: gets the figures of each epoch."""

    def add_epoch(done: int, total: int, figures: Mapping[str, float]) -> None:
        if figures:
            curve.append({"epoch": float(done), "of": float(total), **figures})

    kind, deadline = MODELS[name], time.process_time() + max(seconds, 1.0)
    model = kind(_config(run, name, validation, time.process_time() + seconds / 2))
    rng = np.random.default_rng(run.options.seed)
    items = run.items if kind.reads_items else None
    return early_stopping.fit(model, run.split.train, rng, items, TrainingCallback(add_epoch, None, deadline))


def _config(run: EvalRun, name: str, validation: Callable[[], Validation], deadline: float) -> Any:
    """Return a model's config as `train` has it, so that what is compared is tuned alike.

    It is the one that `tune model` found, else the best that is found by `deadline` on held-out events of the training.
    """
    kind, timed = MODELS[name], run.split.train.timed
    config = load_tuned(run.work.settings, name)
    if config is not None:
        return config
    held = validation()
    if len(held.part) < FEWEST or not kind.search_space(held.ordered, timed):
        return kind.config_for(held.part.train, held.ordered)
    items = run.items if kind.reads_items else None
    trials = trials_of(name, held.part, run.options.seed, items, TrainingCallback(deadline=deadline))
    return trials.tune(held.ordered, deadline)[0]
