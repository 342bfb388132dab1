"""The sample store as data: the same each time, complete, plausible."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from es_recsys.errors import InputError
from es_recsys.sample import SampleStore, sample_store
from es_recsys.sample.items import UNSEEN_DAYS
from es_recsys.sample.kinds import DEPARTMENTS, kinds, kinds_by_leaf, read_toml, vocabulary
from es_recsys.sources.events import read_events
from es_recsys.sources.items import read_items
from es_recsys.sources.rejected_rows import RejectedRows
from es_recsys.types import Event


@cache
def store() -> SampleStore:
    return sample_store(items=600, users=80)


@cache
def noisy() -> SampleStore:
    return sample_store(items=200, users=20, noise=True)


def fingerprint(made: SampleStore) -> str:
    lines = [row.model_dump_json() for row in (*made.items, *made.events)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def visits() -> list[list[Event]]:
    by_session: dict[str | None, list[Event]] = defaultdict(list)
    for event in store().events:
        by_session[event.session_id].append(event)
    return list(by_session.values())


def test_the_same_arguments_give_the_same_store() -> None:
    assert fingerprint(sample_store(items=60, users=8)) == fingerprint(sample_store(items=60, users=8))


def test_the_store_is_the_one_that_other_machines_make() -> None:
    # Changes with any change of the words or rules; then the new value is right. It must not differ between machines.
    assert fingerprint(sample_store(seed=3, items=50, users=6, days=30))[:16] == "74e51bab75562668"


def test_another_seed_gives_another_store() -> None:
    assert fingerprint(sample_store(1, 60, 8)) != fingerprint(sample_store(2, 60, 8))


def test_a_shopper_does_the_same_whoever_else_there_is() -> None:
    few, many = sample_store(items=100, users=5), sample_store(items=100, users=9)
    assert [e for e in few.events if e.user_id == "u0004"] == [e for e in many.events if e.user_id == "u0004"]


def test_end_moves_everything_and_is_never_passed() -> None:
    end = datetime(2027, 3, 5, 9, 30, tzinfo=UTC)
    made = sample_store(items=60, users=8, days=20, end=end)
    times = [event.timestamp for event in made.events if event.timestamp]
    assert end - timedelta(days=21) < min(times) and max(times) < end
    assert all(item.created_at and item.created_at <= end for item in made.items)
    local = sample_store(items=60, users=8, days=20, end=end.astimezone(timezone(timedelta(hours=5))))
    assert fingerprint(local) == fingerprint(made)


@pytest.mark.parametrize(("items", "users", "days"), [(1, 2, 1), (8, 2, 1), (50, 10, 60), (43, 3, 400)])
def test_small_and_odd_sizes_work(items: int, users: int, days: int) -> None:
    made = sample_store(items=items, users=users, days=days)
    assert len(made.items) == items and len(made.shoppers) == users
    known = {item.item_id for item in made.items}
    assert all(event.item_id is None or event.item_id in known for event in made.events)


@pytest.mark.parametrize(("name", "arguments"), [("0 items", {"items": 0}), ("1 users", {"users": 1}), ("0 days", {"days": 0})])
def test_too_small_a_store_is_refused(name: str, arguments: dict[str, int]) -> None:
    with pytest.raises(InputError, match=name):
        sample_store(**arguments)


def test_every_department_and_kind_is_there() -> None:
    leaves = Counter(item.categories[-1] for item in store().items)
    assert set(leaves) == {kind.leaf for kind in kinds()}
    assert {item.categories[0] for item in store().items} == set(DEPARTMENTS)
    assert {item.categories[0] for item in sample_store(items=8, users=2).items} == set(DEPARTMENTS)
    assert max(leaves.values()) < 4 * min(leaves.values())


def test_the_words_agree_with_one_another() -> None:
    words, leaves = vocabulary(), set(kinds_by_leaf())
    for kind in kinds():
        assert set(kind.goes_with) <= leaves, kind.leaf
        assert set(kind.colours) <= set(words.colours) and set(kind.styles) <= set(words.styles), kind.leaf
        assert set(kind.patterns) <= set(words.patterns) and set(kind.audiences) <= set(words.audiences), kind.leaf
        assert len(kind.features) >= 3 and len(kind.uses) >= 2 and kind.price[0] < kind.price[1], kind.leaf
    personas = read_toml("personas.toml")
    for row in personas["persona"]:
        assert {*row["kinds"], *row["avoids"]} <= leaves and set(row["colours"]) <= set(words.colours), row["name"]
    brands = {brand.name for brand in words.brands}
    for row in personas["opposite"]:
        assert set(row["kinds"]) <= leaves and set(row["brands"]) <= brands and set(row["colours"]) <= set(words.colours)


def test_items_are_complete_and_their_texts_written() -> None:
    assert len({item.title for item in store().items}) == len({item.item_id for item in store().items}) == 600
    for item in store().items:
        kind = kinds_by_leaf()[item.categories[-1]]
        assert item.categories == kind.category and item.currency == "EUR" and item.brand and item.image
        assert item.price is not None and 0.9 * kind.price[0] <= item.price <= 1.05 * kind.price[1]
        assert item.description.count(".") >= 3 and not {"{", "}", "  "} & set(item.description)
        assert len(item.title.split()) >= 3
        assert item.stock is not None and (item.stock == 0) == (not item.available)
        assert isinstance(item.attributes["rating"], float) and 1.0 <= item.attributes["rating"] <= 5.0
    assert len({item.description for item in store().items}) == 600


def test_products_are_of_all_ages_and_the_newest_are_unseen() -> None:
    ages = np.array([(store().end - item.created_at).total_seconds() / 86_400 for item in store().items if item.created_at])
    assert ages.min() >= 0.0 and 300 < ages.max() < 366 and 0.06 < (ages < 21).mean() < 0.25
    seen = {event.item_id for event in store().events}
    new = [item.item_id for item, age in zip(store().items, ages, strict=True) if age < UNSEEN_DAYS]
    assert new and not seen & set(new)


def test_events_come_in_order_and_refer_to_items_that_are_sold() -> None:
    events = store().events
    keys = [(event.timestamp, event.event_id) for event in events]
    assert keys == sorted(keys) and len({event.event_id for event in events}) == len(events)
    created = {item.item_id: item.created_at for item in store().items}
    assert all(created[event.item_id] < event.timestamp for event in events if event.item_id)
    assert {event.user_id for event in events} <= {shopper.user_id for shopper in store().shoppers}


def test_shoppers_do_everything_and_often_enough() -> None:
    types = Counter(event.event_type for event in store().events)
    assert set(types) == {"search", "click", "view", "dwell", "cart", "purchase", "like", "dislike", "share", "rating"}
    assert types["click"] + types["view"] > types["cart"] >= types["purchase"] > types["share"]
    each = Counter(event.user_id for event in store().events)
    assert 60 <= np.mean(list(each.values())) <= 130 and len(each) == 80
    assert all(1 <= (event.value or 0) <= 5 for event in store().events if event.event_type == "rating")
    assert all(0 < (event.value or 0) <= 600 for event in store().events if event.event_type == "dwell")


def test_a_click_echoes_its_search_and_falls_with_the_position() -> None:
    asked = {event.query_id: event for event in store().events if event.event_type == "search"}
    clicks = [event for event in store().events if event.event_type == "click"]
    for event in clicks:
        search = asked[event.query_id]
        assert search.session_id == event.session_id and search.timestamp <= event.timestamp and search.query
    places = Counter(event.position or 0 for event in clicks)
    assert min(places) == 1 and max(places) <= 24
    assert places[1] > 1.5 * places[4] > 2.0 * places[20]


def test_popularity_has_a_long_tail() -> None:
    counts = Counter(event.item_id for event in store().events if event.item_id)
    ordered = np.sort([counts.get(item.item_id, 0) for item in store().items])[::-1]
    assert ordered[:60].sum() > 0.3 * ordered.sum()
    assert ordered[0] > 8 * max(np.median(ordered), 1)
    assert (ordered == 0).any()


def test_visits_are_plausible() -> None:
    lengths = [(visit[-1].timestamp - visit[0].timestamp).total_seconds() for visit in visits()]  # type: ignore[operator]
    assert 60 < np.median(lengths) < 900 and max(lengths) < 3 * 3_600
    assert all(len({event.user_id for event in visit}) == 1 for visit in visits())
    hours = Counter(visit[0].timestamp.hour for visit in visits() if visit[0].timestamp)
    assert sum(hours[hour] for hour in (19, 20, 21)) > 4 * sum(hours[hour] for hour in (2, 3, 4))


def test_what_is_bought_was_put_into_the_cart_and_is_bought_once() -> None:
    bought: set[tuple[str | None, str | None]] = set()
    for visit in visits():
        carts = {event.item_id for event in visit if event.event_type == "cart"}
        for event in visit:
            if event.event_type == "purchase":
                assert event.item_id in carts and (event.user_id, event.item_id) not in bought
                bought.add((event.user_id, event.item_id))


def test_queries_use_names_synonyms_needs_and_broad_words() -> None:
    queries = [event.query for event in store().events if event.query]
    for words in ("nouns", "also", "asked", "broad"):
        known = {phrase.lower() for kind in kinds() for phrase in getattr(kind, words)}
        assert sum(any(phrase in query.lower() for phrase in known) for query in queries) > 0.1 * len(queries), words
    assert len(set(queries)) > 0.3 * len(queries)


def test_needs_are_in_queries_only_and_synonyms_in_few_descriptions() -> None:
    texts = [(item.categories[-1], f"{item.title} {item.description}".lower()) for item in store().items]
    assert not [text for leaf, text in texts if any(need in text for need in kinds_by_leaf()[leaf].asked)]
    told = np.mean([any(word.lower() in text for word in kinds_by_leaf()[leaf].also) for leaf, text in texts])
    assert 0.2 < told < 0.6


def test_files_read_back_as_they_were(tmp_path: Path) -> None:
    made = sample_store(items=30, users=4)
    made.write(tmp_path / "shop")
    rejected = RejectedRows(0)
    assert tuple(read_items([tmp_path / "shop/items.jsonl"], rejected=rejected)) == made.items
    assert tuple(read_events([tmp_path / "shop/events.jsonl"], rejected=rejected)) == made.events
    assert rejected.count == 0
    assert all((tmp_path / "shop" / str(item.image)).stat().st_size > 500 for item in made.items)


def test_a_place_that_cannot_be_written_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("taken")
    with pytest.raises(InputError, match="can't be written"):
        sample_store(items=2, users=2, days=1).write(tmp_path / "file" / "shop")


def test_without_noise_nothing_is_planted() -> None:
    assert not store().planted


def test_noise_adds_what_cleaning_has_to_find_and_says_so() -> None:
    planted = noisy().planted
    assert set(planted) == {"bots", "resent", "repeated", "future", "ancient", "unknown"} and all(planted.values())
    by_id: dict[str | None, list[Event]] = defaultdict(list)
    for event in noisy().events:
        by_id[event.event_id].append(event)
    known = {item.item_id for item in noisy().items}
    for event_id in planted["resent"]:
        assert len(by_id[event_id]) >= 2 and all(event == by_id[event_id][0] for event in by_id[event_id])
    assert all(by_id[event_id][0].timestamp > noisy().end for event_id in planted["future"])  # type: ignore[operator]
    assert all(by_id[event_id][0].timestamp.year == 1970 for event_id in planted["ancient"])  # type: ignore[union-attr]
    assert not known & {by_id[event_id][0].item_id for event_id in planted["unknown"]}


def test_bots_view_hundreds_of_items_a_minute() -> None:
    ids = set(noisy().planted["bots"])
    per_minute = Counter(
        (e.user_id, e.timestamp.replace(second=0, microsecond=0)) for e in noisy().events if e.event_id in ids and e.timestamp
    )
    assert max(per_minute.values()) > 200
    assert not {user for user, _ in per_minute} & {shopper.user_id for shopper in noisy().shoppers}


def test_noise_leaves_the_clean_events_as_they_are() -> None:
    clean = sample_store(items=200, users=20)
    added = {event_id for name, ids in noisy().planted.items() if name != "resent" for event_id in ids}
    kept = {event.event_id: event for event in noisy().events if event.event_id not in added}
    assert kept == {event.event_id: event for event in clean.events}
