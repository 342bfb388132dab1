"""Judgments."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from es_recsys.errors import InputError
from es_recsys.sources import read_judgments

WANTED = {"red shoes": {"1": 2.0, "2": 0.0}, 'say "hi"': {"1": 1.0}}
TAB = 'red shoes\t1\t2\nred shoes\t2\t0\nsay "hi"\t1\t1\n'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("j.tsv", "query\titem_id\tgrade\n" + TAB),
        ("j.tsv", TAB),
        ("j.txt", TAB),
        ("j.tsv", "\ufeffquery\titem_id\tgrade\r\n" + TAB.replace("\n", "\r\n")),
        ("j.tsv", "query_id\tquery\tdoc_id\tgrade\n" + "".join(f"q\t{line}\n" for line in TAB.splitlines())),
        ("j.tsv", "".join(f"q\t{line}\n" for line in TAB.splitlines())),
        ("j.csv", 'grade,query,item_id\n2,red shoes,1\n0,red shoes,2\n1,"say ""hi""",1\n'),
        (
            "j.jsonl",
            '{"query":"red shoes","item_id":1,"grade":2}\n{"query":" red shoes ","item_id":"2","grade":0}\n'
            '{"query":"say \\"hi\\"","doc_id":1,"item_id":1,"grade":1}\n',
        ),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_forms(tmp_path: Path, name: str, content: str, packed: bool) -> None:
    path = tmp_path / (name + ".gz" if packed else name)
    path.write_bytes(gzip.compress(content.encode()) if packed else content.encode())
    assert read_judgments(path) == WANTED


def test_renamed(tmp_path: Path) -> None:
    path = tmp_path / "j.tsv"
    path.write_text("text\tsku\tstars\nshoes\t1\t3\n")
    assert read_judgments(path, columns={"query": "text", "item_id": "sku", "grade": "stars"}) == {"shoes": {"1": 3.0}}


def test_a_query_may_be_called_like_a_column(tmp_path: Path) -> None:
    path = tmp_path / "j.tsv"
    path.write_text("rating\t1\t3\n")
    assert read_judgments(path) == {"rating": {"1": 3.0}}


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("j.tsv", "query\titem_id\tgrade\nx\t1\thigh\n", {}, "line 2, grade: is not a number"),
        ("j.tsv", "x\t1\t1\nx\t1\tnan\n", {}, "line 2, grade: is not a finite number"),
        ("j.tsv", "x\t1\t-1\n", {}, "line 1, grade: is not a finite number of at least 0"),
        ("j.tsv", "x\t1\t1\nx\t1\n", {}, "line 2 has 2 columns, not 3"),
        ("j.tsv", "x\t1\t1\n\t1\t1\n", {}, "line 2, query: is missing"),
        ("j.tsv", "x\t1\n", {}, "no header, and 2 columns"),
        ("j.tsv", "query\titem_id\tgrade\n", {}, "has no judgments"),
        ("j.csv", "x,1,1\n", {}, "no header line"),
        ("j.jsonl", '{"query": "x", "thing": 1, "grade": 1}\n', {}, "no column item_id"),
        ("j.jsonl", '{"query": "x", "item_id": 1, "grade": true}\n', {}, "line 1, grade"),
        ("j.tsv", "query\titem_id\tgrade\nx\t1\t1\n", {"columns": {"label": "grade"}}, "no field 'label'"),
    ],
)
def test_errors(tmp_path: Path, name: str, content: str, options: dict[str, Any], message: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        read_judgments(path, **options)
    assert caught.value.remedy


def test_wrong_encoding(tmp_path: Path) -> None:
    path = tmp_path / "j.tsv"
    path.write_bytes(b"x\t1\t1\n\xe9\t1\t1\n")
    with pytest.raises(InputError, match="line 2 is not UTF-8"):
        read_judgments(path)


def test_the_judgments_of_msrd() -> None:
    path = Path(__file__).parents[3] / "shared" / "data" / "msrd" / "movies-judgments.tsv.gz"
    if not path.is_file():
        pytest.skip("../shared/data/msrd is not here")
    judged = read_judgments(path)
    assert len(judged) == 16_279
    assert sum(map(len, judged.values())) == 384_755
