"""One event with n items is n events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.sources import ReadOptions, RejectedRows, read_events
from es_recsys.sources.order_lines import order_line_id, order_lines_of

AT = {"timestamp": "2026-01-01T12:00:00Z", "user_id": "u"}
BOUGHT = {**AT, "event_type": "purchase", "event_id": "o1"}


def read(tmp_path: Path, *rows: dict[str, Any], **options: Any) -> tuple[list[tuple[Any, ...]], RejectedRows]:
    path = tmp_path / "e.jsonl"
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    with RejectedRows(write=False) as rejected:
        events = list(read_events(path, ReadOptions(**options), rejected=rejected))
    return [(event.event_type, event.item_id, event.value, event.event_id) for event in events], rejected


@pytest.mark.parametrize(
    "row",
    [
        {"properties": {"products": [{"product_id": 1, "quantity": 2, "price": 9.5}, {"product_id": 2}]}, "value": 28.5},
        {"items": [{"item_id": "1", "item_name": "x", "quantity": 2}, {"item_id": "2", "quantity": None}]},
        {"ecommerce": {"items": [{"item_id": "1", "quantity": 2}, {"item_id": "2"}]}},
        {"line_items": [{"product_id": 1, "qty": 2}, {"sku": "2"}]},
        {"contents": [{"id": "1", "quantity": 2}, {"id": "2"}]},
        {"item_id": [{"item_id": "1", "quantity": 2}, "2"]},
    ],
)
def test_lists_of_the_usual_trackers(tmp_path: Path, row: dict[str, Any]) -> None:
    events, rejected = read(tmp_path, {**BOUGHT, **row})
    assert events == [("purchase", "1", 2.0, "o1:1"), ("purchase", "2", None, "o1:2")]
    assert rejected.count == 0


@pytest.mark.parametrize("ids", [["1", "2"], [1, 2], "[1, 2]", "['1', '2']", "1|2", "1,2", "1; 2"])
def test_lists_of_ids(tmp_path: Path, ids: Any) -> None:
    events, _ = read(tmp_path, {**AT, "event_type": "view", "item_ids": ids})
    assert events == [("view", "1", None, None), ("view", "2", None, None)]


def test_lists_in_an_item_column_of_csv(tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    pl.DataFrame([{**BOUGHT, "item_id": "[3, 4]"}, {**BOUGHT, "item_id": "a|b", "event_id": "o2"}]).write_csv(path)
    assert [(event.item_id, event.event_id) for event in read_events(path)] == [("3", "o1:3"), ("4", "o1:4"), ("a|b", "o2")]


def test_ubi_objects(tmp_path: Path) -> None:
    ubi = {"action_name": "purchase", "timestamp": AT["timestamp"], "client_id": "c", "event_id": "e"}
    several = {"object_id": ["1", "2"], "object_id_field": "sku"}
    events, _ = read(
        tmp_path,
        {**ubi, "event_attributes": {"object": several}},
        {**ubi, "event_attributes": {"object": [{"object_id": "3"}, {"object_id": "4"}]}},
    )
    assert [(item, event_id) for _, item, _, event_id in events] == [("1", "e:1"), ("2", "e:2"), ("3", "e:3"), ("4", "e:4")]


def test_one_item_keeps_the_id_of_its_event_and_an_own_item_goes_first(tmp_path: Path) -> None:
    events, _ = read(
        tmp_path,
        {**BOUGHT, "products": [{"product_id": 1}]},
        {**BOUGHT, "item_id": 9, "products": [1, 2]},
        {**BOUGHT, "properties": {"product_id": 7}},
        {**AT, "event_type": "search", "query": "x", "items": [{"item_id": 1}]},
    )
    assert events == [
        ("purchase", "1", None, "o1"),
        ("purchase", "9", None, "o1"),
        ("purchase", "7", None, "o1"),
        ("search", None, None, None),
    ]


def test_lines_without_times_keep_their_order(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_bytes(
        b"".join(orjson.dumps({"event_type": "view", "user_id": "u", "item_ids": ids}) + b"\n" for ids in ([1, 2], [3]))
    )
    assert [(event.item_id, event.order) for event in read_events(path, ReadOptions(timestamps=False))] == [
        ("1", 0),
        ("2", 1),
        ("3", 2),
    ]


def test_a_list_without_ids_is_a_fault_and_one_bad_line_costs_itself(tmp_path: Path) -> None:
    events, rejected = read(
        tmp_path, {**BOUGHT, "products": []}, {**BOUGHT, "products": [{"name": "x"}]}, {**BOUGHT, "items": ["a", "x" * 600, "b"]}
    )
    assert [item for _, item, _, _ in events] == ["a", "b"]
    assert [(bad.line, bad.field) for bad in rejected.first] == [(1, "item_id"), (2, "item_id"), (3, "item_id")]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9))), st.randoms())
def test_amounts_add_up_whatever_the_order(lines: list[tuple[int, int]], random: Any) -> None:
    listed = [{"item_id": item, "quantity": amount} for item, amount in lines]
    shuffled = random.sample(listed, len(listed))
    wanted = {item: sum(n for other, n in lines if other == item) for item, _ in lines}
    assert {line.item_id: line.quantity for line in order_lines_of(listed)} == wanted
    assert {line.item_id: line.quantity for line in order_lines_of(shuffled)} == wanted


def test_ids_of_lines_stay_within_what_an_id_may_be() -> None:
    long = order_line_id("e" * 500, "i" * 500)
    assert len(long) <= 512
    assert long == order_line_id("e" * 500, "i" * 500) != order_line_id("e" * 500, "j" * 500)


@pytest.mark.parametrize(
    ("row", "who", "wanted"),
    [
        (
            {
                "event_date": "20240101",
                "event_timestamp": 1_704_103_200_000_000,
                "event_name": "purchase",
                "user_pseudo_id": "12.3",
                "items": [{"item_id": "1", "quantity": 2}, {"item_id": "2"}],
            },
            (None, "12.3"),
            [("purchase", "1", 2.0), ("purchase", "2", None)],
        ),
        (
            {
                "type": "track",
                "event": "Order Completed",
                "anonymousId": "a",
                "messageId": "m",
                "timestamp": "2024-01-01T10:00:00.000Z",
                "properties": {"total": 30, "products": [{"product_id": "1", "quantity": 2}]},
            },
            (None, "a"),
            [("purchase", "1", 2.0)],
        ),
        (
            {"event": "$pageview", "distinct_id": "d", "timestamp": "2024-01-01T10:00:00Z", "properties": {"product_id": "1"}},
            ("d", None),
            [("view", "1", None)],
        ),
        (
            {"event_name": "add_to_cart", "domain_userid": "d", "derived_tstamp": "2024-01-01 10:00:00", "product_id": "1"},
            (None, "d"),
            [("cart", "1", None)],
        ),
        (
            {"event_name": "ViewContent", "event_time": 1_704_103_200, "uid": "u", "custom_data": {"content_ids": ["1", "2"]}},
            ("u", None),
            [("view", "1", None), ("view", "2", None)],
        ),
    ],
)
def test_documents_of_trackers_are_read_as_they_are(
    tmp_path: Path, row: dict[str, Any], who: tuple[str | None, str | None], wanted: list[tuple[str, str, float | None]]
) -> None:
    path = tmp_path / "e.jsonl"
    path.write_bytes(orjson.dumps(row) + b"\n")
    events = list(read_events(path))
    assert [(event.event_type, event.item_id, event.value) for event in events] == wanted
    assert {(event.user_id, event.session_id) for event in events} == {who}
    assert {event.timestamp.timestamp() for event in events if event.timestamp} == {1_704_103_200.0}


def test_what_is_no_id_in_a_list_costs_its_line(tmp_path: Path) -> None:
    events, rejected = read(tmp_path, {**AT, "event_type": "view", "item_id": [False, "7.0", 8]})
    assert [item for _, item, _, _ in events] == ["7", "8"]
    assert [(bad.field, "is not an id" in bad.reason) for bad in rejected.first] == [("item_id", True)]
