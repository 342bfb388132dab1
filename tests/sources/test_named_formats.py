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
from tests.support.named_formats import SAMPLES, Sample

EXPECTED: dict[str, list[dict[str, Any]]] = {
    "movielens-movies.csv": [
        {"item_id": "1", "title": "Clay Harbour (1995)", "categories": ("Animation", "Comedy"), "attributes": {"year": 1995}},
        {"item_id": "2", "title": "Tide, The (2001)", "attributes": {"year": 2001}},
    ],
    "movielens-movies.dat": [
        {"item_id": "1", "title": "Clay Harbour (1995)", "categories": ("Comedy",), "attributes": {"year": 1995}},
        {"item_id": "2", "title": "Minuit à Nîmes (1994)", "categories": ("Drama", "War"), "attributes": {"year": 1994}},
    ],
    "movielens-u.item": [
        {
            "item_id": "1",
            "title": "Clay Harbour (1995)",
            "categories": ("Animation", "Children's"),
            "created_at": "1995-01-01T00:00:00",
            "attributes": {"year": 1995},
        },
        {
            "item_id": "2",
            "title": "Minuit à Nîmes (1994)",
            "categories": ("Drama",),
            "created_at": "1994-02-14T00:00:00",
            "attributes": {"year": 1994},
        },
    ],
    "movielens-ratings.csv": [
        {"event_type": "rating", "timestamp": "2005-04-02T23:53:47", "user_id": "7", "item_id": "1", "value": 4.5},
        {"event_type": "rating", "timestamp": "2005-04-02T23:53:50", "user_id": "7", "item_id": "2", "value": 0.5},
    ],
    "movielens-ratings.dat": [
        {"event_type": "rating", "timestamp": "2000-12-31T22:12:40", "user_id": "7", "item_id": "1", "value": 5.0},
        {"event_type": "rating", "timestamp": "2000-12-31T22:35:09", "user_id": "8", "item_id": "2", "value": 1.0},
    ],
    "movielens-u.data": [
        {"event_type": "rating", "timestamp": "1997-12-04T15:55:49", "user_id": "7", "item_id": "1", "value": 5.0},
        {"event_type": "rating", "timestamp": "1998-04-04T19:22:22", "user_id": "8", "item_id": "2", "value": 1.0},
    ],
    "mind-news.tsv": [
        {
            "item_id": "N1",
            "title": 'A "late" goal',
            "description": "It came late.",
            "categories": ("sports", "football_nfl"),
            "tags": ("Riverside FC",),
            "attributes": {"url": "https://example.org/n1"},
        },
        {"item_id": "N2", "title": "Rain", "categories": ("news", "newsus"), "attributes": {"url": "https://example.org/n2"}},
        {
            "item_id": "N3",
            "title": "Bread is dearer",
            "description": "Again.",
            "categories": ("finance", "markets"),
            "attributes": {"url": "https://example.org/n3"},
        },
    ],
    "mind-behaviors.tsv": [
        {"event_type": "click", "timestamp": "2019-10-11T08:55:22", "user_id": "U9", "item_id": "N3", "event_id": "history:0:N3"},
        {
            "event_type": "impression",
            "timestamp": "2019-11-15T08:55:22",
            "user_id": "U9",
            "item_id": "N1",
            "position": 1,
            "recommendation_id": "1",
        },
        {
            "event_type": "click",
            "timestamp": "2019-11-15T08:55:22",
            "user_id": "U9",
            "item_id": "N1",
            "position": 1,
            "recommendation_id": "1",
        },
        {
            "event_type": "impression",
            "timestamp": "2019-11-15T08:55:22",
            "user_id": "U9",
            "item_id": "N2",
            "position": 2,
            "recommendation_id": "1",
        },
        {
            "event_type": "impression",
            "timestamp": "2019-11-11T21:05:58",
            "user_id": "U8",
            "item_id": "N2",
            "position": 1,
            "recommendation_id": "2",
        },
        {
            "event_type": "impression",
            "timestamp": "2019-11-11T21:05:58",
            "user_id": "U8",
            "item_id": "N1",
            "position": 2,
            "recommendation_id": "2",
        },
        {
            "event_type": "impression",
            "timestamp": "2019-11-11T21:05:58",
            "user_id": "U8",
            "item_id": "N3",
            "position": 3,
            "recommendation_id": "2",
        },
        {
            "event_type": "click",
            "timestamp": "2019-11-11T21:05:58",
            "user_id": "U8",
            "item_id": "N3",
            "position": 3,
            "recommendation_id": "2",
        },
    ],
    "retailrocket-item_properties_part1.csv": [
        {"item_id": "40", "categories": ("1338",), "available": False},
        {"item_id": "41", "categories": ("7",)},
    ],
    "retailrocket-events.csv": [
        {"event_type": "view", "timestamp": "2015-06-02T05:02:12", "user_id": "257", "item_id": "40"},
        {"event_type": "cart", "timestamp": "2015-06-02T05:13:19", "user_id": "257", "item_id": "40"},
        {"event_type": "purchase", "timestamp": "2015-06-02T05:17:56", "user_id": "257", "item_id": "40", "event_id": "4000:40"},
        {"event_type": "purchase", "timestamp": "2015-06-02T05:17:56", "user_id": "257", "item_id": "41", "event_id": "4000:41"},
    ],
    "amazon-meta_2023.jsonl": [
        {
            "item_id": "B01",
            "title": "Face oil",
            "categories": ("Beauty", "Skin"),
            "brand": "Fellmark",
            "price": 14.5,
            "attributes": {"main_category": "All Beauty", "average_rating": 4.8, "features": ("light",)},
        },
    ],
    "amazon-meta_2018.json": [
        {
            "item_id": "B00001",
            "title": "Face oil",
            "description": "Good.",
            "categories": ("Beauty", "Skin"),
            "brand": "Fellmark",
            "price": 14.5,
            "currency": "$",
        },
    ],
    "amazon-meta_2014.json": [
        {"item_id": "B00001", "title": "Face oil", "categories": ("Beauty", "Skin"), "price": 14.5},
    ],
    "amazon-reviews_2023.jsonl": [
        {"event_type": "rating", "timestamp": "2020-05-05T14:08:48", "user_id": "AG7", "item_id": "B01", "value": 5.0},
    ],
    "amazon-reviews_5.json": [
        {
            "event_type": "rating",
            "timestamp": "2009-09-13T00:00:00",
            "user_id": "A2SUAM1J3GNN3B",
            "item_id": "B00001",
            "value": 1.0,
        },
    ],
    "amazon-ratings_2014.csv": [
        {
            "event_type": "rating",
            "timestamp": "2001-01-03T00:00:00",
            "user_id": "A2EFCYXHNK06IS",
            "item_id": "5555991584",
            "value": 5.0,
        },
    ],
    "amazon-ratings_2018.csv": [
        {
            "event_type": "rating",
            "timestamp": "2001-01-03T00:00:00",
            "user_id": "A2EFCYXHNK06IS",
            "item_id": "5555991584",
            "value": 5.0,
        },
    ],
    "steam-steam_games.json": [
        {
            "item_id": "761140",
            "title": "Lost Lantern",
            "categories": ("Action", "Indie"),
            "tags": ("Strategy",),
            "brand": "Kern",
            "price": 4.99,
            "created_at": "2018-01-04T00:00:00",
            "attributes": {"publisher": "Kern", "early_access": False},
        },
        {"item_id": "643980", "title": "Free Kite", "categories": ("Indie",), "brand": "Kern", "price": 0.0},
    ],
    "steam-australian_user_reviews.json": [
        {"event_type": "like", "timestamp": "2011-11-05T00:00:00", "user_id": "doctr", "item_id": "761140"},
    ],
    "steam-australian_users_items.json": [
        {"event_type": "purchase", "user_id": "doctr", "item_id": "761140", "order": 0},
        {"event_type": "dwell", "user_id": "doctr", "item_id": "761140", "value": 360.0, "order": 1},
        {"event_type": "purchase", "user_id": "doctr", "item_id": "643980", "order": 2},
    ],
    "steam-steam_reviews.json": [
        {"event_type": "purchase", "timestamp": "2017-12-17T00:00:00", "user_id": "Chaos", "item_id": "761140"},
    ],
    "steam-steam-200k.csv": [
        {"event_type": "purchase", "user_id": "151603712", "item_id": "Lost Lantern, Part V", "order": 0},
        {"event_type": "dwell", "user_id": "151603712", "item_id": "Lost Lantern, Part V", "value": 9000.0, "order": 1},
    ],
    "hm-articles.csv": [
        {
            "item_id": "0108775015",
            "group_id": "0108775",
            "title": "Strap top",
            "description": "Jersey top.",
            "categories": ("Ladieswear", "Garment Upper body", "Vest top"),
            "attributes": {"colour_group_name": "Black"},
        },
        {
            "item_id": "0108775044",
            "group_id": "0108775",
            "title": "Strap top",
            "description": "Jersey top.",
            "categories": ("Ladieswear", "Garment Upper body", "Vest top"),
            "attributes": {"colour_group_name": "White"},
        },
    ],
    "hm-transactions_train.csv": [
        {"event_type": "purchase", "timestamp": "2018-09-20T00:00:00", "user_id": "000058a12d", "item_id": "0108775015"},
    ],
    "goodreads-goodreads_books.json": [
        {
            "item_id": "5333265",
            "title": "A Life on Film",
            "description": "Of films.",
            "tags": ("cinema",),
            "brand": "Kern",
            "image": "https://example.org/1.jpg",
            "attributes": {"publication_year": 1984.0, "num_pages": 256.0, "average_rating": 4.0},
        },
    ],
    "goodreads-goodreads_interactions.json": [
        {"event_type": "rating", "timestamp": "2017-03-22T18:37:04", "user_id": "8842", "item_id": "5333265", "value": 5.0},
        {"event_type": "like", "timestamp": "2017-03-22T18:38:04", "user_id": "8843", "item_id": "5333265"},
    ],
    "goodreads-goodreads_interactions.csv": [
        {"event_type": "rating", "user_id": "0", "item_id": "948", "value": 5.0, "order": 0},
        {"event_type": "view", "user_id": "0", "item_id": "947", "order": 1},
    ],
    "bookcrossing-BX-Books.csv": [
        {"item_id": "0195153448", "title": "Été", "brand": "Kern Press", "author": "M. Kern", "attributes": {"year": 2002}},
    ],
    "bookcrossing-BX-Book-Ratings.csv": [
        {"event_type": "view", "user_id": "276725", "item_id": "0195153448", "order": 0},
        {"event_type": "rating", "user_id": "276726", "item_id": "0195153448", "value": 8.0, "order": 0},
    ],
    "rees46-2019-Oct.csv": [
        {
            "item_id": "44600062",
            "title": "kern smartphone",
            "categories": ("electronics", "smartphone"),
            "brand": "kern",
            "price": 35.79,
        },
        {"item_id": "3900821", "price": 33.2},
    ],
    "rees46-2019-Nov.csv": [
        {
            "event_type": "view",
            "timestamp": "2019-11-01T00:00:00",
            "user_id": "541312140",
            "session_id": "72d7",
            "item_id": "44600062",
        },
    ],
    "shopify-products_export.csv": [
        {
            "item_id": "S1-R",
            "group_id": "mug",
            "title": "Tin mug",
            "description": "Red",
            "categories": ("Mugs",),
            "tags": ("tin", "red"),
            "brand": "Fellmark",
            "price": 9.5,
            "attributes": {"Type": "Mugs", "Published": True, "Colour": "Red"},
        },
        {
            "item_id": "S1-B",
            "group_id": "mug",
            "title": "Tin mug",
            "description": "Red",
            "categories": ("Mugs",),
            "tags": ("tin", "red"),
            "brand": "Fellmark",
            "price": 9.5,
            "attributes": {"Colour": "Blue"},
        },
    ],
    "shopify-orders_export.csv": [
        {
            "event_type": "purchase",
            "timestamp": "2026-01-05T09:59:00",
            "user_id": "ada@example.org",
            "session_id": "#1001",
            "item_id": "S1-R",
            "value": 2.0,
            "event_id": "#1001:S1-R",
        },
        {
            "event_type": "purchase",
            "timestamp": "2026-01-05T09:59:00",
            "user_id": "ada@example.org",
            "session_id": "#1001",
            "item_id": "S2",
            "value": 1.0,
            "event_id": "#1001:S2",
        },
        {
            "event_type": "purchase",
            "timestamp": "2026-01-06T09:59:00",
            "session_id": "#1002",
            "item_id": "S2",
            "value": 1.0,
            "event_id": "#1002:S2",
        },
    ],
    "woocommerce-wc-product-export.csv": [
        {
            "item_id": "93",
            "title": "Plate",
            "description": "White",
            "categories": ("Kitchen", "Plates"),
            "price": 5.0,
            "attributes": {"Type": "simple", "SKU": "S2", "Published": 1},
        },
    ],
    "woocommerce-orders.json": [
        {
            "event_type": "purchase",
            "timestamp": "2026-01-05T09:28:02",
            "user_id": "26",
            "session_id": "order 727",
            "item_id": "93",
            "value": 2.0,
            "event_id": "727:93",
        },
        {
            "event_type": "purchase",
            "timestamp": "2026-01-05T09:28:02",
            "user_id": "26",
            "session_id": "order 727",
            "item_id": "23",
            "event_id": "727:23",
        },
    ],
    "google-merchant-feed.xml": [
        {
            "item_id": "S1-R",
            "group_id": "S1",
            "title": "Tin mug & lid",
            "description": "Red",
            "categories": ("Kitchen", "Mugs"),
            "brand": "Fellmark",
            "price": 9.5,
            "currency": "EUR",
            "attributes": {"link": "https://shop.example/s1", "color": "red"},
        },
        {
            "item_id": "S2",
            "title": "Plate",
            "price": 5.0,
            "currency": "EUR",
            "available": False,
            "attributes": {"link": "https://shop.example/s2"},
        },
    ],
    "google-merchant-feed.tsv": [
        {
            "item_id": "S1-R",
            "group_id": "S1",
            "title": "Tin mug",
            "description": "Red",
            "categories": ("Kitchen", "Mugs"),
            "price": 9.5,
            "currency": "EUR",
            "image": "https://shop.example/1.jpg",
            "attributes": {"link": "https://shop.example/s1"},
        },
    ],
    "ga4-events_20260105.json": [
        {"item_id": "S1", "title": "Tin mug", "categories": ("Kitchen", "Mugs"), "brand": "Fellmark", "price": 9.5},
    ],
    "ga4-events_20260106.json": [
        {
            "event_type": "impression",
            "timestamp": "2026-01-05T10:00:00",
            "user_id": "17.42",
            "session_id": "17.42.5",
            "item_id": "S1",
            "position": 3,
        },
        {
            "event_type": "search",
            "timestamp": "2026-01-05T10:00:00",
            "user_id": "17.42",
            "session_id": "17.42.5",
            "query": "tin mug",
        },
        {
            "event_type": "purchase",
            "timestamp": "2026-01-05T10:00:00",
            "user_id": "ada",
            "session_id": "17.42.5",
            "item_id": "S1",
            "value": 2.0,
            "event_id": "T1:S1",
        },
        {
            "event_type": "purchase",
            "timestamp": "2026-01-05T10:00:00",
            "user_id": "ada",
            "session_id": "17.42.5",
            "item_id": "S2",
            "event_id": "T1:S2",
        },
    ],
    "segment-products.jsonl": [
        {"item_id": "S1", "title": "Tin mug", "categories": ("Kitchen",), "price": 9.5},
    ],
    "segment-tracks.jsonl": [
        {
            "event_type": "impression",
            "timestamp": "2026-01-05T10:00:00",
            "session_id": "a1",
            "item_id": "S1",
            "event_id": "m0",
            "position": 3,
        },
        {"event_type": "search", "timestamp": "2026-01-05T10:00:00", "session_id": "a1", "query": "tin mug", "event_id": "m1"},
        {
            "event_type": "purchase",
            "timestamp": "2026-01-05T10:00:00",
            "user_id": "ada",
            "session_id": "a1",
            "item_id": "S1",
            "value": 2.0,
            "event_id": "m2:S1",
        },
        {
            "event_type": "purchase",
            "timestamp": "2026-01-05T10:00:00",
            "user_id": "ada",
            "session_id": "a1",
            "item_id": "S2",
            "value": 1.0,
            "event_id": "m2:S2",
        },
    ],
    "gorse-items.jsonl": [
        {
            "item_id": "1",
            "title": "one",
            "categories": ("x", "y"),
            "created_at": "2020-01-01T01:01:01",
            "attributes": {"genre": ("comedy",)},
        },
        {"item_id": "2", "tags": ("a",), "created_at": "2020-01-02T01:01:01", "available": False},
    ],
    "gorse-items.csv": [
        {"item_id": "1", "title": "o,n,e", "categories": ("x", "y"), "tags": ("a", "b"), "created_at": "2020-01-01T01:01:01"},
    ],
    "gorse-feedback.jsonl": [
        {"event_type": "like", "timestamp": "2020-01-01T01:01:01", "user_id": "0", "item_id": "2"},
        {"event_type": "view", "timestamp": "2020-01-01T01:02:01", "user_id": "0", "item_id": "1"},
    ],
    "gorse-feedback.csv": [
        {"event_type": "like", "timestamp": "2020-01-01T01:01:01", "user_id": "0", "item_id": "2"},
    ],
    "ubi-ubi_events.jsonl": [
        {
            "event_type": "cart",
            "timestamp": "2026-01-01T12:00:00",
            "user_id": "u1",
            "session_id": "c1",
            "item_id": "17",
            "position": 3,
        },
    ],
}


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
