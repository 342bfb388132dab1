"""Affinities: what matters to people is learned from what they chose."""

from __future__ import annotations

import numpy as np
import pytest

from es_recsys.dataset import History, Interactions, ItemTable
from es_recsys.errors import ModelError
from es_recsys.models.affinity import Affinity
from es_recsys.models.conditional_logit import fit_conditional_logit
from es_recsys.models.item_attributes import ItemAttributes

N, USERS = 120, 150


def table(traits: dict[str, list[tuple[str, ...]]] | None = None) -> ItemTable:
    """Items of four brands and three colours, none related to the other."""
    ids, empty, nothing = np.array([f"i{place:03}" for place in range(N)]), [""] * N, np.full(N, np.nan)
    colours = {"attributes.colour": [(("red", "green", "blue")[place % 3],) for place in range(N)]}
    brands = [f"brand {place // 3 % 4}" for place in range(N)]
    return ItemTable(ids, empty, empty, [()] * N, brands, nothing, nothing, {}, colours if traits is None else traits)


def shoppers(seed: int = 1) -> Interactions:
    """Everybody keeps to a brand of their own, nobody minds the colour; the last ten items are never met."""
    rng = np.random.default_rng(seed)
    brand = np.arange(N) // 3 % 4
    rows = [rng.choice(np.flatnonzero((brand == user % 4) & (np.arange(N) < N - 10)), 8, replace=False) for user in range(USERS)]
    n = USERS * 8
    items = np.concatenate(rows)
    met, places = np.unique(items, return_inverse=True)
    return Interactions(
        user_ids=np.array([f"u{user:03}" for user in range(USERS)]),
        item_ids=np.array([f"i{place:03}" for place in met]),
        users=np.repeat(np.arange(USERS, dtype=np.int32), 8),
        items=places.astype(np.int32),
        weights=np.ones(n, np.float32),
        times=np.tile(np.arange(8, dtype=np.float64) * 3_600.0, USERS),
        timed=True,
    )


def test_what_people_keep_to_weighs_and_the_rest_does_not() -> None:
    importances = Affinity().fit(shoppers(), np.random.default_rng(0), table()).importances
    assert set(importances) == {"brand", "attributes.colour", "price", "popularity"}
    assert importances["brand"] > 3.0 > 0.5 > importances["attributes.colour"]
    assert importances["price"] == 0.0


def test_items_that_nobody_has_met_are_found_by_what_they_are() -> None:
    model = Affinity().fit(shoppers(), np.random.default_rng(0), table())
    unseen = [f"i{place:03}" for place in range(N - 10, N)]
    scores = model.score(History.of(["i000", "i012"]), unseen)
    of_brand = np.array([(place // 3 % 4) == 0 for place in range(N - 10, N)])
    assert scores[of_brand].min() > scores[~of_brand].max() > 0.0


def test_without_a_shared_trait_there_is_nothing_to_learn() -> None:
    items = table({})
    alone = ItemTable(items.item_ids, items.texts, items.titles, items.categories, [""] * N, items.prices, items.created)
    with pytest.raises(ModelError, match=r"No two items share .* Load items with categories"):
        Affinity().fit(shoppers(), np.random.default_rng(0), alone)
    with pytest.raises(ModelError, match="No two items share"):
        Affinity().fit(shoppers(), np.random.default_rng(0))


def test_a_facet_that_names_items_is_no_trait_and_values_of_one_item_are_left_out() -> None:
    names = {
        "attributes.serial": [(f"n{place}",) for place in range(N)],
        "tags": [("a", "b") if p < 9 else ("a",) for p in range(N)],
    }
    names["tags"][0] = ("a", "only here")
    found = ItemAttributes.of(table(names), np.arange(N), N)
    assert found.facets == ("brand", "tags")
    entries, owners = found.at(np.array([0, 1]))
    # Of the first item the brand and "a" are left, of the second the brand and both tags.
    assert owners.tolist() == [0, 0, 1, 1, 1]
    assert found.shares[entries].tolist() == [1.0, 1.0, 1.0, 0.5, 0.5]


def test_totals_of_all_items_are_those_of_each() -> None:
    rng = np.random.default_rng(2)
    lengths = np.array([0, 3, 0, 0, 2, 1, 0])
    codes = rng.integers(0, 5, 6).astype(np.int32)
    shares = rng.random(6).astype(np.float32)
    traits = ItemAttributes(np.concatenate([[0], np.cumsum(lengths)]), codes, shares, np.zeros(5, np.int16), ("brand",))
    worth = rng.random(5)
    whole = traits.totals(worth)
    assert whole == pytest.approx(traits.totals(worth, np.arange(7)))
    assert whole[[0, 2, 3, 6]].tolist() == [0.0] * 4
    assert whole[5] == pytest.approx(float(shares[5]) * worth[codes[5]])


def test_the_likeliest_weights_are_found_and_none_is_negative() -> None:
    rng = np.random.default_rng(3)
    truth = np.array([2.0, 0.7, 0.0])
    choices = []
    for _ in range(4_000):
        offer = rng.normal(size=(6, 3))
        chosen = int(np.argmax(offer @ truth - 0.3 * offer[:, 2] + rng.gumbel(size=6)))
        choices.append(np.roll(offer, -chosen, axis=0))
    found = fit_conditional_logit(choices, [1.0] * len(choices))
    np.testing.assert_allclose(found, truth, atol=0.12)
    assert found[2] == 0.0


def test_what_is_worth_more_counts_as_if_it_happened_more_often() -> None:
    rng = np.random.default_rng(4)
    choices = [rng.normal(size=(4, 2)) + np.array([[0.5, 0.2], [0, 0], [0, 0], [0, 0]]) for _ in range(300)]
    worth = rng.integers(1, 4, len(choices)).tolist()
    repeated = [one for one, times in zip(choices, worth, strict=True) for _ in range(times)]
    ridge = 1e-9
    np.testing.assert_allclose(
        fit_conditional_logit(choices, worth, ridge), fit_conditional_logit(repeated, [1.0] * len(repeated), ridge), rtol=1e-3
    )
