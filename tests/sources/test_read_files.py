"""Files as rows: formats, gzip, encodings, damage."""

from __future__ import annotations

import gzip
import subprocess
import sys
import tracemalloc
from pathlib import Path

import orjson
import polars as pl
import pytest

from es_recsys.errors import InputError
from es_recsys.sources import ReadOptions
from es_recsys.sources.input_files import MAX_LINE, detect_format
from es_recsys.sources.rejected_rows import RejectedRows, rejected_path
from es_recsys.sources.tables import open_tables, read_rows

ROWS = [{"item_id": "a", "title": "Löwe"}, {"item_id": "b", "title": 'a "quoted", one'}, {"item_id": "c", "title": "two\nlines"}]


def write(path: Path, rows: list[dict[str, str]], form: str) -> Path:
    if form == "jsonl":
        path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    elif form == "csv":
        pl.DataFrame(rows).write_csv(path)
    else:
        pl.DataFrame(rows).write_parquet(path)
    return path


@pytest.mark.parametrize("name", ["f.{}", "f.{}.gz", "f", "f.gz", "f.dat"])
@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_three_formats_give_the_same_rows(tmp_path: Path, form: str, name: str) -> None:
    path = write(tmp_path / "plain", ROWS, form)
    target = tmp_path / name.format(form)
    target.write_bytes(gzip.compress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes())
    assert [row.values for row in read_rows(target)] == ROWS


def test_gzip_is_known_by_content(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(gzip.compress(b'{"a": 1}\n'))
    assert [row.values for row in read_rows(path)] == [{"a": 1}]


@pytest.mark.parametrize(
    "content", [b"\xef\xbb\xbfa,b\r\n1,2\r\n", b"a,b\n1,2", b"a,b\n\n1,2\n\n", b"a;b\n1;2\n", b"a\tb\n1\t2\n", b"a|b\n1|2\n"]
)
def test_csv_variants(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(content)
    assert [row.values for row in read_rows(path)] == [{"a": "1", "b": "2"}]


def test_bom_and_crlf_in_jsonl(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": 2}')
    assert [(row.line, row.values["a"]) for row in read_rows(path)] == [(1, 1), (3, 2)]


@pytest.mark.parametrize("separator", ["tab", "\t", "\\t"])
def test_named_separator(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "f.csv"
    path.write_text("a,b\tc\n1\t2\n")
    assert [row.values for row in read_rows(path, ReadOptions(separator=separator))] == [{"a,b": "1", "c": "2"}]


@pytest.mark.parametrize("separator", ["", '"', "\n", "a\nb", "\udcff"])
def test_refused_separator(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "f.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="separator"):
        list(read_rows(path, ReadOptions(separator=separator)))


def test_line_numbers_of_records_over_several_lines(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text('a,b\n1,"x\ny"\n2,z\n')
    assert [row.line for row in read_rows(path)] == [2, 4]


def bad_lines(path: Path) -> tuple[list[dict[str, object]], list[tuple[int, str]]]:
    with RejectedRows() as rejected:
        rows = [row.values for row in read_rows(path, rejected=rejected)]
    return rows, [(reject.line, reject.reason) for reject in rejected.first]


def test_a_stray_quote_costs_one_line(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text('id,title\n1,"not closed\n2,fine\n3,"fine, too"\n4,good\n')
    rows, bad = bad_lines(path)
    assert [row["id"] for row in rows] == ["2", "3", "4"]
    assert bad == [(2, "a quote is opened and not closed")]
    report = [orjson.loads(line) for line in rejected_path(path).read_bytes().splitlines()]
    assert report == [{"file": str(path), "line": 2, "field": "", "reason": bad[0][1], "raw": '1,"not closed'}]


def test_a_quote_open_to_the_end_costs_one_line(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text('id,title\n0,ok\n1,"open\n' + "".join(f"{i},x\n" for i in range(2, 3_000)))
    rows, bad = bad_lines(path)
    assert [row["id"] for row in rows] == [str(i) for i in (0, *range(2, 3_000))]
    assert [line for line, _ in bad] == [3]


def test_quotes_in_a_tab_separated_file_may_be_ordinary(tmp_path: Path) -> None:
    path = tmp_path / "f.tsv"
    path.write_text('id\tquery\n1\t"red shoes" nike\n2\t5" screen\n3\t"quoted"\n')
    assert [row.values["query"] for row in read_rows(path)] == ['"red shoes" nike', '5" screen', "quoted"]


def test_wrong_number_of_columns(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text("a,b\n1\n1,2\n1,2,3\n")
    rows, bad = bad_lines(path)
    assert rows == [{"a": "1", "b": "2"}]
    assert bad == [(2, "has 1 columns, the header has 2"), (4, "has 3 columns, the header has 2")]


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("f.csv", b"a,b\n1,\xe9t\xe9\n1,2\n", 2),
        ("f.csv", b'a,b\n"x\n\xe9",1\n1,2\n', 3),
        ("f.jsonl", b'{"a": "\xe9"}\n{"a": "1", "b": "2"}\n', 1),
    ],
)
def test_wrong_encoding_names_the_line(tmp_path: Path, name: str, content: bytes, line: int) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    rows, bad = bad_lines(path)
    assert rows == [{"a": "1", "b": "2"}]
    assert bad[0][0] == line
    assert "is not UTF-8" in bad[0][1]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{broken", "is not JSON"),
        (b"[1, 2]", "is not a JSON object"),
        (b"3", "is not a JSON object"),
        (b'{"a": "\\ud800"}', "is not JSON"),
    ],
)
def test_bad_json(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "f.jsonl"
    path.write_bytes(b'{"ok": 1}\n' + line + b"\n")
    rows, bad = bad_lines(path)
    assert rows == [{"ok": 1}]
    assert bad[0][0] == 2
    assert bad[0][1].startswith(reason)


def test_deep_json_is_a_reject(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    path.write_bytes(b'{"ok": 1}\n{"NaN": ' + b"[" * 5_000 + b"]" * 5_000 + b"}\n")
    _, bad = bad_lines(path)
    assert [line for line, _ in bad] == [2]


def test_without_rejects_the_first_bad_line_raises(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    path.write_bytes(b'{"ok": 1}\nnope\n')
    with pytest.raises(InputError, match=r"f\.jsonl line 2 is not JSON"):
        list(read_rows(path))


@pytest.mark.parametrize("name", ["f.jsonl", "f.csv"])
def test_a_line_of_a_megabyte(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    text = "x" * 1_000_000
    path.write_text(f'{{"a": "{text}"}}\n' if name == "f.jsonl" else f"a\n{text}\n")
    assert [len(row.values["a"]) for row in read_rows(path)] == [1_000_000]


@pytest.mark.parametrize("name", ["f.jsonl", "f.csv"])
def test_a_line_without_end_is_rejected_in_flat_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / (name + ".gz")
    with gzip.open(path, "wb", compresslevel=1) as out:
        out.write(b'{"a": 1}\n' if name == "f.jsonl" else b"a,b\n")
        for _ in range(6):
            out.write(b"x" * MAX_LINE)
        out.write(b'\n{"a": "1"}\n' if name == "f.jsonl" else b"\n1,2\n")
    tracemalloc.start()
    rows, bad = bad_lines(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows[-1]["a"] == "1"
    assert bad == [(2, "is longer than 16 MiB")]
    assert peak < 4 * MAX_LINE


@pytest.mark.parametrize("keep", [0.3, 0.99])
@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_gzip_file_that_is_cut_off(tmp_path: Path, form: str, keep: float) -> None:
    whole = write(
        tmp_path / f"w.{form}", [{"item_id": f"{i * 7919 % 10_007}", "t": str(i**3)} for i in range(20_000)], form
    ).read_bytes()
    packed = gzip.compress(whole)
    path = tmp_path / f"f.{form}.gz"
    path.write_bytes(packed[: int(len(packed) * keep)])
    with pytest.raises(InputError, match="cut off or damaged after line"):
        list(read_rows(path))


@pytest.mark.parametrize("place", [0.5, -6])
def test_a_gzip_file_with_a_wrong_byte(tmp_path: Path, place: float) -> None:
    packed = bytearray(gzip.compress(b"".join(b'{"a": %d}\n' % (i * 7919 % 10_007) for i in range(50_000))))
    at = int(len(packed) * place) if place > 0 else int(place)
    packed[at] ^= 0xFF
    path = tmp_path / "f.jsonl.gz"
    path.write_bytes(packed)
    with pytest.raises(InputError), RejectedRows(write=False) as rejected:
        list(read_rows(path, rejected=rejected))


@pytest.mark.parametrize("packed", [False, True])
def test_parquet_that_is_cut_off(tmp_path: Path, packed: bool) -> None:
    whole = write(tmp_path / "w.parquet", ROWS * 100, "parquet").read_bytes()[:-40]
    path = tmp_path / ("f.parquet.gz" if packed else "f.parquet")
    path.write_bytes(gzip.compress(whole) if packed else whole)
    with pytest.raises(InputError, match="cut off or damaged"):
        list(read_rows(path))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("f.jsonl", b"", "empty"),
        ("f.csv", b"\xef\xbb\xbf\r\n \n", "empty"),
        ("f.csv.gz", gzip.compress(b"", mtime=0), "empty"),
        ("f.csv", b"PK\x03\x04zip", "spreadsheet"),
        ("f.jsonl", b"\x28\xb5\x2f\xfdzstd", "zstd"),
        ("f.parquet", b"a,b\n1,2\n", "not a Parquet file"),
        ("f.csv", b"a,a\n1,2\n", "two columns named a"),
        ("f.csv", b"a,b\r1,2\r", "no header line"),
        ("f.csv", b'"a,b\n', "no header line"),
        ("f.csv", b"\xe9,b\n1,2\n", "line 1 is not UTF-8"),
        ("f.csv.gz", b"\x1f\x8b\x08\x00abc", "not a whole gzip file"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        list(read_rows(path))
    assert str(path) in caught.value.what
    assert caught.value.remedy


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be read: No such file"):
        detect_format(tmp_path / "none.csv")
    with pytest.raises(InputError, match="is a folder"):
        detect_format(tmp_path)
    with pytest.raises(InputError, match="not a regular file"):
        detect_format(Path("/dev/null"))


def test_a_missing_second_file_is_found_before_the_first_is_read(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", ROWS, "csv")
    with pytest.raises(InputError, match=r"b\.csv"):
        next(open_tables((tmp_path / "a.csv", tmp_path / "b.csv")))


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_progress_rises_to_the_whole(tmp_path: Path, form: str) -> None:
    rows = [{"item_id": str(i), "title": "x" * 50} for i in range(20_000)]
    paths = tuple(write(tmp_path / f"{name}.{form}", rows, form) for name in "ab")
    seen: list[tuple[int, int]] = []
    for table in open_tables(paths, progress=lambda done, total: seen.append((done, total))):
        for _ in table.rows:
            pass
    total = sum(path.stat().st_size for path in paths)
    assert {all_of for _, all_of in seen} == {total}
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (total, total)
    assert 0 < seen[0][0] < total


def test_reading_without_parquet_loads_no_polars(tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", ROWS, "csv")
    code = (
        "import sys; from es_recsys.sources import read_items; "
        f"print(len(list(read_items({str(path)!r}))), 'polars' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3", "False"]
