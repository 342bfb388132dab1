"""What cleaning sets aside, and what it must leave alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from es_recsys.events.cleaning import CleaningReport, clean
from es_recsys.events.interactions import read_interactions
from es_recsys.events.store import EventStore
from es_recsys.types import Event

NOW = 1_790_000_017.5


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with EventStore(f"sqlite:///{tmp_path / 'e.sqlite3'}", "shop", b"k") as store:
        yield store


def did(kind: str = "view", item: str | None = "a", ago: float = 0.0, user: str = "u1", **more: object) -> Event:
    return Event(event_type=kind, user_id=user, item_id=item, timestamp=NOW - ago, **more)


def cleaned(store: EventStore, *events: Event, known: set[str] | None = None) -> CleaningReport:
    store.append(events, NOW)
    return clean(store, known, NOW).report


def reasons(store: EventStore, user: str = "u1") -> list[str | None]:
    return [row.quarantine for row in store.rows(user)]


def test_the_report_of_one_event_has_words_for_one() -> None:
    first = next(CleaningReport(events=1, kept=1, actors=1, sessions=1).lines())
    assert first == "1 of 1 event count, of 1 user or anonymous visitor, 1 session; set aside: none"


def test_an_empty_store(store: EventStore) -> None:
    assert clean(store, {"a"}, NOW).report == CleaningReport(events=0, kept=0, actors=0, sessions=0)


def test_doubles_keep_the_first_of_a_run(store: EventStore) -> None:
    report = cleaned(store, did(ago=10), did(ago=8.5), did(ago=7), did(ago=4), did("click", ago=10), did(item="b", ago=10))
    assert reasons(store) == [None, "double", "double", None, None, None]
    assert (report.by_reason, report.examples) == ({"double": 2}, {"double": (2, 3)})


def test_what_differs_is_no_double(store: EventStore) -> None:
    cleaned(
        store,
        did("rating", value=3, ago=1),
        did("rating", value=5),
        did(user="u2"),
        did(ago=0.5),
        Event(event_type="search", user_id="u1", query="x", timestamp=NOW),
        Event(event_type="search", user_id="u1", query="y", timestamp=NOW),
    )
    assert reasons(store) == [None] * 5
    assert reasons(store, "u2") == [None]


def test_doubles_are_found_whatever_the_order_of_arrival(store: EventStore) -> None:
    cleaned(store, did(ago=1), did(ago=2))
    assert reasons(store) == ["double", None]


def test_unknown_items_are_lifted_when_they_appear(store: EventStore) -> None:
    first = cleaned(
        store, did(), did(item="new"), Event(event_type="search", user_id="u1", query="x", timestamp=NOW), known={"a"}
    )
    assert (reasons(store), first.flagged, first.lifted) == ([None, "unknown_item", None], 1, 0)
    revision = store.revision("u1")
    second = clean(store, {"a", "new"}, NOW).report
    assert (reasons(store), second.flagged, second.lifted) == ([None] * 3, 0, 1)
    assert store.revision("u1") == revision + 1


def test_running_again_changes_nothing(store: EventStore) -> None:
    events = [did(item=str(i % 50), ago=i * 0.7) for i in range(400)]
    first = cleaned(store, *events, did("rating", value=9), known={str(i) for i in range(40)})
    before, revision = reasons(store), store.revision("u1")
    second = clean(store, {str(i) for i in range(40)}, NOW).report
    assert (second.flagged, second.lifted) == (0, 0)
    assert (second.by_reason, second.kept) == (first.by_reason, first.kept)
    assert (reasons(store), store.revision("u1")) == (before, revision)


def test_what_an_event_says_by_itself_stands(store: EventStore) -> None:
    report = cleaned(store, did("rating", value=9), did(ago=NOW), did("purchase", value=-1), known=set())
    assert reasons(store) == ["rating_out_of_range", "impossible_time", "negative_quantity"]
    assert (report.events, report.kept) == (3, 0)


def test_more_than_sixty_a_minute_is_a_bot(store: EventStore) -> None:
    store.update_settings(bots={"all": "on"})
    quick = [did(item=str(i), ago=100 - i * 0.9 - (i % 3) * 0.1) for i in range(61)]
    slow = [did(item=str(i), ago=100 - i - (i % 3) * 0.1, user="u2") for i in range(60)]
    old = did(item="long before", ago=9e6)
    report = cleaned(store, *quick, *slow, old)
    assert set(reasons(store)) == {"bot_minute_rate"}
    assert set(reasons(store, "u2")) == {None}
    assert report.by_reason == {"bot_minute_rate": 62}


def test_more_than_fifteen_hundred_a_day_is_a_bot(store: EventStore) -> None:
    store.update_settings(bots={"all": "on"})
    rng = np.random.default_rng(1)
    many = [did(item=str(i), ago=t) for i, t in enumerate(rng.uniform(0, 80_000, 1_501))]
    fewer = [did(item=str(i), ago=t, user="u2") for i, t in enumerate(rng.uniform(0, 80_000, 1_500))]
    cleaned(store, *many, *fewer)
    assert set(reasons(store)) == {"bot_day_rate"}
    assert set(reasons(store, "u2")) == {None}


def test_a_clockwork_is_a_bot(store: EventStore) -> None:
    store.update_settings(bots={"all": "on"})
    clock = [did(item=str(i), ago=i * 30.0) for i in range(101)]
    short = [did(item=str(i), ago=i * 30.0, user="u2") for i in range(100)]
    person = [did(item=str(i), ago=i * 30.0 + (i % 5), user="u3") for i in range(200)]
    cleaned(store, *clock, *short, *person)
    assert set(reasons(store)) == {"bot_regular"}
    assert set(reasons(store, "u2")) == set(reasons(store, "u3")) == {None}


def test_a_large_order_is_no_burst(store: EventStore) -> None:
    cleaned(store, *[did("purchase", item=str(i)) for i in range(200)])
    assert set(reasons(store)) == {None}


def test_double_clicks_do_not_make_a_bot(store: EventStore) -> None:
    cleaned(store, *[did(item=str(i // 3), ago=60 - i * 0.5) for i in range(90)])
    assert set(reasons(store)) == {None, "double"}


def test_dates_without_a_time_of_day_have_no_pace(store: EventStore) -> None:
    midnight = NOW // 86_400 * 86_400
    reviews = [Event(event_type="rating", user_id="u1", item_id=str(i), value=4, timestamp=midnight) for i in range(100)]
    twice = [Event(event_type="view", user_id="u1", item_id="a", timestamp=midnight, event_id=str(i)) for i in range(2)]
    cleaned(store, *reviews, *twice)
    assert set(reasons(store)) == {None}


def test_a_bots_flag_is_lifted_for_nobody_else(store: EventStore) -> None:
    store.update_settings(bots={"all": "on"})
    bot = [did(item=str(i), ago=60 - i * 0.5) for i in range(100)]
    cleaned(store, *bot, did(user="u2"))
    assert reasons(store, "u2") == [None]
    assert read_interactions(store).user_ids.tolist() == ["u2"]


def test_what_lies_ahead_waits_for_its_time(store: EventStore) -> None:
    store.append([did(ago=-4_000)], NOW + 4_000)
    assert clean(store, None, NOW).report.by_reason == {"future_time": 1}
    assert clean(store, None, NOW + 4_000).report.lifted == 1


def test_clamped_events_are_reported(store: EventStore) -> None:
    report = cleaned(store, did(ago=-999), did(item="b"))
    assert (report.clamped, report.kept) == (1, 2)


def test_dwell_in_milliseconds_is_recognised_and_taken_back(store: EventStore) -> None:
    long_visits = [did("dwell", item=str(i), ago=i * 100 + i % 7, value=20_000 + i) for i in range(30)]
    assert cleaned(store, *long_visits).dwell_in_ms is True
    assert store.rows("u1")[0].value == 20.0
    assert clean(store, None, NOW).report.dwell_in_ms is True
    seconds = [did("dwell", item=str(i), ago=9_000 + i * 100 + i % 7, value=20 + i) for i in range(40)]
    assert cleaned(store, *seconds).dwell_in_ms is False
    assert store.rows("u1")[0].value == 20_000


def test_sessions_are_counted_over_what_is_kept(store: EventStore) -> None:
    report = cleaned(
        store, did(ago=9_000), did(item="b", ago=8_000), did(item="c", ago=100), did(user="u2"), did(item="gone"), known={*"abc"}
    )
    assert (report.sessions, report.actors) == (3, 2)


def test_without_time_only_the_catalogue_is_asked(store: EventStore) -> None:
    events = [Event(event_type="view", user_id="u1", item_id="a", order=i) for i in range(100)]
    report = cleaned(store, *events, Event(event_type="view", user_id="u1", item_id="gone", order=100), known={"a"})
    assert report.by_reason == {"unknown_item": 1}
    assert report.sessions is None


def test_a_report_names_no_user(store: EventStore) -> None:
    report = cleaned(store, *[did(item="x", user="secret-name", ago=i * 0.1) for i in range(5)])
    assert report.by_reason == {"double": 4}
    assert "secret-name" not in repr(report.to_dict())
    assert report.to_dict()["set_aside"] == {"double": 4}


def test_what_is_shown_has_no_pace(store: EventStore) -> None:
    store.update_settings(bots={"all": "on"})
    cleaned(store, *(did("impression", item=str(i), ago=100 - i * 0.9 - (i % 3) * 0.1) for i in range(90)))
    assert set(reasons(store)) == {None}


def test_an_author_is_no_unknown_item(store: EventStore) -> None:
    cleaned(store, did("follow", "ann"), did("mute", "ben"), did("hide", "gone"), known={"a"})
    assert reasons(store) == [None, None, "unknown_item"]
