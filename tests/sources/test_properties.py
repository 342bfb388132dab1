"""Laws: what is written as JSON lines, CSV or Parquet is read back equal, whatever the order of columns."""

from __future__ import annotations

import csv
import gzip
import io
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from es_recsys.sources import ReadOptions, RejectedRows, read_events, read_items, read_rows
from es_recsys.sources.attribute_types import TypeInference, TypeMismatch, convert
from es_recsys.types import Event, Item
from es_recsys.values import parse_id

FORMATS = ("jsonl", "csv", "parquet")
QUICK = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])

# Letters, punctuation, quotes and line ends; "|" and "[" mean lists in CSV, and "" is nothing.
texts = st.text(st.sampled_from("abcÄ中é \"',;\t\n-_.:{}"), min_size=1, max_size=12).map(lambda text: "x" + text)
names = st.text(st.sampled_from("abcÄ中é -_."), min_size=1, max_size=8).map(lambda text: f"N{text}n")
ids = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\n\0", exclude_categories=["Cs"]), min_size=1, max_size=40
).filter(lambda text: parse_id(text) == text)
floats = st.floats(0, 1e9, allow_nan=False).map(lambda value: round(value, 3))
instants = st.integers(315532800, 3786912000).map(lambda second: datetime.fromtimestamp(second, UTC))

KINDS: dict[str, st.SearchStrategy[Any]] = {
    "mood": texts,
    "year": st.integers(-(10**12), 10**12),
    "size.cm": floats,
    "released": instants,
    "vegan": st.booleans(),
    "crew": st.lists(names, min_size=1, max_size=3).map(tuple),
    "marks": st.lists(floats, min_size=1, max_size=3).map(tuple),
}

items = st.lists(
    st.builds(
        Item,
        item_id=ids,
        title=st.just("") | texts,
        description=st.just("") | texts,
        categories=st.lists(names, max_size=3).map(tuple),
        tags=st.lists(names, max_size=3).map(tuple),
        brand=st.none() | texts,
        price=st.none() | floats,
        created_at=st.none() | instants,
        available=st.booleans(),
        attributes=st.fixed_dictionaries({}, optional=KINDS),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda item: item.item_id,
)

events = st.lists(
    st.builds(
        Event,
        event_type=st.sampled_from(["view", "cart", "purchase", "rating"]),
        timestamp=instants,
        user_id=ids,
        item_id=ids,
        query=st.none() | texts,
        value=st.none() | floats,
        position=st.none() | st.integers(0, 100),
    ),
    min_size=1,
    max_size=8,
)


def plain(record: dict[str, Any], order: list[int]) -> dict[str, Any]:
    """A row as a shop would write it: attributes beside the fields, in any order of columns."""
    flat = {**record, **record.get("attributes", {})}
    flat.pop("attributes", None)
    flat.pop("order", None)
    columns = sorted(flat, key=lambda name: (order[sum(name.encode()) % len(order)], name))
    return {name: list(flat[name]) if isinstance(flat[name], tuple) else flat[name] for name in columns}


def write(path: Path, rows: list[dict[str, Any]], form: str) -> None:
    if form == "jsonl":
        path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        return
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if form == "parquet":
        pl.DataFrame([{name: row.get(name) for name in columns} for row in rows], infer_schema_length=None).write_parquet(path)
        return
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
    path.write_bytes(text.getvalue().encode())


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return orjson.dumps(value).decode() if value else ""
    return value.isoformat() if isinstance(value, datetime) else value


@pytest.mark.parametrize("form", FORMATS)
@QUICK
@given(items=items, order=st.lists(st.integers(0, 99), min_size=7, max_size=7))
def test_items_come_back(tmp_path: Path, form: str, items: list[Item], order: list[int]) -> None:
    path = tmp_path / f"items.{form}"
    write(path, [plain(item.model_dump(), order) for item in items], form)
    with RejectedRows(write=False) as rejected:
        assert list(read_items(path, rejected=rejected)) == items
    assert rejected.count == 0


@pytest.mark.parametrize("form", FORMATS)
@QUICK
@given(events=events, order=st.lists(st.integers(0, 99), min_size=7, max_size=7))
def test_events_come_back(tmp_path: Path, form: str, events: list[Event], order: list[int]) -> None:
    path = tmp_path / f"events.{form}"
    write(path, [plain(event.model_dump(), order) for event in events], form)
    with RejectedRows(write=False) as rejected:
        assert list(read_events(path, rejected=rejected)) == events
    assert rejected.count == 0


@QUICK
@given(items=items)
def test_items_dumped_as_json_come_back(tmp_path: Path, items: list[Item]) -> None:
    path = tmp_path / "dump.jsonl"
    path.write_text("".join(item.model_dump_json() + "\n" for item in items))
    assert list(read_items(path)) == items


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300), packed=st.booleans(), name=st.sampled_from(["f.csv", "f.jsonl", "f", "f.tsv"]))
def test_any_bytes_end_in_rows_rejects_or_one_of_our_errors(tmp_path: Path, content: bytes, packed: bool, name: str) -> None:
    from es_recsys.errors import InputError

    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if packed else content)
    with RejectedRows(write=False) as rejected:
        try:
            rows = list(read_rows(path, rejected=rejected))
        except InputError as error:
            assert error.remedy
        else:
            assert all(isinstance(row.values, dict) for row in rows)


@given(
    cells=st.lists(
        st.text(st.sampled_from('ab,"\n\t'), max_size=5).filter(lambda cell: cell != ""), min_size=2, max_size=2
    ).filter(bool),
    before=st.integers(0, 3),
)
def test_a_quoted_record_never_eats_its_neighbours(
    tmp_path_factory: pytest.TempPathFactory, cells: list[str], before: int
) -> None:
    path = tmp_path_factory.mktemp("quoted") / "f.csv"
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    rows = [["a", "b"], *([["x", "y"]] * before), cells, ["z", "z"]]
    writer.writerows(rows)
    path.write_text(text.getvalue(), newline="")
    assert [list(row.values.values()) for row in read_rows(path, ReadOptions(separator=","))] == rows[1:]


values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.lists(st.text(max_size=3) | st.integers(), max_size=3)
)


@given(values=st.lists(values, max_size=20), typed=st.booleans())
def test_a_column_below_a_hundred_values_fits_its_kind(values: list[Any], typed: bool) -> None:
    """Fewer than a hundred values leave no room for a mismatch, so each converts, to one type."""
    inference = TypeInference()
    for value in values:
        inference.add(value, typed)
    kind = inference.infer()
    allowed = {
        "boolean": (bool,),
        "integer": (int,),
        "number": (float, tuple),
        "date": (datetime,),
        "text": (str, tuple),
    }[kind]
    for value in values:
        try:
            got = convert(value, kind, typed)
        except TypeMismatch as mismatch:
            assert "finite" in str(mismatch)  # infinity is a number that no field takes
            continue
        assert got is None or type(got) in allowed


@pytest.mark.long
@pytest.mark.parametrize("name", ["f.jsonl", "f.csv.gz"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, name: str) -> None:
    peaks = []
    for count in (24_000, 36_000):
        rows = [f"view,2026-01-01,u{i % 50},i{i}" for i in range(count)]
        text = "event_type,timestamp,user_id,item_id\n" + "\n".join(rows)
        if name == "f.jsonl":
            keys = text.split("\n")[0].split(",")
            text = "\n".join(orjson.dumps(dict(zip(keys, row.split(","), strict=True))).decode() for row in rows)
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        del rows, text
        tracemalloc.start()
        assert sum(1 for _ in read_events(path, ReadOptions(timestamps=False))) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 200_000
