"""The sample store as of now, with the same shoppers, visits and items on every day and at every hour."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from es_recsys.sample import SampleStore, sample_store

__all__ = ["recent_sample_store"]


def recent_sample_store(items: int, users: int) -> SampleStore:
    """Return a sample store that ended five minutes ago, without its sounds, whose files are not written.

    It is moved as a whole: one that is made with another end has other visits, as these depend on weekday and hour.
    """
    made = sample_store(items=items, users=users)
    end = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    by = end - made.end
    seconds = by.total_seconds()
    return replace(
        made,
        items=tuple(
            item.model_copy(update={"created_at": item.created_at and item.created_at + by, "audio": None}) for item in made.items
        ),
        events=tuple(event.model_copy(update={"timestamp": event.timestamp and event.timestamp + by}) for event in made.events),
        shoppers=tuple(replace(each, start=each.start + seconds, end=each.end + seconds) for each in made.shoppers),
        end=end,
    )
