"""Items that expire, authors whom users mute and follow: every answer knows it at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from waiting import wait_until

from es_recsys import Client, Event, Item
from es_recsys.query import Answer, Query
from es_recsys.serving import hidden_items
from es_recsys.settings import Settings

pytestmark = pytest.mark.engine

AUTHORS = ("ann", "ben", "cem")


@pytest.fixture(scope="module")
def client(module_settings: Callable[..., Settings]) -> Iterator[Client]:
    with Client(settings=module_settings()) as client:
        now = datetime.now(UTC)
        client.insert_items(
            Item(
                item_id=f"n{number}",
                title=f"story number {number}",
                categories=["news"],
                author=AUTHORS[number % 3],
                created_at=now - timedelta(hours=number),
                stock=number % 2,
                expires_at=now - timedelta(minutes=1) if number >= 24 else None,
            )
            for number in range(30)
        )
        events = [Event(event_type="view", user_id=f"u{n % 7}", item_id=f"n{n % 30}", timestamp=now) for n in range(0, 90, 4)]
        client.put_events(events)
        yield client


def ids(answer: Answer) -> set[str]:
    return {hit.item_id for hit in answer.hits}


def answers(client: Client, user: str | None = None) -> dict[str, set[str]]:
    """What each kind of answer shows."""
    everything = [f"n{number}" for number in range(30)]
    queries = [Query(user_id=user or f"v{k}", n=50) for k in range(12)]
    return {
        "search": ids(client.search("story", user_id=user, n=50)),
        "recommend": ids(client.recommend(user, n=50)),
        "similar": ids(client.similar_items("n0", user_id=user, n=50)),
        "rank": ids(client.rank(user, everything)),
        "batch": set().union(*(ids(each) for each in client.execute_many(queries) if isinstance(each, Answer))),
    }


GONE = {f"n{number}" for number in range(24, 30)}


@pytest.mark.parametrize("most", [500, 2])
def test_what_has_expired_is_in_no_answer(client: Client, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hidden_items, "MOST_IDS", most)
    for name, shown in answers(client).items():
        assert shown and not shown & GONE, name


def test_an_item_is_found_once_it_is_loaded_and_gone_when_it_expires(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    expires = datetime.now(UTC) + timedelta(hours=1)
    client.insert_items([Item(item_id="flash", title="flash of lightning", created_at=datetime.now(UTC), expires_at=expires)])
    assert "flash" in ids(client.search("lightning"))
    assert "flash" in ids(client.recommend("nobody", n=50))
    assert "flash" in ids(client.rank(None, ["flash", "n1"]))
    clock, an_hour = time.time, (expires - datetime.now(UTC)).total_seconds()
    monkeypatch.setattr(time, "time", lambda: clock() + an_hour)
    for name, shown in answers(client).items():
        assert shown and "flash" not in shown, name
    assert "flash" not in ids(client.search("lightning"))
    assert ids(client.rank(None, ["flash", "n1"])) == {"n1"}


def test_another_client_finds_an_item_within_a_second_and_not_from_the_moment_it_expires(client: Client) -> None:
    """As a page would: a client that was there before, no clock turned."""
    with Client(settings=client.settings) as reader:
        for _ in range(2):
            reader.search("story"), reader.recommend("nobody", n=50), reader.similar_items("n0", n=50)
        begun = time.monotonic()
        client.insert_items([Item(item_id="pace", title="pace maker", created_at=datetime.now(UTC))])
        assert wait_until(lambda: "pace" in ids(reader.search("pace")))
        pace = time.monotonic() - begun  # of this machine, beside all else that it does
        expires = datetime.now(UTC) + timedelta(seconds=3 + 5 * pace)
        client.insert_items([Item(item_id="brief", title="brief eclipse", created_at=datetime.now(UTC), expires_at=expires)])
        loaded, shown = time.monotonic(), set[str]()
        asked = {
            "search": lambda: reader.search("eclipse"),
            "recommend": lambda: reader.recommend("nobody", n=50),
            "rank": lambda: reader.rank(None, ["brief", "n1"]),
        }
        while len(shown) < len(asked):
            is_last = time.monotonic() >= loaded + max(1.0, 3 * pace)
            shown |= {name for name, ask in asked.items() if "brief" in ids(ask())}
            if is_last:
                break
        assert shown == set(asked) and datetime.now(UTC) < expires
        time.sleep(max((expires - datetime.now(UTC)).total_seconds(), 0.0))
        assert not {name for name, ask in asked.items() if "brief" in ids(ask())}


@pytest.mark.parametrize("most", [500, 2])
def test_a_muted_author_is_gone_at_once(client: Client, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hidden_items, "MOST_IDS", most)
    user = f"muting {most}"
    client.put_events([Event(event_type="view", user_id=user, item_id="n2")])
    theirs = {f"n{number}" for number in range(1, 24, 3)}
    assert theirs & ids(client.recommend(user, n=50))
    client.put_events([Event(event_type="mute", user_id=user, item_id="ben")])
    for name, shown in answers(client, user).items():
        assert shown and not shown & (theirs | GONE), name
    client.put_events([Event(event_type="mute", user_id=user, item_id="ben", value=0)])
    assert theirs & ids(client.recommend(user, n=50))


def test_a_hidden_and_a_reported_item_are_gone_at_once(client: Client) -> None:
    client.put_events(
        [Event(event_type="hide", user_id="h", item_id="n3"), Event(event_type="report", user_id="h", item_id="n4")]
    )
    for name, shown in answers(client, "h").items():
        assert shown and not shown & {"n3", "n4"}, name


def test_authors_are_searched_filtered_and_a_taste(client: Client) -> None:
    assert {hit.source["author"] for hit in client.search("story", n=50, filter=["author:ann"]).hits} == {"ann"}
    assert ids(client.search("ben", n=50)) >= {"n1", "n4"}
    assert ids(client.search("story", n=50, filter=["available:true"])) == {f"n{number}" for number in range(1, 24, 2)}
    assert ids(client.search("story", n=50, filter=["stock:0"])) == {f"n{number}" for number in range(0, 24, 2)}
    client.put_events([Event(event_type="like", user_id="reader", item_id=item) for item in ("n0", "n3", "n1")])
    shares = client.get_user_profile("reader").affinities["author"]
    assert shares == pytest.approx({"ann": 2 / 3, "ben": 1 / 3})
