"""What a store keeps about how its events are read: the scale of ratings, and the rules about bots."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from es_recsys.behaviour.bots import BotRules, parse_bots
from es_recsys.behaviour.store import EventStore
from es_recsys.data import Rejects, read_events
from es_recsys.data.rating_survey import RatingTally, settle_scale
from es_recsys.ratings import RatingScale, parse_rating_scale
from es_recsys.types import Event

__all__ = ["EventSurvey", "as_scale", "keep_bots", "keep_scale"]


class EventSurvey:
    """What the events of some files show together, learned while they are checked."""

    def __init__(self) -> None:
        self.ratings = RatingTally()

    def read(self, *args: Any, rejects: Rejects, **options: Any) -> Iterator[Event]:
        """`read_events`, looked at in passing."""
        ratings = self.ratings
        for event in read_events(*args, rejects=rejects, **options):
            if event.event_type == "rating" and event.value is not None:
                ratings.add(event.value)
            yield event


def as_scale(given: str | RatingScale | None) -> RatingScale | None:
    """What `--rating-scale` says. Raises InputError."""
    return parse_rating_scale(given) if isinstance(given, str) else given


def keep_scale(store: EventStore, survey: EventSurvey, given: RatingScale | None) -> list[str]:
    """Settle the scale of the store's ratings and keep it; -> what a person should know.

    Raises InputError where the values are on no scale.
    """
    settings = store.settings
    stored = RatingScale.of(settings) if "rating_scale" in settings else None
    scale, notes = settle_scale(survey.ratings, stored, given)
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
