"""Choosing models, their settings and the weights of the blend by what they answer on held-out events."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import MissingExtra, ModelError
from es_recsys.models.als import ALS, ALSConfig
from es_recsys.models.base import Model
from es_recsys.models.cooccurrence import Counting
from es_recsys.models.popularity import Popularity
from es_recsys.models.report import Notes, Report, als_words, cut_words, transitions_words
from es_recsys.models.sequences import take
from es_recsys.models.slices import Slice, latest, next_in_time, scattered
from es_recsys.models.transitions import Transitions, TransitionsConfig
from es_recsys.models.trials import DEPTH, TransitionTrials, try_als, weigh
from es_recsys.types import Interactions

__all__ = ["Report", "Selection", "defaults", "select"]

_MIN_USERS, _MIN_EVENTS = 50, 200
# Scores that one trial looks at, users times items: what two cores do in about two seconds.
_CELLS = 80_000_000
_SEARCH_EVENTS = 1_500_000
# A second model must bring this much to be worth a vector field and a kNN search in every answer.
_WORTH = 1.005


@dataclass(frozen=True, slots=True)
class Selection:
    """models: name -> model trained on everything; popularity is always among them. weights: model -> share of the
    blend (blend.py), summing to 1; a model without a weight isn't blended."""

    models: Mapping[str, Model]
    weights: Mapping[str, float]
    report: Report


@dataclass(frozen=True, slots=True)
class _Choice:
    transitions: TransitionsConfig
    als: ALSConfig | None
    weights: Mapping[str, float]


def defaults(data: Interactions) -> tuple[TransitionsConfig, ALSConfig, dict[str, float]]:
    """Settings and blend weights for a store that is too small to try any on."""
    factors = int(np.clip(min(len(data.user_ids), len(data.item_ids)) // 4, 4, 32))
    transitions = TransitionsConfig(Counting(10, 0.8, 0.5, 0.3), 0.5, 0.2, half_life=5.0)
    return transitions, ALSConfig(factors=factors), {"transitions": 0.7, "als": 0.3}


def select(
    data: Interactions, rng: np.random.Generator, budget: float = 150.0, tell: Callable[[str], None] | None = None
) -> Selection:
    """Holds events out, tries settings on them, weighs the models against each other, then trains on everything.

    budget: seconds after which no further setting is tried (the last training comes on top); within it the outcome
    depends on data and rng alone. tell: gets each line of the report as it is known. Raises ModelError without a
    positive event.
    """
    notes = Notes(tell)
    positive = int((data.weights > 0).sum())
    if not positive:
        raise ModelError("There are no positive events to train on.", "Load events first: `es-recsys events load FILE`.")
    began = time.monotonic()
    seed = int(rng.integers(2**31))
    active = len(np.unique(data.users[data.weights > 0]))
    choice = None
    if active >= _MIN_USERS and positive >= _MIN_EVENTS:
        choice = _choose(data, rng, seed, began + budget, notes)
    if choice is None:
        notes.say(
            f"{positive:,} events of {active:,} users are too few to try settings on "
            f"(it takes {_MIN_EVENTS} of {_MIN_USERS}): defaults.",
            slice="none",
        )
        choice = _Choice(*defaults(data))
    searched = time.monotonic() - began
    models, weights = _train(data, choice, seed, notes)
    took = time.monotonic() - began
    shares = ", ".join(f"{name} {share:.0%}" for name, share in weights.items())
    notes.say(f"Blend: {shares}. {searched:.0f} s of trying, {took - searched:.0f} s of training on everything.")
    notes.figures.update(weights=dict(weights), search_s=round(searched, 1), train_s=round(took - searched, 1))
    return Selection(models, weights, Report(tuple(notes.lines), notes.figures))


def _train(data: Interactions, choice: _Choice, seed: int, notes: Notes) -> tuple[dict[str, Model], dict[str, float]]:
    models: dict[str, Model] = {
        "transitions": Transitions(choice.transitions).fit(data, np.random.default_rng(seed)),
        "popularity": Popularity().fit(data, np.random.default_rng(seed)),
    }
    if choice.als is not None:
        try:
            models["als"] = ALS(choice.als).fit(data, np.random.default_rng(seed))
        except MissingExtra as missing:
            notes.say(f"als is left out. {missing}")
            return models, {"transitions": 1.0}
    return models, dict(choice.weights)


def _choose(data: Interactions, rng: np.random.Generator, seed: int, deadline: float, notes: Notes) -> _Choice | None:
    data = _sampled(data, rng, notes)
    began = time.monotonic()
    part, ordered = _hold_out(data, rng, notes)
    if len(part) < _MIN_USERS // 2:
        return None
    trials = TransitionTrials(part)
    # Transitions have the larger space; als keeps two fifths of the time.
    found = trials.climb(ordered, began + 0.6 * (deadline - began))
    notes.say(
        f"transitions: {transitions_words(found.config)}: NDCG@{DEPTH} {found.score:.4f}, best of {found.trials}"
        f"{cut_words(found.cut_short)}.",
        transitions=round(found.score, 5),
    )
    try:
        als, als_found = try_als(part, ordered, seed, began + 0.9 * (deadline - began))
    except MissingExtra as missing:
        notes.say(f"als is left out. {missing}")
        return _Choice(found.config, None, {"transitions": 1.0})
    notes.say(
        f"als: {als_words(als_found.config)}: NDCG@{DEPTH} {als_found.score:.4f}, best of {als_found.trials}"
        f"{cut_words(als_found.cut_short)}.",
        als=round(als_found.score, 5),
    )
    by_share = weigh({"transitions": trials.model(found.config), "als": als}, part)
    share = max(by_share, key=lambda one: (by_share[one], -one))
    notes.say("Share of als in the blend -> NDCG: " + ", ".join(f"{s:.1f} {v:.4f}" for s, v in by_share.items()) + ".")
    notes.figures["blend"] = {str(s): round(v, 5) for s, v in by_share.items()}
    if by_share[share] < _WORTH * by_share[0.0]:
        notes.say("als adds less than half a percent, so transitions answer alone.")
        return _Choice(found.config, None, {"transitions": 1.0})
    weights = {name: w for name, w in (("transitions", round(1.0 - share, 1)), ("als", share)) if w > 0}
    return _Choice(found.config, als_found.config, weights)


def _hold_out(data: Interactions, rng: np.random.Generator, notes: Notes) -> tuple[Slice, bool]:
    """The slice that stands for what the store will be asked, and whether recency may tell."""
    users = int(np.clip(_CELLS // max(len(data.item_ids), 1), 1_000, 8_000))
    if data.timed:
        part = next_in_time(data, rng, users)
        if len(part) >= _MIN_USERS:
            notes.say(f"Validation: {part.kind}, {len(part):,} users.", slice="time", validation_users=len(part))
            return part, True
    part = latest(data, rng, users)
    why = "too few users have events on both sides of a split in time"
    ordered = True
    if not data.timed and len(part):
        ordered, why = _order_tells(part)
    if not ordered:
        part = scattered(data, rng, users)
    notes.say(
        f"Validation: {part.kind}, {len(part):,} users ({why}).",
        slice="latest" if ordered else "scattered",
        validation_users=len(part),
    )
    return part, ordered


def _order_tells(part: Slice) -> tuple[bool, str]:
    """Whether the newest of a history say more of the next item than the rest does: transitions are asked with the
    whole history alike and with half-lives, and the best half-life must win by twice the standard error of the users'
    differences."""
    trials = TransitionTrials(part)
    plain = TransitionsConfig(Counting(10, 0.8, 1.0, 0.3), 0.5, 0.2)
    alike = trials.each(plain)
    by_half_life = {half_life: trials.each(replace(plain, half_life=half_life)) for half_life in (3.0, 10.0)}
    half_life = max(by_half_life, key=lambda one: float(by_half_life[one].mean()))
    gain: NDArray[np.float64] = by_half_life[half_life] - alike
    error = float(gain.std() / np.sqrt(max(len(gain), 1)))
    tells = float(gain.mean()) > 2.0 * error
    return tells, (
        f"the order of events {'tells' if tells else 'tells nothing'}: NDCG@{DEPTH} {by_half_life[half_life].mean():.4f} with a "
        f"half-life of {half_life:.0f} events, {alike.mean():.4f} with the whole history alike"
    )


def _sampled(data: Interactions, rng: np.random.Generator, notes: Notes) -> Interactions:
    """All interactions, or those of a random part of the users where there are very many."""
    if len(data.items) <= _SEARCH_EVENTS:
        return data
    share = _SEARCH_EVENTS / len(data.items)
    notes.say(f"Settings are tried on a random {share:.0%} of the users.")
    return take(data, (rng.random(len(data.user_ids)) < share)[data.users])
