"""Items that the user has seen stay, come after all others or are left out, as asked; a search that names one item keeps them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from es_recsys import Answer, AsyncClient, Client, Event, Item, Query
from es_recsys.errors import InputError
from es_recsys.jobs.batch import answer_file
from es_recsys.serving.drivers import Driver
from es_recsys.serving.operations import MultiSearch, Operation
from es_recsys.settings import Settings

pytestmark = pytest.mark.engine

COLORS = ("red", "blue", "green", "black", "white", "brown")
SHOES = tuple(f"s{n}" for n in range(24))
SEEN = frozenset(SHOES[:9])


@pytest.fixture(scope="module")
def client(module_settings: Callable[..., Settings]) -> Iterator[Client]:
    """Shoes and hats. Somebody has viewed the first nine shoes, of which one has two sizes, and searched for shoes."""
    items = [
        Item(item_id=name, title=f"{COLORS[n % 6]} shoe", description=f"made of part {n}", categories=("shoes",))
        for n, name in enumerate(SHOES)
    ]
    items += [Item(item_id=f"h{n}", title=f"hat {n}", categories=("hats",)) for n in range(30)]
    items += [Item(item_id="one", title="quite unheard of lantern")]
    items += [Item(item_id=f"size{n}", title="yellow sandal", group_id="sandal", categories=("sandals",)) for n in (1, 2)]
    items += [Item(item_id="other", title="grey sandal", group_id="grey", categories=("sandals",))]
    now = datetime.now(UTC)
    viewed = [*sorted(SEEN), "one", "size1"]
    with Client(settings=module_settings()) as client:
        client.insert_items(items)
        client.put_events(
            Event(event_type="view", user_id="u", item_id=item_id, timestamp=now - timedelta(minutes=n))
            for n, item_id in enumerate(viewed, 1)
        )
        yield client


def ids(answer: Answer) -> list[str]:
    return [hit.item_id for hit in answer.hits]


def searches(client: Client, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> int:
    """How many bodies Elasticsearch is sent meanwhile."""
    bodies = 0
    steps_of = Driver.steps_of

    def counted(self: Driver, operation: Operation) -> Any:
        nonlocal bodies
        bodies += len(operation.bodies) if isinstance(operation, MultiSearch) else 0
        return steps_of(self, operation)

    with monkeypatch.context() as patch:
        patch.setattr(Driver, "steps_of", counted)
        act()
    return bodies


def test_what_was_seen_is_left_out_and_counted_out(client: Client) -> None:
    usual = client.search("shoe", user_id="u", n=40)
    assert set(ids(usual)) == set(SHOES)
    left = client.search("shoe", user_id="u", n=40, seen="exclude")
    assert set(ids(left)) == set(SHOES) - SEEN
    assert left.ranking.total == len(SHOES) - len(SEEN)
    pages = [ids(client.search("shoe", user_id="u", n=4, offset=start, seen="exclude")) for start in range(0, 20, 4)]
    assert [item_id for page in pages for item_id in page] == ids(left)


def test_what_was_seen_comes_last(client: Client) -> None:
    usual, last = (client.search("shoe", user_id="u", n=40, seen=seen) for seen in ("keep", "demote"))
    assert ids(last) == [i for i in ids(usual) if i not in SEEN] + [i for i in ids(usual) if i in SEEN]
    assert last.ranking.total == usual.ranking.total
    assert all(("seen" in hit.parts) == (hit.item_id in SEEN) for hit in last.hits)
    assert all(sum(hit.parts.values()) == pytest.approx(hit.score) for hit in last.hits)
    pages = [ids(client.search("shoe", user_id="u", n=5, offset=start, seen="demote")) for start in range(0, 25, 5)]
    assert [item_id for page in pages for item_id in page] == ids(last)


@pytest.mark.parametrize("seen", ["keep", "demote", "exclude"])
def test_a_search_that_names_one_item_finds_it(client: Client, seen: str) -> None:
    answer = client.search("quite unheard of lantern", user_id="u", seen=seen)
    assert ids(answer)[0] == "one"
    assert "seen" not in answer.hits[0].parts


def test_all_variants_of_a_product_were_seen(client: Client) -> None:
    assert ids(client.search("sandal", user_id="u")) != ["other"]
    assert ids(client.search("sandal", user_id="u", seen="exclude")) == ["other"]
    last = client.search("sandal", user_id="u", seen="demote")
    assert [hit.product_id for hit in last.hits] == ["grey", "sandal"]


def test_similar_items_and_rankings(client: Client) -> None:
    assert SEEN & set(ids(client.similar_items("s20", user_id="u", n=40)))
    assert not SEEN & set(ids(client.similar_items("s20", user_id="u", n=40, seen="exclude")))
    given = ("s0", "s1", "s20", "nothing")
    ranked = client.rank("u", given, seen="demote")
    assert ids(ranked)[0] == "s20" and set(ids(ranked)) == {"s0", "s1", "s20"}
    ranked = client.rank("u", given, seen="exclude")
    assert (ids(ranked), ranked.unknown) == (["s20"], ("nothing",))


def test_nobody_has_seen_anything(client: Client) -> None:
    assert ids(client.search("shoe", n=40, seen="exclude")) == ids(client.search("shoe", n=40))
    assert set(ids(client.search("shoe", user_id="stranger", n=40, seen="exclude"))) == set(SHOES)


def test_the_settings_say_it_unless_the_query_does(client: Client, tmp_path: Path) -> None:
    search = client.settings.search.model_copy(update={"seen": "exclude"})
    with Client(settings=client.settings.model_copy(update={"search": search})) as other:
        assert not SEEN & set(ids(other.search("shoe", user_id="u", n=40)))
        assert set(ids(other.search("shoe", user_id="u", n=40, seen="keep"))) == set(SHOES)
        file, out = tmp_path / "searches.jsonl", tmp_path / "out.jsonl"
        lines = [{"query": "shoe", "user_id": "u"}, {"query": "shoe", "user_id": "u", "seen": "keep"}]
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        assert answer_file(other.execute_many, "search", file, n=40, out=out).failed == 0
    left, kept = ({hit["item_id"] for hit in json.loads(line)["hits"]} for line in out.read_text().splitlines())
    assert (left, kept) == (set(SHOES) - SEEN, set(SHOES))


def test_an_event_loop_and_a_batch_answer_the_same(client: Client) -> None:
    queries = [Query(text=text, user_id="u", n=40, seen=seen) for text in ("shoe", "lantern") for seen in ("demote", "exclude")]

    async def awaited() -> list[list[str]]:
        async with AsyncClient(settings=client.settings) as other:
            return [ids(await other.search(q.text, user_id="u", n=40, seen=q.seen)) for q in queries]

    alone = [ids(client.execute(query)) for query in queries]
    assert asyncio.run(awaited()) == alone
    assert [ids(answer) for answer in client.execute_many(queries) if isinstance(answer, Answer)] == alone


def test_it_costs_one_search_once_and_none_where_all_stays(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(seen: str | None) -> Callable[[], object]:
        return lambda: client.search("blue shoe", user_id="u", seen=seen)

    usual = searches(client, monkeypatch, asked(None))
    assert searches(client, monkeypatch, asked("keep")) == usual
    assert searches(client, monkeypatch, asked("demote")) == usual
    assert searches(client, monkeypatch, asked("exclude")) == usual + 1
    assert searches(client, monkeypatch, asked("exclude")) == usual


@pytest.mark.parametrize("wrong", ["hide", "", 1, True])
def test_a_wrong_word_is_named(wrong: Any) -> None:
    with pytest.raises(InputError, match="seen is") as caught:
        Query(text="shoe", seen=wrong)
    assert "keep, demote or exclude" in str(caught.value)


def test_a_query_keeps_what_it_was_given() -> None:
    assert [Query(seen=seen).seen for seen in (None, "keep", "demote", "exclude")] == [None, "keep", "demote", "exclude"]
