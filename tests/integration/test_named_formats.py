"""Each format by its name, loaded into a store by the commands and by the client: items are found, events are theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from es_recsys import Client
from es_recsys.settings import Settings
from es_recsys.sources.named_formats import FORMATS
from tests.support.named_formats import SAMPLES, Sample

pytestmark = pytest.mark.engine

TITLES = {
    "movielens": "Clay Harbour (1995)",
    "mind": 'A "late" goal',
    "retailrocket": "",
    "amazon": "Face oil",
    "steam": "Lost Lantern",
    "hm": "Strap top",
    "goodreads": "A Life on Film",
    "bookcrossing": "Été",
    "rees46": "kern smartphone",
    "shopify": "Tin mug",
    "woocommerce": "Plate",
    "google-merchant": "Tin mug & lid",
    "ga4": "Tin mug",
    "segment": "Tin mug",
    "gorse": "one",
}
"""The title of the first item of each format's first file."""

SCALES = {"movielens": (0.5, 5), "amazon": (1, 5), "goodreads": (1, 5), "bookcrossing": (1, 10)}


@pytest.fixture(scope="module")
def client(module_settings: Callable[..., Settings]) -> Iterator[Client]:
    """One store for all formats whose events have times."""
    with Client(settings=module_settings()) as client:
        yield client


@pytest.fixture(scope="module")
def untimed(module_settings: Callable[..., Settings]) -> Iterator[Client]:
    """One store for those that only have an order, which no store has beside times."""
    with Client(settings=module_settings()) as client:
        yield client


def first(name: str, kind: str) -> Sample | None:
    return next((one for one in SAMPLES if (one.format, one.kind) == (name, kind)), None)


# With a scale of ratings, impressions, variants and orders, and no times; the others are read by `sources/test_named_formats.py`.
DIFFERENT = ("movielens", "mind", "shopify", "bookcrossing")


@pytest.mark.parametrize("name", [pytest.param(name, marks=[] if name in DIFFERENT else pytest.mark.long) for name in FORMATS])
def test_a_format_loads_into_a_store(client: Client, untimed: Client, tmp_path: Path, name: str) -> None:
    client = untimed if name == "bookcrossing" else client
    items, events = first(name, "items"), first(name, "events")
    if items is not None:
        report = client.load_items(items.write(tmp_path), format=name)
        assert report.added + report.changed and not report.rejected and not report.failed
        assert any(f"--format {name}: read as" in note for note in report.notes)
        assert TITLES[name] in [hit.title for hit in client.search(TITLES[name], n=50).hits]
    if events is not None:
        loaded = client.load_events(events.write(tmp_path), format=name)
        assert loaded.loaded.added and not loaded.rejected
    if name in SCALES:
        scale = client.workspace.events.rating_scale
        assert (scale.low, scale.high, scale.given) == (*SCALES[name], True)


def test_loading_events_of_a_format_again_changes_nothing(client: Client, tmp_path: Path) -> None:
    path = next(one for one in SAMPLES if one.file == "behaviors.tsv").write(tmp_path)
    before = client.load_events(path, format="mind").loaded
    again = client.load_events(path, format="mind").loaded
    assert (again.added, again.duplicates) == (0, before.added + before.duplicates)


def test_a_catalogue_is_made_equal_to_a_file_of_a_format(client: Client, tmp_path: Path) -> None:
    path = next(one for one in SAMPLES if one.file == "news.tsv").write(tmp_path)
    client.sync_items(path, format="mind")
    assert {hit.item_id for hit in client.search("", n=50).hits} == {"N1", "N2", "N3"}
