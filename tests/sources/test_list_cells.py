"""Lists in cells, in every usual notation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.errors import InputError
from es_recsys.sources import ReadOptions, RejectedRows, read_items
from es_recsys.sources.list_cells import ListFormatInference, parse_array, parse_labels, parse_list_separators, split_cell
from es_recsys.types import Item


def read(path: Path, name: str, cells: list[str], **options: Any) -> tuple[list[Item], list[str]]:
    import csv

    with path.open("w", newline="") as out:
        csv.writer(out).writerows([("item_id", name), *((str(place), cell) for place, cell in enumerate(cells))])
    with RejectedRows(write=False) as rejected:
        found = list(read_items(path, ReadOptions(**options), rejected=rejected))
    assert rejected.first == []
    return found, rejected.notes


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [
        ('["Drama", "Comedy"]', ("Drama", "Comedy")),
        ("['Drama', 'Comedy']", ("Drama", "Comedy")),
        ("('Drama', 'Comedy')", ("Drama", "Comedy")),
        ("['Drama' 'Comedy']", ("Drama", "Comedy")),
        ("[{'id': 18, 'name': 'Drama'}, {'id': 35, 'name': 'Comedy'}]", ("Drama", "Comedy")),
        ('[{"id": 18, "name": "Drama"}, {"id": 35, "title": "Comedy"}]', ("Drama", "Comedy")),
        ('{"id": 18, "name": "Drama"}', ("Drama",)),
        ("[Drama, Comedy]", ("Drama", "Comedy")),
        ('{Drama,"Comedy, black"}', ("Drama", "Comedy, black")),
        ("Drama|Comedy", ("Drama", "Comedy")),
        ("Drama | Comedy", ("Drama", "Comedy")),
        ("Drama; Comedy", ("Drama", "Comedy")),
        ("[]", ()),
        ("Drama", ("Drama",)),
        ("Drama &amp; Comedy", ("Drama & Comedy",)),
    ],
)
@pytest.mark.parametrize("name", ["categories", "tags"])
def test_one_cell(tmp_path: Path, name: str, cell: str, wanted: tuple[str, ...]) -> None:
    [item], _ = read(tmp_path / "f.csv", name, [cell])
    assert getattr(item, name) == wanted


def test_lists_that_pandas_wrote(tmp_path: Path) -> None:
    path = tmp_path / "films.csv"
    path.write_text(
        "item_id,title,categories,genres\n"
        "1,Film One,\"['Drama', 'Comedy']\",\"[{'id': 16, 'name': 'Animation'}]\"\n"
        '2,Film Two,"[\'Drama\']","[]"\n'
    )
    one, two = read_items(path)
    assert (one.categories, one.attributes) == (("Drama", "Comedy"), {"genres": ("Animation",)})
    assert (two.categories, two.attributes) == (("Drama",), {})


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        (["Drama, Comedy", "Drama", "Comedy, Action"], [("Drama", "Comedy"), ("Drama",), ("Comedy", "Action")]),
        (["Food & Drink, Wine", "Toys", "Books"], [("Food & Drink, Wine",), ("Toys",), ("Books",)]),
        (["Home > Kitchen > Pans", "Home"], [("Home", "Kitchen", "Pans"), ("Home",)]),
        (["Home>Kitchen", "Home"], [("Home", "Kitchen"), ("Home",)]),
        (
            ["Clothing > Shirts, Clothing > Sale", "Clothing > Shirts", "Clothing > Sale"],
            [("Clothing", "Shirts", "Sale"), ("Clothing", "Shirts"), ("Clothing", "Sale")],
        ),
        (
            ["Food, Drinks > Tea", "Food, Drinks > Milk > Oat", "Food, Drinks > Juice"],
            [("Food, Drinks", "Tea"), ("Food, Drinks", "Milk", "Oat"), ("Food, Drinks", "Juice")],
        ),
        (["Home > Pans | Sale", "Home"], [("Home", "Pans", "Sale"), ("Home",)]),
        (
            ["Home/Kitchen", "Home/Garden", "Sport/Balls", "Sport/Bats"],
            [("Home", "Kitchen"), ("Home", "Garden"), ("Sport", "Balls"), ("Sport", "Bats")],
        ),
        (["/Home/Kitchen", "/Sport"], [("Home", "Kitchen"), ("Sport",)]),
        (["Home / Kitchen", "Sport"], [("Home", "Kitchen"), ("Sport",)]),
        (["TV/Audio", "Food", "Toys"], [("TV/Audio",), ("Food",), ("Toys",)]),
    ],
)
def test_categories_by_what_the_column_shows(tmp_path: Path, cells: list[str], wanted: list[tuple[str, ...]]) -> None:
    found, notes = read(tmp_path / "f.csv", "categories", cells)
    assert [item.categories for item in found] == wanted
    parted = any(len(names) > 1 for names in wanted)
    assert [note.startswith("categories are read as lists between") for note in notes] == [True] * parted


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        (["cotton, men", "cotton"], [("cotton", "men"), ("cotton",)]),
        (["a;b, c"], [("a", "b, c")]),
        (["1,000 pieces"], [("1,000 pieces",)]),
    ],
)
def test_tags_by_what_the_column_shows(tmp_path: Path, cells: list[str], wanted: list[tuple[str, ...]]) -> None:
    found, _ = read(tmp_path / "f.csv", "tags", cells)
    assert [item.tags for item in found] == wanted


def test_the_note_shows_an_example(tmp_path: Path) -> None:
    _, notes = read(tmp_path / "f.csv", "tags", ["cotton, men"])
    assert notes == ["tags are read as lists between `,`: 'cotton, men' is ['cotton', 'men']; --list-separator changes it."]


def test_json_lines_with_texts_for_lists(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    rows = [{"item_id": "1", "tags": "a, b", "categories": "X > Y"}, {"item_id": "2", "tags": ["a, b"], "categories": ["X > Y"]}]
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    one, two = read_items(path)
    assert (one.tags, one.categories) == (("a", "b"), ("X", "Y"))
    assert (two.tags, two.categories) == (("a, b",), ("X > Y",))


@pytest.mark.parametrize(
    ("given", "cell", "wanted"),
    [
        ([","], "Food, Wine", ("Food", "Wine")),
        (["none"], "a|b > c", ("a|b > c",)),
        (["categories=/"], "TV/Audio", ("TV", "Audio")),
        ([","], '["a, b"]', ("a, b",)),
        (["::"], "a::b", ("a", "b")),
    ],
)
def test_a_separator_that_is_said(tmp_path: Path, given: list[str], cell: str, wanted: tuple[str, ...]) -> None:
    [item], notes = read(tmp_path / "f.csv", "categories", [cell], list_separators=parse_list_separators(given))
    assert (item.categories, notes) == (wanted, [])


def test_the_separator_of_one_attribute(tmp_path: Path) -> None:
    [item], _ = read(
        tmp_path / "f.csv", "directors", ["Coen, J.; Coen, E."], list_separators=parse_list_separators("directors=;")
    )
    assert item.attributes == {"directors": ("Coen, J.", "Coen, E.")}
    [item], _ = read(tmp_path / "f.csv", "model", ["A|B"], list_separators=parse_list_separators("model=none"))
    assert item.attributes == {"model": "A|B"}


@pytest.mark.parametrize("given", [["a=,", "a=;"], [",", ";"], ['"'], ["a="]])
def test_separators_that_cannot_be_meant(given: list[str]) -> None:
    with pytest.raises(InputError, match="separator"):
        parse_list_separators(given)


@pytest.mark.parametrize("cell", ["[sic] a title", "[draft", "(a remark) and more", "[a]", "{}", "[1", "[" * 5_000])
def test_a_text_that_begins_like_a_list(cell: str) -> None:
    assert split_cell(cell) == cell


_NAME = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1).filter(
    lambda text: text.strip() == text
)


@given(st.lists(_NAME, min_size=2, unique=True))
def test_arrays_are_read_back(names: list[str]) -> None:
    for text in (json.dumps(names), repr(names), str(tuple(names)), "[" + " ".join(map(repr, names)) + "]"):
        assert parse_array(text) == names
        assert parse_labels(text, "tags") == names


@given(st.lists(st.sampled_from(["Drama", "Comedy", "Action", "War"]), min_size=1, unique=True), st.sampled_from(["|", ";", ","]))
def test_lists_of_tags_are_read_back(names: list[str], separator: str) -> None:
    inference = ListFormatInference()
    cell = f"{separator} ".join(names)
    inference.add(cell)
    assert parse_labels(cell, "tags", inference.infer("tags")) == names
