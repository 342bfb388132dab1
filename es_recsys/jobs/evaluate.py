"""Compares techniques on a store's own events or on judgments: models in memory, and the served path through Elasticsearch."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from es_recsys.dataset import Interactions
from es_recsys.errors import InputError
from es_recsys.evaluation import EvalSplit, judged_queries, query_split, search_outcomes, searches_by_user
from es_recsys.evaluation.results import Comparison, Measured, compared
from es_recsys.jobs.eval_in_memory import measure_models, measure_selected_ensemble
from es_recsys.jobs.eval_run import EvalRun
from es_recsys.jobs.eval_served import measure_served
from es_recsys.jobs.evaluate_options import EvaluateOptions, check_options
from es_recsys.progress import Progress
from es_recsys.renamed import current_models
from es_recsys.serving.product_groups import fetch_live_item_groups, group_events, group_judgments
from es_recsys.serving.stored_interactions import load_interactions
from es_recsys.serving.workspace import Workspace
from es_recsys.sources import read_judgments
from es_recsys.training.item_table import item_table
from es_recsys.training.target_types import check_targets, targets_of
from es_recsys.training.tuned_settings import tuning_histories

__all__ = ["evaluate"]


def evaluate(work: Workspace, options: EvaluateOptions, progress: Progress | None = None) -> Comparison:
    """Split the store's events, train on one part, answer queries about the other, and compare. Nothing of the store changes.

    Raises InputError for an unknown model, split or type, or one that the store's events don't allow; StoreNotFound; ModelError
    where there is nothing to train on; MissingExtra.
    """
    options = replace(options, models=current_models(options.models))
    check_options(options)
    run = _begin(work, options, progress)
    techniques, best = compared(_measure(run), np.random.default_rng(options.seed))
    return Comparison(
        store=work.settings.index,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        split=run.split.kind,
        queries=len(run.split),
        n=options.n,
        techniques=techniques,
        best=best,
        about=_about(run),
        notes=tuple(run.notes),
        tuning=tuning_histories(work.settings),
    )


def _begin(work: Workspace, options: EvaluateOptions, progress: Progress | None) -> EvalRun:
    with work.translating_errors():
        metadata = work.snapshots.latest().metadata
        data = load_interactions(work, metadata, work.now())
        split = _split(work, data, options)
        if not split.queries:
            raise InputError(
                f"There is no query to evaluate on ({split.kind}).", "Load more events, or try another --split, or --judgments."
            )
        items = item_table(work, metadata)
        train_targets = targets_of(metadata) if metadata.models else check_targets(options.targets)
    return EvalRun.of(work, split, items, options, train_targets, progress)


def _split(work: Workspace, data: Interactions, options: EvaluateOptions) -> EvalSplit:
    """Return the split that the options name."""
    rng = np.random.default_rng(options.seed)
    groups = fetch_live_item_groups(work)
    if options.judgments is not None:
        grades = group_judgments(read_judgments(options.judgments, columns=options.columns), groups)
        return judged_queries(data, grades, rng, options.users)
    if options.split == "search":
        return search_outcomes(data, group_events(work.events.scan(), groups), rng, options.users)
    searches = searches_by_user(group_events(work.events.scan(), groups))
    return query_split(options.split, data, rng, options.users, targets=options.targets, searches=searches)


def _measure(run: EvalRun) -> list[Measured]:
    searches = run.options.searches
    found = [] if searches else list(measure_models(run))
    if run.options.served:
        found += measure_served(run)
    elif not searches:
        found.append(measure_selected_ensemble(run))
    return found


def _about(run: EvalRun) -> dict[str, Any]:
    """Return what was measured on, as JSON values."""
    train, queries = run.split.train, run.split.queries
    lengths = [len(query.history.item_ids) for query in queries]
    return {
        "users": len(np.unique(train.users)),
        "items": len(run.catalogue.ids),
        "events": len(train.items),
        "timed": train.timed,
        "median_history": float(np.median(lengths)) if lengths else math.nan,
        "relevant_items": float(np.mean([len(query.grades) for query in queries])),
        "targets": list(run.options.targets),
        "seed": run.options.seed,
    }
