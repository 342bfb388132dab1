"""Association rules: counts against the definitions, and rare pairs that don't come first."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from pathlib import Path
from random import Random

import numpy as np
import pytest

from es_recsys.errors import ModelError
from es_recsys.events.records import StoredEvent
from es_recsys.item_ids import ItemIds
from es_recsys.models.association_rules import MAX_BASKET, AssociationRules, Transactions
from es_recsys.training.baskets import association_rules

DAY = 86_400.0


def rules_of(baskets: list[set[str]]) -> AssociationRules:
    ids = ItemIds.of(sorted(set().union(*baskets)))
    numbers = [number for number, basket in enumerate(baskets) for _ in basket]
    items = ids.find([item for basket in baskets for item in sorted(basket)]).astype(np.int64)
    found = Transactions(ids, np.array(numbers, np.int64), items, len(baskets))
    return AssociationRules.count(ids, {"strict": found, "relaxed": found})


def bought(
    row: int, user: str, item: str, day: float = 0.0, event_id: str | None = None, session: str | None = None
) -> StoredEvent:
    return StoredEvent(row, "purchase", timestamp=day * DAY, user_id=user, session_id=session, item_id=item, event_id=event_id)


def test_support_confidence_and_lift_are_those_of_the_definitions() -> None:
    chance = Random(1)
    baskets = [set(chance.sample("abcdefgh", chance.randint(1, 4))) for _ in range(200)]
    baskets = [basket | ({"b"} if "a" in basket and chance.random() < 0.7 else set()) for basket in baskets]
    found = rules_of(baskets)
    single = Counter(item for basket in baskets for item in basket)
    pairs = Counter(pair for basket in baskets for pair in permutations(sorted(basket), 2))
    for item in "abcdefgh":
        got = found.rules([item])
        wanted = {
            other for other in "abcdefgh" if pairs[item, other] >= 2 and pairs[item, other] * 200 > single[item] * single[other]
        }
        assert {rule.item_id for rule in got} == wanted
        for rule in got:
            n = pairs[item, rule.item_id]
            expected = single[item] * single[rule.item_id] / 200
            assert rule.antecedent == item
            assert (rule.count, rule.support) == (n, n / 200)
            assert rule.confidence == pytest.approx(n / single[item])
            assert rule.lift == pytest.approx(n / expected)
            assert rule.score == pytest.approx((n + 5) / (expected + 5) - 1)
        assert [rule.score for rule in got] == sorted((rule.score for rule in got), reverse=True)


def test_two_rare_items_are_not_above_what_is_often_bought_with_it() -> None:
    baskets = [{"shoes", "socks"}] * 40 + [{"shoes"}] * 20 + [{"socks"}] * 20 + [{"shoes", "rare"}] * 2 + [{"hat"}] * 200
    first, second = rules_of(baskets).rules(["shoes"])
    assert (first.item_id, second.item_id) == ("socks", "rare")
    assert second.lift > first.lift


def test_what_met_once_is_no_rule() -> None:
    assert rules_of([{"a", "b"}, {"c"}, {"d"}]).rules(["a"]) == []


def test_of_several_items_each_brings_its_best_and_none_of_them_is_in() -> None:
    found = rules_of([{"a", "x"}] * 9 + [{"b", "x", "y"}] * 5 + [{"a", "b"}] * 5 + [{"z"}] * 50)
    assert [(rule.antecedent, rule.item_id) for rule in found.rules(["a", "b"])] == [("a", "x"), ("b", "y")]


def test_it_comes_back_from_its_folder_and_a_broken_one_is_told(tmp_path: Path) -> None:
    found = rules_of([{"a", "b"}] * 3 + [{"c"}] * 3)
    found.save(tmp_path / "rules")
    assert AssociationRules.load(tmp_path / "rules").rules(["a"]) == found.rules(["a"])
    (tmp_path / "rules" / "strict_pairs.npy").write_bytes(b"")
    with pytest.raises(ModelError):
        AssociationRules.load(tmp_path / "rules")


def test_nothing_bought_is_no_rule(tmp_path: Path) -> None:
    found = association_rules([], {}, timed=True)
    found.save(tmp_path / "rules")
    assert AssociationRules.load(tmp_path / "rules").rules(["a"]) == []


def test_a_basket_is_an_order_else_a_session_else_a_day() -> None:
    rows = [
        bought(1, "u", "a", 0.1, "o1:a"), bought(2, "u", "b", 0.1, "o1:b"), bought(3, "u", "c", 0.1, "o2:c"),
        bought(4, "v", "a", 0.1, session="s1"), bought(5, "v", "b", 0.1, session="s1"), bought(6, "v", "c", 0.1, session="s2"),
        bought(7, "w", "a", 0.1), bought(8, "w", "b", 0.9), bought(9, "w", "c", 1.1),
        *(bought(10 + n, f"x{n}", "z") for n in range(20)),
    ]  # fmt: skip
    found = association_rules(rows, {}, timed=True)
    assert [(rule.item_id, rule.count) for rule in found.rules(["a"])] == [("b", 3)]


def test_a_relaxed_basket_is_a_month_from_an_order_on() -> None:
    rows = [bought(n, f"u{n}", "printer", 0.0) for n in range(3)]
    rows += [bought(10 + n, f"u{n}", "ink", 29.0) for n in range(3)]
    rows += [bought(20 + n, f"u{n}", "late", 31.0) for n in range(3)]
    rows += [bought(30 + n, f"x{n}", "z") for n in range(20)]
    found = association_rules(rows, {}, timed=True)
    assert found.rules(["printer"]) == []
    assert [(rule.item_id, rule.count) for rule in found.rules(["printer"], relaxed=True)] == [("ink", 3)]


def test_products_are_counted_and_what_is_set_aside_and_what_a_reseller_bought_are_not() -> None:
    rows = [bought(n, f"u{n}", "a-red", 0.0) for n in range(4)] + [bought(10 + n, f"u{n}", "b", 0.0) for n in range(4)]
    rows += [bought(50 + n, f"x{n}", "z") for n in range(20)]
    rows[0] = rows[0]._replace(quarantine="unknown_item")
    rows += [bought(100 + n, "reseller", f"i{n}" if n else "a-red") for n in range(MAX_BASKET + 1)]
    found = association_rules(rows, {"a-red": "a"}, timed=True)
    assert [(rule.item_id, rule.count) for rule in found.rules(["a"])] == [("b", 3)]


def test_without_times_all_that_a_user_bought_is_one_relaxed_basket() -> None:
    rows = [StoredEvent(n, "purchase", user_id=f"u{n // 2}", item_id="ab"[n % 2], order=n % 2) for n in range(6)]
    rows += [StoredEvent(10 + n, "purchase", user_id=f"x{n}", item_id="z", order=0) for n in range(9)]
    assert [rule.item_id for rule in association_rules(rows, {}, timed=False).rules(["a"], relaxed=True)] == ["b"]
