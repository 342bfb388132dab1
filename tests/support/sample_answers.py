"""What tests of answers from the sample store ask, write and read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from es_recsys import Answer, Event
from es_recsys.sample import SampleStore

__all__ = ["QUERY", "files_of", "ids_of", "in_category", "view"]

QUERY = "running shoes"


def ids_of(answer: Answer) -> list[str]:
    """The items of an answer, in its order."""
    return [hit.item_id for hit in answer.hits]


def view(user: str, item_id: str, kind: str = "view", ago: float = 60.0, **more: Any) -> Event:
    """A user's event on an item. ago: seconds."""
    when = datetime.now(UTC) - timedelta(seconds=ago)
    return Event(event_type=kind, user_id=user, item_id=item_id, timestamp=when, **more)


def in_category(sample: SampleStore, name: str) -> list[str]:
    """The items of a category."""
    return [item.item_id for item in sample.items if name in item.categories]


def files_of(folder: Path) -> bytes:
    """All that a store has written into its folder, but for the events."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file() and "events.sqlite3" not in path.name)
