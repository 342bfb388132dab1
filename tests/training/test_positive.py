"""A training that has nothing to learn from says what there is instead."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from es_recsys.errors import ModelError
from es_recsys.events.cleaning import clean
from es_recsys.events.interactions import read_interactions
from es_recsys.events.store import EventStore
from es_recsys.training.positive_events import need_positive
from es_recsys.types import Event

NOW = 1_790_000_000.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with EventStore(f"sqlite:///{tmp_path / 'e.sqlite3'}", "shop", b"k") as store:
        yield store


def refused(store: EventStore, *events: dict[str, Any]) -> ModelError:
    store.load([Event(user_id="u", item_id="a", timestamp=NOW, **event) for event in events], NOW)
    clean(store, ["a"] if events[:1] != ({"event_type": "view"},) else ["b"], NOW)
    with pytest.raises(ModelError, match="no positive events to train on") as caught:
        need_positive(store, read_interactions(store, NOW))
    return caught.value


def test_nothing_at_all(store: EventStore) -> None:
    assert "events load" in refused(store).remedy


def test_dislikes_alone(store: EventStore) -> None:
    error = refused(store, {"event_type": "dislike"}, {"event_type": "rating", "value": 2})
    assert "the 2 events of the store that count are dislikes, ratings of no more than 3 (on the scale 1..5)" in error.what
    assert "--rating-scale" in error.remedy
    assert "Load events first" not in error.remedy


def test_all_set_aside(store: EventStore) -> None:
    error = refused(store, {"event_type": "view"})
    assert "all 1 events of the store are set aside, 1 of them as unknown_item" in error.what
    assert "load these items" in error.remedy


def test_with_a_like_it_goes_on(store: EventStore) -> None:
    store.load([Event(event_type="like", user_id="u", item_id="a", timestamp=NOW)], NOW)
    need_positive(store, read_interactions(store, NOW))
