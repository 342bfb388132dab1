"""The state of a profile: everything that folding further events into it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from es_recsys.event_types import EVENT_TYPES
from es_recsys.events.decayed_sums import DecayedSums
from es_recsys.settings import ProfileSettings

__all__ = [
    "LONG",
    "PASSED_OVER",
    "SHORT",
    "HistoryEntry",
    "ProfileConfig",
    "ProfileState",
    "RecencyKey",
    "empty_state",
    "reset_if_stale",
    "terms_of",
]

LONG, SHORT, PASSED_OVER = "long", "short", "passed_over"
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class ProfileConfig:
    """The settings that a state was folded under; other settings need a rebuild.

    weights: event type -> weight, where the store has its own. The fields are stored with each profile under these names.
    """

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
        """Seconds in a unit of age: a day, or 1 where the store has an order of events only."""
        return _DAY if self.timed else 1.0

    def half_life(self, term: str, event_type: str) -> float:
        ceiling = self.short_half_life if term == SHORT else self.long_half_life
        return min(ceiling, EVENT_TYPES[event_type].half_life)


def terms_of(event_type: str) -> tuple[str, ...]:
    """Return the terms whose sums an event of this type is in."""
    return (PASSED_OVER,) if EVENT_TYPES[event_type].shown else (LONG, SHORT)


_TYPE_ORDER = {name: number for number, name in enumerate(EVENT_TYPES)}


class HistoryEntry(NamedTuple):
    """One event of the history. time: as `StoredEvent.time`. key: 16 hex digits of the event's digest."""

    time: float
    key: str
    item_id: str
    event_type: str
    weight: float

    @property
    def sort_key(self) -> tuple[float, int, str, float, str]:
        """What a history is sorted by, whatever the order of arrival.

        Events of equal time are sorted as `read_interactions` sorts them, so that a model sees the same order when it is
        trained and when it is served.
        """
        return self.time, _TYPE_ORDER[self.event_type], self.item_id, self.weight, self.key


RecencyKey = tuple[float, str]
"""(time, key of the event): sorts things by when they happened last, ties by key."""


@dataclass(frozen=True, slots=True, eq=False)
class ProfileState:
    """Everything that folding needs; `build_profile` turns it into what a search reads.

    revision: the actor's revision in the event store when row 0 was folded. applied_through: the last row folded in.
    reference: time of the last event in `sums`. sums: (term, half-life) -> sums at the reference. history: the last events
    on items of the catalogue, oldest first. seen: event type -> items with a positive event of it. explicit_feedback: item ->
    (time, key, sign) of the last event that was more than a view. authors: author -> (time, key, sign) of the last event on them,
    0 for one that took back what was before. queries: text -> when it was last searched for, the last 20.
    """

    user_key: str
    config: ProfileConfig = field(default_factory=ProfileConfig)
    revision: int = 0
    applied_through: int = 0
    reference: float | None = None
    sums: Mapping[tuple[str, float], DecayedSums] = field(default_factory=dict)
    history: tuple[HistoryEntry, ...] = ()
    seen: Mapping[str, frozenset[str]] = field(default_factory=dict)
    explicit_feedback: Mapping[str, tuple[float, str, int]] = field(default_factory=dict)
    authors: Mapping[str, tuple[float, str, int]] = field(default_factory=dict)
    queries: Mapping[str, RecencyKey] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    strength: float = 0.0


def empty_state(user_key: str, config: ProfileConfig | None = None, revision: int = 0) -> ProfileState:
    """Return the state before any event."""
    return ProfileState(user_key, config or ProfileConfig(), revision)


def reset_if_stale(state: ProfileState, config: ProfileConfig, revision: int) -> ProfileState:
    """Return the state, or an empty one where other settings or changed rows mean that all rows have to be folded again."""
    if state.config == config and state.revision == revision:
        return state
    return empty_state(state.user_key, config, revision)
