"""Choice of the retriever weights by trials on events that are held out, stored with the store.

Without a query all retrievers but those of the query are weighed. In a search all are, for each kind of searches by itself (see
`retriever_weights`): what people searched for and came to, where enough of them did, else what they took next, asked for by one
of its names. In the window of a body of the caller's, its score is weighed against what is known of the person, on the same
searches, each put into the body. Answers are computed once, by a store that was trained without the events held out, with the
live models' settings; the trials are arithmetic on what each retriever gave each candidate (`weight_choice`). Answers are
cached, so that a run that was broken off need not train and search again.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.data_digest import data_digest
from es_recsys.dataset import Interactions
from es_recsys.errors import InputError
from es_recsys.evaluation.queries import EvalQuery, EvalSplit
from es_recsys.evaluation.statistics import difference_words, p_words
from es_recsys.evaluation.weights import RetrieverScores, padded_scores
from es_recsys.index.item_digests import catalogue_digest
from es_recsys.index.stored_metadata import encoder_fingerprints
from es_recsys.index_metadata import IndexMetadata
from es_recsys.progress import Progress
from es_recsys.query import Query
from es_recsys.search.body_window import policy_of_window
from es_recsys.search.personal_ranking import PERSONAL_SEARCH
from es_recsys.search.request import RankingPolicy, Request, UserState
from es_recsys.search.retriever_weights import (
    NOT_PERSONALIZED,
    SEARCH_KINDS,
    WINDOW_TABLES,
    damped_weights,
    weight_table,
)
from es_recsys.search.retrievers import LEXICAL, RETRIEVERS, Retriever
from es_recsys.serving.body_search import BASE, adopted_id_field, adopted_indices
from es_recsys.serving.ranking_policy import for_query, ranking_policy
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.stored_interactions import load_interactions
from es_recsys.serving.workspace import Workspace
from es_recsys.training.epoch_trial import briefly
from es_recsys.training.personal_examples import personal_examples
from es_recsys.training.personal_ranking import train_personal_ranking
from es_recsys.training.score_cache import ScoreCache
from es_recsys.training.scratch_store import copy_events, scratch_store
from es_recsys.training.served_ranker import ServedRanker
from es_recsys.training.target_types import check_targets, targets_of
from es_recsys.training.train_ranking import Outcome
from es_recsys.training.train_version import train_and_publish, train_spec
from es_recsys.training.training_record import record_tuned
from es_recsys.training.tuned_settings import load_tuned, save_history, tuned_path
from es_recsys.training.weight_choice import TunedSituation, choose_weights, is_matching
from es_recsys.training.weight_questions import (
    FEWEST_QUERIES,
    BodyTemplate,
    events_for_profiles,
    interactions_to_learn_from,
    parts_of,
    questions_of,
    words_of,
)

__all__ = ["SITUATIONS", "WeightsTuneReport", "tune_weights"]

SITUATIONS = ("no_query", "query", "window")
_CANDIDATES = 400
# Under which the candidates of a search are collected, so that each retriever brings some.
_PROBE, _PROBE_WORDS = 0.3, 1.0
# More than any profile has, so that scores are those of somebody well known.
_WELL_KNOWN = 1e12
_SMALLEST_SHARE = 1e-3
# Share of the titles that a learned order may take from the first place: half of what is allowed, as these are few.
_MAY_LOSE = 0.0025
# Searches that the order of personal ones is learned on, more than weights take.
_LEARNED_ON = 3_000
_SEED = 7


@dataclass(frozen=True, slots=True)
class WeightsTuneReport:
    """Report of a tuning: what was found, situation by situation, and why others were left alone.

    ranking: the learned order of personal searches, where it was tried.
    """

    situations: tuple[TunedSituation, ...]
    notes: tuple[str, ...]
    seconds: float
    ranking: Outcome | None = None

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
        if self.ranking is not None:
            yield from self.ranking.lines("the weighted sum")
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
            "ranking": None if self.ranking is None else self.ranking.to_dict(),
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
    template: BodyTemplate | None = None,
    fewest: int = FEWEST_QUERIES,
    seed: int = 7,
    progress: Progress | None = None,
) -> WeightsTuneReport:
    """Choose the retriever weights without a query, those of each kind of searches, and those of windows of a caller's bodies.

    situations: which of them. template: what a search is as a body; where the store has adopted one index alone, the usual one of
    that is known, else without one there is no window. fewest: queries that a situation takes. trials: of each choice.
    budget: seconds of processor time for the trials of each choice. targets: event types that make an item relevant, but of
    what a logged search led to (none named: those that the store was trained for, else all that are positive). Broken off, it
    uses the answers collected before, as long as the store has the same events, items and settings. Raises StoreNotFound,
    InputError for an unknown type or where there are too few queries, MissingExtra.
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
    ranking = None
    notes: list[str] = []
    template = template or _usual_template(live)
    if template is not None:
        adopted_id_field(live, template.source_index)
    for name in (name for name in SITUATIONS if name in situations and (name != "window" or template is not None)):
        rng, most = np.random.default_rng(seed), max(users, _LEARNED_ON) if name == "query" else users
        questions, titles = questions_of(work, live, name, data, rng, most, targets, template)
        drawn = np.sort(rng.permutation(len(questions))[:users]).tolist()
        split = replace(questions, queries=tuple(questions.queries[i] for i in drawn))
        if len(split) < fewest:
            notes.append(f"{name}: only {len(split)} queries can be made of the events; it takes {fewest}.")
            continue
        depends = (*_answers_depend_on(work, live, name), *([repr(template)] if name == "window" else ()))
        digest = data_digest(data, content, name, users, most, targets, seed, len(titles), depends)
        stored = ScoreCache(tuned_path(work.settings, f"weights_{name}").with_suffix(".npz"), f"{split.kind}/{digest}")
        with ExitStack() as stack:
            held_out = cache(partial(_held_out, stack, work, questions, snapshot))
            answers = stored.get()
            if answers is None:
                answers = _collected(held_out(), split, titles, snapshot, name, progress)
                stored.put(*answers)
            judged = _judged_shares(live, answers[0].retrievers) if name == "query" else {}
            actors = np.array([query.actor for query in split.queries])
            chosen: list[TunedSituation] = []
            for part, rows in parts_of(name, answers[0], _policy(snapshot, name).settings.depth).items():
                asked, named = rows[rows < len(split)], rows[rows >= len(split)]
                if len(asked) < FEWEST_QUERIES:
                    notes.append(f"{part}: only {len(asked)} of {len(split):,} queries are such; it takes {FEWEST_QUERIES}.")
                    continue
                whole = _with_joined_words(answers[0], judged)
                given = [(whole.some(some), answers[1][some]) for some in (asked, named)]
                one = choose_weights(part, *given[0], actors[asked].tolist(), trials, budget, seed, given[1])
                weights = {**one.weights, **{other: share * one.weights[LEXICAL] for other, share in judged.items()}}
                chosen.append(replace(one, weights=weights))
                save_history(work.settings, f"weights_{part}", chosen[-1].history())
            tables = {one.name: one.weights for one in chosen if one.kept}
            _store(work, tables)
            found += chosen
            kinds = {kind: table for kind, table in {**live.retriever_weights, **tables}.items() if kind in SEARCH_KINDS}
            if name == "query" and kinds:
                own, whole_titles = (personal_examples(held_out(), some, kinds) for some in (questions.queries, titles))
                ranking = train_personal_ranking(work, own, whole_titles, int(_MAY_LOSE * len(titles)), seed)
    if not found:
        raise InputError("There are too few events to tune the weights on.", " ".join(notes) or "Load more events.")
    return WeightsTuneReport(tuple(found), tuple(notes), time.monotonic() - started, ranking)


def _answers_depend_on(work: Workspace, live: IndexMetadata, name: str) -> tuple[object, ...]:
    """Return what the answers of the scratch store depend on besides events, items and queries."""
    settings = work.settings.search.model_dump_json(), work.settings.profiles.model_dump_json()
    vectors = sorted(encoder_fingerprints(live).items())
    models = targets_of(live), [(model, load_tuned(work.settings, model)) for model in sorted(live.models)]
    # Without a query nothing of a search's table is read.
    tables = (
        (sorted(live.retriever_weights.get("query", {}).items()), sorted(live.text_boosts.items())) if name == "query" else ()
    )
    return work.events.last_row, sorted(live.event_weights.items()), live.language, vectors, settings, models, tables


def _held_out(stack: ExitStack, work: Workspace, split: EvalSplit, live: ServingSnapshot) -> Workspace:
    """Return a temporary store that knows nothing of the events held out, in which the live models are trained."""
    scratch = stack.enter_context(scratch_store(work))
    data = interactions_to_learn_from(split, np.random.default_rng(_SEED))
    # Nobody else needs a profile, unless similar users are asked.
    events = events_for_profiles(work, split, data if live.metadata.searches_users else None)
    copy_events(scratch, events, split.rule, "train")
    _train_alike(scratch, live, data)
    return scratch


def _collected(
    scratch: Workspace,
    split: EvalSplit,
    titles: Sequence[EvalQuery],
    live: ServingSnapshot,
    name: str,
    progress: Progress | None,
) -> tuple[RetrieverScores, NDArray[np.float64]]:
    """Return what each retriever gives each candidate of each query, and the weights (q, l) until now."""
    snapshot = scratch.snapshots.latest()
    retrievers = _retrievers(snapshot, name, scratch.settings.search.fixed_weights)
    probe = dict.fromkeys(retrievers, 1.0 if name == "no_query" else _PROBE)
    if name != "no_query":
        probe[LEXICAL] = _PROBE_WORDS
    tables = dict.fromkeys({"no_query": (name,), "query": SEARCH_KINDS, "window": WINDOW_TABLES.values()}[name], probe)
    asked = (*split.queries, *titles)
    ranker = ServedRanker(scratch, asked, partial(_with_tables, tables=tables))
    candidates = []
    queries = [one.query if name == "window" else one.query.model_copy(update={"n": _CANDIDATES}) for one in asked]
    for done, one in enumerate(ranker.batch(queries)):
        candidates.append([(hit.product_id, *_parted(hit.parts, probe)) for hit in one.hits])
        if progress is not None:
            progress(done + 1, len(asked))
    scores = padded_scores(retrievers, candidates, [query.grades for query in asked])
    return scores, _weights_until_now(_policy(live, name), scores, name, tuple(snapshot.models))


def _train_alike(scratch: Workspace, live: ServingSnapshot, data: Interactions) -> None:
    """Train the live models with their settings and shares for the scratch store.

    Where there are many events one that learns in epochs has fewer: how much its answers count is told by then.
    """
    now, own = scratch.now(), scratch.snapshots.for_training()
    shares = live.metadata.retriever_weights.get("no_query", {})
    configs = {name: briefly(model, data) for name, model in live.models.items()}
    shares = {name: max(shares.get(name, 0.0), _SMALLEST_SHARE) for name in configs}
    spec = train_spec(scratch, own.metadata, (), configs, targets_of(live.metadata), shares)
    train_and_publish(scratch, own, data, now, spec)


def _policy(live: ServingSnapshot, name: str) -> RankingPolicy:
    """Return how the store ranks what is searched for."""
    policy = for_query(ranking_policy(live), Query(text="any"))
    return policy_of_window(policy) if name == "window" else policy


def _usual_template(live: IndexMetadata) -> BodyTemplate | None:
    adopted = list(adopted_indices(live))[1:]
    return BodyTemplate.usual(adopted[0]) if len(adopted) == 1 else None


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
    for row, own in enumerate(words_of(scores)):
        weights = damped_weights(request, user, policy, every, there, own)
        found[row] = [weights.get(retriever, 0.0) for retriever in scores.retrievers]
    return found


def _judged_shares(live: IndexMetadata, retrievers: Sequence[str]) -> dict[str, float]:
    """Return the weights of query vectors over that of the words, where judgments chose them: they are kept to."""
    table = live.retriever_weights.get("query", {})
    words = table.get(LEXICAL, 0.0)
    others = (name for name in retrievers if is_matching(name) and name != LEXICAL)
    return {name: table.get(name, 0.0) / words for name in others} if words > 0.0 else {}


def _with_joined_words(scores: RetrieverScores, shares: Mapping[str, float]) -> RetrieverScores:
    """Return the scores with those of query vectors, times their shares, added to those of the words."""
    joined = scores.scores.copy()
    for name, share in shares.items():
        column = joined[:, :, scores.retrievers.index(name)]
        joined[:, :, scores.retrievers.index(LEXICAL)] += share * column
        column[:] = 0.0
    return replace(scores, scores=joined)


def _retrievers(snapshot: ServingSnapshot, name: str, fixed: Collection[str]) -> tuple[str, ...]:
    """Return the retrievers that are weighed. fixed: those whose weights in recommendations the settings fix, which aren't."""
    there = {f"taste_{field.removesuffix('_vector')}" for field in snapshot.content_fields} | snapshot.models.keys()
    if name != "window":  # in which what isn't personal is their query's
        there |= NOT_PERSONALIZED
    if name == "no_query":
        there -= set(fixed)
    else:
        there.add(LEXICAL)
    if name == "query":
        there |= set(snapshot.encoder.fields(snapshot.metadata, "text"))
    return (*(retriever for retriever in RETRIEVERS if retriever in there), *sorted(there & snapshot.models.keys()))


def _with_tables(policy: RankingPolicy, tables: Mapping[str, Mapping[str, float]]) -> RankingPolicy:
    given = policy.retriever_weights
    whole = {name: {**given.get(name, {}), **table} for name, table in tables.items()}
    # What each retriever gives is asked of everything, wherever it may stand in an answer.
    settings = policy.settings.model_copy(update={"seen": "keep"})
    return replace(policy, settings=settings, retriever_weights={**given, **whole}, rankers={})


def _parted(parts: Mapping[str, float], probe: Mapping[str, float]) -> tuple[float, dict[str, float]]:
    parts = {LEXICAL if retriever == BASE else retriever: part for retriever, part in parts.items()}
    rest = sum(part for retriever, part in parts.items() if retriever not in probe)
    return rest, {retriever: part / probe[retriever] for retriever, part in parts.items() if retriever in probe}


def _store(work: Workspace, tables: Mapping[str, Mapping[str, float]]) -> None:
    def tune(metadata: IndexMetadata) -> IndexMetadata:
        given = metadata.retriever_weights
        merged = {name: {**given.get(name, {}), **table} for name, table in tables.items()}
        # What was learned beside other weights of searches orders no more.
        changed = not tables.keys().isdisjoint(SEARCH_KINDS)
        rankers = {name: own for name, own in metadata.ranker_fingerprints.items() if not (changed and name == PERSONAL_SEARCH)}
        weights = {**given, **merged}
        return replace(
            metadata, retriever_weights=weights, ranker_fingerprints=rankers, notes=record_tuned(metadata.notes, tables)
        )

    if tables:
        work.update_metadata(tune)
