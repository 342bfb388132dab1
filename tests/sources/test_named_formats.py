"""Formats by name: each file in its true form gives what its makers mean, and others are refused with what was expected."""

from __future__ import annotations

import inspect
import runpy
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from es_recsys.cli import catalogue
from es_recsys.errors import InputError
from es_recsys.sources import ReadOptions, RejectedRows, read_events, read_items
from es_recsys.sources.named_formats import FORMATS, resolve_format
from tests.support.named_format_rows import EXPECTED
from tests.support.named_formats import SAMPLES, Sample


def shown(value: Any) -> Any:
    return value.strftime("%Y-%m-%dT%H:%M:%S") if isinstance(value, datetime) else value


def read(path: Path, kind: str, **options: Any) -> tuple[list[dict[str, Any]], RejectedRows]:
    """What a file holds, without fields that say nothing."""
    reader = read_items if kind == "items" else read_events
    with RejectedRows(write=False) as rejected:
        found = [one.model_dump() for one in reader(path, ReadOptions(**options), rejected=rejected)]  # type: ignore[operator]
    filled = [{name: shown(value) for name, value in one.items() if value not in (None, "", (), {})} for one in found]
    return [{name: value for name, value in one.items() if (name, value) != ("available", True)} for one in filled], rejected


def sample(name: str) -> Sample:
    return next(one for one in SAMPLES if one.file == name)


@pytest.mark.parametrize("one", SAMPLES, ids=str)
def test_a_file_in_its_true_form_is_read_as_it_is_meant(tmp_path: Path, one: Sample) -> None:
    found, rejected = read(one.write(tmp_path), one.kind, format=one.format)
    assert found == EXPECTED[str(one)]
    assert not rejected.count and not rejected.fields


def test_each_form_of_each_format_has_a_file_that_is_read(tmp_path: Path) -> None:
    read_forms = {(one.format, one.kind, _form(one, tmp_path)) for one in SAMPLES}
    there = {(name, kind, form.file) for name, row in FORMATS.items() for kind in ("items", "events") for form in row.forms(kind)}
    # Of Shopify's two headers and UBI's two indices the other one is tested where they are known without a name.
    assert there - read_forms == {
        ("shopify", "items", "products_export.csv of 2025 on"),
        ("ubi", "events", "ubi_queries"),
    }


def _form(one: Sample, folder: Path) -> str:
    options = resolve_format(ReadOptions(format=one.format), one.kind, one.write(folder))
    return options.notes[0].partition(": read as ")[2]


@pytest.mark.parametrize("one", SAMPLES, ids=str)
def test_a_file_of_another_form_is_refused_with_what_was_expected(tmp_path: Path, one: Sample) -> None:
    path = tmp_path / one.file
    path.write_text("when;who;what\n1;2;3\n")
    with pytest.raises(InputError) as refused:
        read(path, one.kind, format=one.format)
    told = str(refused.value)
    assert str(path) in told
    assert all(form.file in told for form in FORMATS[one.format].forms(one.kind))
    assert "--columns" in told


def test_the_columns_that_were_found_are_told(tmp_path: Path) -> None:
    path = tmp_path / "films.csv"
    path.write_text("film,name\n1,Clay Harbour\n")
    with pytest.raises(InputError, match=r"Found: the columns film, name\."):
        read(path, "items", format="movielens")


def test_events_that_are_given_as_items_are_told(tmp_path: Path) -> None:
    path = sample("ratings.csv").write(tmp_path)
    with pytest.raises(InputError, match=r"has events.*es-recsys events load --format movielens") as refused:
        read(path, "items", format="movielens")
    assert refused.value.exit_code == 2


def test_a_format_that_there_is_not_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Did you mean movielens"):
        read(sample("movies.csv").write(tmp_path), "items", format="movilens")


def test_a_format_without_events_says_what_it_has(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no events.*es-recsys items load --format google-merchant"):
        read(sample("feed.xml").write(tmp_path), "events", format="google-merchant")


def test_files_of_two_forms_are_loaded_one_after_the_other(tmp_path: Path) -> None:
    paths = [sample("movies.csv").write(tmp_path), sample("u.item").write(tmp_path)]
    with pytest.raises(InputError, match="They are read differently"):
        list(read_items(paths, ReadOptions(format="movielens")))


def test_a_file_in_utf_8_is_read_so_where_others_of_its_form_are_not(tmp_path: Path) -> None:
    path = tmp_path / "movies.dat"
    path.write_text("2::Minuit à Nîmes (1994)::Drama\n", encoding="utf-8")
    assert read(path, "items", format="movielens")[0][0]["title"] == "Minuit à Nîmes (1994)"


def test_options_go_before_what_the_format_says(tmp_path: Path) -> None:
    path = sample("ratings.csv").write(tmp_path)
    found, _ = read(path, "events", format="movielens", columns={"session_id": "userId", "user_id": "-"})
    assert [one["session_id"] for one in found] == ["7", "7"]
    assert "user_id" not in found[0]


def test_a_format_sets_the_scale_of_ratings_unless_one_is_given(tmp_path: Path) -> None:
    path = sample("ratings.csv").write(tmp_path)
    assert resolve_format(ReadOptions(format="movielens"), "events", path).rating_scale == "0.5..5"
    assert resolve_format(ReadOptions(format="movielens", rating_scale="1..5"), "events", path).rating_scale == "1..5"


def test_a_broken_feed_keeps_the_items_before_the_break(tmp_path: Path) -> None:
    path = tmp_path / "feed.xml"
    path.write_bytes(sample("feed.xml").content.replace(b"<title>Plate</title>", b"<title>Plate"))
    found, rejected = read(path, "items", format="google-merchant")
    assert [one["item_id"] for one in found] == ["S1-R"]
    assert "is not XML: mismatched tag" in rejected.first[0].reason


def test_a_feed_cannot_define_entities(tmp_path: Path) -> None:
    path = tmp_path / "feed.xml"
    path.write_text('<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a "aaaa">]><rss><item><id>&a;</id></item></rss>')
    _, rejected = read(path, "items")
    assert "document type" in rejected.first[0].reason


def test_a_feed_needs_no_name(tmp_path: Path) -> None:
    found, _ = read(sample("feed.xml").write(tmp_path), "items")
    assert [one["item_id"] for one in found] == ["S1-R", "S2"]


def test_the_help_and_the_docs_name_all_formats() -> None:
    written = inspect.getsource(catalogue)
    assert ", ".join(FORMATS) in " ".join(part.strip(' "') for part in written.splitlines()).replace(",  ", ", ")
    script = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "format_table.py"))
    assert script["table"]() in script["PAGE"].read_text(encoding="utf-8"), "run scripts/format_table.py --write"
