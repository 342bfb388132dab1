"""Laws: cleaning the events of actors with new ones finds what cleaning all events finds, or says that it can't."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import pytest

from es_recsys.event_columns import EventColumns
from es_recsys.events.cleaning import Cleaned, clean, clean_changed
from es_recsys.events.cleaning_state import CleaningState
from es_recsys.events.event_frame import FrameBuilder, read_event_frame
from es_recsys.events.store import EventStore
from es_recsys.types import Event

NOW = 1_790_000_017.5
DAY = 86_400.0
CATALOGUE = {f"i{n}" for n in range(20)}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with EventStore(f"sqlite:///{tmp_path / 'e.sqlite3'}", "shop", b"k") as store:
        yield store


def did(user: int, ago: float, item: int = 1, kind: str = "view", **more: object) -> Event:
    return Event(event_type=kind, user_id=f"u{user}", item_id=f"i{item}", timestamp=NOW - ago, **more)


def known(item_ids: Collection[str]) -> set[str]:
    return set(item_ids) & CATALOGUE


def again(store: EventStore, before: Cleaned) -> Cleaned | None:
    """Goes on from what was kept, as it is read back."""
    return clean_changed(store, CleaningState.from_json(json.loads(json.dumps(before.state.to_json()))), known, NOW)  # type: ignore[arg-type]


def same(store: EventStore, found: Cleaned) -> None:
    """Nothing is left to do, and all is counted as it is of all events."""
    whole = clean(store, CATALOGUE, NOW)
    assert (whole.report.flagged, whole.report.lifted) == (0, 0)
    for name in ("events", "kept", "actors", "by_reason", "actors_by_reason", "clamped", "sessions", "examples", "suspended"):
        assert getattr(found.report, name) == getattr(whole.report, name), name
    assert (found.report.unknown_item_ids is None) == (whole.report.unknown_item_ids is None)
    assert found.state.position == whole.state.position
    assert found.state.clocks.coarse() == whole.state.clocks.coarse()
    assert {name: n for name, n in found.state.tallied.items() if n} == {name: n for name, n in whole.state.tallied.items() if n}


def shop(rng: np.random.Generator, users: int, each: int, start_ago: float, span: float) -> list[Event]:
    """Events that all rules find something in."""
    events = []
    for user in range(users):
        ago = start_ago
        for _ in range(each):
            kind = str(rng.choice(["view", "cart", "purchase", "rating"]))
            ago -= float(rng.exponential(span / each))
            value = float(rng.integers(1, 8)) if kind in ("rating", "purchase") else None
            events.append(did(user, max(ago, 1.0), int(rng.integers(22)), kind, value=value))
            if rng.random() < 0.1:
                events.append(did(user, max(ago - 1.0, 0.5), int(rng.integers(22)), kind, value=value))
    return events


@pytest.mark.parametrize("seed", range(4))
def test_loads_one_after_the_other_are_cleaned_as_all_at_once(store: EventStore, seed: int) -> None:
    rng = np.random.default_rng(seed)
    store.load(shop(rng, 60, 30, 40 * DAY, 20 * DAY), NOW)
    found, looked_at = clean(store, CATALOGUE, NOW), 0
    for turn in range(6):
        users = rng.choice(70, 5, replace=False)
        new = [did(int(user), float(rng.uniform(0, 9) * DAY), int(rng.integers(22))) for user in users for _ in range(4)]
        if turn == 3:  # a machine, who was a person before
            new += [did(int(users[0]), 5 * DAY - 0.5 * n) for n in range(80)]
        store.append(new, NOW)
        went_on = again(store, found)
        if went_on is not None:
            looked_at += 1
            assert len(went_on.events.row) < 0.5 * store.count()
            same(store, went_on)
        found = went_on or clean(store, CATALOGUE, NOW)
    assert looked_at >= 4


def test_without_new_events_nothing_is_read(store: EventStore) -> None:
    store.load(shop(np.random.default_rng(1), 20, 20, 40 * DAY, 20 * DAY), NOW)
    before = clean(store, CATALOGUE, NOW)
    found = again(store, before)
    assert found is not None
    assert len(found.events.row) == 0
    same(store, found)


def test_without_times_the_catalogue_is_compared(store: EventStore) -> None:
    store.load([Event(event_type="view", user_id=f"u{n % 7}", item_id=f"i{n % 23}", order=n) for n in range(200)], NOW)
    before = clean(store, CATALOGUE, NOW)
    store.load([Event(event_type="view", user_id="u1", item_id=f"i{n}", order=200 + n) for n in (3, 21)], NOW)
    found = again(store, before)
    assert found is not None
    assert found.report.flagged == 1
    same(store, found)


def test_what_is_about_all_events_is_found_by_looking_at_all(store: EventStore) -> None:
    first = shop(np.random.default_rng(2), 40, 20, 40 * DAY, 20 * DAY)
    store.load(first, NOW)
    before = clean(store, CATALOGUE, NOW)
    store.erase("u3", NOW)
    assert again(store, before) is None  # events went
    before = clean(store, CATALOGUE, NOW)
    store.update_settings(bots={"all": "off"})
    assert again(store, before) is None  # other rules
    before = clean(store, CATALOGUE, NOW)
    store.append([did(n, 3 * DAY - 600 * n) for n in range(41, 43)], NOW)
    assert again(store, before) is not None
    before = clean(store, CATALOGUE, NOW)
    store.append([did(n, 60.0 * n, kind="dwell", value=90_000.0) for n in range(30)], NOW)
    assert again(store, before) is None  # their unit is another
    before = clean(store, CATALOGUE, NOW)
    noon = NOW - (NOW - 43_200) % DAY
    store.append([did(n % 40, NOW - noon + DAY * (1 + n % 4)) for n in range(60)], NOW)
    assert again(store, before) is None  # noon is no time of day


def test_a_rule_that_comes_to_hit_many_is_suspended_by_looking_at_all(store: EventStore) -> None:
    def quick(user: int, turns: int = 120) -> list[Event]:
        return [did(user, 2 * DAY - 0.3 * n - user, n % 20) for n in range(turns)]

    store.load([*shop(np.random.default_rng(3), 50, 200, 40 * DAY, 20 * DAY), *quick(1)], NOW)
    before = clean(store, CATALOGUE, NOW)
    assert before.report.actors_by_reason["bot_minute_rate"] == 1
    store.append(quick(2), NOW)
    found = again(store, before)
    assert found is not None
    assert found.report.actors_by_reason["bot_minute_rate"] == 2
    same(store, found)
    store.append(quick(3), NOW)
    assert again(store, found) is None
    whole = clean(store, CATALOGUE, NOW)
    assert [rule.rule for rule in whole.report.suspended] == ["minute_rate"]
    store.append([did(7, DAY)], NOW)
    went_on = again(store, whole)
    assert went_on is not None
    assert went_on.report.suspended == whole.report.suspended
    same(store, went_on)


def test_an_event_that_waits_for_its_time_is_looked_at_with_all(store: EventStore) -> None:
    store.append([did(n, 100.0 + n) for n in range(30)], NOW + 4_000)
    store.append([did(31, -3_000)], NOW + 4_000)
    before = clean(store, CATALOGUE, NOW)
    assert before.report.by_reason == {"future_time": 1}
    store.append([did(1, 50)], NOW + 4_000)
    assert again(store, before) is None


@pytest.mark.parametrize("timed", [True, False])
def test_what_a_load_wrote_is_what_would_be_read(store: EventStore, timed: bool) -> None:
    if timed:
        events = [*shop(np.random.default_rng(5), 20, 20, 40 * DAY, 20 * DAY), did(3, -9_000), did(4, 40 * 365 * DAY)]
        events.append(Event(event_type="search", user_id="u1", query="x", timestamp=NOW - 9))
    else:
        events = [Event(event_type="view", user_id=f"u{n % 7}", item_id=f"i{n % 23}", order=n) for n in range(200)]
    written = FrameBuilder(store.log_position())
    store.load_columns([EventColumns.of(events[:300]), EventColumns.of(events)], NOW, written.add_written)
    position = store.log_position()
    assert written.has_all(store, position)
    found, expected = (read_event_frame(store, CATALOGUE, timed, written=it) for it in (written, None))
    assert found.rows.equals(expected.rows)
    assert (found.position, found.actors, found.items, found.queries) == (
        expected.position,
        expected.actors,
        expected.items,
        expected.queries,
    )


def test_where_others_wrote_or_erased_all_is_read(store: EventStore) -> None:
    written = FrameBuilder(store.log_position())
    store.load_columns([EventColumns.of([did(1, 5), did(2, 6)])], NOW, written.add_written)
    store.append([did(3, 7)], NOW)
    store.load_columns([EventColumns.of([did(1, 8)])], NOW, written.add_written)
    assert not written.has_all(store, store.log_position())
    assert len(read_event_frame(store, None, True, written=written).rows) == 4
    other = FrameBuilder(store.log_position())
    store.load_columns([EventColumns.of([did(4, 9)])], NOW, other.add_written)
    assert not other.has_all(store, store.log_position())


def test_what_was_erased_since_is_not_taken_from_a_load(store: EventStore) -> None:
    written = FrameBuilder(store.log_position())
    store.load_columns([EventColumns.of([did(1, 5), did(2, 6)])], NOW, written.add_written)
    store.erase("u1", NOW)
    assert not written.has_all(store, store.log_position())
    assert read_event_frame(store, None, True, written=written).actors == ["u:u2"]
