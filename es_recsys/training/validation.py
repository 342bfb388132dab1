"""Validation of a training: the holdout split that stands for the queries that the store will get."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from es_recsys.cooccurrence import CooccurrenceConfig
from es_recsys.dataset import Interactions
from es_recsys.evaluation.holdout import leave_last_out, new_users_after, random_holdout, temporal_split
from es_recsys.evaluation.holdout_split import HoldoutSplit
from es_recsys.models.covisitation import CoVisitationConfig
from es_recsys.models.types import sample_users
from es_recsys.training.model_trials import DEPTH, CoVisitationTrials
from es_recsys.training.selection_report import Notes

__all__ = ["FEWEST", "Validation"]

FEWEST = 50  # users to choose by
# Users who choose nothing and tell what quality to expect: one of how many, how many at most, and at least to tell anything.
_TEST_SHARE, _TEST, _LEAST_TEST = 5, 2_000, 50
# How many times as many users the models are weighed by: that takes one pass a model, and turns on smaller differences.
_MORE = 2
_SEARCH_EVENTS = 1_500_000
# Scores that one trial looks at, users times items: what two cores do in about two seconds.
_CELLS = 80_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Validation:
    """Holdout splits that a training chooses by.

    part: what settings are tried on. whole: of the same and more users, by which models are weighed. test: of users who choose
    nothing, whose figure is the quality to expect; None where there are too few. data: what all were held out of. targets: event
    types of what is to be found (empty: all that are positive). method: "time", "last" or "random".
    """

    part: HoldoutSplit
    whole: HoldoutSplit
    test: HoldoutSplit | None
    data: Interactions
    targets: tuple[str, ...]
    method: str

    @property
    def ordered(self) -> bool:
        """Whether a history may be weighed by recency: not where events are held out at random."""
        return self.method != "random"

    @classmethod
    def of(cls, data: Interactions, rng: np.random.Generator, notes: Notes, targets: tuple[str, ...] = ()) -> Validation:
        """Hold events out of all interactions, or of those of a random part of the users where there are very many.

        Without enough events of the targets' types all that are positive count, and the notes say so.
        """
        if len(data.items) > _SEARCH_EVENTS:
            notes.say(f"Settings are tried on a random {_SEARCH_EVENTS / len(data.items):.0%} of the users.")
            data = sample_users(data, _SEARCH_EVENTS, rng)
        users = int(np.clip(_CELLS // max(len(data.item_ids), 1), 1_000, 8_000))
        found = _held_out(data, rng, users, notes, targets)
        if targets and len(found.whole) < FEWEST:
            notes.say(f"That is too few to choose by, it takes {FEWEST}: chosen by events of any type.", targets=[])
            found = _held_out(data, rng, users, notes, ())
        return found

    def earlier(self, seed: int, users: int) -> HoldoutSplit | None:
        """Return a holdout split of the time just before, of up to so many users.

        Nothing of what is held out now had happened then. None where there is none.
        """
        if self.method != "time":
            return None
        part = temporal_split(self.data, np.random.default_rng(seed), users, targets=self.targets, back=1)
        return part if len(part) >= FEWEST else None

    def new_users(self, seed: int, users: int) -> HoldoutSplit | None:
        """Return a holdout split of up to so many users of whom no model knows anything and one event is known when they ask.

        None where there are none: without times, or with too few who came after the moment.
        """
        if self.method != "time":
            return None
        part = new_users_after(self.data, self.whole.rule.moment, np.random.default_rng(seed), users, targets=self.targets)
        return part if len(part) >= 2 * FEWEST else None


def _held_out(data: Interactions, rng: np.random.Generator, users: int, notes: Notes, targets: tuple[str, ...]) -> Validation:
    if data.timed:
        held_out = temporal_split(data, rng, _MORE * users + _TEST, targets=targets)
        apart = min(len(held_out) // _TEST_SHARE, _TEST)
        apart = apart if apart >= _LEAST_TEST else 0
        whole = held_out.first(min(len(held_out) - apart, _MORE * users))
        if len(whole) >= FEWEST:
            test = held_out.between(len(whole), len(whole) + apart) if apart else None
            notes.say(f"Validation: {whole.kind}, {len(whole):,} users.", holdout="time", validation_users=len(whole))
            return Validation(whole.first(users), whole, test, data, targets, "time")
    whole = leave_last_out(data, rng, _MORE * users, targets=targets)
    why = "too few users have events on both sides of a split in time"
    method = "last"
    if not data.timed and len(whole):
        tells, why = _order_tells(whole.first(users))
        method = "last" if tells else "random"
    if method == "random":
        whole = random_holdout(data, rng, _MORE * users, targets=targets)
    notes.say(
        f"Validation: {whole.kind}, {len(whole):,} users ({why}).",
        holdout=method,
        validation_users=len(whole),
    )
    return Validation(whole.first(users), whole, None, data, targets, method)


def _order_tells(part: HoldoutSplit) -> tuple[bool, str]:
    """Return whether the newest events of a history tell more of the next item than the rest does, and why.

    Co-visitation answers with the whole history alike and with half-lives, and the best half-life must win by twice the standard
    error of the users' differences.
    """
    trials = CoVisitationTrials(part)
    plain = CoVisitationConfig(CooccurrenceConfig(10, 0.8, 1.0, 0.3), 0.5, 0.2)
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
