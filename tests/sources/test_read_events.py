"""Files -> Events, UBI documents among them."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from es_recsys.errors import InputError
from es_recsys.event_types import EVENT_TYPES
from es_recsys.sources import FieldFormats, ReadOptions, RejectedRows, dry_run, infer_event_formats, read_events, rejected_path
from es_recsys.sources.actions import event_type_of, parse_actions
from es_recsys.sources.event_rows import EVENT_FIELDS
from es_recsys.types import Event

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
VIEW = {"event_type": "view", "timestamp": "2026-01-01T12:00:00Z", "user_id": "u", "item_id": "i"}
UBI = {
    "application": "shop",
    "action_name": "add_to_cart",
    "query_id": "q1",
    "session_id": "s1",
    "client_id": "c1",
    "user_id": "u1",
    "timestamp": "2026-01-01T12:00:00Z",
    "message_type": "CONVERSION",
    "user_query": "red shoes",
    "event_id": "e1",
    "event_value": 2,
    "recommendation_id": "r1",
    "event_attributes": {"object": {"object_id": 17, "object_id_field": "sku"}, "position": {"ordinal": 3}, "page": "/x"},
}


def jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def read(
    path: Path | list[Path], formats: FieldFormats | None = None, **options: Any
) -> tuple[list[Event], list[tuple[int, str, str]], RejectedRows]:
    with RejectedRows(write=False) as rejected:
        events = list(read_events(path, ReadOptions(**options), formats=formats, rejected=rejected))
    return events, [(bad.line, bad.field, bad.reason) for bad in rejected.first], rejected


@pytest.mark.parametrize(
    "stamp",
    [
        "2026-01-01T12:00:00Z",
        "2026-01-01T12:00:00",
        "2026-01-01 12:00:00",
        "2026-01-01T14:00:00+02:00",
        1767268800,
        1767268800000,
        "1767268800",
        1767268800.0,
    ],
)
def test_times(tmp_path: Path, stamp: Any) -> None:
    events, _, _ = read(jsonl(tmp_path / "e.jsonl", [{**VIEW, "timestamp": stamp}]))
    assert events[0].timestamp == NOON


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    path.write_text(
        "event_type,timestamp,user_id,session_id,item_id,query,value,event_id,position,query_id,recommendation_id,color\n"
        "rating,1767268800,u,,7,,4.5,e1,3,,r,red\nsearch,1767268800,,s,,shoes,,,,q,,\n"
    )
    events, bad, _ = read(path)
    assert not bad
    assert events == [
        Event(
            event_type="rating",
            timestamp=NOON,
            user_id="u",
            item_id="7",
            value=4.5,
            event_id="e1",
            position=3,
            recommendation_id="r",
        ),
        Event(event_type="search", timestamp=NOON, session_id="s", query="shoes", query_id="q"),
    ]


def test_a_table_with_gaps_of_nan(tmp_path: Path) -> None:
    path = tmp_path / "e.parquet"
    nan = float("nan")
    pl.DataFrame(
        {**{name: [value] for name, value in VIEW.items()}, "value": [nan], "position": [nan], "query_id": [nan]}
    ).write_parquet(path)
    events, bad, _ = read(path)
    assert not bad
    assert events == [Event(**VIEW)]


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"event_type": None}, "event_type", "is missing"),
        ({"timestamp": None}, "timestamp", "is missing"),
        ({"timestamp": "yesterday"}, "timestamp", "is not a time"),
        ({"user_id": ""}, "user_id", "is missing, and session_id too"),
        ({"item_id": None}, "item_id", "is missing in an event of type view"),
        ({"item_id": None, "query": "x"}, "item_id", "is missing in an event of type view"),
        ({"event_type": "search"}, "query", "is missing in an event of type search"),
        ({"user_id": "x" * 600}, "user_id", "an id has 1 to 512 bytes"),
    ],
)
def test_reasons(tmp_path: Path, change: dict[str, Any], field: str, reason: str) -> None:
    events, bad, _ = read(jsonl(tmp_path / "e.jsonl", [{**VIEW, **change}, VIEW]))
    assert events == [Event(**VIEW)]
    assert bad[0][:2] == (1, field)
    assert bad[0][2].startswith(reason)


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"query": "x" * 4_097}, "query", "is longer than 4096 characters"),
        ({"value": "much"}, "value", "is not a number"),
        ({"value": "inf"}, "value", "is not a finite number"),
        ({"position": -1}, "position", "is less than 0"),
        ({"position": 1.5}, "position", "is not a whole number"),
        ({"position": 2**63}, "position", "is too large"),
        ({"query_id": "x" * 600}, "query_id", "an id has 1 to 512 bytes"),
        ({"recommendation_id": ["r"]}, "recommendation_id", "is not an id"),
        ({"session_id": {"a": 1}}, "session_id", "is not an id"),
    ],
)
def test_a_field_that_is_not_needed_costs_itself_only(tmp_path: Path, change: dict[str, Any], field: str, reason: str) -> None:
    path = jsonl(tmp_path / "e.jsonl", [{**VIEW, **change}, VIEW])
    with RejectedRows() as rejected:
        events = list(read_events(path, rejected=rejected))
    assert events == [Event(**VIEW), Event(**VIEW)]
    assert rejected.count == 0
    ((name, why),) = rejected.fields
    assert name == field
    assert why.startswith(reason)
    (kept,) = [orjson.loads(line) for line in rejected_path(path).read_bytes().splitlines()]
    assert (kept["line"], kept["field"], kept["kept"]) == (1, field, True)
    assert f"1 line is used without its {field}" in next(rejected.field_error_lines())


def test_what_stands_for_nothing_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    words = ["NULL", "nan", "\\N", "undefined", "(not set)", "None", "", " "]
    lines = [f"{word},s{place},17,view,2024-01-01,{word},{word}" for place, word in enumerate(words)]
    path.write_text("\n".join(["user_id,session_id,item_id,event_type,timestamp,value,query_id", *lines]) + "\n")
    events, bad, rejected = read(path)
    assert not bad
    assert not rejected.fields
    assert [(event.user_id, event.session_id) for event in events] == [(None, f"s{place}") for place in range(len(words))]
    assert {(event.value, event.query_id) for event in events} == {(None, None)}


def test_ids_that_are_numbers_in_any_notation(tmp_path: Path) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    first.write_text(
        "user_id,item_id,event_type,timestamp\n1.0,17.0,view,2024-01-01\nNULL,18.0,view,2024-01-01\n 2 , 17 ,view,2024-01-01\n"
    )
    second.write_text("user_id,item_id,event_type,timestamp\n1.0,12345678901234567890.0,view,2024-01-01\n")
    events, bad, _ = read([first, second])
    assert [(event.user_id, event.item_id) for event in events] == [("1", "17"), ("2", "17"), ("1", "12345678901234567890")]
    assert [line for line, _, _ in bad] == [3]
    second.write_text("user_id,item_id,event_type,timestamp\nu9,17.0-b,view,2024-01-01\n")
    assert next(event.item_id for event in read([first, second])[0]) == "17.0"


def test_long_numbers_keep_their_digits(tmp_path: Path) -> None:
    ids = [2**63, 2**64 + 1, 10**30 + 1]
    path = tmp_path / "e.jsonl"
    path.write_text("".join(json.dumps({**VIEW, "item_id": number, "value": 2**70}) + "\n" for number in ids))
    assert [event.item_id for event in read(path)[0]] == list(map(str, ids))


def test_the_dates_of_a_file_show_which_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    head = "user_id,item_id,event_type,timestamp\n"
    path.write_text(head + "u,1,view,01/02/2021 10:00\nu,2,view,25/02/2021 10:00\n")
    assert [event.timestamp for event in read(path)[0]] == [datetime(2021, 2, day, 10, tzinfo=UTC) for day in (1, 25)]
    path.write_text(head + "u,1,view,01/02/2021 10:00\n")
    events, _, rejected = read(path)
    assert events[0].timestamp == datetime(2021, 2, 1, 10, tzinfo=UTC)
    assert rejected.notes[0].startswith(
        "timestamp: no date shows whether its day or its month comes first; 01/02/2021 10:00 is read"
    )
    assert "--month-first" in rejected.notes[0]
    formats = infer_event_formats(path, ReadOptions(day_first=False))
    assert read(path, formats)[0][0].timestamp == datetime(2021, 1, 2, 10, tzinfo=UTC)
    path.write_text(head + "u,1,view,45292.5\nu,1,view,45293.25\n")
    assert read(path)[0][0].timestamp == datetime(2024, 1, 1, 12, tzinfo=UTC)


def test_a_nul_stops_no_load(tmp_path: Path) -> None:
    rows = [
        {**VIEW, "item_id": "a\0b"},
        {"event_type": "search", "timestamp": 1767268800, "user_id": "u", "query": "red\0 shoes"},
        VIEW,
    ]
    events, bad, _ = read(jsonl(tmp_path / "e.jsonl", rows))
    assert bad == [(1, "item_id", "holds a NUL character")]
    assert [event.query for event in events] == ["red shoes", None]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["NULL", "nan", "17.0", "2021-01-29"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(row=st.fixed_dictionaries({}, optional=dict.fromkeys([*EVENT_FIELDS, "items", "products", "other"], JSON)))
def test_any_value_of_any_field_ends_in_an_event_or_a_reject(tmp_path: Path, row: dict[str, Any]) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text(json.dumps({**VIEW, **row}) + "\n")
    with RejectedRows() as rejected:
        events = list(read_events(path, rejected=rejected))
    assert events or rejected.count or rejected.skipped


def test_reasons_hold_no_ids(tmp_path: Path) -> None:
    secret = "canary@example.org" * 40
    with RejectedRows(0, write=False) as rejected, pytest.raises(InputError) as caught:
        list(read_events(jsonl(tmp_path / "e.jsonl", [{**VIEW, "user_id": secret}]), rejected=rejected))
    assert "canary" not in str(caught.value) + repr(rejected.first)


def test_tab_file_with_renames_and_constants(tmp_path: Path) -> None:
    path = tmp_path / "views.dat"
    path.write_text("visitorid\titemid\tevent\n1\t10\t1\n2\t11\t1\n1\t12\t1\n")
    options = {"columns": {"user_id": "visitorid", "item_id": "itemid"}, "constants": {"event_type": "view"}}
    events, bad, _ = read(path, timestamps=False, **options)
    assert not bad
    assert [(event.user_id, event.item_id, event.order, event.timestamp) for event in events] == [
        ("1", "10", 0, None),
        ("2", "11", 0, None),
        ("1", "12", 1, None),
    ]
    with pytest.raises(InputError, match="no column timestamp"):
        read(path, **options)


def test_order_counts_a_user_over_files_without_gaps(tmp_path: Path) -> None:
    rows = [
        {**VIEW, "user_id": 1},
        {**VIEW, "user_id": 1, "item_id": "x" * 600},
        {**VIEW, "user_id": "1"},
        {**VIEW, "user_id": None, "session_id": "1"},
    ]
    paths = [
        jsonl(tmp_path / "a.jsonl", rows),
        jsonl(tmp_path / "b.jsonl", [{**VIEW, "user_id": 1.0}, {**VIEW, "timestamp": "x"}]),
    ]
    events, bad, _ = read(paths, timestamps=False)
    assert [(event.user_id, event.session_id, event.order) for event in events] == [
        ("1", None, 0),
        ("1", None, 1),
        (None, "1", 0),
        ("1", None, 2),
        ("u", None, 0),
    ]
    assert {event.timestamp for event in events} == {None}
    assert [line for line, _, _ in bad] == [2]


def test_a_constant_time_is_no_time_either(tmp_path: Path) -> None:
    events, _, _ = read(jsonl(tmp_path / "e.jsonl", [VIEW]), timestamps=False, constants={"timestamp": "2020-01-01"})
    assert (events[0].timestamp, events[0].order) == (None, 0)


def test_ubi_event(tmp_path: Path) -> None:
    events, bad, _ = read(jsonl(tmp_path / "e.jsonl", [UBI]))
    assert not bad
    assert events == [
        Event(
            event_type="cart",
            timestamp=NOON,
            user_id="u1",
            session_id="s1",
            item_id="17",
            query="red shoes",
            value=2,
            event_id="e1",
            position=3,
            query_id="q1",
            recommendation_id="r1",
        )
    ]


def test_ubi_in_flat_and_nested_tables(tmp_path: Path) -> None:
    flat = {name: value for name, value in UBI.items() if name != "event_attributes"}
    flat |= {"event_attributes.object.object_id": 17, "event_attributes.position.ordinal": 3}
    pl.DataFrame([flat]).write_csv(tmp_path / "e.csv")
    pl.DataFrame([UBI]).write_parquet(tmp_path / "e.parquet")
    wanted = read(jsonl(tmp_path / "e.jsonl", [UBI]))[0]
    assert read(tmp_path / "e.csv")[0] == read(tmp_path / "e.parquet")[0] == wanted


def test_ubi_without_user_or_session(tmp_path: Path) -> None:
    row = {**UBI, "user_id": "", "session_id": None}
    events, _, _ = read(jsonl(tmp_path / "e.jsonl", [row]))
    assert (events[0].user_id, events[0].session_id) == (None, "c1")
    events, _, _ = read(jsonl(tmp_path / "e.jsonl", [row]), columns={"user_id": "client_id"})
    assert events[0].user_id == "c1"


def test_ubi_query_documents_are_searches(tmp_path: Path) -> None:
    query = {
        "application": "shop",
        "query_id": "q1",
        "client_id": "c1",
        "user_query": "shoes",
        "timestamp": "2026-01-01T12:00:00Z",
        "query_response_hit_ids": ["1"],
    }
    message = {
        **UBI,
        "action_name": "on_search",
        "user_query": None,
        "message_type": "QUERY",
        "message": "boots",
        "event_attributes": {},
    }
    events, bad, _ = read(jsonl(tmp_path / "e.jsonl", [query, message]))
    assert not bad
    assert [(event.event_type, event.query, event.query_id) for event in events] == [
        ("search", "shoes", "q1"),
        ("search", "boots", "q1"),
    ]
    assert events[0].session_id == "c1"


def test_unknown_and_silent_actions_are_skipped_and_counted_by_name(tmp_path: Path) -> None:
    names = ["teleport", "ad_impression", "Scroll", "teleport", "remove_from_cart", "begin_checkout", "brand, filter by", 5]
    rows = [*({**UBI, "action_name": name} for name in names), UBI]
    events, bad, rejected = read(jsonl(tmp_path / "e.jsonl", rows))
    assert (len(events), bad) == (1, [])
    assert rejected.skipped == {
        "the action 'teleport' is unknown; say what it is: --actions teleport=like, or =ignore": 2,
        "the action '5' is unknown; say what it is: --actions 5=like, or =ignore": 1,
        "the action 'brand, filter by' is unknown; say what it is: --actions '\"brand, filter by\"'=like, or =ignore": 1,
        **{f"{name!r} says nothing of taste": 1 for name in ("ad_impression", "Scroll", "remove_from_cart", "begin_checkout")},
    }


def test_unknown_actions_never_end_a_load_and_the_report_stays_short(tmp_path: Path) -> None:
    rows = [{**VIEW, "event_type": f"odd {number % 300}"} for number in range(900)]
    good, rejected = dry_run(lambda bad: read_events(jsonl(tmp_path / "e.jsonl", [*rows, VIEW]), rejected=bad), max_errors=0)
    assert (good, rejected.count) == (1, 0)
    assert sum(rejected.skipped.values()) == 900
    assert len(rejected.skipped) == 51


def test_actions_are_mapped_before_those_that_are_known(tmp_path: Path) -> None:
    rows = [{**VIEW, "event_type": name} for name in ("Teleport To", "teleport_to", "view", "👍", 5, "click")]
    actions = {"TELEPORT TO": "like", "view": "ignore", "👍": "thumbs up", "5": "buy"}
    events, bad, rejected = read(jsonl(tmp_path / "e.jsonl", rows), actions=actions)
    assert [event.event_type for event in events] == ["like", "like", "like", "purchase", "click"]
    assert (bad, dict(rejected.skipped)) == ([], {"'view' says nothing of taste": 1})


def test_actions_as_they_are_written_on_the_command_line() -> None:
    assert parse_actions(['a b=like, heartbeat = ignore,"x, y"=Fav', "q=r=view"]) == {
        "a b": "like",
        "heartbeat": "ignore",
        "x, y": "Fav",
        "q=r": "view",
    }
    for wrong in ("a", "a=", "=like", "a=teleport", "a=hover", "a=like,a=view"):
        with pytest.raises(InputError, match="--actions"):
            parse_actions(wrong)


@pytest.mark.parametrize("name", ["a b", "it's, a=b", "x=y", 'a "q" b', "$x; `y`"])
def test_a_shell_takes_what_is_said_of_an_unknown_action(tmp_path: Path, name: str) -> None:
    _, _, rejected = read(jsonl(tmp_path / "e.jsonl", [{**VIEW, "event_type": name}]))
    [told] = rejected.skipped
    said = told.partition("--actions ")[2].partition(", or =")[0]
    [option] = shlex.split(said)
    assert parse_actions(option) == {name: "like"}


def test_a_page_without_an_item_is_no_fault(tmp_path: Path) -> None:
    rows = [{**VIEW, "event_type": "page_view", "item_id": None}, {**VIEW, "event_type": "$pageview"}]
    events, bad, rejected = read(jsonl(tmp_path / "e.jsonl", rows))
    assert (len(events), bad, sum(rejected.skipped.values())) == (1, [], 1)


@pytest.mark.parametrize(
    ("action", "wanted"),
    [
        ("click_through", "click"),
        ("Add-To-Cart", "cart"),
        ("addtocart", "cart"),
        ("transaction", "purchase"),
        ("watch", "view"),
        ("on_search", "search"),
        *(
            (name, "view")
            for name in ("pv", "Product Viewed", "view_item", "page_view", "ViewContent", "Viewed Product", "$pageview")
        ),
        *((name, "click") for name in ("Product Clicked", "select_item", "click", "search_result_click")),
        *((name, "search") for name in ("Products Searched", "view_search_results", "search_submitted", "trackSiteSearch")),
        *(
            (name, "cart")
            for name in ("Product Added", "add_to_cart", "product_added_to_cart", "addEcommerceItem", "wc_add_to_cart")
        ),
        *((name, "purchase") for name in ("Order Completed", "product_purchase", "checkout_completed", "buy", "Placed Order")),
        *((name, "like") for name in ("fav", "add_to_wishlist", "Product Added to Wishlist", "collect")),
        ("Product Reviewed", "rating"),
        *(
            (name, "")
            for name in ("Product Removed", "remove_from_cart", "begin_checkout", "type_filter", "brand_filter", "sort")
        ),
        *(
            (name, "")
            for name in ("page_exit", "new_user_entry", "view_item_list", "Product List Viewed", "session_start", "unlike")
        ),
        ("teleport", None),
    ],
)
def test_names_of_actions(action: str, wanted: str | None) -> None:
    assert event_type_of(action) == wanted


def test_every_action_leads_to_a_behaviour() -> None:
    from es_recsys.sources.actions import ACTION_ALIASES, IGNORED_ACTIONS

    assert set(ACTION_ALIASES.values()) == set(EVENT_TYPES)
    assert not IGNORED_ACTIONS & set(ACTION_ALIASES)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"columns": {"userid": "u"}}, "no field 'userid'. Did you mean 'user_id'"),
        ({"constants": {"colour": "red"}}, "no field 'colour'"),
        ({"columns": {"order": "n"}}, "no field 'order'"),
    ],
)
def test_unknown_fields(tmp_path: Path, options: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError) as caught:
        read(jsonl(tmp_path / "e.jsonl", [VIEW]), **options)
    assert what in caught.value.what


def test_a_dry_run_of_events(tmp_path: Path) -> None:
    good, rejected = dry_run(lambda bad: read_events(jsonl(tmp_path / "e.jsonl", [VIEW, {}, VIEW]), rejected=bad), max_errors=1)
    assert (good, rejected.count) == (2, 1)
