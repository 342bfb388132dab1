"""Model selection: models, their settings and the weights of the ensemble, chosen by what they answer on held-out events."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from es_recsys.cooccurrence import CooccurrenceConfig
from es_recsys.counting import counted
from es_recsys.dataset import Interactions, ItemTable
from es_recsys.errors import ModelError
from es_recsys.evaluation.holdout_split import HoldoutSplit
from es_recsys.events.follows import Follows
from es_recsys.models.als import ALSConfig
from es_recsys.models.base import Model, TrainingCallback
from es_recsys.models.covisitation import CoVisitationConfig
from es_recsys.models.popularity import Popularity, PopularityConfig
from es_recsys.models.registry import MODELS
from es_recsys.models.segments import SEGMENTS
from es_recsys.training import early_stopping
from es_recsys.training.attempts import Attempts
from es_recsys.training.ensemble_candidates import Candidates
from es_recsys.training.ensemble_selection import SURE, MarginalGain, SelectedEnsemble, select_ensemble
from es_recsys.training.epoch_trial import EpochTrial, config_for_all
from es_recsys.training.first_event import first_event_shares
from es_recsys.training.followed_authors import followed_authors_of, with_followed
from es_recsys.training.halves import MOST_USERS
from es_recsys.training.model_trials import DEPTH, trials_of
from es_recsys.training.neutral_shares import neutral_shares
from es_recsys.training.recency import recency_of
from es_recsys.training.selection_report import ExpectedQuality, Notes, Report, config_words, cut_note, failed_note
from es_recsys.training.trial_time import TrialTime
from es_recsys.training.validation import FEWEST, Validation

__all__ = ["Report", "Selection", "TrainSpec", "select", "small_store_defaults", "suitable_models"]

_MIN_EVENTS = 200
_EASE_ITEMS = 6_000
# Fewer events than this don't teach a sequence model what follows what.
_SEQUENCE_EVENTS = 10_000
# A model that was asked for by name is served with this share at least; unweighed ones with this before scaling.
_NAMED_SHARE = 0.05
_PLAIN_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Selection:
    """Trained models with the weights of their ensemble.

    models: name -> model trained on everything; popularity is always among them. weights: model -> share of the ensemble
    (ensemble.py), summing to 1; a model without a weight isn't part of it. Empty where nothing but popularity could be trained.
    first_event: the shares of the same models and of popularity for users of whom one event is known; empty where they are the
    same. neutral: popularity, recency and author -> their shares of an answer, the models having the rest.
    """

    models: Mapping[str, Model]
    weights: Mapping[str, float]
    report: Report
    first_event: Mapping[str, float] = field(default_factory=dict)
    neutral: Mapping[str, float] = field(default_factory=dict)

    def without(self, name: str) -> Selection:
        """Return the selection with one model less, the shares of the others in proportion."""
        models = {other: model for other, model in self.models.items() if other != name}
        return replace(
            self, models=models, weights=_shares_of(models, self.weights), first_event=_shares_of(models, self.first_event)
        )


@dataclass(frozen=True, slots=True)
class _Choice:
    configs: Mapping[str, Any]
    weights: Mapping[str, float]
    first_event: Mapping[str, float] = field(default_factory=dict)
    neutral: Mapping[str, float] = field(default_factory=dict)
    begun: Mapping[str, Model] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class TrainSpec:
    """Decisions about a training that its caller has made already.

    names: models to train, all of which are served (empty: chosen among those that suit the data). configs: model -> config to
    stay at, instead of a search. items: the catalogue, for models that read it. checkpoints: folder for those of long trainings.
    curves: is filled with what long trainings tell of each epoch, model -> rows. shares: model -> share of the ensemble, decided
    with `configs` of all of them; then nothing is held out and nothing tried. first_event, neutral: as in `Selection`, decided
    with `shares`. half_lives: of the counts of popularity (None: the usual ones). pivot_hours: age at which being new counts
    a half. follows: whom users followed when (None: it isn't known); taste_days: half-life of their liking for an author.
    fixed: retrievers whose weights the settings fix, which get no share. targets: event types that answers are to lead to,
    the only ones to be found in what is held out (empty: all that are positive). part: hears how far a long training is: of
    what, done, of how many. optional: those of `named` that may be left out where they fail. segments: whether users are
    grouped as well.
    """

    names: tuple[str, ...] = ()
    configs: Mapping[str, Any] = field(default_factory=dict)
    items: ItemTable | None = None
    checkpoints: Path | None = None
    curves: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)
    first_event: Mapping[str, float] = field(default_factory=dict)
    neutral: Mapping[str, float] = field(default_factory=dict)
    half_lives: PopularityConfig | None = None
    pivot_hours: float = 720.0
    follows: Follows | None = None
    taste_days: float = 60.0
    fixed: frozenset[str] = frozenset()
    targets: tuple[str, ...] = ()
    part: Callable[[str, int, int], None] | None = None
    optional: frozenset[str] = frozenset()
    segments: bool = False

    @property
    def named(self) -> tuple[str, ...]:
        """The names that the caller gave, with segments where these are wanted."""
        return (*self.names, SEGMENTS) if self.segments else self.names

    @property
    def required(self) -> frozenset[str]:
        """The names of the models whose failure ends the training; any other is left out."""
        return frozenset(self.named) - self.optional

    def watch(self, name: str, stage: str, deadline: float = math.inf, begun: Model | None = None) -> TrainingCallback:
        """Return a callback that follows one training of a model.

        stage: "trial", "earlier" or "final". begun: a model whose training may be gone on with.
        """

        def on_epoch(done: int, total: int, figures: Mapping[str, float]) -> None:
            if stage == "trial" and figures:
                self.curves.setdefault(name, []).append({"epoch": done, "of": total, **figures})
            if self.part is not None:
                self.part(f"{name}, {stage}", done, total)

        folder = None if self.checkpoints is None else self.checkpoints / f"{name}-{stage}"
        return TrainingCallback(on_epoch, folder, deadline, begun=begun)


def small_store_defaults(data: Interactions) -> tuple[CoVisitationConfig, ALSConfig, dict[str, float]]:
    """Return settings and ensemble weights for a store that is too small to try any on."""
    factors = int(np.clip(min(len(data.user_ids), len(data.item_ids)) // 4, 4, 32))
    covisitation = CoVisitationConfig(CooccurrenceConfig(10, 0.8, 0.5, 0.3), 0.5, 0.2, half_life=5.0)
    return covisitation, ALSConfig(factors=factors), {"covisitation": 0.7, "als": 0.3}


def suitable_models(
    data: Interactions, ordered: bool, items: ItemTable | None = None, targets: Collection[str] = ()
) -> tuple[str, ...]:
    """Return names of the models that are worth trying on such data, those that bring most first.

    Where order tells, a sequence model costs most and brings most beside the first two. Latent semantics need texts. A spectral
    filter looks at whole histories, so where order tells it adds little; the regression of EASE inverts a matrix of items by
    items, which is a matter of seconds up to a few thousand of them. Of what is looked at next similar users tell little that
    the others don't; of what is bought they do.
    """
    names = ["covisitation", "als"]
    if ordered and np.count_nonzero(data.weights > 0) >= _SEQUENCE_EVENTS:
        names.append("sasrec")
    if items is not None and (any(items.categories) or any(items.brands) or any(map(any, items.attributes.values()))):
        names.append("affinity")
    if targets:
        names.append("userknn")
    if items is not None and any(items.texts):
        names.append("lsa")
    if not ordered:
        names.append("bspm")
    if len(data.item_ids) <= _EASE_ITEMS:
        names.append("ease")
    return tuple(name for name in names if name in MODELS)


def select(
    data: Interactions,
    rng: np.random.Generator,
    budget: float | None = None,
    on_line: Callable[[str], None] | None = None,
    spec: TrainSpec | None = None,
) -> Selection:
    """Choose models, settings and ensemble weights on held-out events, then train on everything.

    It holds events out, tries settings on them, and weighs the models against each other. budget: seconds of
    processor time after which no further setting is tried (the last training comes on top), so that a busy machine chooses the
    same; within it the outcome depends on data and rng alone (None: `TrialTime.of` says how many).
    on_line: gets each line of the report as it is known. Raises ModelError without a positive event.
    """
    notes, spec = Notes(on_line), spec or TrainSpec()
    attempts = Attempts(notes, spec.required)
    positive = int((data.weights > 0).sum())
    if not positive:
        raise ModelError("There are no positive events to train on.", "Load events first: `es-recsys events load FILE`.")
    began = time.process_time()
    if spec.targets:
        notes.figures["targets"] = list(spec.targets)
    seed = int(rng.integers(2**31))
    active = len(np.unique(data.users[data.weights > 0]))
    decided = {name: spec.configs[name] for name in spec.shares}
    choice = _Choice(decided, spec.shares, spec.first_event, spec.neutral) if decided else None
    if choice is None:
        if active >= FEWEST and positive >= _MIN_EVENTS:
            choice = _choose(data, rng, seed, partial(TrialTime.of, began=began, seconds=budget), notes, attempts, spec)
        else:
            notes.say(
                f"{counted(positive, 'event', 'events')} of {counted(active, 'user', 'users')} are too few to tune on "
                f"({_MIN_EVENTS} events of {FEWEST} users are needed): the default settings are taken."
            )
    if choice is None:
        notes.figures["holdout"] = "none"
        choice = _default_choice(data, spec)
    searched = time.process_time() - began
    models, weights = _train(data, choice, seed, attempts, spec)
    if not weights:
        plain = _default_choice(data, replace(spec, names=()))
        untried = {name: config for name, config in plain.configs.items() if name not in choice.configs}
        models, weights = _train(data, _Choice(untried, plain.weights), seed, attempts, spec)
    took = time.process_time() - began
    shares = ", ".join(f"{name} {share:.0%}" for name, share in weights.items())
    what = f"Ensemble: {shares}." if shares else "Nothing but what is popular could be trained: that is what all are recommended."
    notes.say(f"{what} {searched:.0f} s of processor time for tuning, {took - searched:.0f} s for training on all events.")
    notes.figures.update(weights=dict(weights), search_s=round(searched, 1), train_s=round(took - searched, 1))
    first = _shares_of(models, choice.first_event)
    return Selection(models, weights, Report(tuple(notes.lines), notes.figures), first, choice.neutral)


def _shares_of(models: Collection[str], shares: Mapping[str, float]) -> dict[str, float]:
    """Return the shares of what is among the models, in proportion; empty where these have none."""
    left = {name: share for name, share in shares.items() if name in models}
    total = sum(left.values())
    return {name: share / total for name, share in left.items()} if total > 0.0 else {}


def _default_choice(data: Interactions, spec: TrainSpec) -> _Choice:
    covisitation, als, weights = small_store_defaults(data)
    own: dict[str, Any] = {"covisitation": covisitation, "als": als}
    names = spec.names or tuple(weights)
    configs = {name: spec.configs.get(name, own.get(name) or MODELS[name].config_for(data, True)) for name in names}
    shares = {name: weights.get(name, _PLAIN_SHARE) for name in names}
    total = sum(shares.values())
    return _Choice(configs, {name: share / total for name, share in shares.items()})


def _train(
    data: Interactions, choice: _Choice, seed: int, attempts: Attempts, spec: TrainSpec
) -> tuple[dict[str, Model], dict[str, float]]:
    """Train each model of the choice on all data, and return the models and the shares of those that could be trained.

    Each has its own generator, so that one more doesn't change the others.
    """
    models: dict[str, Model] = {"popularity": Popularity(spec.half_lives).fit(data, np.random.default_rng(seed))}

    def fit(name: str, config: Any) -> Model:
        model: Model = MODELS[name](config)
        watch = spec.watch(name, "final", begun=choice.begun.get(name))
        return early_stopping.fit(model, data, np.random.default_rng(seed), spec.items, watch).check_finite()

    for name, config in choice.configs.items():
        found = attempts.model(name, "at the last training", partial(fit, name, config))
        if found is not None:
            models[name] = found
    return models, _shares_of(models, choice.weights)


def _choose(
    data: Interactions,
    rng: np.random.Generator,
    seed: int,
    time_for: Callable[[Sequence[str], int, int], TrialTime],
    notes: Notes,
    attempts: Attempts,
    spec: TrainSpec,
) -> _Choice | None:
    """Choose models, settings and ensemble weights by validation; None where nothing can be tried, which is noted."""
    held = attempts.step("No setting is tried", lambda: Validation.of(data, rng, notes, spec.targets), None)
    if held is None:
        return None
    if len(held.part) < FEWEST // 2:
        notes.say(f"Too few users came to a second item to try settings on (it takes {FEWEST // 2}): defaults.")
        return None
    models: dict[str, Model] = {}
    configs: dict[str, Any] = {}
    names = spec.names or suitable_models(held.data, held.ordered, spec.items, spec.targets)
    budget = time_for(names, len(held.part.train.items), len(data.items))
    for place, name in enumerate(names):
        share = budget.share(names[place:])
        refusal = None if spec.names else budget.refusal(name, share, place)
        if refusal is not None:
            notes.say(f"{name}: not tried ({refusal}).")
            continue
        found = attempts.model(name, "", partial(_tried, name, models, held, seed, share, budget, notes, spec))
        if found is not None:
            models[name] = found
            configs[name] = config_for_all(found, held.part.train, data) if found.stops_early else found.config
    if not models:
        return None
    least = _NAMED_SHARE if spec.names else 0.0
    earlier = attempts.step(
        "Ensemble weights come from these users alone",
        lambda: _earlier(held, configs, seed, budget.deadline, notes, spec),
        list[_Earlier](),
    )
    weighed = attempts.step(
        "The models are not weighed against each other", lambda: select_ensemble(models, held.whole, least, earlier), None
    )
    if weighed is None:
        return _Choice(configs, dict.fromkeys(configs, 1.0 / len(configs)))
    if held.test is not None:
        _note_expected(models, weighed.weights, held.test, notes, attempts)
    choice = _weighed(weighed, configs, notes)
    first = attempts.step(
        "Users of whom one event is known are answered by the same shares",
        lambda: first_event_shares(
            models, choice.weights, held.new_users(seed, MOST_USERS) or held.whole, notes, spec.half_lives
        ),
        dict[str, float](),
    )
    neutral = attempts.step(
        "What is popular and new and what followed authors made has no share",
        lambda: _beside(models, choice.weights, with_followed(held.whole, spec.follows), spec, notes),
        dict[str, float](),
    )
    goes_on = {name: models[name] for name in choice.configs if budget.goes_on and MODELS[name].stops_early}
    return replace(choice, first_event=first, neutral=neutral, begun=goes_on)


def _beside(
    models: Mapping[str, Model], weights: Mapping[str, float], part: HoldoutSplit, spec: TrainSpec, notes: Notes
) -> dict[str, float]:
    """Return the shares of what is popular, new and by followed authors before a holdout split, without what the settings fix."""
    popularity = Popularity(spec.half_lives).fit(part.train, np.random.default_rng(0))
    recency = recency_of(part, spec.items, spec.pivot_hours)
    authors = followed_authors_of(part, spec.items, spec.pivot_hours, spec.taste_days)
    others = {one.name: one for one in (popularity, recency, authors) if one is not None and one.name not in spec.fixed}
    return neutral_shares(models, weights, part, others, notes)


def _note_expected(
    models: Mapping[str, Model], weights: Mapping[str, float], test: HoldoutSplit, notes: Notes, attempts: Attempts
) -> None:
    """Note the quality to expect, of users who chose neither settings nor weights."""

    def measure() -> ExpectedQuality:
        used = {name: models[name] for name in weights}
        return ExpectedQuality.of(Candidates.of(used, test).next(weights))

    expected = attempts.step("The quality to expect is not measured", measure, None)
    if expected is not None:
        notes.figures["expected_quality"] = asdict(expected)


def _tried(
    name: str,
    models: Mapping[str, Model],
    held: Validation,
    seed: int,
    seconds: float,
    budget: TrialTime,
    notes: Notes,
    spec: TrainSpec,
) -> Model:
    """Return a model with the best settings beside those tried before, as trained on the holdout split."""
    began = time.process_time()
    beside = MarginalGain(models, held.part) if models else None
    asking = time.process_time() - began
    budget.asked(asking, len(models))
    way = _trained_in_epochs if MODELS[name].stops_early else _tuned
    model, alone, how = way(name, beside, held, seed, seconds - asking, spec)
    took, with_others = time.process_time() - began, ""
    if beside is not None:
        gained = f"{beside.ensemble_ndcg:.4f}" if beside.ensemble_ndcg > beside.without else "no gain"
        with_others = f" alone, {gained} in an ensemble with {', '.join(models)} ({beside.without:.4f} without it)"
        alone = beside.alone
    notes.say(
        f"{name}: NDCG@{DEPTH} {alone:.4f}{with_others}, {how} in {took:.0f} s: {config_words(model.config)}.",
        **{name: round(alone, 5)},
    )
    notes.figures.setdefault("tried_s", {})[name] = round(took, 1)
    return model


def _tuned(
    name: str, beside: MarginalGain | None, held: Validation, seed: int, seconds: float, spec: TrainSpec
) -> tuple[Model, float, str]:
    """Try settings of a model; return it with the best, its NDCG@20 by itself, and how it was found, in words."""
    ends = time.process_time() + seconds
    trials = trials_of(name, held.part, seed, spec.items, spec.watch(name, "trial", ends))
    config, result = trials.tune(held.ordered, ends, spec.configs.get(name), None if beside is None else partial(beside, name))
    how = f"best of {counted(result.tried, 'trial', 'trials')}{cut_note(result.cut_short)}{failed_note(result.failed)}"
    return trials.model(config), result.best.value if result.best is not None else math.nan, how


def _trained_in_epochs(
    name: str, beside: MarginalGain | None, held: Validation, seed: int, seconds: float, spec: TrainSpec
) -> tuple[Model, float, str]:
    """Train a model that learns in epochs, once; return it, its NDCG@20 by itself, and how it was trained, in words."""
    config = spec.configs.get(name) or MODELS[name].config_for(held.part.train, held.ordered)
    trial = EpochTrial(name, held.part, seconds, beside)
    model = trial.run(MODELS[name](config), seed, spec.items, spec.watch(name, "trial"))
    if beside is not None:
        beside(name, model)
    return model, trial.alone, f"best of {trial.epochs} epochs at {model.epochs}"


def _weighed(weighed: SelectedEnsemble, configs: Mapping[str, Any], notes: Notes) -> _Choice:
    for weights, score in weighed.path:
        notes.say(f"NDCG@{DEPTH} {score:.4f} with " + ", ".join(f"{name} {share:.0%}" for name, share in weights.items()) + ".")
    notes.figures["ensemble"] = [{"weights": dict(weights), "ndcg": round(score, 5)} for weights, score in weighed.path]
    left = [name for name in configs if name not in weighed.weights]
    if left:
        notes.say(f"{', '.join(left)}: left out of the ensemble, as the gain is below half a percent.")
    return _Choice({name: configs[name] for name in weighed.weights}, weighed.weights)


_Earlier = tuple[Mapping[str, Model], HoldoutSplit]


def _earlier(
    held: Validation, configs: Mapping[str, Any], seed: int, deadline: float, notes: Notes, spec: TrainSpec
) -> list[_Earlier]:
    """Return models and a holdout split of the time before, where few users can be held out; the models are trained up to it."""
    if len(configs) < 2 or len(held.whole) >= SURE:
        return []
    part = held.earlier(seed, SURE)
    if part is None:
        return []
    if time.process_time() > deadline:
        notes.say("Ensemble weights come from these users alone (the time ran out).")
        return []
    ends = {name: math.inf if MODELS[name].stops_early else deadline for name in configs}
    trials = {name: trials_of(name, part, seed, spec.items, spec.watch(name, "earlier", ends[name])) for name in configs}
    models = {name: one.model(configs[name]) for name, one in trials.items()}
    notes.say(f"Ensemble weights come from {len(part):,} users of an earlier split as well.", earlier_users=len(part))
    return [(models, part)]
