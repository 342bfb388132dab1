"""Choice of the retriever weights by trials on events that are held out, stored with the store.

Without a query all retrievers but those of the query are weighed. In a search all are, for each kind of searches by itself (see
`retriever_weights`): what people searched for and came to, where enough of them did, else what they took next, asked for by one
of its names. Answers are computed once, by a store that was trained without the events held out, with the live models' settings;
the trials are arithmetic on what each retriever gave each candidate. They set out from the weights under which what people
turned to was the likeliest of what they might have had (models/conditional_logit.py), or from those until now, whichever are
better, one retriever after the other moved to where it serves best. Answers are cached, so that a run that was broken off need
not train and search again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.data_digest import data_digest
from es_recsys.dataset import Interactions
from es_recsys.errors import InputError
from es_recsys.evaluation.holdout import leave_last_out, temporal_split
from es_recsys.evaluation.queries import EvalQuery, EvalSplit
from es_recsys.evaluation.rebuilt_searches import rebuilt_searches, title_searches
from es_recsys.evaluation.searches import search_outcomes
from es_recsys.evaluation.splits import as_queries
from es_recsys.evaluation.statistics import Estimate, bootstrap, difference_words, p_words, paired_test
from es_recsys.evaluation.tuner import Trial, TuningResult, optimize
from es_recsys.evaluation.weights import RetrieverScores, padded_scores
from es_recsys.index.item_digests import catalogue_digest
from es_recsys.index.stored_metadata import encoder_fingerprints
from es_recsys.index_metadata import IndexMetadata
from es_recsys.models.conditional_logit import fit_conditional_logit
from es_recsys.progress import Progress
from es_recsys.search.request import RankingPolicy, Request, UserState
from es_recsys.search.retriever_weights import (
    NOT_PERSONALIZED,
    SEARCH_KINDS,
    breadth,
    damped_weights,
    search_kind,
    weight_table,
)
from es_recsys.search.retrievers import LEXICAL, RETRIEVERS, Retriever
from es_recsys.serving.ranking_policy import ranking_policy
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.stored_interactions import load_interactions
from es_recsys.serving.workspace import Workspace
from es_recsys.training.item_table import item_table
from es_recsys.training.score_cache import ScoreCache
from es_recsys.training.scratch_store import copy_events, scratch_store
from es_recsys.training.served_ranker import ServedRanker
from es_recsys.training.target_types import check_targets, targets_of
from es_recsys.training.train_version import train_and_publish, train_spec
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
_IN_WORDS = {
    "no_query": "without a query",
    "query_item": "in searches that name one item",
    "query_kind": "in searches that name a kind of items",
    "query_vague": "in vague searches",
}
# What the neutral answer counts in the choice of a search's weights, which it shares.
_NEUTRAL = 0.25
# Under which the candidates of a search are collected, so that each retriever brings some.
_PROBE, _PROBE_WORDS = 0.3, 1.0
# More than any profile has, so that scores are those of somebody well known.
_WELL_KNOWN = 1e12
_DEPTH = 200
_TITLES = 400
_SHARES = (1.0, 0.85, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.0)
# Words that name things say little for a query's vector, which finds what is put otherwise.
_LEAST_VECTOR = 0.1
_SMALLEST_SHARE = 1e-3


@dataclass(frozen=True, slots=True)
class TunedSituation:
    """Outcome of the choice for one situation, or one kind of searches.

    before, after: NDCG@10 with the weights until now and, each query by weights chosen without it, with new ones; p of their
    difference. over_neutral: of a search what the better of both gains over the neutral answer until now. trials: of the last
    choice, which all queries made.
    """

    name: str
    queries: int
    weights: Mapping[str, float]
    before: float
    after: float
    p: float
    kept: bool
    trials: tuple[Trial, ...]
    over_neutral: Estimate | None = None

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
                + ("" if one.over_neutral is None else f"; over the neutral answer {difference_words(one.over_neutral)}")
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
                    "over_neutral": None if one.over_neutral is None else one.over_neutral.to_dict(),
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
    fewest: int = _FEWEST_QUERIES,
    seed: int = 7,
    progress: Progress | None = None,
) -> WeightsTuneReport:
    """Choose the retriever weights without a query, and those of each kind of searches.

    situations: which of the two, "no_query" and "query". fewest: queries that a situation takes. trials: of each choice. budget:
    seconds of trials of each choice. targets: event types that make an item relevant, but of what a logged search led to (none
    named: those that the store was trained for, else all that are positive). Broken off, it uses the answers collected before, as
    long as the store has the same events, items and settings. Raises StoreNotFound, InputError for an unknown type or where there
    are too few queries, MissingExtra.
    """
    started, targets = time.monotonic(), check_targets(targets)
    with work.translating_errors():
        snapshot = work.snapshots.latest()
        live = snapshot.metadata
        targets = targets or targets_of(live)
        if not live.models:
            raise InputError("This store has no trained models to weigh.", "Train first: es-recsys train.")
        data = load_interactions(work, live, work.now())
        content = catalogue_digest(work.es, live.index)
    found: list[TunedSituation] = []
    notes: list[str] = []
    for name in (name for name in SITUATIONS if name in situations):
        split, titles = _split(work, live, name, data, np.random.default_rng(seed), users, targets)
        if len(split) < fewest:
            notes.append(f"{name}: only {len(split)} queries can be made of the events; it takes {fewest}.")
            continue
        digest = data_digest(data, content, name, users, targets, seed, len(titles), _answers_depend_on(work, live, name))
        stored = ScoreCache(tuned_path(work.settings, f"weights_{name}").with_suffix(".npz"), f"{split.kind}/{digest}")
        answers = stored.get()
        if answers is None:
            with scratch_store(work) as scratch:
                answers = _collected(scratch, work, split, titles, snapshot, name, progress)
            stored.put(*answers)
        actors = np.array([query.actor for query in split.queries])
        for part, rows in _parts(name, answers[0]).items():
            asked, named = rows[rows < len(split)], rows[rows >= len(split)]
            if len(asked) < _FEWEST_QUERIES:
                notes.append(f"{part}: only {len(asked)} of {len(split):,} queries are such; it takes {_FEWEST_QUERIES}.")
                continue
            given = [(answers[0].some(some), answers[1][some]) for some in (asked, named)]
            found.append(_tuned(part, *given[0], actors[asked].tolist(), trials, budget, seed, given[1]))
            save_history(work.settings, f"weights_{part}", found[-1].history())
    if not found:
        raise InputError("There are too few events to tune the weights on.", " ".join(notes) or "Load more events.")
    _store(work, {one.name: one.weights for one in found if one.kept})
    return WeightsTuneReport(tuple(found), tuple(notes), time.monotonic() - started)


def _split(
    work: Workspace,
    live: IndexMetadata,
    name: str,
    data: Interactions,
    rng: np.random.Generator,
    users: int,
    targets: Collection[str],
) -> tuple[EvalSplit, tuple[EvalQuery, ...]]:
    """Return the queries of a situation, and searches for whole titles, of which none may be lost.

    Where too few searches led somewhere, they are rebuilt from what people took.
    """
    if name == "no_query":
        return next_items(data, rng, users, targets), ()
    split = search_outcomes(data, work.events.scan(), rng, users)
    if live.notes.get("bare"):
        return split, ()
    items = item_table(work, live)
    if len(split) < _ENOUGH_QUERIES:
        rebuilt = rebuilt_searches(next_items(data, rng, users, targets), items, rng)
        split = max(rebuilt, split, key=len)
    return split, title_searches(split, items, rng, _TITLES) if len(split) else ()


def _parts(name: str, scores: RetrieverScores) -> dict[str, NDArray[np.int64]]:
    """Return what is chosen by itself: the situation, or the kinds of its searches; each with its rows."""
    if name == "no_query":
        return {name: np.arange(len(scores))}
    kinds = np.array([search_kind(breadth(own, _DEPTH)) for own in _words_of(scores)])
    return {kind: np.flatnonzero(kinds == kind) for kind in SEARCH_KINDS}


def _words_of(scores: RetrieverScores) -> list[list[float]]:
    """Return what the words score the candidates of each query, best first."""
    found: list[list[float]] = (-np.sort(-scores.scores[:, :, scores.retrievers.index(LEXICAL)], axis=1)).tolist()
    return found


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
    scratch: Workspace,
    work: Workspace,
    split: EvalSplit,
    titles: Sequence[EvalQuery],
    live: ServingSnapshot,
    name: str,
    progress: Progress | None,
) -> tuple[RetrieverScores, NDArray[np.float64]]:
    """Return what each retriever gives each candidate of each query, and the weights (q, l) until now."""
    copy_events(scratch, work.events.scan(), split.rule, "train")
    _train_alike(scratch, live)
    snapshot = scratch.snapshots.latest()
    retrievers = _retrievers(snapshot, name)
    probe = dict.fromkeys(retrievers, 1.0 if name == "no_query" else _PROBE)
    if name == "query":
        probe[LEXICAL] = _PROBE_WORDS
    tables = dict.fromkeys(SEARCH_KINDS if name == "query" else (name,), probe)
    asked = (*split.queries, *titles)
    ranker = ServedRanker(scratch, asked, partial(_with_tables, tables=tables))
    candidates = []
    queries = [query.query.model_copy(update={"n": _CANDIDATES}) for query in asked]
    for done, one in enumerate(ranker.batch(queries)):
        candidates.append([(hit.product_id, *_parted(hit.parts, probe)) for hit in one.hits])
        if progress is not None:
            progress(done + 1, len(asked))
    scores = padded_scores(retrievers, candidates, [query.grades for query in asked])
    return scores, _weights_until_now(ranking_policy(live), scores, name, tuple(snapshot.models))


def _train_alike(scratch: Workspace, live: ServingSnapshot) -> None:
    """Train the live models with their settings and shares on the events of the scratch store."""
    now, own = scratch.now(), scratch.snapshots.for_training()
    shares = live.metadata.retriever_weights.get("no_query", {})
    configs = {name: model.config for name, model in live.models.items()}
    shares = {name: max(shares.get(name, 0.0), _SMALLEST_SHARE) for name in configs}
    spec = train_spec(scratch, own.metadata, (), configs, targets_of(live.metadata), shares)
    train_and_publish(scratch, own, load_interactions(scratch, own.metadata, now), now, spec)


def _weights_until_now(policy: RankingPolicy, scores: RetrieverScores, name: str, models: Sequence[str]) -> NDArray[np.float64]:
    """Return the weights (q, l) that the store's ranking gives the retrievers of each query."""
    personal = [Retriever(model, "inner", lambda *_: None, personalized=True) for model in models]
    there = [one for one in (*RETRIEVERS.values(), *personal) if one.name in scores.retrievers]
    if name == "no_query":
        table = weight_table(policy, name, models)
        return np.tile([table.get(retriever, 0.0) for retriever in scores.retrievers], (len(scores), 1))
    request, user = Request(now=0.0, text="x"), UserState(strength=_WELL_KNOWN)
    every = dict.fromkeys(scores.retrievers, 1.0)
    found = np.zeros((len(scores), len(scores.retrievers)))
    for row, own in enumerate(_words_of(scores)):
        weights = damped_weights(request, user, policy, every, there, own)
        found[row] = [weights.get(retriever, 0.0) for retriever in scores.retrievers]
    return found


def _tuned(
    name: str,
    retriever_scores: RetrieverScores,
    before: NDArray[np.float64],
    who: Sequence[str],
    trials: int,
    seconds: float | None,
    seed: int,
    titles: tuple[RetrieverScores, NDArray[np.float64]] | None = None,
) -> TunedSituation:
    """Choose weights on all queries, and judge such a choice by cross-validation.

    before: weights (q, l) of each query until now. titles: searches for whole titles, with weights until now.

    Weights chosen on the other people's queries answer those of a fold's people. So each query says something, though none says
    anything of weights that it helped to choose.
    """
    # Who asks as nobody is not one person.
    people, owner = np.unique([one or f"\0{row}" for row, one in enumerate(who)], return_inverse=True)
    rng = np.random.default_rng(seed)
    fold = (rng.permutation(len(people)) % _FOLDS)[owner]
    seconds = math.inf if seconds is None else seconds / (_FOLDS + 1)
    start = dict(zip(retriever_scores.retrievers, np.median(before, axis=0).tolist(), strict=True))
    neutral = _neutral(retriever_scores.retrievers) if name in SEARCH_KINDS else None
    old, new = retriever_scores.ndcg(before), np.zeros(len(retriever_scores))
    for one in range(_FOLDS):
        own = np.flatnonzero(fold == one)
        chosen, _ = _chosen(retriever_scores.some(np.flatnonzero(fold != one)), start, trials, seconds, neutral)
        chosen = _keeping_titles(chosen, titles, neutral)
        new[own] = retriever_scores.some(own).ndcg(chosen)
    best, result = _chosen(retriever_scores, start, trials, seconds, neutral)
    best = _keeping_titles(best, titles, neutral)
    p = paired_test(new, old, rng, groups=who)
    # So many trials find something in any noise: only what is significantly better goes into service.
    kept = bool(new.mean() > old.mean() and p < _SURE)
    means = float(old.mean()), float(new.mean())
    gain = None
    if neutral is not None:
        gain = bootstrap((new if kept else old) - retriever_scores.ndcg(before * neutral), rng, groups=who)
    return TunedSituation(name, len(retriever_scores), best if kept else start, *means, p, kept, result.trials, gain)


def _keeping_titles(
    weights: dict[str, float], titles: tuple[RetrieverScores, NDArray[np.float64]] | None, neutral: NDArray[np.float64] | None
) -> dict[str, float]:
    """Return the weights with all that doesn't match the query scaled down until no title is lost against the neutral answer."""
    if titles is None or neutral is None or not len(titles[0]):
        return weights
    scores, before = titles
    least = scores.first(before * neutral)
    for share in _SHARES:
        tried = {name: weight * (1.0 if _matches(name) else share) for name, weight in weights.items()}
        if scores.first(tried) >= least:
            break
    return tried


def _matches(retriever: str) -> bool:
    return retriever in RETRIEVERS and RETRIEVERS[retriever].matches_query


def _chosen(
    retriever_scores: RetrieverScores,
    before: Mapping[str, float],
    trials: int,
    seconds: float,
    neutral: NDArray[np.float64] | None = None,
) -> tuple[dict[str, float], TuningResult]:
    """Return the best weights of all tried, and the trials.

    neutral (l,): 1 for each retriever of the neutral answer, where that counts, too.
    """
    names = retriever_scores.retrievers

    @cache
    def score(weights: tuple[float, ...]) -> float:
        found = float(retriever_scores.ndcg(dict(zip(names, weights, strict=True))).mean())
        if neutral is None:
            return found
        alone = tuple((np.array(weights) * neutral).tolist())
        return (1.0 - _NEUTRAL) * found + _NEUTRAL * _neutral_score(alone)

    @cache
    def _neutral_score(weights: tuple[float, ...]) -> float:
        return float(retriever_scores.ndcg(dict(zip(names, weights, strict=True))).mean())

    def value(weights: Mapping[str, float]) -> float:
        return score(tuple(weights.get(name, 0.0) for name in names))

    least = {name: _LEAST_VECTOR for name in names if _matches(name) and name != LEXICAL}
    space = {name: tuple(value for value in _VALUES if value >= least.get(name, 0.0)) for name in names}
    likely = {name: max(weight, least.get(name, 0.0)) for name, weight in logit_weights(retriever_scores).items()}
    better = likely if value(likely) > value(before) else before
    result = optimize(
        space,
        value,
        method="coordinate",
        start={name: min(values, key=lambda one: abs(one - better.get(name, 0.0))) for name, values in space.items()},
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


def _neutral(retrievers: Sequence[str]) -> NDArray[np.float64]:
    """Return (l,): 1 for each retriever of the neutral answer."""
    return np.array([float(name in RETRIEVERS and not RETRIEVERS[name].personalized) for name in retrievers])


def _retrievers(snapshot: ServingSnapshot, name: str) -> tuple[str, ...]:
    """Return the retrievers that are weighed."""
    there = {f"taste_{field.removesuffix('_vector')}" for field in snapshot.content_fields} | NOT_PERSONALIZED
    if name == "query":
        there |= {LEXICAL, *snapshot.encoder.fields(snapshot.metadata, "text")}
    return (*(retriever for retriever in RETRIEVERS if retriever in there), *sorted(snapshot.models))


def _with_tables(policy: RankingPolicy, tables: Mapping[str, Mapping[str, float]]) -> RankingPolicy:
    given = policy.retriever_weights
    whole = {name: {**given.get(name, {}), **table} for name, table in tables.items()}
    return replace(policy, retriever_weights={**given, **whole}, rankers={})


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
