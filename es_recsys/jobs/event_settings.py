"""Checks events before they are loaded, and stores how they are read: the rating scale and the rules about bots."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from es_recsys.counting import counted
from es_recsys.errors import InputError
from es_recsys.event_columns import EventColumns
from es_recsys.events.bot_rules import BotRules, parse_bots
from es_recsys.events.store import EventStore
from es_recsys.ratings import RatingScale, parse_rating_scale
from es_recsys.sources.future_times import FutureTimes
from es_recsys.sources.rating_inference import RatingCounts, infer_rating_scale

__all__ = ["CheckedEvents", "check_times", "store_bot_rules", "store_rating_scale", "to_rating_scale"]


class CheckedEvents:
    """Ratings and future times of the events that pass through. now: epoch seconds."""

    def __init__(self, now: float) -> None:
        self.ratings = RatingCounts()
        self.ratings_without_value = 0
        self.future = FutureTimes(now)

    def observe(self, parts: Iterable[EventColumns]) -> Iterator[EventColumns]:
        """Yield the events, and count them in passing."""
        for events in parts:
            if "rating" in events.event_type:
                for event_type, value in zip(events.event_type, events.value, strict=True):
                    if event_type != "rating":
                        continue
                    if value is None:
                        self.ratings_without_value += 1
                    else:
                        self.ratings.add(value)
            yield events

    def notes(self) -> list[str]:
        """Return what a person should know of the ratings."""
        if not self.ratings_without_value:
            return []
        which = counted(self.ratings_without_value, "rating has no value and says", "ratings have no value and say")
        return [f"{which} nothing of taste; name the column that has it: --columns value=NAME"]


def check_times(future: FutureTimes, zone_given: bool) -> list[str]:
    """Return what a person should know of times in the future.

    Raises InputError where they seem to be local times and no zone was given: once stored, they look like right ones.
    """
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


def to_rating_scale(given: str | RatingScale | None) -> RatingScale | None:
    """Return the scale that `--rating-scale` names. Raises InputError."""
    return parse_rating_scale(given) if isinstance(given, str) else given


def store_rating_scale(store: EventStore, ratings: RatingCounts, given: RatingScale | None) -> list[str]:
    """Find the scale of the store's ratings, store it, and return what a person should know.

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


def store_bot_rules(store: EventStore, bots: str | Iterable[str] | None) -> None:
    """Store the changes of the bot rules that `--bots` names. Raises InputError."""
    changes = parse_bots(bots or ())
    if changes:
        store.update_settings(bots=dict(BotRules.of(store.settings).with_changes(changes).setting))
