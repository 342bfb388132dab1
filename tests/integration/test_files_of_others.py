"""Files as spreadsheets and scripts write them, loaded by the commands and found on a real engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import runner

from es_recsys.settings import Settings

pytestmark = pytest.mark.engine

Run = Callable[..., str]


@pytest.fixture
def run(empty: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command on a store of the test's own; what it printed."""
    command = runner(monkeypatch, capsys)

    def act(*words: object, code: int = 0) -> str:
        done = command(*words, code=code)
        return done.out + done.err

    return act


def hits(printed: str) -> list[str]:
    return [hit["title"] for hit in json.loads(printed)["hits"]]


def test_a_table_of_a_spreadsheet(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    lines = [
        "sep=;",
        'SKU;Name;"Price, EUR";Kategorien;Tags;nutrient_1;',
        '1;"a, b";30;Home > Pans;red, big;5;',
        "2;Löwe;40;Home;big;6;",
        ";;;;;;",
    ]
    path.write_bytes("\r\n".join(lines).encode("utf-16"))
    printed = run("items", "load", path, "--columns", 'price="Price, EUR"', "--columns", "nutrient_*=-,categories=Kategorien")
    assert "2 items added" in printed
    assert f"{path}: read `SKU` as item_id, `Name` as title, `Tags` as tags; --columns changes it." in printed
    assert "tags are read as lists between `,`" in printed
    assert hits(run("search", "", "--filter", 'title:"A, B"', "--json")) == ["a, b"]
    assert hits(run("search", "", "--filter", "categories:Pans", "--json")) == ["a, b"]
    assert hits(run("search", "", "--filter", "tags:big", "--filter", "price:35..", "--json")) == ["Löwe"]
    assert "no field to filter by" in run("search", "", "--filter", "nutrient_1:5", code=2)


def test_a_file_without_a_header_loads_as_its_error_says(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "movies.dat"
    path.write_text("1::Toy Story (1995)::Animation|Comedy\n2::Heat, The (1995)::Action\n")
    said = run("items", "load", path, code=2)
    options = said.rpartition("counted from 1: ")[2].split()
    assert "2 items added" in run("items", "load", path, *options)
    assert hits(run("search", "heat", "--json")) == ["Heat, The (1995)"]
    assert "1 removed" in run("items", "delete", "--file", _line(tmp_path, "2::x::y\n"), *options)


def _line(folder: Path, text: str) -> Path:
    path = folder / "gone.dat"
    path.write_text(text)
    return path


def test_titles_do_not_steer_the_terminal(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "esc.jsonl"
    path.write_text('{"item_id":"1","title":"[red]Sale[/red] \\u001b[31mred\\u001b[0m"}\n')
    run("items", "load", path)
    printed = run("search", "sale")
    assert "[red]Sale[/red] \\x1b[31mred" in printed
    assert "\x1b" not in printed
    assert printed.splitlines()[0].startswith("search: 1 hit of 1, ")
    assert "\x1b" in json.loads(run("search", "sale", "--json"))["hits"][0]["title"]


class _Pictures:
    name, content, field, fingerprint, dims, batch_size = "pictures", "image", "image_vector", "f", 4, 8
    accepts = frozenset({"image"})

    def encode(self, batch: Sequence[Any]) -> Any:
        rows = np.array([[len(Path(one).read_bytes()), 1, 1, 1] for one in batch], np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_pictures_start_from_their_own_file_and_all_that_lack_are_listed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.setattr("es_recsys.jobs.write_items.encoders", lambda _: [_Pictures()])
    for folder in "AB":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{folder}.png").write_bytes(b"x")
        (tmp_path / folder / "f.jsonl").write_text(f'{{"item_id": "{folder}", "title": "P", "image": "{folder}.png"}}\n')
    assert "could not be encoded" not in run("items", "load", tmp_path / "A" / "f.jsonl", tmp_path / "B" / "f.jsonl")
    many = tmp_path / "many.jsonl"
    many.write_text("".join(f'{{"item_id": "m{n}", "title": "P", "image": "img/{n}.jpg"}}\n' for n in range(30)))
    printed = run("items", "load", many)
    listed = Path(printed.rpartition("all of them are in ")[2].splitlines()[0].strip())
    assert "30 contents could not be encoded" in printed
    assert {json.loads(line)["item_id"] for line in listed.read_text().splitlines()} == {f"m{n}" for n in range(30)}
