"""The report of bad lines, and the options that name columns."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from es_recsys.errors import InputError, TooManyErrors
from es_recsys.sources import RejectedRows, parse_columns, parse_constants, read_events, read_items, read_rows, rejected_path


def report(path: Path) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_limits() -> None:
    with RejectedRows(2, write=False) as rejected:
        rejected.add(Path("f"), 1, "a", "is bad", {})
        rejected.add(Path("f"), 2, "", "is bad", {})
        with pytest.raises(
            TooManyErrors, match=r"More than 2 lines can't be used: f line 1, a: is bad; f line 2: is bad; f line 3"
        ):
            rejected.add(Path("f"), 3, "a", "is bad", {})


def test_only_the_first_are_kept_in_memory() -> None:
    with RejectedRows(write=False) as rejected:
        for line in range(1_000):
            rejected.add(Path("f"), line, "", "is bad", {})
    assert (rejected.count, len(rejected.first)) == (1_000, 10)


def test_files_have_reports_of_their_own(tmp_path: Path) -> None:
    a, b = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    with RejectedRows() as rejected:
        for file, line in ((a, 1), (b, 1), (a, 2)):
            rejected.add(file, line, "", "is bad", b"\xff raw")
    assert rejected.files == [rejected_path(a), rejected_path(b)]
    assert [line["line"] for line in report(rejected_path(a))] == [1, 2]
    assert report(rejected_path(b))[0]["raw"] == "\\xff raw"


def test_a_report_is_of_the_last_run(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    path.write_bytes(b"broken\n")
    for _ in range(2):
        with RejectedRows() as rejected:
            list(read_rows(path, rejected=rejected))
        assert len(report(rejected_path(path))) == 1
    path.write_bytes(b"{}\n")
    with RejectedRows() as rejected:
        list(read_rows(path, rejected=rejected))
    assert not rejected_path(path).exists()


def test_a_file_that_is_no_report_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    path.write_bytes(b"{}\n")
    rejected_path(path).write_text("my notes\n")
    with RejectedRows() as rejected:
        list(read_rows(path, rejected=rejected))
    assert rejected_path(path).read_text() == "my notes\n"


def test_one_rejects_for_several_readings(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    path.write_bytes(b"broken\n")
    with RejectedRows() as rejected:
        list(read_rows(path, rejected=rejected))
        list(read_rows(path, rejected=rejected))
    assert len(report(rejected_path(path))) == 2


def test_an_input_is_not_overwritten_by_a_report(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    path.write_bytes(b"broken\n")
    rejected_path(path).write_bytes(b"{}\n")
    with pytest.raises(InputError, match=r"is where the rejected lines of .*f\.jsonl go"):
        list(read_events([path, rejected_path(path)]))
    assert rejected_path(path).read_bytes() == b"{}\n"


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with RejectedRows() as rejected:
        rejected.add(Path("/proc/nowhere/f.csv"), 1, "", "is bad", {})
    assert rejected.files == [Path("f.csv.rejected.jsonl")]
    assert report(tmp_path / "f.csv.rejected.jsonl")[0]["file"] == "/proc/nowhere/f.csv"


def test_values_that_json_has_not(tmp_path: Path) -> None:
    path = tmp_path / "f"
    with RejectedRows() as rejected:
        rejected.add(path, 1, "", "is bad", {"a": "\ud800", "b": 2**70})
        rejected.add(path, 2, "", "is bad", {"a": float("nan"), "b": path})
    assert [line["line"] for line in report(rejected_path(path))] == [1, 2]


def test_notes_are_said_once() -> None:
    rejected = RejectedRows(write=False)
    rejected.note("x")
    rejected.note("x")
    assert rejected.notes == ["x"]


def test_columns_as_people_write_them() -> None:
    assert parse_columns("item_id=movieId, title = name,") == {"item_id": "movieId", "title": "name"}
    assert parse_columns(["item_id=a=b", "title=name"]) == {"item_id": "a=b", "title": "name"}
    assert parse_constants("query=a, b") == {"query": "a, b"}
    assert parse_constants([]) == {}


@pytest.mark.parametrize("text", ["item_id", "=x", "a=", "a=b,a=c"])
def test_columns_that_cannot_be_meant(text: str) -> None:
    with pytest.raises(InputError, match="--columns") as caught:
        parse_columns(text)
    assert caught.value.remedy


@pytest.mark.parametrize("most", [None, 1])
def test_lines_of_another_encoding_are_remedied_by_naming_it(tmp_path: Path, most: int | None) -> None:
    file = tmp_path / "prices.csv"
    file.write_bytes("item_id;title\n1;Stühle\n2;Käse\n".encode("cp1252"))
    with RejectedRows(max_errors=most, write=False) as rejected:
        try:
            assert list(read_items(file, rejected=rejected)) == []
            remedy = rejected.nothing_usable("item", [file]).remedy
        except TooManyErrors as error:
            remedy = error.remedy
    assert "--encoding windows-1252" in remedy


def test_lines_without_an_id_are_not_remedied_by_an_encoding(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text("item_id,title\n,Stühle\n")
    with RejectedRows(write=False) as rejected:
        assert list(read_items(file, rejected=rejected)) == []
    assert "--encoding" not in rejected.nothing_usable("item", [file]).remedy
