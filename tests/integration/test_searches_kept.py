"""Words that were asked before are not asked again while nothing is written, and every write shows at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from es_recsys import Client, Event, Item
from es_recsys.query import Answer
from es_recsys.search.kept_responses import STAMP
from es_recsys.serving import retrieval
from es_recsys.serving.operations import MultiSearch
from es_recsys.settings import Settings

pytestmark = pytest.mark.engine

N, NOW = 400, time.time() - 3_600.0
KINDS = ("shoe", "boot", "sandal", "hat")
CRITICS = {"first": ("k000", "k001"), "last": ("k398", "k399")}


def item(number: int, title: str = "") -> Item:
    return Item(item_id=f"k{number:03d}", title=title or f"{KINDS[number % 4]} number {number} row{number // 40}", available=True)


@pytest.fixture(scope="module")
def settings(module_settings: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = module_settings()
    file: Path = tmp_path_factory.mktemp("kept") / "items.jsonl"
    file.write_bytes(b"".join(orjson.dumps(item(k).model_dump(mode="json", exclude_none=True)) + b"\n" for k in range(N)))
    with Client(settings=settings) as client:
        client.load_items(file)
        events = file.with_name("events.jsonl")
        views = (
            {"event_type": "view", "timestamp": NOW + k, "user_id": f"u{k % 5}", "item_id": f"k{k * 7 % N:03d}"}
            for k in range(60)
        )
        events.write_bytes(b"".join(orjson.dumps(view) + b"\n" for view in views))
        client.load_events(events)
        for critic, disliked in CRITICS.items():
            client.put_events([Event(event_type="rating", value=1.0, user_id=critic, item_id=one) for one in disliked])
    return settings


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    with Client(settings=settings) as client:
        yield client


@pytest.fixture
def other(settings: Settings) -> Iterator[Client]:
    """A client as another process has it."""
    with Client(settings=settings) as client:
        yield client


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[Any]]:
    """The bodies of each request that looks for candidates."""
    found: list[list[Any]] = []

    def ask(index: str, bodies: Any) -> MultiSearch:
        found.append(["stamp" if body is STAMP else body for body in bodies])
        return MultiSearch(index, bodies)

    monkeypatch.setattr(retrieval, "MultiSearch", ask)
    return found


def shown(answer: Answer) -> Any:
    return [(hit.item_id, hit.score, dict(hit.parts)) for hit in answer.hits], answer.ranking.total


@pytest.fixture
def fresh(settings: Settings) -> Callable[..., Any]:
    """What is answered where nothing is remembered."""

    def answer(text: str, user: str | None = None) -> Any:
        with Client(settings=settings) as client:
            return shown(client.search(text, user_id=user))

    return answer


def test_the_same_words_are_asked_once(client: Client, asked: list[list[Any]], fresh: Callable[..., Any]) -> None:
    answers = [shown(client.search("sandal")) for _ in range(4)]
    # What the first found is not kept, as nothing says that no write came beside it.
    assert [len(bodies) for bodies in asked] == [2, 2, 1, 1]
    assert asked[2:] == [["stamp"], ["stamp"]]
    assert answers == [fresh("sandal")] * 4 and answers[0][1] == N // 4


def test_deep_pages_are_asked_each_time(client: Client, asked: list[list[Any]]) -> None:
    for _ in range(3):
        client.search("number", n=100, offset=300)
    assert all("stamp" not in bodies for bodies in asked)


@pytest.mark.parametrize("write", ["insert", "update", "delete"])
def test_a_write_of_another_process_shows_as_soon_as_elasticsearch_shows_it(client: Client, other: Client, write: str) -> None:
    text = f"umbrella{write}"
    other.insert_items([item(900, f"{text} one"), item(901, f"{text} two"), item(902, "raincoat")])
    other.workspace.es.indices.refresh(index=f"{client.settings.index}-items")
    assert len(client.search("hat").hits) == 10
    for _ in range(3):
        assert {hit.item_id for hit in client.search(text).hits} == {"k900", "k901"}
    if write == "insert":
        other.insert_items([item(903, f"{text} three")])
    elif write == "update":
        other.insert_items([item(900, "raincoat two"), item(902, f"{text} now")])
    else:
        other.delete_items(["k901"])
    other.workspace.es.indices.refresh(index=f"{client.settings.index}-items")
    expected = {"insert": {"k900", "k901", "k903"}, "update": {"k901", "k902"}, "delete": {"k900"}}[write]
    assert {hit.item_id for hit in client.search(text).hits} == expected
    other.delete_items(["k900", "k901", "k902", "k903"])


@pytest.mark.parametrize("text", ["number", "shoe", "row5", "row9", "k398"])
@pytest.mark.parametrize("critic", CRITICS)
def test_what_is_left_out_for_a_user_is_left_out_of_what_all_share(
    client: Client, fresh: Callable[..., Any], text: str, critic: str
) -> None:
    expected = fresh(text, critic)
    for _ in range(3):
        client.search(text)
        hits, total = shown(client.search(text, user_id=critic))
        assert (hits, total) == expected
    assert not {item_id for item_id, *_ in expected[0]} & {*CRITICS[critic]}
    assert expected[1] == fresh(text)[1] - sum(text in f"{one} {item(int(one[1:])).title}" for one in CRITICS[critic])


def test_users_share_what_was_found_for_others(client: Client, asked: list[list[Any]]) -> None:
    for _ in range(2):
        client.search("row5", user_id="last")
        client.search("row9", user_id="last")
    asked.clear()
    for user in ("last", "first", "u1", None):
        client.search("row5", user_id=user)
    assert asked == [["stamp"]] * 4
    client.search("row9", user_id="last")
    assert "must_not" in str(asked[4])  # two of the hits are left out, and others may come in their place
