"""Tuning of the retriever weights by trials on events that are held out, stored with the store.

Without a query all retrievers are weighed; in a search the personalised ones, popularity and recency, beside those that match the
query, whose weights `tune search` chooses from judgments. Answers are computed once, by a store that was trained without the
events held out; the trials are arithmetic on what each retriever gave each candidate. They set out from the weights under which
what people turned to was the likeliest of what they might have had (models/conditional_logit.py), or from those until now,
whichever are better, one retriever after the other moved to where it serves best. Answers are cached, so that a run that was
broken off need not train and search again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np

from es_recsys.data_digest import data_digest
from es_recsys.dataset import Interactions
from es_recsys.errors import InputError
from es_recsys.evaluation.holdout import leave_last_out, temporal_split
from es_recsys.evaluation.queries import EvalSplit
from es_recsys.evaluation.searches import search_outcomes
from es_recsys.evaluation.splits import as_queries
from es_recsys.evaluation.statistics import p_words, paired_test
from es_recsys.evaluation.tuner import Trial, TuningResult, optimize
from es_recsys.evaluation.weights import RetrieverScores, padded_scores
from es_recsys.index.item_digests import catalogue_digest
from es_recsys.index.stored_metadata import encoder_fingerprints
from es_recsys.index_metadata import IndexMetadata
from es_recsys.models.conditional_logit import fit_conditional_logit
from es_recsys.progress import Progress
from es_recsys.search.request import RankingPolicy
from es_recsys.search.retriever_weights import NOT_PERSONALIZED, PERSONAL_SHARE, weight_table
from es_recsys.search.retrievers import LEXICAL, RETRIEVERS
from es_recsys.serving.ranking_policy import ranking_policy
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.stored_interactions import load_interactions
from es_recsys.serving.workspace import Workspace
from es_recsys.training.score_cache import ScoreCache
from es_recsys.training.scratch_store import copy_events, scratch_store
from es_recsys.training.served_ranker import ServedRanker
from es_recsys.training.target_types import check_targets, targets_of
from es_recsys.training.train import train
from es_recsys.training.training_record import record_tuned
from es_recsys.training.tuned_settings import load_tuned, save_history, tuned_path

__all__ = ["SITUATIONS", "TunedSituation", "WeightsTuneReport", "logit_weights", "next_items", "tune_weights"]

_VALUES = (0.0, 0.001, 0.003, 0.01, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0)
SITUATIONS = ("no_query", "query")
_FEWEST_QUERIES = 50
# From so many on a split in time is asked; with fewer the last item of each user asks more.
_ENOUGH_QUERIES = 200
_CANDIDATES = 400
_FOLDS = 5
_ROUNDS = 6
# Of all events, those that come after the moment. On the sample store a tenth were too few purchases: what was chosen on
# them was worse by cross-validation than the usual weights, on a fifth better.
_NEWEST = 0.2
_SURE = 0.05
_METRIC = "NDCG@10"
_IN_WORDS = {"no_query": "without a query", "query": "in searches"}
_BUDGET = 120.0
# So small together that the cap on the personalised retrievers of a search is not reached while scores are collected.
_PROBE = 1e-3


@dataclass(frozen=True, slots=True)
class TunedSituation:
    """Outcome of the tuning for one situation.

    before, after: NDCG@10 with the weights until now and, each query by weights chosen without it, with new ones; p of their
    difference. trials: of the last choice, which all queries made.
    """

    name: str
    queries: int
    weights: Mapping[str, float]
    before: float
    after: float
    p: float
    kept: bool
    trials: tuple[Trial, ...]

    def history(self) -> dict[str, Any]:
        """Return the trials of the last choice, as the page plots them."""
        model = f"weights of the retrievers, {_IN_WORDS[self.name]}"
        return {"kind": "tuning", "model": model, "metric": _METRIC, "trials": [one.to_dict() for one in self.trials]}


@dataclass(frozen=True, slots=True)
class WeightsTuneReport:
    """Report of a tuning: what was found, situation by situation, and why others were left alone."""

    situations: tuple[TunedSituation, ...]
    notes: tuple[str, ...]
    seconds: float

    def lines(self) -> Iterator[str]:
        for one in self.situations:
            yield (
                f"{one.name}: {one.queries:,} queries, {len(one.trials):,} trials; by cross-validation NDCG@10"
                f" {one.before:.4f} before, {one.after:.4f} after ({p_words(one.p)})"
            )
            if one.kept:
                yield "  " + ", ".join(f"{name} {weight:g}" for name, weight in one.weights.items())
            else:
                yield "  No significantly better weights were found: they stay as they are."
        yield from self.notes
        if any(one.kept for one in self.situations):
            yield "New weights are stored with the store until the next training."
        yield f"{self.seconds:.0f} s."

    def to_dict(self) -> dict[str, Any]:
        names = ("queries", "before", "after", "p", "kept")
        return {
            "kind": "weights",
            "situations": {
                one.name: {
                    **{name: getattr(one, name) for name in names},
                    "trials": len(one.trials),
                    "weights": dict(one.weights),
                    "history": one.history(),
                }
                for one in self.situations
            },
            "notes": list(self.notes),
            "seconds": round(self.seconds, 1),
        }


def tune_weights(
    work: Workspace,
    *,
    trials: int = 500,
    budget: float | None = None,
    users: int = 500,
    targets: Collection[str] = (),
    situations: Collection[str] = SITUATIONS,
    seed: int = 7,
    progress: Progress | None = None,
) -> WeightsTuneReport:
    """Tune the retriever weights without a query and, where users searched, the personal part of those with a query.

    situations: which of the two, "no_query" and "query". trials: of each choice. budget: seconds of trials of each situation.
    targets: event types that make an item relevant where there is no query (none named: those that the store was trained for,
    else all that are positive). Broken off, it uses the answers collected before, as long as the store has the same events, items
    and settings. Raises StoreNotFound, InputError for an unknown type or where there are too few queries, MissingExtra.
    """
    started, targets = time.monotonic(), check_targets(targets)
    with work.translating_errors():
        live = work.snapshots.latest().metadata
        targets = targets or targets_of(live)
        if not live.models:
            raise InputError("This store has no trained models to weigh.", "Train first: es-recsys train.")
        data = load_interactions(work, live, work.now())
        content = catalogue_digest(work.es, live.index)
    rng = np.random.default_rng(seed)
    splits = {
        "no_query": next_items(data, rng, users, targets),
        "query": search_outcomes(data, work.events.scan(), rng, users),
    }
    splits = {name: split for name, split in splits.items() if name in situations}
    found: list[TunedSituation] = []
    notes: list[str] = []
    for name, split in splits.items():
        if len(split) < _FEWEST_QUERIES:
            notes.append(f"{name}: only {len(split)} queries can be made of the events; it takes {_FEWEST_QUERIES}.")
            continue
        digest = data_digest(data, content, name, users, targets, seed, _answers_depend_on(work, live, name))
        stored = ScoreCache(tuned_path(work.settings, f"weights_{name}").with_suffix(".npz"), f"{split.kind}/{digest}")
        answers = stored.get()
        if answers is None:
            with scratch_store(work) as scratch:
                answers = _collected(scratch, work, split, live, name, progress)
            stored.put(*answers)
        found.append(_tuned(name, *answers, [query.actor for query in split.queries], trials, budget, seed))
        save_history(work.settings, f"weights_{name}", found[-1].history())
    if not found:
        raise InputError("There are too few events to tune the weights on.", " ".join(notes) or "Load more events.")
    _store(work, {one.name: one.weights for one in found if one.kept})
    return WeightsTuneReport(tuple(found), tuple(notes), time.monotonic() - started)


def next_items(data: Interactions, rng: np.random.Generator, users: int, targets: Collection[str]) -> EvalSplit:
    """Return an evaluation split of what came after a moment, where enough did, else of the last item of each user.

    As when the store answers, nothing that others did later is known after a moment; it would speak for signals of what goes
    together.
    """
    if data.timed:
        split = temporal_split(data, rng, users, share=_NEWEST, targets=targets)
        if len(split) >= _ENOUGH_QUERIES:
            return as_queries(split)
    return as_queries(leave_last_out(data, rng, users, targets=targets))


def _answers_depend_on(work: Workspace, live: IndexMetadata, name: str) -> tuple[object, ...]:
    """Return what the answers of the scratch store depend on besides events, items and queries."""
    settings = work.settings.search.model_dump_json(), work.settings.profiles.model_dump_json()
    vectors = sorted(encoder_fingerprints(live).items())
    models = targets_of(live), [(model, load_tuned(work.settings, model)) for model in sorted(live.models)]
    # Without a query nothing of a search's table is read.
    tables = (
        (sorted(live.retriever_weights.get("query", {}).items()), sorted(live.text_boosts.items())) if name == "query" else ()
    )
    return work.events.last_row, sorted(live.event_weights.items()), live.language, vectors, settings, models, tables, _VALUES


def _collected(
    scratch: Workspace, work: Workspace, split: EvalSplit, live: IndexMetadata, name: str, progress: Progress | None
) -> tuple[RetrieverScores, dict[str, float]]:
    """Return what each retriever gives each candidate of each query, and the weights until now."""
    copy_events(scratch, work.events.scan(), split.rule, "train")
    train(scratch, live.models, targets=targets_of(live), budget=_BUDGET)
    snapshot = scratch.snapshots.latest()
    retrievers = _retrievers(snapshot, name)
    probe = dict.fromkeys(retrievers, 1.0 if name == "no_query" else _PROBE)
    ranker = ServedRanker(scratch, split.queries, partial(_with_table, name=name, weights=probe))
    candidates = []
    queries = [query.query.model_copy(update={"n": _CANDIDATES}) for query in split.queries]
    for done, one in enumerate(ranker.batch(queries)):
        candidates.append([(hit.product_id, *_parted(hit.parts, probe)) for hit in one.hits])
        if progress is not None:
            progress(done + 1, len(split))
    table = weight_table(ranking_policy(snapshot), name, snapshot.models)
    cap = PERSONAL_SHARE * sum(table.get(retriever, 0.0) for retriever in _matching(snapshot)) if name == "query" else math.inf
    capped = [retriever for retriever in retrievers if retriever in snapshot.models or RETRIEVERS[retriever].personalized]
    retriever_scores = padded_scores(retrievers, candidates, [query.grades for query in split.queries], capped, cap)
    return retriever_scores, {retriever: table.get(retriever, 0.0) for retriever in retrievers}


def _tuned(
    name: str,
    retriever_scores: RetrieverScores,
    before: Mapping[str, float],
    who: Sequence[str],
    trials: int,
    seconds: float | None,
    seed: int,
) -> TunedSituation:
    """Choose weights on all queries, and judge such a choice by cross-validation.

    Weights chosen on the other people's queries answer those of a fold's people. So each query says something, though none says
    anything of weights that it helped to choose.
    """
    # Who asks as nobody is not one person.
    people, owner = np.unique([one or f"\0{row}" for row, one in enumerate(who)], return_inverse=True)
    rng = np.random.default_rng(seed)
    fold = (rng.permutation(len(people)) % _FOLDS)[owner]
    seconds = math.inf if seconds is None else seconds / (_FOLDS + 1)
    old, new = retriever_scores.ndcg(before), np.zeros(len(retriever_scores))
    for one in range(_FOLDS):
        own = np.flatnonzero(fold == one)
        chosen, _ = _chosen(retriever_scores.some(np.flatnonzero(fold != one)), before, trials, seconds)
        new[own] = retriever_scores.some(own).ndcg(chosen)
    best, result = _chosen(retriever_scores, before, trials, seconds)
    p = paired_test(new, old, rng, groups=who)
    # So many trials find something in any noise: only what is significantly better goes into service.
    kept = bool(new.mean() > old.mean() and p < _SURE)
    means = float(old.mean()), float(new.mean())
    return TunedSituation(name, len(retriever_scores), best if kept else before, *means, p, kept, result.trials)


def _chosen(
    retriever_scores: RetrieverScores, before: Mapping[str, float], trials: int, seconds: float
) -> tuple[dict[str, float], TuningResult]:
    """Return the best weights of all tried, and the trials."""
    names = retriever_scores.retrievers
    score = cache(lambda weights: float(retriever_scores.ndcg(dict(zip(names, weights, strict=True))).mean()))

    def value(weights: Mapping[str, float]) -> float:
        return score(tuple(weights.get(name, 0.0) for name in names))

    likely = logit_weights(retriever_scores)
    better = likely if value(likely) > value(before) else before
    result = optimize(
        dict.fromkeys(names, _VALUES),
        value,
        method="coordinate",
        start={name: min(_VALUES, key=lambda one: abs(one - better.get(name, 0.0))) for name in names},
        trials=trials,
        deadline=time.monotonic() + seconds,
        rounds=_ROUNDS,
        exhaustive=True,
    )
    tried: list[Mapping[str, float]] = [likely, before, *([] if result.best is None else [result.best.settings])]
    best = max(tried, key=value)
    return dict(best), result


def logit_weights(retriever_scores: RetrieverScores) -> dict[str, float]:
    """Return the retriever weights of the greatest likelihood (conditional logit), beside what the other retrievers give.

    What these give counts 1; where the largest weight should be more than that, it is 1 and the others shrink in proportion.
    """
    choices, worth = retriever_scores.choices()
    theta = fit_conditional_logit(choices, worth) if choices else np.zeros(len(retriever_scores.retrievers) + 1)
    scale = float(theta.max()) or 1.0
    return {retriever: float(weight) / scale for retriever, weight in zip(retriever_scores.retrievers, theta, strict=False)}


def _matching(snapshot: ServingSnapshot) -> list[str]:
    """Return the retrievers that match a text query in this store."""
    searched = {LEXICAL, *snapshot.encoder.fields(snapshot.metadata, "text")}
    return [name for name, retriever in RETRIEVERS.items() if retriever.matches_query and name in searched]


def _retrievers(snapshot: ServingSnapshot, name: str) -> tuple[str, ...]:
    own = [one for one, retriever in RETRIEVERS.items() if retriever.personalized or one in NOT_PERSONALIZED]
    there = {f"taste_{field.removesuffix('_vector')}" for field in snapshot.content_fields} | NOT_PERSONALIZED
    return (*(retriever for retriever in own if retriever in there), *sorted(snapshot.models))


def _with_table(policy: RankingPolicy, name: str, weights: Mapping[str, float]) -> RankingPolicy:
    given = policy.retriever_weights
    return replace(policy, retriever_weights={**given, name: {**given.get(name, {}), **weights}}, rankers={})


def _parted(parts: Mapping[str, float], probe: Mapping[str, float]) -> tuple[float, dict[str, float]]:
    rest = sum(part for retriever, part in parts.items() if retriever not in probe)
    return rest, {retriever: part / probe[retriever] for retriever, part in parts.items() if retriever in probe}


def _store(work: Workspace, tables: Mapping[str, Mapping[str, float]]) -> None:
    def tune(metadata: IndexMetadata) -> IndexMetadata:
        given = metadata.retriever_weights
        merged = {name: {**given.get(name, {}), **table} for name, table in tables.items()}
        return replace(metadata, retriever_weights={**given, **merged}, notes=record_tuned(metadata.notes, tables))

    if tables:
        work.update_metadata(tune)
