"""What docs/operations.md says of backups, tried: a store comes back on another node and another machine's folder."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from es_recsys import Client, Event, Settings
from es_recsys.doctor import diagnose
from es_recsys.engine import start_owned
from es_recsys.sample import SampleStore
from es_recsys.settings import EncoderSettings

pytestmark = [pytest.mark.engine, pytest.mark.long]

NAME = "shop"
NO_ENCODERS = EncoderSettings(text="none", image="none")
FILES = ("user.key", "stores")


def settings_in(home: Path) -> Settings:
    return Settings(index=NAME, home=home, cache=home / "cache", heap="256m", encoders=NO_ENCODERS)


def client_of(url: str, home: Path) -> Client:
    return Client(settings=settings_in(home).model_copy(update={"url": url}))


def back_up(url: str, home: Path, to: Path) -> None:
    """The three steps of the page, in its order."""
    with Elasticsearch(url) as es:
        es.snapshot.create_repository(name="backup", repository={"type": "fs", "settings": {"location": "shop"}})
        done = es.options(request_timeout=300).snapshot.create(
            repository="backup", snapshot="one", indices=f"{NAME}-*", include_global_state=False, wait_for_completion=True
        )
        assert done["snapshot"]["state"] == "SUCCESS"
    shutil.copytree(home / "engine" / "snapshots", to / "snapshots")
    with closing(sqlite3.connect(home / "events.sqlite3")) as events, closing(sqlite3.connect(to / "events.sqlite3")) as copy:
        events.backup(copy)
    for name in FILES:
        (shutil.copytree if (home / name).is_dir() else shutil.copy)(home / name, to / name)


def restore(url: str, home: Path, kept: Path) -> None:
    shutil.copytree(kept / "snapshots", home / "engine" / "snapshots", dirs_exist_ok=True)
    with Elasticsearch(url) as es:
        location = {"location": "shop", "readonly": True}
        es.snapshot.create_repository(name="backup", repository={"type": "fs", "settings": location})
        es.options(request_timeout=300).snapshot.restore(
            repository="backup", snapshot="one", indices=f"{NAME}-*", wait_for_completion=True
        )
    for name in (*FILES, "events.sqlite3"):
        (shutil.copytree if (kept / name).is_dir() else shutil.copy)(kept / name, home / name)


def answers(client: Client, user: str) -> dict[str, float]:
    """The score of each hit of two answers; they change a little from minute to minute, as items grow older."""
    found = {"recommend": client.recommend(user, n=20), "search": client.search("shoes", user_id=user, n=20)}
    return {f"{name} {hit.item_id}": hit.score for name, answer in found.items() for hit in answer.hits}


def test_a_store_comes_back_from_its_backup(sample: SampleStore, tmp_path: Path) -> None:
    user, other = sample.shoppers[0].user_id, sample.shoppers[1].user_id
    kept = tmp_path / "kept"
    kept.mkdir()
    home = tmp_path / "old"
    with start_owned(settings_in(home)) as node, client_of(node.url, home) as client:
        client.insert_items(sample.items)
        client.put_events(sample.events)
        client.train(["covisitation", "als"])
        expected, first = answers(client, user), client.recommend(user, n=1).hits[0].item_id
        back_up(node.url, home, kept)
        # What comes after the backup isn't in it.
        client.put_events([Event(event_type="purchase", user_id=user, item_id=first)])
        assert f"recommend {first}" not in answers(client, user)
    fresh = tmp_path / "new"
    with start_owned(settings_in(fresh)) as node:
        restore(node.url, fresh, kept)
        with client_of(node.url, fresh) as client:
            assert [check for check in diagnose(client.settings) if not check.ok] == []
            restored = answers(client, user)
            common = restored.keys() & expected.keys()
            assert len(common) >= 0.9 * len(expected)
            assert {hit: restored[hit] for hit in common} == pytest.approx({hit: expected[hit] for hit in common}, abs=0.02)
            # It goes on: events, items and trainings.
            item = client.recommend(other, n=1).hits[0].item_id
            client.put_events([Event(event_type="purchase", user_id=other, item_id=item)])
            assert item not in [hit.item_id for hit in client.recommend(other, n=50).hits]
            assert client.insert_items(sample.items).unchanged == len(sample.items)
            assert client.train(["covisitation"]).version == 3
