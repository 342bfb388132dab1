from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from es_recsys.dataset import Interactions
from es_recsys.errors import InputError
from es_recsys.event_types import event_weight
from es_recsys.events.decayed_sums import ItemContent
from es_recsys.events.interactions import read_interactions, reweight
from es_recsys.events.profile_state import ProfileConfig, empty_state
from es_recsys.events.profiles import build_profile, fold
from es_recsys.events.store import EventStore
from es_recsys.types import Event

NOW = 1_790_000_000.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with EventStore(f"sqlite:///{tmp_path / 'e.sqlite3'}", "shop", b"k") as store:
        yield store


def columns(data: Interactions) -> tuple[list[str], list[float | None]]:
    """The event types and values by name."""
    assert data.type_idx is not None and data.values is not None
    assert (data.type_idx.dtype, data.values.dtype) == (np.int8, np.float32)
    return [data.event_types[kind] for kind in data.type_idx], [None if np.isnan(one) else float(one) for one in data.values]


def test_nothing_stored(store: EventStore) -> None:
    data = read_interactions(store, NOW)
    assert (len(data.users), len(data.user_ids), len(data.item_ids), data.timed) == (0, 0, 0, True)


def test_agrees_with_reading_event_by_event(store: EventStore) -> None:
    rng = random.Random(4)
    kinds = ["view", "purchase", "dislike", "rating", "dwell", "cart"]
    events = [
        Event(
            event_type=rng.choice(kinds),
            user_id=f"u{rng.randrange(40)}",
            item_id=f"i{rng.randrange(30)}",
            value=rng.choice([None, 1, 3, 5, 40]),
            timestamp=NOW - rng.random() * 1e6,
        )
        for _ in range(3_000)
    ]
    store.load(events, NOW)
    store.set_quarantine({7: "bot_regular"})
    data = read_interactions(store)
    expected = sorted(
        (row.user_id, row.timestamp, row.row, row.item_id, np.float32(event_weight(row.event_type, row.value)))
        for row in store.scan()
        if row.quarantine is None and event_weight(row.event_type, row.value) != 0
    )
    assert [data.user_ids[u] for u in data.users] == [row[0] for row in expected]
    assert data.times.tolist() == [row[1] for row in expected]
    assert [data.item_ids[i] for i in data.items] == [row[3] for row in expected]
    assert data.weights.tolist() == [row[4] for row in expected]
    kinds, values = columns(data)
    assert [event_weight(*pair) for pair in zip(kinds, values, strict=True)] == pytest.approx(data.weights.tolist())
    assert (data.users.dtype, data.items.dtype, data.weights.dtype, data.times.dtype) == (
        np.int32,
        np.int32,
        np.float32,
        np.float64,
    )
    assert data.user_ids.tolist() == sorted(data.user_ids.tolist())
    assert data.item_ids.tolist() == sorted(data.item_ids.tolist())


def test_left_out(store: EventStore) -> None:
    def did(kind: str, item: str | None, ago: float = 0.0, **more: object) -> Event:
        return Event(event_type=kind, item_id=item, timestamp=NOW - ago, **more)

    store.append(
        [
            did("view", "kept", user_id="u"),
            did("search", "searched", user_id="u", query="x"),
            did("search", None, user_id="u", query="y"),
            did("rating", "neutral", user_id="u", value=3),
            did("rating", "wrong", user_id="u", value=9),
            did("view", "ahead", -60, user_id="u"),
            did("purchase", "bought", session_id="s"),
        ],
        NOW,
    )
    assert read_interactions(store, NOW).item_ids.tolist() == ["bought", "kept"]
    assert read_interactions(store).item_ids.tolist() == ["ahead", "bought", "kept"]
    assert read_interactions(store, NOW).user_ids.tolist() == ["session:s", "u"]
    assert columns(read_interactions(store, NOW)) == (["purchase", "view"], [None, None])
    assert read_interactions(store, NOW, event_types=["purchase"]).user_ids.tolist() == ["session:s"]


def test_what_a_profile_is_asked_with_is_what_a_model_learned_from(store: EventStore) -> None:
    rng = random.Random(7)
    kinds, items = ["view", "like", "dislike", "dwell", "purchase"], ["a", "b", "c"]
    did = [(kind, item, value) for kind in kinds for item in items for value in (1.0, 9.0)]
    rng.shuffle(did)
    store.append([Event(event_type=k, user_id="u", item_id=i, value=v, timestamp=NOW) for k, i, v in did], NOW)
    data = read_interactions(store)
    state = fold(empty_state("u", ProfileConfig()), store.scan(), {item: ItemContent() for item in items})
    history = build_profile(state, NOW).history
    assert history.item_ids == tuple(data.item_ids[data.items].tolist())
    assert history.weights.tolist() == data.weights.tolist()


def test_without_time_the_order_stands_for_it(store: EventStore) -> None:
    store.append([Event(event_type="view", user_id="u", item_id=item, order=n) for n, item in enumerate("cab")][::-1], NOW)
    data = read_interactions(store, NOW)
    assert data.timed is False
    assert (data.times.tolist(), "".join(data.item_ids[data.items])) == ([0, 1, 2], "cab")


def test_a_stores_own_weights_take_the_place_of_the_usual(store: EventStore) -> None:
    events = [
        Event(event_type=kind, user_id="u1", item_id=f"i{place}", value=value, timestamp=NOW + place)
        for place, (kind, value) in enumerate([("view", None), ("cart", 2.0), ("rating", 1.0), ("purchase", None)])
    ]
    store.load(events, NOW + 9)
    own = {"view": 0.0, "cart": 6.0, "rating": 1.0}
    data = read_interactions(store, weights=own)
    assert [data.item_ids[i] for i in data.items] == ["i1", "i2", "i3"]
    assert data.weights.tolist() == pytest.approx([6.0 * 1.1, -1.0, 5.0])
    again = reweight(read_interactions(store), own)
    assert again.weights.tolist() == pytest.approx([0.0, 6.0 * 1.1, -1.0, 5.0])
    np.testing.assert_array_equal(reweight(again, {}).weights, read_interactions(store).weights)


def test_events_of_an_unknown_kind_can_not_be_weighed_again(store: EventStore) -> None:
    with pytest.raises(InputError, match="not known what these events were"):
        reweight(replace(read_interactions(store), type_idx=None), {})


def test_variants_are_known_by_their_product(store: EventStore) -> None:
    did = [("ann", "red"), ("ann", "shirt"), ("bob", "blue"), ("bob", "sock"), ("cat", "sock")]
    store.load([Event(event_type="view", user_id=u, item_id=i, timestamp=NOW - 9 + n) for n, (u, i) in enumerate(did)], NOW)
    data = read_interactions(store, NOW, products={"red": "shirt", "blue": "shirt", "hat": "cap"})
    assert data.item_ids.tolist() == ["shirt", "sock"]
    pairs = zip(data.user_ids[data.users].tolist(), data.item_ids[data.items].tolist(), strict=True)
    assert list(pairs) == [("ann", "shirt"), ("ann", "shirt"), ("bob", "shirt"), ("bob", "sock"), ("cat", "sock")]


def test_only_opinions_on_items_are_interactions(store: EventStore) -> None:
    kinds = ["impression", "follow", "mute", "hide", "report", "search"]
    store.load([Event(event_type=kind, user_id="u", item_id="a", query="x", timestamp=NOW) for kind in kinds], NOW)
    data = read_interactions(store, NOW)
    assert columns(data)[0] == ["hide", "report"] and data.weights.tolist() == [-2.0, -5.0]
