"""Every public method of both clients, given what it can't use: an answer or an error of ours, never anybody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from typing import Any

import pytest

from es_recsys import AsyncClient, Client, Event, Item, Query, RecsysError, Settings
from es_recsys.errors import InputError

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def client(module_settings: Callable[..., Settings]) -> Iterator[Client]:
    with Client(settings=module_settings()) as client:
        client.insert_items(
            Item(item_id=item, title=f"red {item}", brand="Acme", price=9.5, created_at="2026-01-02")
            for item in ("a", "z", "az", "17", "3")
        )
        client.put_events([Event(event_type="like", user_id=17, item_id="az")])
        yield client


def failing() -> Any:
    yield "a"
    raise RuntimeError("the caller's own")


NAN = float("nan")
NAIVE = datetime.fromisoformat("2026-01-01T00:00:00")
WRONG: list[Any] = [
    None, "", " ", "nonsense", b"az", 5, -1, 10**9, 10**30, 1.5, NAN, float("inf"), True, [], [None], [b"a"], ["a", None],
    {"a": 1}, object(), "x" * (1 << 20), "\ud800", "a\x00b", [[["a"]]], {1: 2}, NAIVE, {"nonsense": 1}, {"price": (NAN, 1)},
    {"created_at": NAIVE}, {"created_at": NAIVE.date()}, {"price": ("a", "b")}, {"brand": None}, {"brand": []},
    {"price": object()}, ["price:"], ["price:a..b"],
    lambda: None, Query, Item(item_id="x"),
]  # fmt: skip

CALLS: dict[str, Callable[[Any, Any], Any]] = {
    **{f"search {name}": lambda c, x, name=name: c.search("red", **{name: x}) for name in (
        "image", "user_id", "session_id", "n", "offset", "filter", "exclude", "personalization", "diversity", "popularity",
        "calibration", "explore",
        "explain", "facets")},
    "search": lambda c, x: c.search(x),
    **{f"recommend {name}": lambda c, x, name=name: c.recommend(**{name: x}) for name in (
        "user_id", "session_id", "history", "n", "offset", "filter", "exclude", "personalization", "diversity", "popularity",
        "calibration", "explore", "repeat",
        "explain")},
    "similar_items": lambda c, x: c.similar_items(x),
    **{f"similar_items {name}": lambda c, x, name=name: c.similar_items("a", **{name: x}) for name in (
        "user_id", "n", "filter", "exclude", "diversity", "popularity", "explain")},
    "bought_together": lambda c, x: c.bought_together(x),
    **{f"bought_together {name}": lambda c, x, name=name: c.bought_together("a", **{name: x}) for name in (
        "relaxed", "user_id", "n", "offset", "filter", "exclude", "explain")},
    "rank": lambda c, x: c.rank("17", x),
    **{f"rank {name}": lambda c, x, name=name: c.rank(None, ["a", "z"], **{name: x}) for name in (
        "session_id", "exclude", "personalization", "explain")},
    "rank user": lambda c, x: c.rank(x, ["a"]),
    "execute": lambda c, x: c.execute(x),
    "execute_many": lambda c, x: c.execute_many(x),
    "execute_many one": lambda c, x: c.execute_many([x]),
    "insert_items": lambda c, x: c.insert_items(None if x == Item(item_id="x") else x),
    "insert_items one": lambda c, x: c.insert_items([5 if x == Item(item_id="x") else x]),
    "insert_items base": lambda c, x: c.insert_items([], base=5 if isinstance(x, str) else x),
    "delete_items": lambda c, x: c.delete_items([] if x == "nonsense" else x),
    "put_events": lambda c, x: c.put_events(x),
    "put_events one": lambda c, x: c.put_events([x]),
    **{f"train {name}": lambda c, x, name=name: c.train(["nonsense"], **{name: x}) for name in (
        "add", "targets", "budget", "seed")},
    "train": lambda c, x: c.train(x or [5]),
    **{f"train_if_needed {name}": lambda c, x, name=name: c.train_if_needed(["nonsense"], **{name: x}) for name in (
        "add", "targets", "growth", "budget", "seed")},
    "get_user_profile": lambda c, x: c.get_user_profile(x),
    "delete_user": lambda c, x: c.delete_user(x),
    "titles": lambda c, x: c.titles(x),
}  # fmt: skip


def _taken(found: Any) -> Any:
    return list(found) if isinstance(found, Iterator) else found


@pytest.mark.parametrize("name", CALLS)
def test_it_answers_or_raises_an_error_of_ours(name: str, client: Client) -> None:
    for wrong in [*WRONG, failing()]:
        try:
            _taken(CALLS[name](client, wrong))
        except RecsysError as error:
            said = str(error)
            assert len(said) < 2_000


def test_the_async_client_does_as_well(client: Client) -> None:
    async def all_of_them() -> None:
        async with AsyncClient(settings=client.settings) as asked:
            for name, call in CALLS.items():
                for wrong in [*WRONG, failing()]:
                    try:
                        found = call(asked, wrong)
                        if isinstance(found, AsyncIterator):
                            _ = [one async for one in found]
                        else:
                            await found
                    except RecsysError:
                        pass
                    except Exception as error:
                        raise AssertionError(f"{name} of {wrong!r:.80} raised {error!r}") from error

    asyncio.run(all_of_them())


def test_one_id_deletes_one_item(client: Client) -> None:
    client.insert_items([Item(item_id=item, title=item) for item in ("de", "d", "e")])
    assert client.delete_items("de").removed == 1
    assert client.titles(["d", "e"]) == {"d": "d", "e": "e"}
    assert client.delete_items(iter(["d", "e"])).removed == 2


def test_ids_are_texts_or_numbers_everywhere(client: Client) -> None:
    assert client.get_user_profile(17).user_key == client.get_user_profile("17").user_key != ""
    assert client.titles(17) == client.titles([17]) == client.titles("17") == {"17": "red 17"}
    assert client.rank(17, "az").hits[0].item_id == "az"
    assert {hit.item_id for hit in client.rank(17, [3, 17.0, "a"]).hits} == {"3", "17", "a"}
    for exclude in (17, "17", [17], {"17"}):
        assert "17" not in {hit.item_id for hit in client.search("red", exclude=exclude).hits}
    assert "az" not in {hit.item_id for hit in client.search("red", exclude="az").hits}
    assert {"a", "z"} <= {hit.item_id for hit in client.search("red", exclude="az").hits}
    assert client.recommend(history=3).hits and client.recommend(history="az").hits
    assert client.similar_items(17).kind == "similar"


def test_unknown_ids_are_told(client: Client) -> None:
    found = client.rank(17, ["a", "nope", "z", 99])
    assert found.unknown == ("nope", "99") and found.to_dict()["unknown"] == ["nope", "99"]
    assert client.rank(17, ["a"], exclude="a").unknown == ()
    assert "unknown" not in client.rank(17, ["a"]).to_dict()


def test_what_is_at_hand_is_looked_at_before_anything_is_written(client: Client) -> None:
    with pytest.raises(InputError, match=r"items\[1\] is a dict, not an Item"):
        client.insert_items([Item(item_id="first", title="x"), {"item_id": "second"}])  # type: ignore[list-item]
    with pytest.raises(InputError, match=r"events\[1\] is a dict, not an Event"):
        client.put_events([Event(event_type="like", user_id="neu", item_id="a"), {"user_id": "neu"}])  # type: ignore[list-item]
    assert client.titles("first") == {} and not client.get_user_profile("neu").counts
    assert client.insert_items(Item(item_id="alone", title="x")).added == 1
    assert client.put_events(Event(event_type="like", user_id="neu", item_id="a")).added == 1
    client.delete_items("alone")
