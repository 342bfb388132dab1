"""Measures how well the served ranking of the items of an impression has the clicked ones first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from es_recsys.evaluation import ask, bootstrap, holm, paired_test
from es_recsys.evaluation.impression_report import ImpressionReport, RankedImpressions
from es_recsys.evaluation.impressions import IMPRESSION_METRICS, impression_metrics, impression_split
from es_recsys.jobs.eval_run import SERVED, EvalRun
from es_recsys.jobs.eval_served import served_rankers
from es_recsys.jobs.evaluate_options import IMPRESSION, EvaluateOptions, check_options
from es_recsys.progress import Progress
from es_recsys.renamed import current_models
from es_recsys.serving.product_groups import fetch_live_item_groups, group_events
from es_recsys.serving.stored_interactions import load_interactions
from es_recsys.serving.workspace import Workspace
from es_recsys.training.item_table import item_table
from es_recsys.training.target_types import check_targets, targets_of

__all__ = ["evaluate_impressions"]


def evaluate_impressions(work: Workspace, options: EvaluateOptions, progress: Progress | None = None) -> ImpressionReport:
    """Train a temporary store on what came before the last fifth of the impressions, and have it rank what these showed.

    options: as of `evaluate`, whose split is taken to be "impression". The ranking is that of `rank`, for the user as known
    before. Nothing of the store changes. Raises InputError where the store's events have no impression that tells anything;
    StoreNotFound; MissingExtra.
    """
    options = replace(options, models=current_models(options.models), split=IMPRESSION)
    check_options(options)
    rng = np.random.default_rng(options.seed)
    with work.translating_errors():
        metadata = work.snapshots.latest().metadata
        data = load_interactions(work, metadata, work.now())
        events = group_events(work.events.scan(), fetch_live_item_groups(work))
        split = impression_split(data, events, rng, options.users, options.targets)
        items = item_table(work, metadata)
        targets = targets_of(metadata) if metadata.models else check_targets(options.targets)
    run = EvalRun.of(work, split, items, options, targets, progress)
    most = max(len(query.query.ids or ()) for query in split.queries)
    values: dict[str, dict[str, NDArray[np.float64]]] = {}
    latency: dict[str, dict[str, float]] = {}
    for name, ranker in served_rankers(run):
        answers = ask(ranker, split.queries, most, progress)
        values[name], latency[name] = impression_metrics(answers.lists, split.queries), answers.latency()
        if answers.failed:
            run.notes.append(f"{name}: {answers.failed:,} of the rankings failed, the first with: {answers.error}")
    values["as shown"] = impression_metrics([query.query.ids or () for query in split.queries], split.queries)
    return _report(run, values, latency, rng)


def _report(
    run: EvalRun,
    values: dict[str, dict[str, NDArray[np.float64]]],
    latency: dict[str, dict[str, float]],
    rng: np.random.Generator,
) -> ImpressionReport:
    actors = [query.actor for query in run.split.queries]
    p = {
        metric: holm(
            {
                name: paired_test(own[metric], values[SERVED][metric], rng, groups=actors)
                for name, own in values.items()
                if name != SERVED
            }
        )
        for metric in IMPRESSION_METRICS
    }
    rankings = tuple(
        RankedImpressions(
            name,
            {metric: bootstrap(own[metric], rng, groups=actors) for metric in IMPRESSION_METRICS},
            {metric: p[metric][name] for metric in IMPRESSION_METRICS if name in p[metric]},
            latency.get(name, {}),
        )
        for name, own in values.items()
    )
    shown = [len(query.query.ids or ()) for query in run.split.queries]
    return ImpressionReport(
        run.work.settings.index,
        datetime.now(UTC).isoformat(timespec="seconds"),
        run.split.kind,
        len(shown),
        len(set(actors)),
        float(np.mean(shown)),
        rankings,
        tuple(run.notes),
    )
