"""Events as trackers and data sets write them, through the commands, on a real engine."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from es_recsys import Client, Event
from es_recsys.cli import main
from es_recsys.errors import ModelError
from es_recsys.settings import Settings

pytestmark = pytest.mark.engine

Load = Callable[..., tuple[int, str, str]]
VIEWS = ["--constant", "event_type=view"]


@pytest.fixture
def load(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Load:
    """Writes lines to a file and runs a command on it; -> exit code, standard output, standard error."""
    named = {"URL": str(settings.url), "INDEX": settings.index, "HOME": str(settings.home), "CACHE": str(settings.cache)}
    for name, value in {**named, "ENCODERS__TEXT": "none", "ENCODERS__IMAGE": "none"}.items():
        monkeypatch.setenv(f"ES_RECSYS_{name}", value)

    def act(kind: str, lines: Sequence[Mapping[str, Any]], *options: str) -> tuple[int, str, str]:
        file = tmp_path / f"{kind}.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return command(kind, "load", str(file), *options)

    def command(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["es-recsys", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main()
        code = caught.value.code
        return (code if isinstance(code, int) else 0, *capsys.readouterr())

    code, _, errors = act("items", [{"item_id": str(n), "title": f"thing {n}"} for n in range(1, 31)])
    assert code == 0, errors
    return act


def local(hours: float, minutes: float = 0.0) -> str:
    """A time without a zone, `hours` ahead of UTC."""
    return (datetime.now(UTC) + timedelta(hours=hours, minutes=minutes)).strftime("%Y-%m-%d %H:%M:%S")


def test_ratings_from_0_to_10_are_likes_and_dislikes(load: Load, settings: Settings) -> None:
    ratings = [{"user_id": f"u{n}", "item_id": str(n), "value": value} for n in range(1, 7) for value in (9, 10, 0, -1)]
    rated = [{**one, "item_id": str(int(one["item_id"]) + place % 4)} for place, one in enumerate(ratings)]
    code, out, _ = load("events", rated, "--constant", "event_type=rating", "--no-timestamps")
    assert code == 0
    assert "read as the scale 0..10, 5 is neutral (--rating-scale LOW..HIGH changes it)" in out
    assert "6 ratings of -1 count as views" in out
    with Client(settings=settings) as client:
        client.put_events(Event(event_type="rating", user_id="new", item_id="1", value=9))
        client.put_events(Event(event_type="rating", user_id="new", item_id="2", value=1))
        profile = client.get_user_profile("new")
        assert (profile.disliked, profile.seen) == ({"2"}, {"1"})
        first = client.get_user_profile("u1")
        assert dict(first.counts) == {"rating": 3, "view": 1}
        assert first.disliked == {"3"}


def test_ratings_without_a_value_are_told(load: Load) -> None:
    rows = [{"user_id": "u", "item_id": "1", "timestamp": 1_700_000_000, "points": 4}]
    code, out, _ = load("events", rows, "--constant", "event_type=rating")
    assert (code, "1 rating has no value" in out, "--columns value=NAME" in out) == (0, True, True)


def test_another_scale_later_reads_all_anew(load: Load, settings: Settings) -> None:
    events = [
        {"event_type": "rating", "user_id": "u", "item_id": str(n), "value": n, "timestamp": 1_700_000_000 + n}
        for n in (1, 2, 4, 5)
    ]
    load("events", events)
    with Client(settings=settings) as client:
        assert client.get_user_profile("u").disliked == {"1", "2"}
        code, out, _ = load("events", [{**events[0], "item_id": "9", "value": 10}], "--rating-scale", "0..10")
        assert code == 0
        assert "read as the scale 0..10, 5 is neutral (as --rating-scale says)" in out
        assert client.get_user_profile("u").disliked == {"1", "2", "4"}
    assert load("events", events, "--rating-scale", "10..0")[0] == 2


def test_local_times_are_refused_until_their_zone_is_known(load: Load, settings: Settings) -> None:
    snapshots = [{"user_id": "u", "item_id": str(n), "timestamp": local(9, n - 35)} for n in range(1, 31)]
    code, _, errors = load("events", snapshots, *VIEWS)
    assert code == 2
    assert "their times name no zone" in errors
    assert "--timezone +09:00" in errors
    with Client(settings=settings) as client:
        assert client.workspace.events.count() == 0
        code, out, _ = load("events", snapshots, *VIEWS, "--timezone", "Asia/Tokyo")
        assert (code, "30 events added" in out, "0 with a future time" in out) == (0, True, True)
        assert client.get_user_profile("u").history.item_ids == tuple(str(n) for n in range(1, 31))
    assert load("events", snapshots, *VIEWS, "--timezone", "Mars/Base")[0] == 2


def test_times_ahead_that_are_utc_keep_their_order(load: Load, settings: Settings) -> None:
    snapshots = [{"user_id": "u", "item_id": str(n), "timestamp": local(9, n - 35)} for n in range(1, 31)]
    code, out, _ = load("events", snapshots[::-1], *VIEWS, "--timezone", "UTC")
    assert (code, "WARNING: the newest 30 events lie up to" in out) == (0, True)
    with Client(settings=settings) as client:
        assert client.get_user_profile("u").history.item_ids == tuple(str(n) for n in range(1, 31))


def test_actions_that_are_not_known_are_told_with_their_remedy(load: Load) -> None:
    events = [
        {"event_type": name, "user_id": "u", "item_id": "1", "timestamp": 1_700_000_000 + place}
        for place, name in enumerate(["pv", *["teleport"] * 150, "Product Viewed", "remove_from_cart"])
    ]
    code, out, _ = load("events", events)
    assert (code, "2 events added" in out) == (0, True)
    assert "150 lines left out: the action 'teleport' is unknown; say what it is: --actions teleport=like, or =ignore" in out
    code, out, _ = load("events", events, "--actions", "Teleport=like,pv=ignore")
    assert (code, "150 events added" in out) == (0, True)
    assert load("events", events, "--actions", "teleport=jump")[0] == 2


def test_an_order_is_an_event_a_line_and_again_changes_nothing(load: Load, settings: Settings) -> None:
    order = {
        "event": "Order Completed",
        "userId": "u",
        "timestamp": "2026-01-01T10:00:00Z",
        "messageId": "m1",
        "properties": {"products": [{"product_id": "1", "quantity": 2, "price": 5}, {"product_id": "2"}]},
    }
    options = ["--columns", "event_type=event,user_id=userId,event_id=messageId"]
    assert "2 events added" in load("events", [order], *options)[1]
    order["properties"]["products"].reverse()  # type: ignore[index]
    assert "0 events added, 2 known already" in load("events", [order], *options)[1]
    with Client(settings=settings) as client:
        assert client.get_user_profile("u").seen == {"1", "2"}


def test_a_rule_about_bots_is_confirmed_by_one_flag(load: Load, settings: Settings) -> None:
    quick = [
        {"user_id": user, "item_id": str(n % 30 + 1), "timestamp": 1_700_000_000.5 + n * 0.4}
        for user in ("a", "b")
        for n in range(100)
    ]
    slow = [{"user_id": "c", "item_id": "5", "timestamp": 1_700_000_000 + n * 900} for n in range(30)]
    code, out, _ = load("events", quick + slow, *VIEWS)
    assert (code, "230 of 230 events count" in out) == (0, True)
    assert "WARNING: the rule minute_rate" in out
    with Client(settings=settings) as client:
        assert client.get_user_profile("a").counts
        report = json.loads(load("events", slow, *VIEWS, "--bots", "on", "--json")[1])["cleaning"]
        assert report["set_aside"] == {"bot_minute_rate": 200}
        assert report["actors_set_aside"] == {"bot_minute_rate": 2}
        assert "--bots minute_rate=off" in report["remedies"]["bot_minute_rate"]
        assert not client.get_user_profile("a").counts
        assert "set aside: 200 bot_minute_rate" in load("events", slow, *VIEWS)[1], "it is kept"
        assert "230 of 230 events count" in load("events", slow, *VIEWS, "--bots", "minute_rate=120")[1]
    assert load("events", slow, *VIEWS, "--bots", "maybe")[0] == 2


def test_a_training_on_dislikes_alone_says_so(load: Load, settings: Settings) -> None:
    load("events", [{"user_id": "u", "item_id": "1", "timestamp": 1_700_000_000}], "--constant", "event_type=dislike")
    with Client(settings=settings) as client, pytest.raises(ModelError, match="events of the store that count are dislikes"):
        client.train()
