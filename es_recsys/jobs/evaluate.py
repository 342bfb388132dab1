"""Compares techniques on a store's own events or on judgments: models in memory, and the served path through Elasticsearch."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from es_recsys.errors import InputError, ModelError, RecsysError
from es_recsys.evaluation import (
    QUERY_SPLITS,
    Catalogue,
    Cost,
    EnsembleRanker,
    EvalSplit,
    EvalUsers,
    ModelRanker,
    Ranker,
    ask,
    judged_queries,
    measured,
    query_split,
    score,
    search_outcomes,
    searches_by_user,
    subgroups_of,
)
from es_recsys.evaluation.harness import Subgroups
from es_recsys.evaluation.results import Comparison, Measured, compared
from es_recsys.events.interactions import read_interactions
from es_recsys.jobs.eval_state import CarriedState, carry_state
from es_recsys.models import MODELS, Model, Popularity
from es_recsys.models.base import TrainingCallback
from es_recsys.models.retired import wrong_model
from es_recsys.progress import Progress
from es_recsys.renamed import current_models
from es_recsys.search.retrievers import RETRIEVERS
from es_recsys.serving.behaviour_refresh import build_profiles
from es_recsys.serving.product_groups import events_of, judgments_of, live_products, products
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.user_interests import MIN_INTERESTS
from es_recsys.serving.workspace import Workspace
from es_recsys.sources import read_judgments
from es_recsys.training import early_stopping
from es_recsys.training.item_table import item_table
from es_recsys.training.model_selection import TrainSpec, select
from es_recsys.training.model_trials import trials_of
from es_recsys.training.scratch_store import copy_events, scratch_store
from es_recsys.training.selection_report import Notes
from es_recsys.training.served_quality import serving
from es_recsys.training.served_ranker import Change, ServedRanker, only_retriever, without_interests, without_person
from es_recsys.training.target_types import check_targets, targets_of
from es_recsys.training.train import train
from es_recsys.training.tuned_settings import load_tuned, tuning_histories
from es_recsys.training.validation import FEWEST, Validation
from es_recsys.types import Interactions, ItemTable
from es_recsys.vector_fields import VECTOR_FIELDS

__all__ = ["SPLITS", "Options", "evaluate", "make_split"]

SPLITS = (*QUERY_SPLITS, "search")
MEMORY, SERVED = "memory", "served"
# Seconds that `train` takes at most to choose by itself.
_CHOOSING = 240.0
BLEND = "blend"


@dataclass(frozen=True, slots=True)
class Options:
    """names: models to compare (empty: all that are known). split: one of SPLITS. judgments: a file, for a search split.
    targets: event types that make an item a right answer (empty: all positive ones); a blend is trained for those of the
    store's last training, or without one for these. served: also through Elasticsearch;
    retrievers: there also each retriever alone, and without the person. users: questions at most. n: length of the answers.
    budget: seconds for the trainings in memory."""

    names: tuple[str, ...] = ()
    split: str = "last"
    judgments: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    served: bool = True
    retrievers: bool = False
    users: int = 1_000
    n: int = 10
    budget: float = 600.0
    seed: int = 7


def evaluate(work: Workspace, options: Options, progress: Progress | None = None) -> Comparison:
    """Splits, trains, asks and compares. Nothing of the store changes.

    Raises InputError for an unknown model, split or type, or one that the store's events don't allow; StoreNotFound; ModelError
    where there is nothing to train on; MissingExtra.
    """
    options = replace(options, names=current_models(options.names))
    _check(options)
    with work.translating_errors():
        metadata = work.snapshots.latest().metadata
        data = read_interactions(work.events, work.now(), weights=metadata.event_weights, products=products(work, metadata))
        split = make_split(work, data, options)
        if not split.queries:
            raise InputError(
                f"There is no question to ask ({split.kind}).", "Load more events, or try another --split, or --judgments."
            )
        items = item_table(work, metadata)
        leading = targets_of(metadata) if metadata.models else check_targets(options.targets)
    run = _Run(work, split, items, options, leading, progress)
    searching = options.split == "search" or options.judgments is not None
    found = [] if searching else list(run.in_memory())
    if options.served:
        found += run.through_elasticsearch(with_blend=not searching)
    elif not searching:
        found += run.blend()
    techniques, best = compared(found, np.random.default_rng(options.seed))
    return Comparison(
        store=work.settings.index,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        split=split.kind,
        questions=len(split),
        n=options.n,
        techniques=techniques,
        best=best,
        about=_about(split, run.catalogue, options),
        notes=tuple(run.notes),
        tuning=tuning_histories(work.settings),
    )


def make_split(work: Workspace, data: Interactions, options: Options) -> EvalSplit:
    """The split that the options name."""
    rng = np.random.default_rng(options.seed)
    groups = live_products(work)
    if options.judgments is not None:
        grades = judgments_of(read_judgments(options.judgments, columns=options.columns), groups)
        return judged_queries(data, grades, rng, options.users)
    if options.split == "search":
        return search_outcomes(data, events_of(work.events.scan(), groups), rng, options.users)
    searches = searches_by_user(events_of(work.events.scan(), groups))
    return query_split(options.split, data, rng, options.users, targets=options.targets, searches=searches)


class _Run:
    """The measurements of one comparison."""

    def __init__(
        self,
        work: Workspace,
        split: EvalSplit,
        items: ItemTable,
        options: Options,
        leading: tuple[str, ...],
        progress: Progress | None,
    ) -> None:
        """leading: event types that a blend is trained for."""
        self._work, self._split, self._items = work, split, items
        self._options, self._leading, self._progress = options, leading, progress
        self._users = EvalUsers(split.queries)
        self.catalogue = Catalogue.of(split.train, items)
        self._subgroups: Subgroups = subgroups_of(split, self.catalogue) if split.queries[0].actor else {}
        self._deadline = time.monotonic() + options.budget
        self.notes: list[str] = []

    def in_memory(self) -> Iterator[Measured]:
        """Each model, trained on the split. One that can't be trained, or not in the time, is named in the notes."""
        names = self._options.names or tuple(MODELS)
        names = tuple(dict.fromkeys((Popularity.name, *names)))
        late: list[str] = []
        for place, name in enumerate(names):
            left = self._deadline - time.monotonic()
            if left <= 0 and name != Popularity.name and name not in self._options.names:
                late.append(name)
                continue
            curve: list[Mapping[str, float]] = []
            try:
                model, cost = measured(partial(self._trained, name, curve, left / (len(names) - place)))
            except RecsysError as error:
                if name in self._options.names:
                    raise
                self.notes.append(f"{name} is left out. {error}")
                continue
            yield self._measure(name, MEMORY, ModelRanker(model, self._users), cost, curve)
        if late:
            self.notes.append(f"Not trained, as the {self._options.budget:.0f} s were over: {', '.join(late)}.")

    def blend(self) -> Iterator[Measured]:
        """What `train` would choose, in memory."""
        rng = np.random.default_rng(self._options.seed)
        left = max(self._deadline - time.monotonic(), 1.0)
        names = tuple(name for name in self._options.names if name != Popularity.name)
        reading = any(MODELS[name].reads_items for name in names)
        spec = TrainSpec(names, items=self._items if reading else None, targets=self._leading)
        chosen, cost = measured(lambda: select(self._split.train, rng, left, spec=spec))
        yield self._blended(chosen.models, chosen.weights, cost)

    def through_elasticsearch(self, *, with_blend: bool) -> Iterator[Measured]:
        """The served path of a store of its own, trained on the split, and the same models in memory beside it."""
        names = tuple(name for name in self._options.names if name != Popularity.name)
        with scratch_store(self._work) as scratch:
            copy_events(scratch, self._work.events.scan(), self._split.rule, "train")
            trained, cost = None, None
            budget = self._options.budget if names else min(self._options.budget, _CHOOSING)
            try:
                trained, cost = measured(
                    lambda: train(scratch, names, targets=self._leading, budget=budget, seed=self._options.seed)
                )
            except ModelError as error:
                self.notes.append(f"Served without models. {error}")
            if self._split.rule.learned:
                copy_events(scratch, self._work.events.scan(), self._split.rule, "known")
                build_profiles(scratch)
            snapshot = scratch.snapshots.latest()
            if trained is not None and cost is not None:
                cost = Cost(trained.training_s, cost.peak_mib)
                if with_blend:
                    yield self._blended(serving(snapshot, self._split.train, None)[0], trained.weights, cost)
                self.notes.append("Served with " + ", ".join(f"{n} {w:.0%}" for n, w in trained.weights.items()) + ".")
            carried = carry_state(self._work, scratch)
            self.notes += carried.notes(not with_blend)
            for name, change in self._served(scratch.snapshots.latest(), carried, with_blend):
                ranker = ServedRanker(scratch, self._split.queries, change)
                yield self._measure(name, SERVED, ranker, cost if name == SERVED else None)

    def _served(
        self, snapshot: ServingSnapshot, carried: CarriedState, recommending: bool
    ) -> Iterator[tuple[str, Change | None]]:
        """The served path as users get it, and without what it has, one by one: label and change of the store."""
        yield SERVED, None
        for words, change in carried.without(not recommending):
            yield f"served, {words}", change
        if recommending and snapshot.settings.search.interests >= MIN_INTERESTS:
            yield "served, without interests", without_interests
        if self._options.retrievers or not recommending:
            yield "served, neutral", without_person
        if self._options.retrievers:
            for name in _speaking(snapshot, recommending):
                yield f"served, {name} alone", only_retriever(name)

    def _blended(self, models: Mapping[str, Model], weights: Mapping[str, float], cost: Cost) -> Measured:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in weights.items())
        return self._measure(BLEND, MEMORY, EnsembleRanker(models, weights, self._users), cost, note=shares)

    def _trained(self, name: str, curve: list[Mapping[str, float]], seconds: float) -> Model:
        def tell(done: int, total: int, figures: Mapping[str, float]) -> None:
            if figures:
                curve.append({"epoch": float(done), "of": float(total), **figures})

        kind, ends = MODELS[name], time.monotonic() + max(seconds, 1.0)
        model = kind(self._settings(name, time.monotonic() + seconds / 2))  # type: ignore[call-arg]
        watch = TrainingCallback(tell, None, ends)
        rng = np.random.default_rng(self._options.seed)
        return early_stopping.fit(model, self._split.train, rng, self._items if kind.reads_items else None, watch)

    def _settings(self, name: str, deadline: float) -> Any:
        """Return a model's settings as `train` has them, so that what is compared is tuned alike.

        They are those that `tune model` found, else the best that are found on held-out events of the training by `deadline`.
        """
        kind, timed = MODELS[name], self._split.train.timed
        config = load_tuned(self._work.settings, name)
        if config is not None:
            return config
        held = self._validation
        if len(held.part) < FEWEST or not kind.search_space(held.ordered, timed):
            return kind.default_config(held.ordered, timed)
        items = self._items if kind.reads_items else None
        trials = trials_of(name, held.part, self._options.seed, items, TrainingCallback(deadline=deadline))
        return trials.coordinate_search(held.ordered, deadline).config

    @cached_property
    def _validation(self) -> Validation:
        return Validation.of(self._split.train, np.random.default_rng(self._options.seed), Notes(None), self._leading)

    def _measure(
        self,
        name: str,
        path: str,
        ranker: Ranker,
        cost: Cost | None = None,
        curve: Sequence[Mapping[str, float]] = (),
        note: str = "",
    ) -> Measured:
        queries, n = self._split.queries, self._options.n
        answers = ask(ranker, queries, n, self._progress)
        scores = score(answers.lists, queries, self.catalogue, n, self._subgroups)
        return Measured(name, path, answers, scores, cost, tuple(curve), note)


def _speaking(snapshot: ServingSnapshot, recommending: bool) -> list[str]:
    """Legs that have something to say: one of a vector field where the store has it, one that answers where somebody asks."""
    fields = {row.name for row in VECTOR_FIELDS.values()} - set(snapshot.metadata.vectors)
    silent = fields | {f"taste_{VECTOR_FIELDS[name].content}" for name in fields}
    silent |= {name for name, one in RETRIEVERS.items() if one.matches_query and (recommending or name == "image_vector")}
    return [name for name in (*RETRIEVERS, *sorted(snapshot.models)) if name not in silent]


def _check(options: Options) -> None:
    check_targets(options.targets)
    unknown = [name for name in options.names if name not in MODELS]
    if unknown:
        raise wrong_model(unknown[0], MODELS, "; or none, for all of them")
    if options.split not in SPLITS:
        raise InputError(f"There is no split {options.split!r}.", f"Name one of: {', '.join(SPLITS)}.")
    if (options.split == "search" or options.judgments is not None) and not options.served:
        raise InputError("Searches are answered through Elasticsearch alone.", "Leave --no-served out.")


def _about(split: EvalSplit, catalogue: Catalogue, options: Options) -> dict[str, Any]:
    lengths = [len(query.history.item_ids) for query in split.queries]
    return {
        "users": len(np.unique(split.train.users)),
        "items": len(catalogue.ids),
        "events": len(split.train.items),
        "timed": split.train.timed,
        "median_history": float(np.median(lengths)) if lengths else math.nan,
        "right_answers": float(np.mean([len(query.grades) for query in split.queries])),
        "targets": list(options.targets),
        "seed": options.seed,
    }
