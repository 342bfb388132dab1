"""Attributes whose values are of several types, and whole numbers of many digits, on a real engine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from es_recsys import Client, Item, Settings
from es_recsys.errors import InputError
from es_recsys.jobs.load_items import load_items
from es_recsys.settings import EncoderSettings
from es_recsys.sources import ReadOptions

pytestmark = pytest.mark.engine


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    with Client(settings=settings.model_copy(update={"encoders": EncoderSettings(text="none", image="none")})) as client:
        yield client


def items(*attributes: dict[str, Any], start: int = 0) -> list[Item]:
    return [Item(item_id=f"i{n}", title="thing", attributes=some) for n, some in enumerate(attributes, start)]


def found(client: Client, *filters: str) -> set[str]:
    return {hit.item_id for hit in client.search("thing", n=50, filter=list(filters)).hits}


def stored(client: Client, item_id: str) -> Any:
    answer = client.workspace.es.get(index=f"{client.workspace.settings.index}-items", id=item_id)
    return answer["_source"]["attributes"]


FIRST: dict[str, Any] = {
    "size": 42, "width": 1.5, "gift": True, "since": datetime(2024, 1, 2, tzinfo=UTC), "colour": "red", "mark": "a",
}  # fmt: skip
LATER: list[dict[str, Any]] = [
    {"size": "XL", "width": "wide", "gift": "card", "since": "soon", "colour": 7, "mark": ("b", "c")},
    {"size": ("43", "M"), "width": 2, "gift": 1, "since": 5, "colour": True, "mark": 1.5},
    {"size": 43.5, "size.cm": 27, "gift": datetime(2024, 1, 2, tzinfo=UTC), "since": True, "colour.code": "r"},
]


def test_a_later_value_of_any_type_is_taken_found_and_comes_back_as_it_was(client: Client) -> None:
    client.insert_items(items(FIRST))
    report = client.insert_items(items(*LATER, start=1))
    assert (report.added, report.failed) == (3, 0), report.notes
    assert stored(client, "i1")["size"] == "XL"
    assert stored(client, "i2")["since"] == 5
    wanted = {
        "size:42": {"i0"}, "size:XL": {"i1"}, "size:M": {"i2"}, "size:43": {"i2"}, "size:42,XL": {"i0", "i1"},
        "size:40..43.5": {"i0", "i2", "i3"}, "-size:XL": {"i0", "i2", "i3"}, "size.cm:27": {"i3"},
        "width:wide": {"i1"}, "width:1..3": {"i0", "i2"}, "gift:true": {"i0"}, "gift:card": {"i1"}, "gift:1": {"i0", "i2"},
        "since:soon": {"i1"}, "since:2024": set(), "since:2024-01-02": {"i0"}, "since:2000..2030": {"i0"},
        "colour:7": {"i1"}, "colour:true": {"i2"}, "mark:c": {"i1"}, "mark:1.5": {"i2"}, "colour.code:r": {"i3"},
    }  # fmt: skip
    assert {asked: found(client, asked) for asked in wanted} == wanted


LONG = [123456789012345678, 123456789012345679, 123456789012345680, 2**63 - 1, 10**25, 10**25 + 1, 42]


@pytest.mark.parametrize("order", [1, -1], ids=["longest last", "longest first"])
def test_whole_numbers_of_any_length_are_told_apart(client: Client, order: int) -> None:
    client.insert_items(items(*({"seller": number} for number in LONG[::order])))
    names = {number: f"i{place}" for place, number in enumerate(LONG[::order])}
    assert [found(client, f"seller:{number}") for number in LONG] == [{names[number]} for number in LONG]
    assert found(client, f"seller:{LONG[0]},{LONG[2]}") == {names[LONG[0]], names[LONG[2]]}


def test_ranges_of_long_numbers_end_where_they_say(client: Client) -> None:
    client.insert_items(items(*({"seller": number} for number in (42, *LONG))))
    assert found(client, f"seller:>{LONG[0]}") == {"i2", "i3", "i4", "i5", "i6"}
    assert found(client, f"seller:{LONG[0]}..{LONG[1]}") == {"i1", "i2"}
    assert found(client, "seller:..100") == {"i0", "i7"}


def test_seventeen_digits_of_a_file(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    file.write_text("item_id,title,seller\n" + "".join(f"{n},thing,{LONG[n]}\n" for n in range(3)))
    load_items(client.workspace, [file])
    assert found(client, f"seller:{LONG[1]}") == {"1"}
    assert {hit.item_id for hit in client.search("thing", filter={"seller": LONG[1]}).hits} == {"1"}


def test_long_numbers_in_lists_and_beyond_64_bits(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "items.jsonl"
    rows = (f'{{"item_id": {n}, "title": "thing", "sellers": [{LONG[n]}, 7], "code": {10**25 + n}}}' for n in range(3))
    file.write_text("\n".join(rows) + "\n")
    load_items(client.workspace, [file])
    client.insert_items([Item(item_id="9", title="thing", attributes={"sellers": (LONG[1], 8)})])
    assert found(client, f"sellers:{LONG[1]}") == {"1", "9"}
    assert found(client, "sellers:7") == {"0", "1", "2"}
    assert found(client, f"code:{10**25 + 2}") == {"2"}


def test_more_attributes_than_a_store_can_have_are_named_before_anything_is_written(client: Client, tmp_path: Path) -> None:
    for part, n in (("a", 150), ("b", 51)):
        names = [f"{part}{k}" for k in range(n)]
        (tmp_path / f"{part}.csv").write_text(f"item_id,title,{','.join(names)}\n{part},thing,{','.join('7' * n)}\n")
    load_items(client.workspace, [tmp_path / "a.csv"])
    with pytest.raises(InputError, match="has 150 attributes and can have 200; the one too many is 'b50'"):
        load_items(client.workspace, [tmp_path / "b.csv"])
    assert found(client, "a3:7") == {"a"}
    load_items(client.workspace, [tmp_path / "b.csv"], ReadOptions(columns={"b50": "-"}))
    assert found(client, "b3:7") == {"b"}


def test_a_store_of_texts_takes_numbers_as_the_file_has_them(client: Client, tmp_path: Path) -> None:
    (tmp_path / "shirts.csv").write_text("item_id,title,size\n3,thing,XL\n4,thing,M\n")
    (tmp_path / "shoes.csv").write_text("item_id,title,size\n1,thing,42.50\n2,thing,43\n")
    load_items(client.workspace, [tmp_path / "shirts.csv"])
    load_items(client.workspace, [tmp_path / "shoes.csv"])
    assert (stored(client, "1")["size"], stored(client, "2")["size"]) == ("42.50", "43")
    assert (found(client, "size:42.50"), found(client, "size:43,XL")) == ({"1"}, {"2", "3"})


def test_files_of_other_types_load_one_after_the_other(client: Client, tmp_path: Path) -> None:
    (tmp_path / "shoes.csv").write_text("item_id,title,size\n1,thing,42\n2,thing,43\n")
    (tmp_path / "shirts.csv").write_text("item_id,title,size\n3,thing,XL\n4,thing,M\n")
    load_items(client.workspace, [tmp_path / "shoes.csv"])
    report = load_items(client.workspace, [tmp_path / "shirts.csv"])
    assert (report.added, report.failed, report.rejected) == (2, 0, 0)
    assert (found(client, "size:XL"), found(client, "size:42..43")) == ({"3"}, {"1", "2"})
    assert client.search("thing XL").hits[0].item_id == "3"
    assert [hit.item_id for hit in client.search("XL").hits] == ["3"]


def test_texts_among_numbers_are_searched_whichever_came_first(client: Client) -> None:
    client.insert_items(items({"size": 42}, {"size": ("XL", "M")}, {"size": 43}))
    assert [hit.item_id for hit in client.search("XL").hits] == ["i1"]
    assert client.insert_items(items({"size": 42}, {"size": ("XL", "M")}, {"size": 43})).unchanged == 3


@pytest.mark.parametrize("order", [1, -1], ids=["objects first", "values first"])
def test_a_value_and_an_object_of_one_name_in_a_file(client: Client, tmp_path: Path, order: int) -> None:
    lines = ['"size": {"cm": 30}', '"size": {"cm": 31}', '"size": "L"']
    rows = [f'{{"item_id": "i{n}", "title": "thing", {line}}}\n' for n, line in enumerate(lines)]
    (tmp_path / "items.jsonl").write_text("".join(rows[::order]))
    report = load_items(client.workspace, [tmp_path / "items.jsonl"])
    assert (report.added, report.failed, report.fields) == (3, 0, ())
    assert found(client, "size:L") == {"i2"}
    assert found(client, "size.cm:30..40") == {"i0", "i1"}
