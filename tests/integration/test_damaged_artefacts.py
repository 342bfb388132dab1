"""Artefacts that were damaged: what is wrong is named, what needs them not goes on, and the remedy told makes all whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from es_recsys import Client, Event, Item, Settings
from es_recsys.doctor import diagnose
from es_recsys.errors import ModelError
from es_recsys.index.version_folders import models_folder
from es_recsys.jobs.load_events import load_events
from es_recsys.serving.snapshot_cache import popularity_folder

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def settings(module_settings: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = module_settings()
    events = tmp_path_factory.mktemp("events") / "events.jsonl"
    rows = ((f"u{n % 7}", f"i{n * 3 % 10}", 1_700_000_000 + n) for n in range(60))
    liked = [{"event_type": "like", "user_id": user, "item_id": item, "timestamp": at} for user, item, at in rows]
    events.write_text("".join(json.dumps(event) + "\n" for event in liked))
    with Client(settings=settings) as client:
        client.insert_items(Item(item_id=f"i{n}", title=f"red shoe {n}") for n in range(12))
        load_events(client.workspace, [events])
        client.train(["als"], budget=0.0)
    yield settings


def _half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _gone(path: Path) -> None:
    path.unlink()


def _other(path: Path) -> None:
    if path.suffix == ".json":
        path.write_text('{"format": 1, "model": "als", "params": {}, "arrays": {}, "fingerprint": "x"}')
    else:
        path.write_bytes(b"\x93NUMPY\x01\x00nonsense")


DAMAGES = [_half, _emptied, _gone, _other]


def _artefacts(settings: Settings) -> tuple[Path, Path]:
    with Client(settings=settings) as client:
        version = client.workspace.snapshots.current().metadata.version
    return models_folder(settings, version), popularity_folder(settings)


def _whole(settings: Settings) -> None:
    with Client(settings=settings) as client:
        found = client.recommend("u1", n=5)
        assert found.hits and found.ranking.degraded == ()
        assert client.workspace.snapshots.current().models.keys() == {"als"}
        assert client.workspace.snapshots.current().popularity
    named = [check for check in diagnose(settings) if not check.ok and check.name.startswith(("model", "popularity"))]
    assert named == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_file_of_a_model_is_named_with_a_remedy(damage: Any, settings: Settings, tmp_path: Path) -> None:
    models, _ = _artefacts(settings)
    shutil.copytree(models, tmp_path / "whole")
    for file in [file.relative_to(models) for file in models.rglob("*") if file.is_file() and file.name != "catalogue.npy"]:
        damage(models / file)
        with Client(settings=settings) as client, pytest.raises(ModelError, match="train again") as raised:
            client.recommend("u1")
        assert str(models) in str(raised.value), file
        shutil.rmtree(models)
        shutil.copytree(tmp_path / "whole", models)
    _whole(settings)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_popularity_costs_no_answer_and_no_event(
    damage: Any, settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, popular = _artefacts(settings)
    shutil.copytree(popular, tmp_path / "whole")
    for file in [file.name for file in popular.iterdir()]:
        damage(popular / file)
        caplog.clear()
        with Client(settings=settings) as client:
            assert client.recommend("u1").hits and client.search("shoe").hits
            client.put_events(Event(event_type="like", user_id="u1", item_id="i2", event_id=f"{damage.__name__}{file}"))
        assert any("Answers do without what is popular." in one and str(popular) in one for one in caplog.messages), file
        assert [check.name for check in diagnose(settings) if not check.ok and check.name == "popularity"] == ["popularity"]
        shutil.rmtree(popular)
        shutil.copytree(tmp_path / "whole", popular)
    _whole(settings)


def test_a_training_makes_all_of_it_whole(settings: Settings) -> None:
    """It is the remedy that all of them tell."""
    models, popular = _artefacts(settings)
    for folder in (models / "als", models / "features", popular):
        _half(folder / "manifest.json")
    with Client(settings=settings) as client, pytest.raises(ModelError, match="train again"):
        client.recommend("u1")
    with Client(settings=settings) as client:
        client.train(["als"], budget=0.0)
    _whole(settings)
