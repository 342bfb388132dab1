"""The state of a profile: what folding needs to go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from es_recsys.event_types import BEHAVIOURS
from es_recsys.events.decay import DecayedSums
from es_recsys.settings import ProfileSettings

__all__ = ["LONG", "SHORT", "HistoryEntry", "ProfileConfig", "ProfileState", "RecencyKey", "current", "empty"]

LONG, SHORT = "long", "short"
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class ProfileConfig:
    """The settings that a state was folded under; another setting needs a rebuild. weights: event type -> weight, where the
    store has its own."""

    long_half_life: float = 60.0
    short_half_life: float = 3.0
    history: int = 300
    timed: bool = True
    weights: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: ProfileSettings, timed: bool = True, weights: Mapping[str, float] | None = None) -> ProfileConfig:
        return cls(settings.long_half_life, settings.short_half_life, settings.history, timed, dict(weights or {}))

    @property
    def unit(self) -> float:
        """Seconds in a unit of age; an order is its own unit."""
        return _DAY if self.timed else 1.0

    def half_life(self, term: str, event_type: str) -> float:
        ceiling = self.long_half_life if term == LONG else self.short_half_life
        return min(ceiling, BEHAVIOURS[event_type].half_life)


_RANKS = {name: rank for rank, name in enumerate(BEHAVIOURS)}


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One event of the history."""

    when: float
    key: str
    item_id: str
    event_type: str
    weight: float

    @property
    def place(self) -> tuple[float, int, str, float, str]:
        """What a history is ordered by, whatever the order of arrival. Those of one moment stand as `interactions` has
        them: what a model learns from and what it is asked with are the same."""
        return self.when, _RANKS[self.event_type], self.item_id, self.weight, self.key


RecencyKey = tuple[float, str]
"""(time, key): when something was last said."""


@dataclass(frozen=True, slots=True, eq=False)
class ProfileState:
    """Everything that folding needs; `profile` makes of it what a search reads.

    revision: the subject's in the event store when row 0 was folded. reference: time of the last event in `sums`.
    sums: (term, half-life) -> sums at the reference. history: the last events on known items, oldest first.
    known: event type -> items with a positive event of it. opinions: item -> when an opinion was last given, and its
    sign. queries: text -> when it was last searched, the last 20.
    """

    user_key: str
    terms: ProfileConfig = field(default_factory=ProfileConfig)
    revision: int = 0
    applied_through: int = 0
    reference: float | None = None
    sums: Mapping[tuple[str, float], DecayedSums] = field(default_factory=dict)
    history: tuple[HistoryEntry, ...] = ()
    known: Mapping[str, frozenset[str]] = field(default_factory=dict)
    opinions: Mapping[str, tuple[float, str, int]] = field(default_factory=dict)
    queries: Mapping[str, RecencyKey] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    strength: float = 0.0


def empty(user_key: str, terms: ProfileConfig | None = None, revision: int = 0) -> ProfileState:
    """The state before any event."""
    return ProfileState(user_key, terms or ProfileConfig(), revision)


def current(state: ProfileState, terms: ProfileConfig, revision: int) -> ProfileState:
    """The state where it can be folded on, else an empty one: other settings, or rows that changed since, need all rows."""
    if state.terms == terms and state.revision == revision:
        return state
    return empty(state.user_key, terms, revision)
