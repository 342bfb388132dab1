"""Laws: what rows are read to in blocks is what they are read to one by one, whatever is in them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from es_recsys.event_columns import EventColumns, rebatched
from es_recsys.sources import FieldFormats, ReadOptions, RejectedRows
from es_recsys.sources import event_rows as rows_module
from es_recsys.sources.column_mapping import ColumnMapping
from es_recsys.sources.event_rows import EVENT_FIELDS, EventRows
from es_recsys.sources.field_formats import FieldFormatInference
from es_recsys.sources.future_times import FutureTimes
from es_recsys.sources.plain_rows import PlainRows
from es_recsys.sources.tables import Row
from es_recsys.types import Event
from es_recsys.values import IdFormat, TimeFormat

NOW = 1_767_268_800.0

odd = st.sampled_from(
    [None, True, False, math.nan, -0.0, 0, 1e300, 2**70, [], ["a", "b"], {"id": "x"}, "", " ", "null", "-", "nan"]
)
ids = st.one_of(
    st.sampled_from(["u1", "u2", " u1", "17", "17.0", "007", "1.7e1", 17, 17.0, 1.5, "Ä", "A\u0308", "x]", "[1, 2]"]), odd
)
texts = st.one_of(st.sampled_from(["red shoes", "1917", "  x ", "A\u0308", "a\x00b", "x" * 5_000, 1917]), odd)
numbers = st.one_of(st.sampled_from([1, 2.5, 1.0, "3", "1,5", "many", -1]), odd)
times = st.one_of(
    st.sampled_from(
        [
            "2026-01-01T12:00:00Z",
            "2026-01-01T12:00:00.123456Z",
            "2026-01-01 12:00:00",
            "2026-01-01T13:00:00+01:00",
            "2026-01-01T23:00:00",
            "2026-01-01",
            "01/02/2026",
            "20260101",
            "45292.5",
            1_767_268_800,
            1_767_268_800_000,
            1_767_268_800.5,
            "1767268800",
            "yesterday",
        ]
    ),
    odd,
)
actions = st.one_of(
    st.sampled_from(["view", "search", "Add To Cart", "purchase", "rating", "hover", "spin", "page_view", 7]), odd
)
fields = {
    "event_type": actions,
    "timestamp": times,
    "user_id": ids,
    "session_id": ids,
    "item_id": ids,
    "query": texts,
    "value": numbers,
    "event_id": ids,
    "position": numbers,
    "query_id": ids,
    "recommendation_id": ids,
    "items": st.lists(ids, max_size=2),
    "action_name": actions,
    "properties": st.fixed_dictionaries({}, optional={"sku": ids}),
}
ordinary = st.fixed_dictionaries(
    {
        "event_type": st.sampled_from(["view", "cart", "search"]),
        "timestamp": st.just("2026-01-01T12:00:00Z"),
        "user_id": st.sampled_from(["u1", "u2"]),
        "item_id": st.sampled_from(["i1", "i2", "17"]),
        "query": st.just("red shoes"),
    }
)
any_row = st.fixed_dictionaries({}, optional=fields)
slightly_odd = st.builds(lambda row, other: {**row, **other}, ordinary, any_row)
blocks = st.lists(st.one_of(ordinary, ordinary, slightly_odd), max_size=8)
mappings = st.sampled_from(
    [
        ColumnMapping(EVENT_FIELDS),
        ColumnMapping(EVENT_FIELDS, {"item_id": "properties.sku"}),
        ColumnMapping(EVENT_FIELDS, {"session_id": "-"}, {"event_type": "view", "value": "2"}),
    ]
)
some_formats = st.sampled_from(
    [
        FieldFormats(),
        FieldFormats(ids={"item_id": IdFormat(numbers=True)}, times={"timestamp": TimeFormat(day_first=True)}),
        FieldFormats(times={"timestamp": TimeFormat(serial=True)}),
    ]
)


def _told(rejected: RejectedRows) -> Any:
    return [str(row) for row in rejected.first], rejected.count, rejected.fields, rejected.skipped


def _rows(values: list[dict[str, Any]]) -> list[Row]:
    return [Row(Path("f"), number, one) for number, one in enumerate(values, 1)]


@given(values=blocks, columns=mappings, formats=some_formats, timestamps=st.booleans())
@example([{"event_type": "view", "user_id": "u", "item_id": 1}, {"event_type": "view", "user_id": "u", "item_id": True}],
         ColumnMapping(EVENT_FIELDS), FieldFormats(), False)  # fmt: skip
def test_a_block_of_rows_is_read_as_each_of_them(
    values: list[dict[str, Any]], columns: ColumnMapping, formats: FieldFormats, timestamps: bool
) -> None:
    options, futures = ReadOptions(timestamps=timestamps), (FutureTimes(NOW), FutureTimes(NOW))
    together, single = (EventRows(columns, options, formats, future) for future in futures)
    found, expected = RejectedRows(write=False), RejectedRows(write=False)
    smallest, rows_module._SMALLEST_BLOCK = rows_module._SMALLEST_BLOCK, 1
    try:
        parts = together.columns(_rows(values), found)
    finally:
        rows_module._SMALLEST_BLOCK = smallest
    events = [event for part in parts for event in part.events()]
    wanted = [event for row in _rows(values) for event in single.events(row, expected)]
    assert [repr(dict(event)) for event in events] == [repr(dict(event)) for event in wanted]
    assert _told(found) == _told(expected)
    assert (futures[0].count, futures[0].span, futures[0].local) == (futures[1].count, futures[1].span, futures[1].local)


@given(values=blocks, columns=mappings)
def test_formats_are_inferred_from_blocks_as_from_each_row(values: list[dict[str, Any]], columns: ColumnMapping) -> None:
    found = []
    for block in ([values], [[one] for one in values]):
        reader = EventRows(columns, ReadOptions(), FieldFormats())
        inference = FieldFormatInference(ids=("user_id", "session_id", "item_id"), times=("timestamp",))
        for part in block:
            if len(block) == 1:
                reader.observe(part, inference)
            else:
                for row in part:
                    try:
                        lines = reader.lines(row)
                    except (rows_module.InvalidValue, rows_module.SkippedEvent):
                        continue
                    for line in lines:
                        inference.add(line)
        found.append(inference.infer())
    assert not values or found[0] == found[1]


def test_ordinary_rows_are_read_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("a row was read by itself")

    monkeypatch.setattr(EventRows, "event", never)
    row = {"event_type": "Product Viewed", "timestamp": "2026-01-01T12:00:00Z", "user_id": 17, "item_id": "a", "value": None}
    other = {"event_type": "search", "timestamp": "2026-01-01 12:00", "session_id": "s", "query": "x", "more": [1]}
    reader = EventRows(ColumnMapping(EVENT_FIELDS), ReadOptions(), FieldFormats())
    [found] = reader.columns(_rows([row, other] * 500), RejectedRows(write=False))
    assert (found.event_type[:2], found.user_id[:2], found.query[:2]) == (["view", "search"], ["17", None], [None, "x"])


def test_a_bad_row_costs_few_others_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    real = PlainRows.columns

    def counted(self: PlainRows, fields: Any) -> EventColumns | None:
        found = real(self, fields)
        read.append(0 if found is None else len(found))
        return found

    monkeypatch.setattr(PlainRows, "columns", counted)
    row = {"event_type": "view", "timestamp": "2026-01-01T12:00:00Z", "user_id": "u", "item_id": "a"}
    reader, rejected = EventRows(ColumnMapping(EVENT_FIELDS), ReadOptions(), FieldFormats()), RejectedRows(write=False)
    parts = reader.columns(_rows([row] * 700 + [{**row, "user_id": None}] + [row] * 299), rejected)
    assert sum(map(len, parts)) == 999
    assert rejected.count == 1
    assert sum(read) >= 930


@given(sizes=st.lists(st.integers(0, 9), max_size=9), size=st.integers(1, 7))
def test_batches_hold_the_same_events_in_their_order(sizes: list[int], size: int) -> None:
    numbers = iter(range(100))
    parts = [EventColumns.of(Event(event_type="view", user_id="u", item_id=str(next(numbers))) for _ in range(n)) for n in sizes]
    found = list(rebatched(parts, size))
    assert [item for part in found for item in part.item_id] == [str(n) for n in range(sum(sizes))]
    assert [len(part) for part in found] == [size] * (sum(sizes) // size) + [rest for rest in (sum(sizes) % size,) if rest]
