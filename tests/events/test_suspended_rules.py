"""Rules about bots don't eat people: what hits too many is suspended until somebody confirms it."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.errors import InputError
from es_recsys.events.bot_rules import BOT_RULES, BotRules, parse_bots
from es_recsys.events.cleaning import clean
from es_recsys.events.cleaning_report import CleaningReport
from es_recsys.events.quarantine_reasons import QUARANTINE_REASONS
from es_recsys.events.quarantine_rules import REASONS
from es_recsys.events.records import ReceiptClock
from es_recsys.events.store import EventStore
from es_recsys.types import Event

NOW = 1_790_000_017.5
DAY = 86_400.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with EventStore(f"sqlite:///{tmp_path / 'e.sqlite3'}", "shop", b"k") as store:
        yield store


def did(item: object, at: float, user: str = "u1", kind: str = "view", **more: Any) -> Event:
    return Event(event_type=kind, user_id=user, item_id=str(item), timestamp=at, **more)


def people(count: int, each: int = 20) -> list[Event]:
    """Users at a person's pace."""
    rng = np.random.default_rng(3)
    return [
        did(item, NOW - float(ago), user=f"p{user}")
        for user in range(count)
        for item, ago in enumerate(np.cumsum(rng.uniform(5, 4_000, each)))
    ]


def bot(user: str, n: int = 100) -> list[Event]:
    return [did(item, NOW - 9_000 - item * 0.3 - (item % 7) * 0.01, user=user) for item in range(n)]


def cleaned(store: EventStore, events: list[Event], bots: str = "") -> CleaningReport:
    store.load(events, NOW)
    if bots:
        store.update_settings(bots=dict(BotRules.of(store.settings).with_changes(parse_bots(bots)).setting))
    return clean(store, None, NOW).report


def test_few_bots_are_set_aside(store: EventStore) -> None:
    report = cleaned(store, people(60) + bot("b"))
    assert (report.by_reason, report.actors_by_reason, report.suspended) == (
        {"bot_minute_rate": 100},
        {"bot_minute_rate": 1},
        (),
    )


@pytest.mark.parametrize(("users", "bots", "each"), [(60, 4, 61), (200, 1, 500)])
def test_a_rule_that_hits_many_users_or_events_is_suspended_and_said_loudly(
    store: EventStore, users: int, bots: int, each: int
) -> None:
    events = people(users) + [event for number in range(bots) for event in bot(f"secret{number}", each)]
    report = cleaned(store, events)
    assert (report.by_reason, report.kept) == ({}, len(events))
    (rule,) = report.suspended
    assert (rule.rule, rule.events, rule.actors) == ("minute_rate", bots * each, bots)
    (line,) = [line for line in report.lines() if line.startswith("WARNING")]
    for part in (
        "minute_rate",
        f"{bots * each:,} of {len(events):,} events",
        "--bots on",
        "--bots minute_rate=off",
        "BOUND",
        "a view of item",
    ):
        assert part in line
    assert "secret" not in line + repr(report.to_dict())


def test_a_log_of_which_half_are_bots_has_one_flag(store: EventStore) -> None:
    events = people(20) + [event for number in range(20) for event in bot(f"b{number}")]
    assert cleaned(store, events).kept == len(events)
    report = cleaned(store, [], "on")
    assert (report.by_reason, report.suspended) == ({"bot_minute_rate": 2_000}, ())
    assert cleaned(store, [], "minute_rate=off").by_reason == {}
    assert cleaned(store, [], "on").by_reason == {"bot_minute_rate": 2_000}
    assert cleaned(store, [], "off").kept == len(events)
    assert cleaned(store, [], "auto").suspended[0].rule == "minute_rate"


def test_bounds_are_settings(store: EventStore) -> None:
    events = people(10) + bot("b", 150)
    assert cleaned(store, events, "minute_rate=200").kept == len(events)
    assert cleaned(store, [], "minute_rate=120").by_reason == {"bot_minute_rate": 150}
    assert cleaned(store, [], "minute_rate=off,day_rate=149").by_reason == {"bot_day_rate": 150}
    text = " ".join(clean(store, None, NOW).report.lines())
    assert "more than 149 actions within a day" in text
    assert "--bots day_rate=off" in text


def test_a_wish_list_that_was_moved_is_one_action(store: EventStore) -> None:
    likes = [did(item, NOW - 5_000 - user, user=f"u{user}", kind="like") for user in range(4) for item in range(80)]
    ratings = [did(item, NOW - 9_000, kind="rating", value=4) for item in range(300)]
    report = cleaned(store, likes + ratings, "on")
    assert report.kept == len(likes) + len(ratings)


def test_instants_in_a_row_are_no_import(store: EventStore) -> None:
    crawler = [did(f"{second}-{item}", 1_789_000_000 + second, user="b") for second in range(20) for item in range(10)]
    assert cleaned(store, people(60) + crawler, "minute_rate=on").by_reason == {"bot_minute_rate": 200}


@pytest.mark.parametrize("zone", [0.0, 9.0, 5.75, -8.0])
def test_dates_of_any_zone_have_no_pace(store: EventStore, zone: float) -> None:
    midnight = 1_790_000_000 // DAY * DAY - zone * 3_600
    dated = [
        did(item, midnight - day * DAY, user=f"u{user}", event_id=f"{user}-{day}-{place}")
        for user in range(3)
        for day in range(4)
        for place, item in enumerate((*range(70), 0))
    ]
    assert cleaned(store, dated, "on").kept == len(dated)


def test_clocks_that_know_minutes_have_no_pace(store: EventStore) -> None:
    whole = 1_789_000_020 // 60 * 60
    events = [did(item % 40, whole - item // 80 * 60, user=f"u{item % 3}", event_id=str(item)) for item in range(900)]
    assert cleaned(store, events, "on").kept == len(events)


def test_times_that_were_made_up_are_no_bots(store: EventStore) -> None:
    heavy = [did(item, 1_780_000_000.5 + user * 7_777 + item, user=f"u{user}") for user in range(30) for item in range(120)]
    light = people(900, each=50)
    report = cleaned(store, heavy + light)
    assert report.kept == len(heavy) + len(light)
    assert [rule.rule for rule in report.suspended] == ["regular"]


def test_a_whole_data_set_at_fixed_spacing(store: EventStore) -> None:
    events = [did(place % 120, 1_780_000_000.5 + place * 0.01, user=f"u{place // 120}") for place in range(6_000)]
    report = cleaned(store, events)
    assert report.kept == len(events)
    assert {rule.rule for rule in report.suspended} == {"minute_rate", "regular"}


def test_clamped_times_are_no_pace_and_keep_their_order(store: EventStore) -> None:
    ahead = [did(item, NOW + 1 + item * 300) for item in range(110)]
    assert store.load(ahead, NOW).clamped == 109
    assert clean(store, None, NOW).report.kept == 110
    rows = store.rows("u1")
    assert [row.item_id for row in sorted(rows, key=lambda row: row.time)] == [str(item) for item in range(110)]
    assert all(NOW - 1.0 <= row.time <= NOW for row in rows)


def test_what_comes_together_and_lies_ahead_keeps_its_order(store: EventStore) -> None:
    rows = store.append([did(item, NOW + 3_600 * (9 - item)) for item in range(9)], NOW).rows
    assert [row.item_id for row in sorted(rows, key=lambda row: row.time)] == [str(item) for item in reversed(range(9))]
    assert max(row.time for row in rows) == NOW


def test_every_reason_has_its_remedy(store: EventStore) -> None:
    assert set(QUARANTINE_REASONS) == set(REASONS)
    assert all(explained.meaning and explained.remedy for explained in QUARANTINE_REASONS.values())
    bounds = {rule.name: rule.bound for rule in BOT_RULES} | {"scale": "1..5"}
    counts = dict.fromkeys(REASONS, 3)
    lines = list(CleaningReport(100, 70, 9, by_reason=counts, bounds=bounds).lines())
    assert len(lines) == 1 + len(REASONS)
    assert all(QUARANTINE_REASONS[reason].remedy in line for reason, line in zip(REASONS, lines[1:], strict=True))


def test_an_unknown_item_is_shown_beside_the_one_most_like_it(store: EventStore) -> None:
    store.load([did("00017", NOW - 5), did("zz", NOW - 9)], NOW)
    report = clean(store, ["5", "17"], NOW).report
    assert report.unknown_item_ids == ("00017", "17")
    assert "(an event has '00017', the catalogue '17')" in " ".join(report.lines())
    assert clean(store, ["5"], NOW).report.unknown_item_ids is not None


def test_rules_as_they_are_written() -> None:
    assert parse_bots(["on,Minute-Rate=120", "bot_regular=off"]) == [("all", "on"), ("minute_rate", 120.0), ("regular", "off")]
    for wrong in ("yes", "minute_rate", "minute_rate=-1", "minute_rate=x", "pace=3", "minute_rate=inf"):
        with pytest.raises(InputError, match="--bots"):
            parse_bots(wrong)


@given(st.lists(st.floats(-1e5, 9e5).map(lambda ahead: round(ahead, 3)), min_size=1, max_size=30, unique=True), st.booleans())
def test_times_ahead_keep_their_order_within_a_second(aheads: list[float], of_files: bool) -> None:
    """Of files among all; of events that come together among those that are moved."""
    times = sorted(NOW + ahead for ahead in aheads)
    clock = ReceiptClock.for_files(NOW) if of_files else ReceiptClock(NOW, times[-1])
    settled = [clock.clamp(time) for time in times]
    moved = [after for time, after in zip(times, settled, strict=True) if after != time]
    assert moved == sorted(moved)
    assert all(NOW - 1.0 <= after <= NOW for after in moved)
    apart = [(one, other) for one, other in pairwise(times) if other - one >= 1.0 and one > clock.received_at + clock.tolerance]
    assert all(clock.clamp(one) < clock.clamp(other) for one, other in apart)


@pytest.mark.parametrize("spacing", [0.4, DAY])
def test_real_histories_with_made_up_times_count_in_full(store: EventStore, shared_data: Path, spacing: float) -> None:
    """A user and its items a line, oldest first: times that a script gave them make nobody a bot."""
    with gzip.open(shared_data / "lastfm/LastFM.txt.gz", "rt") as lines:
        histories = [line.split() for line in lines]
    events = [
        did(item, 1_300_000_000 + place * spacing, user=user) for user, *items in histories for place, item in enumerate(items)
    ]
    report = cleaned(store, events)
    assert report.kept == report.events == len(events) > 50_000
