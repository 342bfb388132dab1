"""A store reads its ratings on the scale that they were sent on, in every way that it is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from es_recsys.events.cleaning import clean
from es_recsys.events.interactions import read_interactions
from es_recsys.events.store import EventStore
from es_recsys.ratings import RatingScale
from es_recsys.types import Event

NOW = 1_790_000_000.0
TEN = RatingScale(0, 10, (-1,))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with EventStore(f"sqlite:///{tmp_path / 'e.sqlite3'}", "shop", b"k") as store:
        yield store


def rated(*values: float) -> list[Event]:
    return [
        Event(event_type="rating", user_id="u", item_id=f"i{place}", value=value, timestamp=NOW - 1_000 * place)
        for place, value in enumerate(values)
    ]


def read(store: EventStore) -> list[tuple[str, float | None, str | None]]:
    return [(row.event_type, row.value, row.quarantine) for row in store.rows("u")]


def test_every_reading_is_on_one_scale(store: EventStore) -> None:
    store.update_settings(rating_scale=TEN.to_setting())
    appended = store.append(rated(10, 5, 0, -1, 11), NOW).rows
    wanted = [
        ("rating", 5.0, None),
        ("rating", 3.0, None),
        ("rating", 1.0, None),
        ("view", None, None),
        ("rating", 5.4, "rating_out_of_range"),
    ]
    assert [(row.event_type, row.value, row.quarantine) for row in appended] == wanted
    assert read(store) == wanted
    assert [(row.event_type, row.value) for row in store.scan()] == [pair[:2] for pair in wanted]
    data = read_interactions(store)
    weights = {data.item_ids[item]: weight for item, weight in zip(data.items, data.weights.tolist(), strict=True)}
    assert weights == {"i0": 3.0, "i2": -3.0, "i3": 1.0}


def test_half_a_star_is_the_strongest_dislike(store: EventStore) -> None:
    store.update_settings(rating_scale=RatingScale(0.5, 5).to_setting())
    store.append(rated(0.5, 5), NOW)
    assert [value for _, value, _ in read(store)] == [1.0, 5.0]


def test_events_of_a_store_from_before_are_read_anew_when_its_scale_is_known(store: EventStore) -> None:
    store.append(rated(9, 0, 4), NOW)
    assert clean(store, None, NOW).report.by_reason == {"rating_out_of_range": 2}
    store.update_settings(rating_scale=RatingScale(0, 10).to_setting(), affects_profiles=True)
    revision = store.revision("u")
    report = clean(store, None, NOW).report
    assert (report.by_reason, report.lifted) == ({}, 2)
    assert store.revision("u") > revision
    assert [value for _, value, _ in read(store)] == [4.6, 1.0, 2.6]
    store.update_settings(rating_scale=None)
    assert clean(store, None, NOW).report.by_reason == {"rating_out_of_range": 2}


def test_without_times_the_scale_is_asked_too(store: EventStore) -> None:
    store.append([Event(event_type="rating", user_id="u", item_id="a", value=9, order=0)], NOW)
    assert clean(store, None, NOW).report.by_reason == {"rating_out_of_range": 1}
    store.update_settings(rating_scale=TEN.to_setting())
    assert clean(store, None, NOW).report.by_reason == {}
