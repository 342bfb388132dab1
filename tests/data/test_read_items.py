"""Files -> Items."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from es_recsys.data import ItemSurvey, Rejects, check, parse_columns, read_items, rejected_path, survey_items
from es_recsys.errors import InputError, TooManyErrors
from es_recsys.types import Item


def jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))  # json, which writes NaN
    return path


def read(path: Path | list[Path], **options: Any) -> tuple[list[Item], list[tuple[int, str, str]], Rejects]:
    with Rejects(write=False) as rejects:
        items = list(read_items(path, rejects=rejects, **options))
    return items, [(bad.line, bad.field, bad.reason) for bad in rejects.first], rejects


def one(tmp_path: Path, **row: Any) -> Item:
    items, bad, _ = read(jsonl(tmp_path / "one.jsonl", [{"item_id": "1", **row}]))
    assert not bad
    return items[0]


def fault(tmp_path: Path, **row: Any) -> tuple[str, str]:
    items, bad, _ = read(jsonl(tmp_path / "one.jsonl", [{"item_id": "1", **row}]))
    assert not items
    return bad[0][1], bad[0][2]


CATALOGUE = """item_id,title,categories,tags,price,created_at,available,year,code,released,vegan,mood,Screen size
1,One,Shoes|Running,"[""new"",""light""]",9.5,2026-01-01,true,1999,007,2020-01-01,true,calm|happy,5.5
2,Two,,,,1767225600,false,2000,8,,false,,6
"""


def test_csv_types(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text(CATALOGUE)
    items, bad, _ = read(path)
    assert not bad
    assert items[0] == Item(
        item_id="1",
        title="One",
        categories=("Shoes", "Running"),
        tags=("new", "light"),
        price=9.5,
        created_at="2026-01-01",
        attributes={
            "year": 1999,
            "code": "007",
            "released": datetime(2020, 1, 1, tzinfo=UTC),
            "vegan": True,
            "mood": ("calm", "happy"),
            "Screen_size": 5.5,
        },
    )
    assert items[1].created_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert items[1].available is False
    assert items[1].attributes == {"year": 2000, "code": "8", "vegan": False, "Screen_size": 6.0}
    assert type(items[1].attributes["Screen_size"]) is float


def test_nested_objects_get_dots(tmp_path: Path) -> None:
    item = one(
        tmp_path, specs={"weight": 5, "size": {"cm": 3.5}}, variants=[{"color": "red"}, {"color": "blue"}], attributes={"x": "y"}
    )
    assert item.attributes == {"specs.weight": 5, "specs.size.cm": 3.5, "variants.color": ("red", "blue"), "x": "y"}


def test_nothing_is_not_an_attribute(tmp_path: Path) -> None:
    assert one(tmp_path, a=None, b="", c=[], d=float("nan"), e={}, f=[None, ""]).attributes == {}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["a", " b "], ("a", "b")),
        ("a", ("a",)),
        ("a|b", ("a", "b")),
        ("Home > Kitchen > Pans", ("Home", "Kitchen", "Pans")),
        ('["a", "b"]', ("a", "b")),
        ([1, 2.0], ("1", "2")),
        ([["a", "b"], ["a", "c"]], ("a", "b", "c")),
        (7, ("7",)),
    ],
)
def test_categories(tmp_path: Path, given: Any, wanted: tuple[str, ...]) -> None:
    assert one(tmp_path, categories=given).categories == wanted


def test_a_title_that_is_a_number(tmp_path: Path) -> None:
    assert one(tmp_path, title=1917, brand=float("nan")).title == "1917"


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        ({"price": float("inf")}, "price", "is not a finite number"),
        ({"price": -1}, "price", "is less than 0"),
        ({"title": ["x"]}, "title", "is not text"),
        ({"title": True}, "title", "is not text"),
        ({"available": "perhaps"}, "available", "is not true or false"),
        ({"created_at": "soon"}, "created_at", "is not a time"),
        ({"item_id": "x" * 513}, "item_id", "an id has 1 to 512 bytes of UTF-8, not 513"),
        ({"categories": [{"a": 1}]}, "categories", "is not a list of names"),
        ({"a..b": 1}, "a..b", "is no name"),
        ({"": 1}, "", "is no name"),
        ({"size": float("inf"), "other": 1}, "size", "is not a finite number"),
    ],
)
def test_reasons(tmp_path: Path, row: dict[str, Any], field: str, reason: str) -> None:
    got = fault(tmp_path, **row)
    assert got[0] == field
    assert got[1].startswith(reason)


def test_the_rest_loads_and_the_bad_lines_are_kept(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "c.jsonl", [{"item_id": "1", "price": -2}, {"item_id": "2", "price": 2}, {"title": "no id"}])
    assert [item.item_id for item in read_items(path)] == ["2"]
    kept = [orjson.loads(line) for line in rejected_path(path).read_bytes().splitlines()]
    assert [(line["line"], line["field"], line["reason"], line["raw"]) for line in kept] == [
        (1, "price", "is less than 0", {"item_id": "1", "price": -2}),
        (3, "item_id", "is missing", {"title": "no id"}),
    ]


def test_a_mistyped_value_in_a_column_of_numbers(tmp_path: Path) -> None:
    rows = [{"item_id": i, "year": 1900 + i} for i in range(150)]
    rows[7]["year"] = "soon"  # type: ignore[typeddict-item]
    items, bad, _ = read(jsonl(tmp_path / "c.jsonl", rows))
    assert bad == [(8, "year", "is not a number, as in other lines")]
    assert {type(item.attributes["year"]) for item in items} == {int}


def test_a_value_and_an_object_of_one_name(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"item_id": 1, "size": {"cm": 5}},
        {"item_id": 2, "size": {"cm": 6}},
        {"item_id": 3, "size": "big"},
    ]
    items, bad, _ = read(jsonl(tmp_path / "c.jsonl", rows))
    assert [item.item_id for item in items] == ["1", "2"]
    assert bad == [(3, "size", "can't be kept beside size.cm: one is a value, the other an object")]


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
    items, _, rejects = read(path, columns={"title": "name"})
    assert (items[0].title, items[0].attributes) == ("new", {})
    assert "column title is left out" in rejects.notes[0]


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
        list(read_items(path, columns=columns))
    assert what in caught.value.what
    assert remedy in caught.value.remedy


def test_a_missing_column_in_jsonl(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "c.jsonl", [{"itme_id": i} for i in range(500)])
    with pytest.raises(InputError, match="--columns item_id=itme_id"):
        list(read_items(path))


def test_more_than_200_attributes_in_jsonl(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "c.jsonl", [{"item_id": i, f"a{i}": 1} for i in range(201)])
    with pytest.raises(InputError, match="more than 200 attributes"):
        survey_items(path)


def test_lines_of_an_item_are_merged_and_the_last_value_counts(tmp_path: Path) -> None:
    first = jsonl(tmp_path / "a.jsonl", [{"item_id": 1, "title": "old"}, {"item_id": 2}, {"item_id": "1", "title": "newer"}])
    second = jsonl(tmp_path / "b.jsonl", [{"item_id": 1.0, "title": "newest"}, {"item_id": 3}])
    items, bad, rejects = read([first, second])
    assert [(item.item_id, item.title) for item in items] == [("2", ""), ("1", "newest"), ("3", "")]
    assert bad == []
    assert [note.partition(":")[0] for note in rejects.notes] == ["2 rows have an item_id that came before"]


def test_kinds_that_are_settled_already(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "c.jsonl", [{"item_id": 1, "year": 1999}, {"item_id": 2, "year": "n. d."}])
    assert survey_items(path).kinds == {"year": "text"}
    survey = survey_items(path, known={"year": "integer"})
    assert read(path, survey=survey)[1] == [(2, "year", "is not a number, as in other lines")]
    with pytest.raises(InputError, match="no kind"):
        survey_items(path, known={"year": "keyword"})


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
    items, bad, rejects = read(path)
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
    assert rejects.notes == [f"{path}: columns of bytes are left out: blob."]


def test_check_stops_before_anything_is_written(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "c.jsonl", [{"item_id": i, "price": -1 if i % 2 else 1} for i in range(10)])
    good, rejects = check(read_items, path, max_errors=5)
    assert (good, rejects.count) == (5, 5)
    with pytest.raises(TooManyErrors) as caught:
        check(read_items, path, max_errors=4)
    assert f"{path} line 2, price: is less than 0" in caught.value.what
    assert str(rejected_path(path)) in caught.value.remedy
    assert len(rejected_path(path).read_bytes().splitlines()) == 5
    assert list(read_items(path, survey=survey_items(path))) == [item for item in read_items(path) if item.price]


def test_no_file() -> None:
    with pytest.raises(InputError, match="No file"):
        next(read_items([]))


def test_a_survey_of_other_lines_than_rejected_ones(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(b'{"item_id": "a", "v": 1}\nbroken\n{"item_id": "b", "": 2}\n{"item_id": "a", "v": 2}\n')
    survey = survey_items(path)
    assert isinstance(survey, ItemSurvey)
    assert survey.rows == 3
    items, bad, _ = read(path, survey=survey)
    assert [(item.item_id, item.attributes) for item in items] == [("a", {"v": 2})]
    assert sorted(line for line, _, _ in bad) == [2, 3]


def test_the_films_of_msrd(tmp_path: Path) -> None:
    path = Path(__file__).parents[3] / "shared" / "data" / "msrd" / "movies-corpus.jsonl.gz"
    if not path.is_file():
        pytest.skip("../shared/data/msrd is not here")
    items, bad, _ = read(path, columns=parse_columns("item_id=id,description=overview,categories=genres"))
    assert not bad
    assert len({item.item_id for item in items}) == 9_750
    assert {type(item.attributes["rating"]) for item in items if "rating" in item.attributes} == {float}
    assert {type(item.attributes["year"]) for item in items if "year" in item.attributes} == {int}
