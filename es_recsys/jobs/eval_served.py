"""Trains a temporary store on the split of an evaluation, and measures what Elasticsearch answers from it."""

from __future__ import annotations

from collections.abc import Iterator

from es_recsys.errors import ModelError
from es_recsys.evaluation import Cost, measured
from es_recsys.evaluation.results import Measured
from es_recsys.jobs.eval_run import SERVED, EvalRun
from es_recsys.jobs.ranking_state import RankingState, copy_ranking_state
from es_recsys.models import Popularity
from es_recsys.search.retrievers import RETRIEVERS
from es_recsys.serving.refresh import build_profiles
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.user_interests import MIN_INTERESTS
from es_recsys.serving.workspace import Workspace
from es_recsys.training.scratch_store import copy_events, scratch_store
from es_recsys.training.served_quality import serving
from es_recsys.training.served_ranker import Change, ServedRanker, only_retriever, without_interests, without_person
from es_recsys.training.train import train
from es_recsys.training.train_version import TrainReport
from es_recsys.vector_fields import VECTOR_FIELDS

__all__ = ["measure_served", "served_rankers"]

_SELECTION_S = 240.0
"""Seconds that `train` takes at most to select models by itself."""


def measure_served(run: EvalRun) -> Iterator[Measured]:
    """Measure the served path and its ablations; without searches, the same models in memory first."""
    with scratch_store(run.work) as scratch:
        report, cost = _train(run, scratch)
        if report is not None and cost is not None and not run.options.searches:
            models, _ = serving(scratch.snapshots.latest(), run.split.train, None)
            yield run.measure_ensemble(models, report.weights, cost)
        for name, ranker in _rankers(run, scratch, report):
            yield run.measure(name, SERVED, ranker, cost if name == SERVED else None)


def served_rankers(run: EvalRun) -> Iterator[tuple[str, ServedRanker]]:
    """Yield name and ranker of the served path and its ablations, from a temporary store trained on the split.

    The store is there until the next one is asked for, and gone after the last.
    """
    with scratch_store(run.work) as scratch:
        report, _ = _train(run, scratch)
        yield from _rankers(run, scratch, report)


def _rankers(run: EvalRun, scratch: Workspace, report: TrainReport | None) -> Iterator[tuple[str, ServedRanker]]:
    if report is not None:
        run.notes.append("Served with " + ", ".join(f"{n} {w:.0%}" for n, w in report.weights.items()) + ".")
    state = copy_ranking_state(run.work, scratch)
    run.notes.extend(state.notes(run.options.searches))
    for name, change in _variants(run, scratch.snapshots.latest(), state):
        yield name, ServedRanker(scratch, run.split.queries, change)


def _train(run: EvalRun, scratch: Workspace) -> tuple[TrainReport | None, Cost | None]:
    """Fill the temporary store with the events of the split and train it; None for both where there is too little to train on."""
    events, rule, options = run.work.events, run.split.rule, run.options
    copy_events(scratch, events.scan(), rule, "train")
    names = tuple(name for name in options.models if name != Popularity.name)
    budget = options.budget if names else min(options.budget, _SELECTION_S)
    report, cost = None, None
    try:
        report, cost = measured(
            lambda: train(scratch, names, targets=run.train_targets, budget=budget, seed=options.seed, searches=False)
        )
        cost = Cost(report.training_s, cost.peak_mib)
    except ModelError as error:
        run.notes.append(f"Served without models. {error}")
    if rule.learned:
        copy_events(scratch, events.scan(), rule, "known")
        build_profiles(scratch)
    return report, cost


def _variants(run: EvalRun, snapshot: ServingSnapshot, state: RankingState) -> Iterator[tuple[str, Change | None]]:
    """Yield name and change of the ranking policy: the served path as users get it, then without each of its parts."""
    searches = run.options.searches
    yield SERVED, None
    for label, change in state.ablations(searches):
        yield f"served, {label}", change
    if not searches and snapshot.settings.search.interests >= MIN_INTERESTS:
        yield "served, without interests", without_interests
    if run.options.retrievers or searches or run.options.impressions:
        yield "served, neutral", without_person
    if run.options.retrievers:
        for name in _usable_retrievers(snapshot, searches):
            yield f"served, {name} alone", only_retriever(name)


def _usable_retrievers(snapshot: ServingSnapshot, searches: bool) -> list[str]:
    """Return the retrievers that can find something: those whose vectors the store has and that such queries use."""
    missing = {row.name for row in VECTOR_FIELDS.values()} - set(snapshot.metadata.vectors)
    unusable = missing | {f"taste_{VECTOR_FIELDS[name].content}" for name in missing}
    media = {name for name, row in VECTOR_FIELDS.items() if row.source == "encoder" and row.content != "text"}
    unusable |= {name for name, one in RETRIEVERS.items() if one.matches_query and (not searches or name in media)}
    return [name for name in (*RETRIEVERS, *sorted(snapshot.models)) if name not in unusable]
