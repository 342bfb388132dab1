"""What is bought together, asked through the client and the command on a real engine: rules, filters, exclusions, variants."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from es_recsys import AsyncClient, Client, Event, Item
from es_recsys.cli import main
from es_recsys.errors import InputError
from es_recsys.settings import Settings

pytestmark = pytest.mark.engine

NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(days=60)
ITEMS = (
    Item(item_id="shoes", title="Trail shoes", categories=["Shoes"], price=90),
    Item(item_id="socks-s", group_id="socks", title="Wool socks", categories=["Clothing"], price=9, attributes={"size": "S"}),
    Item(item_id="socks-l", group_id="socks", title="Wool socks", categories=["Clothing"], price=9, attributes={"size": "L"}),
    Item(item_id="bottle", title="Steel bottle", categories=["Outdoor"], price=20),
    Item(item_id="wax", title="Shoe wax", categories=["Care"], price=6),
    Item(item_id="rare", title="Odd thing", categories=["Care"], price=6),
    *(Item(item_id=f"other{n}", title=f"Other {n}", categories=["Other"], price=5) for n in range(8)),
)


def purchases() -> Iterator[Event]:
    """Orders: shoes with socks 12 times, with a bottle 6 times, with something odd twice; wax two weeks later 8 times."""

    def order(user: str, day: float, *items: str) -> Iterator[Event]:
        when = NOW + timedelta(days=day)
        yield from (Event(event_type="purchase", user_id=user, item_id=item, timestamp=when) for item in items)

    for n in range(12):
        with_bottle = ("bottle",) if n < 6 else ()
        odd = ("rare",) if n < 2 else ()
        yield from order(f"u{n}", n % 5, "shoes", "socks-s" if n % 2 else "socks-l", *with_bottle, *odd)
        if n < 8:
            yield from order(f"u{n}", n % 5 + 14, "wax")
    for n in range(40):
        yield from order(f"v{n}", n % 7, f"other{n % 8}", f"other{(n + 1) % 8}")


@pytest.fixture(scope="module")
def client(module_settings: Callable[..., Settings]) -> Iterator[Client]:
    with Client(settings=module_settings()) as client:
        client.insert_items(ITEMS)
        client.put_events(list(purchases()))
        with pytest.raises(InputError, match="not counted yet") as early:
            client.bought_together("shoes")
        assert "train" in early.value.remedy
        client.train(["covisitation"], budget=0.0)
        yield client


def test_rules_come_with_their_figures_and_rare_items_not_first(client: Client) -> None:
    answer = client.bought_together("shoes")
    assert [hit.product_id for hit in answer.hits] == ["socks", "bottle", "rare"]
    first = answer.hits[0]
    assert first.rule["count"] == 12
    assert first.rule["confidence"] == 1.0
    assert first.rule["support"] == pytest.approx(12 / 60)
    assert first.rule["lift"] == pytest.approx(60 / 12)
    assert first.because == ("shoes",)
    assert first.parts == {"bought_together": first.score}
    assert answer.kind == "bought_together"
    assert not answer.ranking.degraded


def test_relaxed_is_what_one_user_bought_within_a_month(client: Client) -> None:
    assert "wax" not in [hit.item_id for hit in client.bought_together("shoes").hits]
    relaxed = {hit.item_id: hit for hit in client.bought_together("shoes", relaxed=True).hits}
    assert relaxed["wax"].rule["count"] == 8


def test_filters_exclusions_and_pages_are_as_for_similar_items(client: Client) -> None:
    assert [hit.item_id for hit in client.bought_together("shoes", filter=["price:10.."]).hits] == ["bottle"]
    assert [hit.product_id for hit in client.bought_together("shoes", exclude=["socks"]).hits] == ["bottle", "rare"]
    assert [hit.item_id for hit in client.bought_together("shoes", n=1, offset=1).hits] == ["bottle"]
    assert [hit.item_id for hit in client.bought_together("shoes", filter={"size": "L"}).hits] == ["socks-l"]


def test_a_variant_stands_for_its_product(client: Client) -> None:
    assert client.bought_together("socks-s").hits[0].item_id == "shoes"
    assert all(hit.product_id != "socks" for hit in client.bought_together("socks-s").hits)


def test_a_cart_has_what_goes_with_any_of_it(client: Client) -> None:
    answer = client.bought_together(["shoes", "other1"], n=20)
    assert {"shoes", "other1"}.isdisjoint(hit.item_id for hit in answer.hits)
    assert {hit.because[0] for hit in answer.hits} == {"shoes", "other1"}


def test_what_a_user_dislikes_is_left_out(client: Client) -> None:
    client.put_events(Event(event_type="dislike", user_id="picky", item_id="bottle"))
    assert "bottle" not in [hit.item_id for hit in client.bought_together("shoes", user_id="picky").hits]


def test_an_item_without_rules_has_an_answer_without_hits(client: Client) -> None:
    answer = client.bought_together("wax")
    assert answer.hits == ()
    assert answer.ranking.total == 0


def test_wrong_arguments_are_told(client: Client) -> None:
    with pytest.raises(InputError, match="no item 'gone'"):
        client.bought_together("gone")
    with pytest.raises(InputError, match="no item that others"):
        client.bought_together([])


def test_both_clients_and_the_command_answer_alike(
    client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = [(hit.item_id, hit.score, dict(hit.rule)) for hit in client.bought_together("shoes").hits]

    async def ask() -> list[tuple[str, float, dict[str, float]]]:
        async with AsyncClient(settings=client.settings) as other:
            return [(hit.item_id, hit.score, dict(hit.rule)) for hit in (await other.bought_together("shoes")).hits]

    assert asyncio.run(ask()) == expected
    for name, value in (("URL", client.settings.url), ("INDEX", client.settings.index), ("HOME", client.settings.home)):
        monkeypatch.setenv(f"ES_RECSYS_{name}", str(value))

    def printed(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["es-recsys", "bought-together", "shoes", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        return capsys.readouterr().out

    found = json.loads(printed("--json"))
    assert [(hit["item_id"], hit["score"], hit["rule"]) for hit in found["hits"]] == expected
    assert "confidence" in printed() and "lift" in printed("--relaxed")


def test_what_muted_authors_made_is_left_out(client: Client) -> None:
    wax = next(item for item in ITEMS if item.item_id == "wax")
    client.insert_items(wax.model_copy(update={"author": "bee"}))
    client.put_events(Event(event_type="mute", user_id="quiet", item_id="bee", timestamp=datetime.now(UTC)))
    for user, there in (("somebody", True), ("quiet", False)):
        found = [hit.item_id for hit in client.bought_together("shoes", relaxed=True, user_id=user, n=50).hits]
        assert ("wax" in found) is there and len(found) > 1


def monthly_purchases() -> Iterator[Event]:
    """Wax every 30 days by twelve people, the last time 28 days ago; `lately` bought it yesterday, too."""
    now = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    for n in range(12):
        for k in range(4):
            when = now - timedelta(days=28 + 30 * k)
            yield Event(event_type="purchase", user_id=f"w{n}", item_id="wax", timestamp=when)
    yield Event(event_type="purchase", user_id="w0", item_id="bottle", timestamp=now - timedelta(days=28))
    yield Event(event_type="purchase", user_id="lately", item_id="wax", timestamp=now - timedelta(days=1))


def test_what_is_bought_again_is_recommended_when_it_is_due(module_settings: Callable[..., Settings]) -> None:
    with Client(settings=module_settings()) as client:
        client.insert_items(ITEMS)
        client.put_events([*purchases(), *monthly_purchases()])
        with pytest.raises(InputError, match="not counted yet what is bought again"):
            client.recommend("w0", repeat=True)
        client.train(["covisitation"], budget=0.0)
        answer = client.recommend("w0", repeat=True)
        assert answer.kind == "buy_again"
        assert [hit.item_id for hit in answer.hits] == ["wax"]
        told = answer.hits[0].rule
        assert told["interval_days"] == pytest.approx(30, rel=0.2)
        assert told["days_since"] == pytest.approx(28, abs=0.1)
        assert told["due_in_days"] == pytest.approx(told["interval_days"] - told["days_since"])
        assert client.recommend("lately", repeat=True).hits[0].rule["due_in_days"] > 20
        assert client.recommend("w0", repeat=True, filter=["categories:Shoes"]).hits == ()
        assert client.recommend("w0", repeat=True, exclude="wax").hits == ()
        assert client.recommend("nobody", repeat=True).hits == ()
        assert "wax" not in [hit.item_id for hit in client.recommend("w0").hits]
        with pytest.raises(InputError, match="is of a user"):
            client.recommend(repeat=True)
        with pytest.raises(InputError, match="names a user alone"):
            client.recommend("w0", history=["wax"], repeat=True)
