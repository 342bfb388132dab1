"""Which column of a file becomes which field of an item, which lines are one item, and what is kept of those that are none."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from item_files import jsonl, one, read

from es_recsys.errors import InputError, TooManyErrors
from es_recsys.sources import (
    ItemSchema,
    ReadOptions,
    dry_run,
    infer_item_schema,
    parse_columns,
    read_items,
    rejected_path,
)
from es_recsys.types import Item


def test_nested_objects_get_dots(tmp_path: Path) -> None:
    item = one(
        tmp_path, specs={"weight": 5, "size": {"cm": 3.5}}, variants=[{"color": "red"}, {"color": "blue"}], attributes={"x": "y"}
    )
    assert item.attributes == {"specs.weight": 5, "specs.size.cm": 3.5, "variants.color": ("red", "blue"), "x": "y"}


def test_a_name_that_another_has_costs_itself_only(tmp_path: Path) -> None:
    rows = [{"item_id": 1, "a b": 1, "o": {"x y": 5, "x_y": 6, "z": 7}}, {"item_id": 2, "a_b": 2}, {"item_id": 3, "a b": 3}]
    items, bad, rejected = read(jsonl(tmp_path / "c.jsonl", rows))
    assert not bad
    assert [item.attributes for item in items] == [{"a_b": 1, "o.x_y": 5, "o.z": 7}, {}, {"a_b": 3}]
    assert list(rejected.fields) == [
        ("o.x_y", "and the column 'o.x y' would both be the attribute o.x_y"),
        ("a_b", "and the column 'a b' would both be the attribute a_b"),
    ]


def test_the_rest_loads_and_the_bad_lines_are_kept(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "c.jsonl", [{"item_id": "1", "price": -2}, {"item_id": "2", "price": 2}, {"title": "no id"}])
    assert [(item.item_id, item.price) for item in read_items(path)] == [("1", None), ("2", 2)]
    kept = [orjson.loads(line) for line in rejected_path(path).read_bytes().splitlines()]
    assert [(line["line"], line["field"], line["reason"], line["raw"], line.get("kept", False)) for line in kept] == [
        (1, "price", "is less than 0", {"item_id": "1", "price": -2}, True),
        (3, "item_id", "is missing", {"title": "no id"}, False),
    ]


def test_a_value_and_an_object_of_one_name(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"item_id": 1, "size": {"cm": 5}},
        {"item_id": 2, "size": {"cm": 6}},
        {"item_id": 3, "size": "big"},
    ]
    items, bad, rejected = read(jsonl(tmp_path / "c.jsonl", rows))
    assert not bad
    assert [item.attributes for item in items] == [{"size.cm": 5}, {"size.cm": 6}, {"size": "big"}]
    assert not rejected.fields


def test_renames_constants_and_dotted_paths(tmp_path: Path) -> None:
    row = {
        "sku": {"id": 17},
        "name": "x",
        "cost": {"amount": 5, "unit": "EUR"},
        "meta": {"path": ["a", "b"]},
        "farbe": "rot",
        "v": [{"t": "p"}, {"t": "q"}],
    }
    columns = parse_columns(
        "item_id=sku.id,title=name,price=cost.amount,currency=cost.unit,categories=meta.path,color=farbe,tags=v.t"
    )
    items, bad, _ = read(jsonl(tmp_path / "c.jsonl", [row]), columns=columns, constants={"brand": "B", "year": "2020"})
    assert not bad
    assert items == [
        Item(
            item_id="17",
            title="x",
            price=5,
            currency="EUR",
            categories=("a", "b"),
            tags=("p", "q"),
            brand="B",
            attributes={"color": "rot", "year": 2020},
        )
    ]


def test_one_column_may_fill_two_fields(tmp_path: Path) -> None:
    items, _, _ = read(
        jsonl(tmp_path / "c.jsonl", [{"item_id": 1, "name": "x"}]), columns={"title": "name", "description": "name"}
    )
    assert (items[0].title, items[0].description) == ("x", "x")


def test_a_constant_gives_way_to_a_value(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "c.jsonl", [{"item_id": 1, "brand": "A"}, {"item_id": 2}])
    assert [item.brand for item in read(path, constants={"brand": "B"})[0]] == ["A", "B"]


def test_a_displaced_column_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("item_id,title,name\n1,old,new\n")
    items, _, rejected = read(path, columns={"title": "name"})
    assert (items[0].title, items[0].attributes) == ("new", {})
    assert "column title is left out" in rejected.notes[0]


@pytest.mark.parametrize(
    ("content", "columns", "what", "remedy"),
    [
        ("itme_id,title\n1,x\n", {}, "no column item_id; it has: itme_id, title", "--columns item_id=itme_id"),
        ("id,movieId,title\n1,2,x\n", {}, "no column item_id", "It could be id or movieId: say which, --columns item_id=id"),
        ("foo,bar\n1,x\n", {}, "no column item_id", "--columns"),
        ("item_id,name\n1,x\n", {"title": "nmae"}, "Did you mean 'name'", "--columns"),
        ("item_id,***\n1,x\n", {}, "'***'", "Rename"),
        ("item_id,a b,a_b\n1,x,y\n", {}, "would both be the attribute a_b", "Rename"),
        (
            "item_id," + ",".join(f"c{i}" for i in range(201)) + "\n1" + ",x" * 201 + "\n",
            {},
            "more than 200 attributes",
            "Leave columns out",
        ),
    ],
)
def test_columns_that_are_not_there(tmp_path: Path, content: str, columns: dict[str, str], what: str, remedy: str) -> None:
    path = tmp_path / "c.csv"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        list(read_items(path, ReadOptions(columns=columns)))
    assert what in caught.value.what
    assert remedy in caught.value.remedy


def test_a_missing_column_in_jsonl(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "c.jsonl", [{"itme_id": i} for i in range(500)])
    with pytest.raises(InputError, match="--columns item_id=itme_id"):
        list(read_items(path))


def test_more_than_200_attributes_in_jsonl(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "c.jsonl", [{"item_id": i, f"a{i}": 1} for i in range(201)])
    with pytest.raises(InputError, match="more than 200 attributes"):
        infer_item_schema(path)


def test_lines_of_an_item_are_merged_and_the_last_value_counts(tmp_path: Path) -> None:
    first = jsonl(tmp_path / "a.jsonl", [{"item_id": 1, "title": "old"}, {"item_id": 2}, {"item_id": "1", "title": "newer"}])
    second = jsonl(tmp_path / "b.jsonl", [{"item_id": 1.0, "title": "newest"}, {"item_id": 3}])
    items, bad, rejected = read([first, second])
    assert [(item.item_id, item.title) for item in items] == [("2", ""), ("1", "newest"), ("3", "")]
    assert bad == []
    assert [note.partition(":")[0] for note in rejected.notes] == ["2 rows have an item_id that came before"]


def test_types_that_are_settled_already(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "c.jsonl", [{"item_id": 1, "year": 1999}, {"item_id": 2, "year": "n. d."}])
    assert infer_item_schema(path).types == {"year": "text"}
    schema = infer_item_schema(path, known={"year": "integer"})
    assert list(read(path, schema=schema)[2].fields) == [("year", "is not a number, as in other lines")]
    with pytest.raises(InputError, match="no type"):
        infer_item_schema(path, known={"year": "keyword"})


def test_an_index_column_without_a_name(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text(",item_id\n0,a\n1,b\n")
    assert [item.attributes for item in read(path)[0]] == [{"column1": 0}, {"column1": 1}]


def test_parquet_types(tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    frame = pl.DataFrame(
        {
            "item_id": [1.0, 2.0],
            "title": ["x", None],
            "price": [1.5, None],
            "categories": [["a", "b"], []],
            "created_at": [datetime(2026, 1, 1, tzinfo=UTC), None],
            "specs": [{"w": 1, "d": "y"}, {"w": 2, "d": None}],
            "released": [date(2020, 1, 1), None],
            "score": [1.0, float("nan")],
            "blob": [b"x", b"y"],
        }
    )
    frame.with_columns(pl.col("price").cast(pl.Decimal(10, 2))).write_parquet(path)
    items, bad, rejected = read(path)
    assert not bad
    assert items == [
        Item(
            item_id="1",
            title="x",
            price=1.5,
            categories=("a", "b"),
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            attributes={"specs.w": 1, "specs.d": "y", "released": datetime(2020, 1, 1, tzinfo=UTC), "score": 1.0},
        ),
        Item(item_id="2", attributes={"specs.w": 2}),
    ]
    assert rejected.notes == [f"{path}: columns of bytes are left out: blob."]


def test_a_dry_run_stops_before_anything_is_written(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "c.jsonl", [{"item_id": "x" * 600 if i % 2 else i, "price": 1} for i in range(10)])
    good, rejected = dry_run(lambda bad: read_items(path, rejected=bad), max_errors=5)
    assert (good, rejected.count) == (5, 5)
    with pytest.raises(TooManyErrors) as caught:
        dry_run(lambda bad: read_items(path, rejected=bad), max_errors=4)
    assert f"{path} line 2, item_id: an id has 1 to 512 bytes" in caught.value.what
    assert str(rejected_path(path)) in caught.value.remedy
    assert len(rejected_path(path).read_bytes().splitlines()) == 5
    assert list(read_items(path, schema=infer_item_schema(path))) == [item for item in read_items(path) if item.price]


def test_no_file() -> None:
    with pytest.raises(InputError, match="No file"):
        next(read_items([]))


def test_a_survey_of_other_lines_than_rejected_ones(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(b'{"item_id": "a", "v": 1}\nbroken\n{"item_id": "b", "": 2}\n{"item_id": "a", "v": 2}\n')
    schema = infer_item_schema(path)
    assert isinstance(schema, ItemSchema)
    assert schema.rows == 3
    items, bad, rejected = read(path, schema=schema)
    assert [(item.item_id, item.attributes) for item in items] == [("b", {}), ("a", {"v": 2})]
    assert [line for line, _, _ in bad] == [2]
    assert [field for field, _ in rejected.fields] == [""]


def test_the_films_of_msrd(tmp_path: Path) -> None:
    path = Path(__file__).parents[3] / "shared" / "data" / "msrd" / "movies-corpus.jsonl.gz"
    if not path.is_file():
        pytest.skip("../shared/data/msrd is not here")
    items, bad, _ = read(path, columns=parse_columns("item_id=id,description=overview,categories=genres"))
    assert not bad
    assert len({item.item_id for item in items}) == 9_750
    assert {type(item.attributes["rating"]) for item in items if "rating" in item.attributes} == {float}
    assert {type(item.attributes["year"]) for item in items if "year" in item.attributes} == {int}
