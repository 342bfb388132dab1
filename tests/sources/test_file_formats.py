"""How spreadsheets, databases and scripts write tables: separators, encodings, headers, and JSON that isn't JSON lines."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_recsys.errors import InputError
from es_recsys.sources import ReadOptions, RejectedRows, read_items, read_rows, rejected_path
from es_recsys.sources.python_literals import parse_python_literal
from es_recsys.sources.separators import guess_separator


def rows(path: Path, content: bytes | str, **options: Any) -> list[dict[str, Any]]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [row.values for row in read_rows(path, ReadOptions(**options))]


def rejected(path: Path, content: str) -> tuple[list[dict[str, Any]], list[tuple[int, str]], list[str]]:
    path.write_text(content)
    with RejectedRows() as rejected:
        values = [row.values for row in read_rows(path, rejected=rejected)]
    return values, [(reject.line, reject.reason) for reject in rejected.first], rejected.notes


# Separators


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", "::", "||", "|||", "\x01"])
def test_the_separator_is_guessed(tmp_path: Path, separator: str) -> None:
    lines = [["id", "title", "note"], ["1", "Pan, red", "a"], ["2", "Pot", "b"]]
    text = "".join(separator.join(f'"{cell}"' if separator in cell else cell for cell in line) + "\n" for line in lines)
    assert rows(tmp_path / "f.csv", text)[0] == {"id": "1", "title": "Pan, red", "note": "a"}


@pytest.mark.parametrize("text", ["user item time\n1  2\t3\n 4 5   6 \n", "user   item   time\n1      2      3\n4 5 6\n"])
def test_runs_of_blanks_are_guessed(tmp_path: Path, text: str) -> None:
    assert rows(tmp_path / "f.dat", text) == [
        {"user": "1", "item": "2", "time": "3"},
        {"user": "4", "item": "5", "time": "6"},
    ]


@pytest.mark.parametrize("name", ["blanks", "whitespace", "\\s+"])
def test_a_quoted_cell_keeps_its_blanks(tmp_path: Path, name: str) -> None:
    assert rows(tmp_path / "f.txt", 'id  title\n1   "Red  pan"\n', separator=name) == [{"id": "1", "title": "Red  pan"}]


def test_a_separator_within_quotes_counts_for_nothing(tmp_path: Path) -> None:
    header = "item_id;title;Price (EUR, incl. VAT, net)"
    assert list(rows(tmp_path / "f.csv", 'item_id;title;"Price (EUR, incl. VAT, net)"\n1;Pan;3\n')[0]) == header.split(";")


def test_the_separator_is_counted_over_several_lines(tmp_path: Path) -> None:
    # The header alone has one of each.
    assert rows(tmp_path / "f.csv", "id,title|de\n1,Pan\n2,Pot\n")[0] == {"id": "1", "title|de": "Pan"}
    assert rows(tmp_path / "f.csv", "id,old|title\n1|Pan\n2|Pot\n")[0] == {"id,old": "1", "title": "Pan"}


def test_a_header_over_two_lines(tmp_path: Path) -> None:
    assert rows(tmp_path / "f.csv", 'id;"title\nin German";price\n1;Pan;3\n')[0] == {
        "id": "1",
        "title\nin German": "Pan",
        "price": "3",
    }


def test_an_empty_cell_between_two_bars_is_no_longer_separator() -> None:
    assert guess_separator(["a|b|c\n", "1||3\n"]).text == "|"


@pytest.mark.parametrize("first", ["sep=;\n", "SEP=;\r\n", '"sep=;"\n', "\ufeffsep=;\n"])
def test_the_first_line_of_a_spreadsheet_names_the_separator(tmp_path: Path, first: str) -> None:
    path = tmp_path / "f.csv"
    assert rows(path, first + "id;title, long\n1;Pan\n") == [{"id": "1", "title, long": "Pan"}]
    assert [row.line for row in read_rows(path)] == [3]


def test_a_long_separator_inside_quotes_is_text(tmp_path: Path) -> None:
    assert rows(tmp_path / "f.dat", 'id::title\n1::"a::b"\n2::c:\n') == [{"id": "1", "title": "a::b"}, {"id": "2", "title": "c:"}]


def test_quotes_beside_long_separators_may_be_ordinary(tmp_path: Path) -> None:
    content = 'id::title::genres\n1::"Great Performances" Cats (1998)::Musical\n2::5" screen::x\n'
    assert [row["title"] for row in rows(tmp_path / "f.dat", content)] == ['"Great Performances" Cats (1998)', '5" screen']


_CELLS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=8)


@given(
    st.sampled_from([",", ";", "\t", "|", "::", "||", "|||", "~~~", "é", "\x01"]),
    st.lists(st.tuples(_CELLS, _CELLS, _CELLS), min_size=1, max_size=6),
)
def test_what_csv_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, separator: str, cells: list[tuple[str, ...]]
) -> None:
    # The writer takes one character: it writes with one that the cells lack, which then becomes the separator.
    stand_in = "\ue000"
    cells = [tuple(cell.replace(stand_in, "") for cell in line) for line in cells]
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=stand_in, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([("item_id", "title", "note"), *cells])
    path = tmp_path_factory.mktemp("table") / "f.csv"
    path.write_bytes(out.getvalue().replace(stand_in, separator).encode())
    assert [tuple(row.values.values()) for row in read_rows(path, ReadOptions(separator=separator))] == [
        line for line in cells if any(line)
    ]


@given(st.sampled_from([",", ";", "\t", "|"]), st.lists(st.tuples(_CELLS, _CELLS), min_size=1, max_size=6))
def test_what_csv_writes_with_few_quotes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, separator: str, cells: list[tuple[str, ...]]
) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator, lineterminator="\n").writerows([("item_id", "title"), *cells])
    path = tmp_path_factory.mktemp("table") / "f.csv"
    path.write_bytes(out.getvalue().encode())
    assert [tuple(row.values.values()) for row in read_rows(path)] == [line for line in cells if any(line)]


def test_blanks_after_each_separator(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    assert rows(path, 'id, title, price\n1, "Pot, big", 3\n2, Pan, 4\n') == [
        {"id": "1", "title": "Pot, big", "price": "3"},
        {"id": "2", "title": "Pan", "price": "4"},
    ]
    assert rows(path, "id, title\n1, Pan\n")[0] == {"id": "1", "title": " Pan"}


# Widths


@pytest.mark.parametrize("content", ["a,b\n1,2,\n3,4,\n", "a,b\n1,2,,,\n3,4,,\n", "sep=,\na,b\n1,2,\n3,4\n"])
def test_separators_at_the_ends_of_lines(tmp_path: Path, content: str) -> None:
    assert rows(tmp_path / "f.csv", content) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]


def test_lines_of_separators_only_are_blank(tmp_path: Path) -> None:
    values, bad, _ = rejected(tmp_path / "f.csv", "a,b\n1,2\n,\n,,\n" + ",\n" * 200 + '"",""\n')
    assert (values, bad) == ([{"a": "1", "b": "2"}], [])


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ('1,"5\\" screen",x', '5" screen'),
        ('1,"a\\",b",x', 'a",b'),
        ('1,"\\"quoted\\"",x', '"quoted"'),
        ('1,"C:\\",x', "C:\\"),
        ("1,\\N,x", "\\N"),
    ],
)
def test_quotes_behind_a_backslash(tmp_path: Path, line: str, title: str) -> None:
    values, bad, _ = rejected(tmp_path / "f.csv", f"id,title,note\n{line}\n2,Pot,y\n")
    assert bad == []
    assert [row["title"] for row in values] == [title, "Pot"]


def test_cells_beyond_the_header_cost_the_line(tmp_path: Path) -> None:
    values, bad, _ = rejected(tmp_path / "f.csv", "a,b\n1,2,3\n1,2,\n")
    assert (values, bad) == ([{"a": "1", "b": "2"}], [(2, "has 3 columns, the header has 2")])


# Encodings


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("name", ["f.csv", "f.jsonl", "f.json"])
def test_unicode_text_is_known_by_its_first_bytes(tmp_path: Path, name: str, encoding: str) -> None:
    wanted = [{"item_id": "1", "title": "Löwe 獅子 🦁"}, {"item_id": "2", "title": "x"}]
    text = {
        "f.csv": "item_id,title\r\n1,Löwe 獅子 🦁\r\n2,x\r\n",
        "f.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in wanted),
        "f.json": json.dumps(wanted, ensure_ascii=False, indent=1),
    }[name]
    assert rows(tmp_path / name, text.encode(encoding)) == wanted


@pytest.mark.parametrize(("encoding", "text"), [("windows-1252", "Löwe €"), ("shift_jis", "獅子"), ("latin-1", "Löwe")])
def test_a_named_encoding(tmp_path: Path, encoding: str, text: str) -> None:
    assert rows(tmp_path / "f.csv", f"id,title\n1,{text}\n".encode(encoding), encoding=encoding) == [{"id": "1", "title": text}]


def test_a_line_that_is_not_in_the_named_encoding_is_the_only_one_lost(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(b"id,title\n1,\x81\n2,Pot\n")
    with RejectedRows() as rejected:
        assert [row.values["id"] for row in read_rows(path, ReadOptions(encoding="cp1252"), rejected=rejected)] == ["2"]
    assert rejected.first[0].reason == "is not cp1252 (character 3)"


@pytest.mark.parametrize("name", ["klingon", "rot13", "base64", ""])
def test_an_encoding_that_is_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="no text encoding"):
        rows(tmp_path / "f.csv", "a,b\n1,2\n", encoding=name)


def test_utf16_in_flat_memory(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(("id,title\n" + f"1,{'x' * 450}\n" * 20_000).encode("utf-16"))
    tracemalloc.start()
    assert sum(1 for _ in read_rows(path)) == 20_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


# Without a header


def test_columns_without_a_header_have_numbers(tmp_path: Path) -> None:
    content = "1::Toy Story (1995)::Animation|Comedy\n2::Heat, The (1995)::Action\n"
    assert rows(tmp_path / "movies.dat", content, header=False) == [
        {"column1": "1", "column2": "Toy Story (1995)", "column3": "Animation|Comedy"},
        {"column1": "2", "column2": "Heat, The (1995)", "column3": "Action"},
    ]


def test_one_value_may_come_twice_in_the_first_line(tmp_path: Path) -> None:
    assert rows(tmp_path / "f.csv", "5,5\n6,7\n", header=False)[0] == {"column1": "5", "column2": "5"}


# JSON that isn't JSON lines


def test_an_array_of_objects(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    assert rows(path, '[\n {"a": 1},\n {\n  "a": "é, [x]"\n }\n]\n') == [{"a": 1}, {"a": "é, [x]"}]
    assert [row.line for row in read_rows(path)] == [2, 3]


@pytest.mark.parametrize(
    "text", ['{"a":1,\n "b":2}\n{"a":3,\n "b":4}\n', '{\n"a":1,"b":2}{"a":3,"b":4}', '[{"a":1,"b":2},\n{"a":3,"b":4}]']
)
def test_objects_over_several_lines(tmp_path: Path, text: str) -> None:
    assert rows(tmp_path / "f.json", text) == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]


def test_a_broken_object_of_an_array_is_the_only_one_lost(tmp_path: Path) -> None:
    values, bad, _ = rejected(tmp_path / "f.json", '[\n{"a": 1},\n{"a": oops},\n{"a": 3},\n7,\n{"a": "\\ud800"},\n{"a": 4}\n]')
    assert values == [{"a": 1}, {"a": 3}, {"a": 4}]
    assert [line for line, _ in bad] == [3, 5, 6]


@pytest.mark.parametrize("size", [1, 1_000, 300_000, 1_000_000])
def test_arrays_longer_than_what_is_read_at_once(tmp_path: Path, size: int) -> None:
    wanted = [{"a": "x" * size, "b": number} for number in range(max(3, 1_000_000 // size // 10))]
    assert rows(tmp_path / "f.json", json.dumps(wanted)) == wanted
    assert rows(tmp_path / "f.json", json.dumps(wanted, indent=2)) == wanted


def test_an_array_that_is_cut_off_keeps_what_is_whole(tmp_path: Path) -> None:
    values, bad, _ = rejected(tmp_path / "f.json", '[\n{"a": 1},\n{"a": 2')
    assert values == [{"a": 1}]
    assert bad[0][0] == 3


def test_lines_that_python_printed(tmp_path: Path) -> None:
    path = tmp_path / "amz.json"
    wanted = [{"asin": "0001", "title": "Kid's Cup", "price": 5.5, "also": ["a", "b"]}, {"asin": "2", "title": None}]
    values, bad, notes = rejected(path, "".join(f"{row!r}\n" for row in wanted))
    assert (values, bad) == (wanted, [])
    assert notes == [f"{path}: its lines are Python's notation, not JSON; they are read as Python prints them."]
    assert not rejected_path(path).exists()


@pytest.mark.parametrize(
    "line", ["{'a': print}", "{'a': __import__('os')}", "{'a': b'x'}", "{'a': 1", "{'a': " + "[" * 3000 + "]" * 3000 + "}"]
)
def test_code_is_not_run(tmp_path: Path, line: str) -> None:
    values, bad, _ = rejected(tmp_path / "f.jsonl", line + "\n")
    assert values == []
    assert bad[0][1].startswith("is not JSON")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("['Drama', 'Comedy']", ["Drama", "Comedy"]),
        ("('a', 'b')", ["a", "b"]),
        ("['Drama' 'Comedy']", ["Drama", "Comedy"]),
        ("['Drama'\n 'Comedy' \"Kid's\"]", ["Drama", "Comedy", "Kid's"]),
        ("['one']", ["one"]),
        ("[]", []),
        ("[{'id': 16, 'name': 'Animation'}]", [{"id": 16, "name": "Animation"}]),
        ("{'a': {'b': (1, 2)}}", {"a": {"b": [1, 2]}}),
    ],
)
def test_python_literals(text: str, value: Any) -> None:
    assert parse_python_literal(text) == value


def test_items_of_a_spreadsheet(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes("sep=;\r\nitem_id;title;brand;\r\n1;Löwe;Acme;\r\n".encode("utf-16"))
    assert [(item.item_id, item.title, item.brand) for item in read_items(path)] == [("1", "Löwe", "Acme")]
