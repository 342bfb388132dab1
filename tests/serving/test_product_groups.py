"""Events, logged answers and judgments of variants as those of their products."""

from __future__ import annotations

from es_recsys.events.records import StoredEvent
from es_recsys.serving.product_groups import group_events, group_judgments, group_records
from es_recsys.training.item_table import table_of
from es_recsys.training.logged_examples import count_interaction_stats, examined, rewards_for
from es_recsys.types import Item

GROUPS = {"red": "shirt", "blue": "shirt"}


def test_what_was_done_with_any_variant_counts_for_the_one_that_was_shown() -> None:
    click = {"event_type": "click", "timestamp": 1.0, "user_id": "u", "recommendation_id": "x"}
    events = [StoredEvent(1, item_id="blue", **click), StoredEvent(2, item_id="shirt", **click), StoredEvent(3, **click)]
    hits = [{"item_id": "red", "position": 1, "propensity": 1.0}, {"item_id": "sock", "position": 2, "propensity": 1.0}]
    records = list(group_records([{"answer_id": "x", "kind": "recommend", "hits": hits}], GROUPS))
    given = rewards_for(records, group_events(events, GROUPS))
    assert given == {("x", "shirt"): 1.0}
    seen = count_interaction_stats(records, given, examined(records, given)).by_item
    assert {name: done for name, (_, done) in seen.items()} == {"shirt": 1.0, "sock": 0.0}


def test_without_variants_nothing_changes() -> None:
    event = StoredEvent(1, "view", item_id="red", timestamp=1.0, user_id="u")
    record = {"answer_id": "x", "hits": [{"item_id": "red"}]}
    assert list(group_events([event], {})) == [event]
    assert list(group_records([record], {})) == [record]
    assert group_judgments({"q": {"red": 2.0}}, {}) == {"q": {"red": 2.0}}


def test_a_product_is_as_good_as_the_best_of_its_variants() -> None:
    assert group_judgments({"q": {"red": 1.0, "blue": 3.0, "sock": 0.0}}, GROUPS) == {"q": {"shirt": 3.0, "sock": 0.0}}


def test_a_table_of_items_has_the_first_variant_under_the_products_id() -> None:
    items = [
        Item(item_id="b", group_id="z", title="B", price=2.0),
        Item(item_id="m", title="M"),
        Item(item_id="a", group_id="z", title="A", price=1.0),
    ]
    table = table_of(items)
    assert table.item_ids.tolist() == ["m", "z"]
    assert list(table.titles) == ["M", "A"]
    assert table.prices[1] == 1.0
