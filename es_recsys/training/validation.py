"""What is held out to choose by: the slice that stands for what the store will be asked."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from es_recsys.models.cooccurrence import Counting
from es_recsys.models.covisitation import CoVisitationConfig
from es_recsys.models.sequences import take
from es_recsys.models.slices import HoldoutSplit, latest, next_in_time, scattered
from es_recsys.training.model_trials import DEPTH, CoVisitationTrials
from es_recsys.training.selection_report import Notes
from es_recsys.types import Interactions

__all__ = ["FEWEST", "Validation"]

FEWEST = 50  # users to choose by
# How many times as many users the models are weighed by: that takes one pass a model, and turns on smaller differences.
_MORE = 2
_SEARCH_EVENTS = 1_500_000
# Scores that one trial looks at, users times items: what two cores do in about two seconds.
_CELLS = 80_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Validation:
    """part: what settings are tried on. whole: of the same and more users, by which models are weighed. ordered: whether
    recency may tell. data: what both were held out of. targets: event types of what is to be found (empty: all that are
    positive). by_time: whether that is what came after a moment."""

    part: HoldoutSplit
    whole: HoldoutSplit
    ordered: bool
    data: Interactions
    targets: tuple[str, ...]
    by_time: bool

    @classmethod
    def of(cls, data: Interactions, rng: np.random.Generator, notes: Notes, targets: tuple[str, ...] = ()) -> Validation:
        """Of all interactions, or of a random part of the users where there are very many. Without enough events of the
        targets' types all that are positive count, and the notes say so."""
        data = _sampled(data, rng, notes)
        users = int(np.clip(_CELLS // max(len(data.item_ids), 1), 1_000, 8_000))
        found = _held_out(data, rng, users, notes, targets)
        if targets and len(found.whole) < FEWEST:
            notes.say(f"That is too few to choose by, it takes {FEWEST}: chosen by events of any type.", targets=[])
            found = _held_out(data, rng, users, notes, ())
        return found

    def earlier(self, seed: int, users: int) -> HoldoutSplit | None:
        """The same question of the time just before, of up to so many users, when nothing of what is asked now had happened;
        None where there is none."""
        if not self.by_time:
            return None
        part = next_in_time(self.data, np.random.default_rng(seed), users, targets=self.targets, back=1)
        return part if len(part) >= FEWEST else None


def _held_out(data: Interactions, rng: np.random.Generator, users: int, notes: Notes, targets: tuple[str, ...]) -> Validation:
    if data.timed:
        whole = next_in_time(data, rng, _MORE * users, targets=targets)
        if len(whole) >= FEWEST:
            notes.say(f"Validation: {whole.kind}, {len(whole):,} users.", slice="time", validation_users=len(whole))
            return Validation(whole.first(users), whole, True, data, targets, True)
    whole = latest(data, rng, _MORE * users, targets)
    why = "too few users have events on both sides of a split in time"
    ordered = True
    if not data.timed and len(whole):
        ordered, why = _order_tells(whole.first(users))
    if not ordered:
        whole = scattered(data, rng, _MORE * users, targets=targets)
    notes.say(
        f"Validation: {whole.kind}, {len(whole):,} users ({why}).",
        slice="latest" if ordered else "scattered",
        validation_users=len(whole),
    )
    return Validation(whole.first(users), whole, ordered, data, targets, False)


def _order_tells(part: HoldoutSplit) -> tuple[bool, str]:
    """Whether the newest of a history say more of the next item than the rest does: co-visitation is asked with the
    whole history alike and with half-lives, and the best half-life must win by twice the standard error of the users'
    differences."""
    trials = CoVisitationTrials(part)
    plain = CoVisitationConfig(Counting(10, 0.8, 1.0, 0.3), 0.5, 0.2)
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
    if len(data.items) <= _SEARCH_EVENTS:
        return data
    share = _SEARCH_EVENTS / len(data.items)
    notes.say(f"Settings are tried on a random {share:.0%} of the users.")
    return take(data, (rng.random(len(data.user_ids)) < share)[data.users])
