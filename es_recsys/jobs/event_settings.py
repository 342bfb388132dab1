"""What a store keeps about how its events are read: the scale of ratings, and the rules about bots."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from es_recsys.counting import counted
from es_recsys.errors import InputError
from es_recsys.events.bots import BotRules, parse_bots
from es_recsys.events.store import EventStore
from es_recsys.ratings import RatingScale, parse_rating_scale
from es_recsys.sources.future_times import FutureTimes
from es_recsys.sources.rating_inference import RatingCounts, infer_rating_scale
from es_recsys.types import Event

__all__ = ["CheckedEvents", "as_scale", "check_times", "keep_bots", "keep_scale"]


class CheckedEvents:
    """What the events of some files show together, learned while they are checked. now: epoch seconds."""

    def __init__(self, now: float) -> None:
        self.ratings = RatingCounts()
        self.unvalued = 0
        self.future = FutureTimes(now)

    def watch(self, events: Iterable[Event]) -> Iterator[Event]:
        """Yield the events, looked at in passing."""
        for event in events:
            if event.event_type == "rating":
                if event.value is None:
                    self.unvalued += 1
                else:
                    self.ratings.add(event.value)
            yield event

    def remarks(self) -> list[str]:
        """What is odd about them."""
        if not self.unvalued:
            return []
        return [
            f"{counted(self.unvalued, 'rating has no value and says', 'ratings have no value and say')} nothing of taste; name"
            " the column that has it: --columns value=NAME"
        ]


def check_times(future: FutureTimes, zone_given: bool) -> list[str]:
    """What a person should know of times in the future. Raises InputError where they are local times, as it seems, and nobody
    has said of which zone: once stored, they could not be told from right ones."""
    if not future.count:
        return []
    hours = f"{future.span / 3_600.0:.1f} h"
    if future.block and future.local and not zone_given:
        raise InputError(
            f"The newest {future.count:,} events lie up to {hours} in the future, and their times name no zone: they seem to"
            f" be local times, {future.offset} or more from UTC.",
            f"Say of which zone: --timezone Asia/Tokyo, or --timezone {future.offset}; with --timezone UTC they are moved to now"
            " in their order. Nothing was loaded.",
        )
    if future.block:
        return [
            f"WARNING: the newest {future.count:,} events lie up to {hours} in the future, as local times do that are written as"
            f" UTC ({future.offset} or more); they are moved to now in their order. Write them with their zone, or without any"
            " and load them with --timezone"
        ]
    they = counted(future.count, "event lies", "events lie")
    return [f"{they} in the future, as of wrong clocks; they are moved to now in their order"]


def as_scale(given: str | RatingScale | None) -> RatingScale | None:
    """What `--rating-scale` says. Raises InputError."""
    return parse_rating_scale(given) if isinstance(given, str) else given


def keep_scale(store: EventStore, ratings: RatingCounts, given: RatingScale | None) -> list[str]:
    """Settle the scale of the store's ratings and keep it; -> what a person should know.

    Raises InputError where the values are on no scale.
    """
    settings = store.settings
    stored = RatingScale.of(settings) if "rating_scale" in settings else None
    scale, notes = infer_rating_scale(ratings, stored, given)
    if scale is None:
        return notes
    before = store.rating_scale
    other = (scale.low, scale.high, scale.unrated) != (before.low, before.high, before.unrated)
    store.update_settings(rating_scale=scale.to_setting(), affects_profiles=other)
    return notes


def keep_bots(store: EventStore, bots: str | Iterable[str] | None) -> None:
    """Keep what `--bots` says. Raises InputError."""
    changes = parse_bots(bots or ())
    if changes:
        store.update_settings(bots=dict(BotRules.of(store.settings).changed(changes).setting))
