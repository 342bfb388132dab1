"""Hidden tastes: the formula, its drift, the opposites, and that people act on it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import numpy as np
import pytest

from es_recsys.sample import SampleStore, Shopper, sample_store
from es_recsys.sample.kinds import kinds, kinds_by_leaf
from es_recsys.sample.tastes import NOTHING, TEMPERATURE
from es_recsys.types import Event, Item


@cache
def store() -> SampleStore:
    return sample_store(items=800, users=60)


SHOPPER = Shopper(
    user_id="u1",
    name="A",
    persona="p",
    kinds={"Mugs": 1.0},
    later={"Mugs": 0.2, "Tents": 1.0},
    brands={"Porcelle": 0.5},
    colours={"red": 1.0},
    styles={"vintage": -0.5},
    audiences={},
    level=0.0,
    visits=10.0,
    start=0.0,
    end=1_000.0,
)
MUG = Item(
    item_id="m",
    categories=("Kitchen", "Drinkware", "Mugs"),
    brand="Porcelle",
    price=kinds_by_leaf()["Mugs"].price[1],
    attributes={"colour": "red", "style": "vintage", "rating": 5.0},
)


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def test_utility_is_the_documented_sum() -> None:
    by_hand = 3.0 * 1.0 + 1.0 * 0.5 + 0.6 * 1.0 + 1.2 * -0.5 - 2.0 * abs(1.0 - 0.0) + 0.5 * (5.0 - 4.0)
    assert SHOPPER.utility([MUG], at(0.0)) == pytest.approx([by_hand])


def test_interest_in_kinds_drifts_in_a_straight_line() -> None:
    first, middle, last = (SHOPPER.utility([MUG], at(moment))[0] for moment in (0.0, 500.0, 1_000.0))
    assert last - first == pytest.approx(3.0 * (0.2 - 1.0)) and middle == pytest.approx((first + last) / 2)
    assert SHOPPER.utility([MUG])[0] == last == SHOPPER.utility([MUG], at(9_999.0))[0]


def test_an_item_does_not_depend_on_the_others() -> None:
    shopper, items = store().shoppers[7], store().items
    together = shopper.utility(items)
    assert together.shape == (800,) and together.dtype == np.float64
    assert [shopper.utility([item])[0] for item in items[:40]] == together[:40].tolist()
    assert shopper.utility([]).shape == (0,)


def test_an_item_from_elsewhere_is_neutral() -> None:
    stranger = replace(SHOPPER, level=0.5)
    assert stranger.utility([Item(item_id="x"), Item(item_id="y", categories=("Boats",), price=7.0)]).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("word", ["shoes", "jacket", "bag", "lamp", "watch"])
def test_the_opposites_want_different_things_where_they_ask_the_same(word: str) -> None:
    leaves = {kind.leaf for kind in kinds() if word in kind.broad}
    found = [item for item in store().items if item.categories[-1] in leaves]
    one, other = (shopper.utility(found) for shopper in store().opposites)
    assert len(found) >= 10
    assert not set(np.argsort(-one)[:4].tolist()) & set(np.argsort(-other)[:4].tolist())
    if len(leaves) > 1:
        assert np.corrcoef(one, other)[0, 1] < -0.4


def test_the_opposites_have_a_rich_history_and_bought_what_they_love() -> None:
    by_id = {item.item_id: item for item in store().items}
    for shopper, own, foreign in zip(store().opposites, ("Trail Running", "Heels"), ("Heels", "Trail Running"), strict=True):
        mine = [event for event in store().events if event.user_id == shopper.user_id]
        bought = [by_id[str(event.item_id)].categories[-1] for event in mine if event.event_type == "purchase"]
        assert len(mine) >= 60 and len(bought) >= 3 and foreign not in bought
        seen = [by_id[event.item_id].categories[-1] for event in mine if event.item_id]
        assert seen.count(own) > 5 * seen.count(foreign)


def test_shoppers_differ_and_about_half_of_them_drift() -> None:
    shoppers = sample_store(items=1, users=300, days=1).shoppers
    assert len({shopper.persona for shopper in shoppers}) == 12
    assert 0.35 < np.mean([dict(shopper.kinds) != dict(shopper.later) for shopper in shoppers]) < 0.65
    for shopper in shoppers:
        for preferences in (shopper.kinds, shopper.later, shopper.brands, shopper.colours, shopper.styles, shopper.audiences):
            assert max(preferences.values()) > 0.0 and all(-1.0 <= liking <= 1.0 for liking in preferences.values())
        assert 0.0 <= shopper.level <= 1.0


def test_what_is_opened_pleases_more_than_the_catalogue() -> None:
    places = {item.item_id: place for place, item in enumerate(store().items)}
    for shopper in store().shoppers:
        utility = shopper.utility(store().items)
        opened = [
            places[str(e.item_id)] for e in store().events if e.user_id == shopper.user_id and e.event_type in ("click", "view")
        ]
        assert utility[opened].mean() > utility.mean() + 0.5


def test_purchases_follow_the_softmax_of_utility() -> None:
    """The share of visits in which the best item looked at is bought is what the formula says, within chance."""
    by_id = {item.item_id: item for item in store().items}
    shoppers = {shopper.user_id: shopper for shopper in store().shoppers}
    by_visit: dict[str | None, list[Event]] = defaultdict(list)
    for event in store().events:
        by_visit[event.session_id].append(event)
    owned: dict[str, set[str]] = defaultdict(set)
    expected, variance, bought_best = 0.0, 0.0, 0
    for visit in by_visit.values():
        user, when = str(visit[0].user_id), visit[-1].timestamp
        looked = list(dict.fromkeys(str(e.item_id) for e in visit if e.event_type in ("click", "view")))
        looked = [item_id for item_id in looked if item_id not in owned[user]]
        bought = {str(event.item_id) for event in visit if event.event_type == "purchase"}
        if looked:
            utility = shoppers[user].utility([by_id[item_id] for item_id in looked], when)
            odds = np.exp(np.append(utility, NOTHING) / TEMPERATURE)
            chance = odds[:-1].max() / odds.sum()
            expected, variance = expected + chance, variance + chance * (1.0 - chance)
            bought_best += looked[int(np.argmax(utility))] in bought
        owned[user] |= bought
    assert variance > 50.0
    assert abs(bought_best - expected) < 3.5 * variance**0.5
