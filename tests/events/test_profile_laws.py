"""The laws of folding: order of arrival, batches, duplicates, replays and storage change nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.event_types import EVENT_TYPES
from es_recsys.events.decayed_sums import ItemContent
from es_recsys.events.event_arrays import EventArrays
from es_recsys.events.event_frame import EventFrame, to_arrays
from es_recsys.events.history_folding import HistoryFolding
from es_recsys.events.log_position import LogPosition
from es_recsys.events.profile_documents import from_document, to_document
from es_recsys.events.profile_state import ProfileConfig, ProfileState, empty_state
from es_recsys.events.profiles import build_profile, fold
from es_recsys.events.quarantine_rules import REASONS
from es_recsys.events.records import StoredEvent
from es_recsys.ratings import FIVE_STARS, RatingScale

NOW = 1_790_000_000.0
DAY = 86_400.0
_RNG = np.random.default_rng(5)


def _unit(d: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    vector = _RNG.normal(size=d)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


FEATURES: Mapping[str, ItemContent] = {
    f"i{number}": ItemContent(
        categories=("all", f"c{number % 3}"),
        brand=f"b{number % 4}" if number % 5 else None,
        tags=(f"t{number % 2}", f"t{number % 7}"),
        price=float(number) if number % 3 else None,
        vectors={"text_vector": _unit(8)} | ({"image_vector": _unit(5)} if number % 2 else {}),
    )
    for number in range(12)
}


@st.composite
def _contents(draw: st.DrawFn) -> StoredEvent:
    """An event without its row."""
    kind = draw(st.sampled_from(sorted(EVENT_TYPES)))
    return StoredEvent(
        row=0,
        event_type=kind,
        timestamp=NOW - draw(st.sampled_from([0.0, 1.0, 3_600.0, DAY, 90 * DAY, 4_000 * DAY])) - draw(st.integers(0, 5)),
        user_id="u1",
        item_id=draw(st.sampled_from([*FEATURES, "gone"])),
        query=draw(st.sampled_from([f"words {n}" for n in range(30)])) if kind == "search" else None,
        value=draw(st.sampled_from([None, 0.0, 1.0, 2.0, 3.0, 4.5, 40.0])),
        quarantine=draw(st.sampled_from([None, None, None, None, "double", "unknown_item"])),
    )


def _arrived(contents: list[StoredEvent], order: list[int]) -> list[StoredEvent]:
    """The events as the store numbers them when they come in `order`; the key belongs to the event, the row to its arrival."""
    return [contents[i]._replace(row=row, key=f"{i:016x}") for row, i in enumerate(order, 1)]


def _rebuilt(rows: list[StoredEvent], config: ProfileConfig) -> ProfileState:
    return fold(empty_state("k", config), rows, FEATURES)


def assert_same(one: ProfileState, two: ProfileState) -> None:
    """Equal, sums within 1e-9 of what went into them."""
    plain = {"sums": {}, "strength": 0.0, "applied_through": 0}
    assert to_document(replace(one, **plain)) == to_document(replace(two, **plain))
    assert one.applied_through == two.applied_through
    assert math.isclose(one.strength, two.strength, rel_tol=1e-9)
    assert one.sums.keys() == two.sums.keys()
    for key, sums in one.sums.items():
        other = two.sums[key]
        near = {"rtol": 1e-9, "atol": 1e-9 * sums.mass}
        np.testing.assert_allclose([sums.net, sums.mass, *sums.price], [other.net, other.mass, *other.price], **near)
        assert sums.vectors.keys() == other.vectors.keys()
        for name, vector in sums.vectors.items():
            np.testing.assert_allclose(vector, other.vectors[name], **near)
        for facet, shares in sums.affinities.items():
            assert shares.keys() == other.affinities[facet].keys()
            np.testing.assert_allclose([shares[v] for v in shares], [other.affinities[facet][v] for v in shares], **near)


configs = st.sampled_from([ProfileConfig(), ProfileConfig(history=10), ProfileConfig(long_half_life=400, short_half_life=40)])
many = st.lists(_contents(), min_size=1, max_size=40)


@given(many, configs, st.data())
def test_order_of_arrival_does_not_matter(contents: list[StoredEvent], config: ProfileConfig, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(contents))))
    assert_same(_rebuilt(_arrived(contents, list(range(len(contents)))), config), _rebuilt(_arrived(contents, order), config))


@given(many, configs, st.data())
def test_updating_equals_rebuilding(contents: list[StoredEvent], config: ProfileConfig, data: st.DataObject) -> None:
    """Any split, with replays of what was folded before, doubled rows, and the JSON document between the parts."""
    rows = _arrived(contents, data.draw(st.permutations(range(len(contents)))))
    state, done = empty_state("k", config), 0
    while done < len(rows):
        upto = data.draw(st.integers(done + 1, len(rows)))
        again = data.draw(st.integers(0, done))
        batch = data.draw(st.permutations(rows[again:upto] + rows[done:upto]))
        state = from_document(orjson.loads(orjson.dumps(to_document(fold(state, batch, FEATURES)))))
        done = upto
    assert_same(state, _rebuilt(rows, config))


@given(many)
def test_folding_again_changes_nothing(contents: list[StoredEvent]) -> None:
    rows = _arrived(contents, list(range(len(contents))))
    state = _rebuilt(rows, ProfileConfig())
    assert fold(state, rows, FEATURES) is state
    assert fold(state, [], FEATURES) is state


@given(many)
def test_arguments_are_left_as_they_were(contents: list[StoredEvent]) -> None:
    rows = _arrived(contents, list(range(len(contents))))
    state = _rebuilt(rows[: len(rows) // 2], ProfileConfig())
    before = orjson.dumps(to_document(state))
    fold(state, rows, FEATURES)
    assert orjson.dumps(to_document(state)) == before


@given(many)
def test_a_profile_is_finite_and_normal(contents: list[StoredEvent]) -> None:
    made = build_profile(_rebuilt(_arrived(contents, list(range(len(contents)))), ProfileConfig()), NOW)
    for taste in made.tastes.values():
        for vector in (taste.long, taste.short):
            if vector is not None:
                assert vector.dtype == np.float32
                assert float(np.linalg.norm(vector)) == pytest.approx(1.0, abs=1e-5)
    for shares in made.affinities.values():
        assert sum(shares.values()) == pytest.approx(1.0)
        assert min(shares.values()) > 0.0
    assert (made.history.ages >= 0).all()
    assert (np.diff(made.history.ages) <= 0).all()
    assert "gone" not in {*made.history.item_ids, *made.seen, *made.disliked}


@given(st.lists(st.sampled_from(sorted(FEATURES)), min_size=1, max_size=30), st.data())
def test_without_time_positions_decay(items: list[str], data: st.DataObject) -> None:
    rows = [
        StoredEvent(row=n + 1, event_type="purchase", user_id="u1", item_id=item, order=n, key=f"{n:016x}")
        for n, item in enumerate(items)
    ]
    config = ProfileConfig(timed=False)
    cut = data.draw(st.integers(0, len(rows)))
    state = fold(fold(empty_state("k", config), rows[:cut], FEATURES), rows[cut:], FEATURES)
    assert_same(state, _rebuilt(rows, config))
    sums = state.sums["short", 3.0]
    assert sums.net == pytest.approx(sum(5.0 * 2 ** (-age / 3.0) for age in range(len(items))))
    assert build_profile(state, NOW).history.ages.tolist() == list(range(len(items) - 1, -1, -1))


def _arrays(histories: list[list[StoredEvent]], scale: RatingScale = FIVE_STARS, *, in_ms: bool = False) -> EventArrays:
    """The events of some actors as cleaning leaves them."""
    actors, items, queries = [f"u:{n}" for n in range(len(histories))], list[str | None](), list[str | None]()

    def code(known: list[str | None], value: str | None) -> int:
        if value not in known:
            known.append(value)
        return known.index(value)

    rows = [
        {
            "row": row.row,
            "actor": number,
            "kind": list(EVENT_TYPES).index(row.event_type),
            "item": code(items, row.item_id),
            "query": code(queries, row.query),
            "value": row.value,
            "time": row.time,
            "reason": row.quarantine,
            "key": int(row.key, 16),
        }
        for number, history in enumerate(histories)
        for row in history
    ]
    types = {"actor": pl.Int32, "kind": pl.Int8, "item": pl.Int32, "query": pl.Int32, "value": pl.Float64, "time": pl.Float64}
    frame = pl.DataFrame(rows, schema={"row": pl.Int64, **types, "reason": pl.Enum(REASONS), "key": pl.UInt64})
    position = LogPosition(0, 0, 0)
    return to_arrays(EventFrame(frame, position, actors, items, queries), frame["reason"], scale, in_ms, position)


VARIANTS = {**FEATURES, "i1": replace(FEATURES["i1"], group_id="g"), "i2": replace(FEATURES["i2"], group_id="g")}
weighted = st.sampled_from(
    [ProfileConfig(), ProfileConfig(history=10, weights={"view": 0.0, "cart": 2.5}), ProfileConfig(long_half_life=20.0)]
)


@given(st.lists(st.lists(_contents(), min_size=1, max_size=25), min_size=1, max_size=4), weighted, st.data())
def test_histories_of_many_are_folded_together_as_one_by_one(
    histories: list[list[StoredEvent]], config: ProfileConfig, data: st.DataObject
) -> None:
    arrived = [_arrived(contents, data.draw(st.permutations(range(len(contents))))) for contents in histories]
    folding = HistoryFolding(_arrays(arrived), config)
    whose = data.draw(st.permutations(range(len(arrived))))
    found = folding.fold([f"u:{n}" for n in whose], [f"k{n}" for n in whose], whose, VARIANTS)
    for n, state in zip(whose, found, strict=True):
        assert_same(state, fold(empty_state(f"k{n}", config, n), arrived[n], VARIANTS))


@given(st.lists(_contents(), min_size=1, max_size=25), st.booleans())
def test_values_of_arrays_are_read_as_the_store_reads_them(contents: list[StoredEvent], in_ms: bool) -> None:
    scale = RatingScale(0.0, 10.0, (2.0,))
    read = []
    for row in _arrived(contents, list(range(len(contents)))):
        kind, value = scale.read(row.event_type, row.value)
        value = value / 1000.0 if in_ms and kind == "dwell" and value is not None else value
        read.append(row._replace(event_type=kind, value=value))
    sent = _arrays([_arrived(contents, list(range(len(contents))))], scale, in_ms=in_ms)
    [state] = HistoryFolding(sent, ProfileConfig()).fold(["u:0"], ["k"], [0], FEATURES)
    assert_same(state, fold(empty_state("k", ProfileConfig()), read, FEATURES))
