"""Processes that are killed while they load or record: the same once more, and nothing is missing.

Each is killed by itself with SIGKILL, before or after the n-th call of some function: between two steps, or in one.
"""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from es_recsys import Client
from es_recsys.doctor.events import check_events
from es_recsys.index.fetch import scan
from es_recsys.jobs.load_events import load_events
from es_recsys.jobs.load_items import load_items
from es_recsys.serving.profile_folding import count_outdated_profiles
from es_recsys.serving.refresh import build_profiles
from es_recsys.serving.workspace import Workspace
from es_recsys.settings import EncoderSettings, Settings
from es_recsys.types import Event, Item

pytestmark = [pytest.mark.engine, pytest.mark.long]

_DEADLY = """
import importlib, os, signal, sys
where, moment, nth, then, *arguments = sys.argv[1:]
module, name = where.split(":")
owner = importlib.import_module(module)
*path, name = name.split(".")
for part in path:
    owner = getattr(owner, part)
real, calls = getattr(owner, name), 0
def deadly(*positional, **named):
    global calls
    calls += 1
    if moment == "before" and calls == int(nth):
        os.kill(os.getpid(), signal.SIGKILL)
    result = real(*positional, **named)
    if moment == "after" and calls == int(nth):
        os.kill(os.getpid(), signal.SIGKILL)
    return result
setattr(owner, name, deadly)
import es_recsys.events.store
es_recsys.events.store._BATCH = 200
if then == "command":
    from es_recsys.cli.app import app
    app(arguments)
else:
    from es_recsys import Client, Event
    with Client() as client:
        client.put_events([Event.model_validate_json(line) for line in arguments])
"""


@pytest.fixture
def shop(settings: Settings) -> Settings:
    return settings.model_copy(update={"encoders": EncoderSettings(text="none", image="none")})


@pytest.fixture
def work(shop: Settings) -> Iterator[Workspace]:
    with Workspace(shop) as work:
        yield work


@pytest.fixture
def killed(shop: Settings) -> Callable[..., None]:
    """Runs a command, or records events, in a process that dies: `killed("module:function", "before", 1, "command", ...)`."""
    environment = {
        **os.environ,
        "ES_RECSYS_URL": str(shop.url),
        "ES_RECSYS_INDEX": shop.index,
        "ES_RECSYS_HOME": str(shop.home),
        "ES_RECSYS_CACHE": str(shop.cache),
        "ES_RECSYS_ENCODERS__TEXT": "none",
        "ES_RECSYS_ENCODERS__IMAGE": "none",
    }

    def run(where: str, moment: str, nth: int, *arguments: str) -> None:
        command = [sys.executable, "-c", _DEADLY, where, moment, str(nth), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, timeout=250, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2_000:]

    return run


def _items(count: int = 40) -> list[Item]:
    return [Item(item_id=f"i{n}", title=f"item {n}", price=1.0 + n, categories=[f"c{n % 5}"]) for n in range(count)]


def _events(users: int = 60, each: int = 10) -> list[Event]:
    """Of some users; one in ten events is on an item that there isn't."""
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=20)
    return [
        Event(
            event_type=("view", "cart", "purchase")[n % 3],
            user_id=f"u{user}",
            item_id=f"i{(7 * user + 11 * n) % 44}",
            timestamp=start + timedelta(hours=17 * n + user % 13, minutes=(31 * user + 7 * n) % 60),
        )
        for user in range(users)
        for n in range(each)
    ]


def _lines(path: Path, models: list[Any]) -> Path:
    path.write_text("".join(model.model_dump_json(exclude_none=True) + "\n" for model in models))
    return path


def _profiles(work: Workspace) -> dict[str, Any]:
    index = work.snapshots.latest().metadata.profiles
    work.es.indices.refresh(index=index)
    return {hit["_id"]: hit["_source"] for page in scan(work.es, index) for hit in page}


def _same(one: Any, other: Any, where: str = "") -> None:
    """Equal but for when they were written and the last digits of numbers."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for name in one.keys() - {"updated_at"}:
            _same(one[name], other[name], f"{where}.{name}")
    elif isinstance(one, list):
        assert len(one) == len(other), where
        for a, b in zip(one, other, strict=True):
            _same(a, b, where)
    elif isinstance(one, str) and ".vectors." in where:
        first, second = (np.frombuffer(base64.b64decode(text), "<f8") for text in (one, other))
        np.testing.assert_allclose(first, second, rtol=1e-6, atol=1e-9, err_msg=where)
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-9), where
    else:
        assert one == other, where


def _check_whole(work: Workspace, users: int) -> None:
    """The profiles are those of a full rebuild, and nothing says that they lag."""
    assert count_outdated_profiles(work, work.snapshots.latest()) == 0
    found = _profiles(work)
    assert len(found) == users
    assert all(check.ok for check in check_events(work.settings, work.url))
    build_profiles(work)
    _same(found, _profiles(work))


LOADS = {
    "in a batch before it is stored": ("es_recsys.events.event_writer:EventWriter._insert_new", "after", 1),
    "between two batches": ("es_recsys.events.event_writer:EventWriter.load", "after", 2),
    "before the catalogue is compared": ("es_recsys.serving.refresh:clean_events", "before", 1),
    "while events are set aside": ("es_recsys.events.store:EventStore.set_quarantine", "after", 1),
    "before popularity is counted": ("es_recsys.serving.refresh:count_popularity", "before", 1),
    "before profiles are written": ("es_recsys.serving.refresh:fold_new_events", "before", 1),
    "while profiles are written": ("es_recsys.serving.profile_folding:to_document", "before", 30),
    "when profiles are written and not said to be": ("es_recsys.serving.profile_folding:write_fold_checkpoint", "before", 1),
}


@pytest.mark.parametrize("moment", LOADS)
def test_a_load_that_was_killed_is_made_up_for_by_the_next(
    work: Workspace, killed: Callable[..., None], tmp_path: Path, moment: str
) -> None:
    load_items(work, [_lines(tmp_path / "items.jsonl", _items())])
    file = _lines(tmp_path / "events.jsonl", _events())
    killed(*LOADS[moment], "command", "events", "load", str(file))
    if work.events.last_row:
        lagging = count_outdated_profiles(work, work.snapshots.latest())
        told = {check.name: check for check in check_events(work.settings, work.url) if not check.ok}
        assert bool(lagging) == ("profiles" in told)
        assert all("es-recsys profiles build" in told[name].remedy for name in ("profiles", "events") if name in told)
    report = load_events(work, [file])
    assert report.loaded.added + report.loaded.duplicates == 600
    _check_whole(work, 60)
    counts = [score for _, score in work.snapshots.latest().popularity]
    load_events(work, [file])
    assert [score for _, score in work.snapshots.latest().popularity] == pytest.approx(counts)


RECORDINGS = {
    "before the events are stored": ("es_recsys.events.event_writer:EventWriter._insert_new", "after", 1, 0),
    "when they are stored": ("es_recsys.events.store:EventStore.append", "after", 1, 4),
    "when some are said to be on unknown items": ("es_recsys.events.store:EventStore.quarantine_unknown_items", "after", 1, 4),
    "before a profile is written": ("es_recsys.serving.recording:to_document", "before", 1, 4),
    "between two profiles": ("es_recsys.serving.recording:to_document", "before", 2, 4),
}


@pytest.mark.parametrize("moment", RECORDINGS)
def test_a_recording_that_was_killed_is_made_up_for(
    work: Workspace, killed: Callable[..., None], tmp_path: Path, moment: str
) -> None:
    load_items(work, [_lines(tmp_path / "items.jsonl", _items())])
    file = _lines(tmp_path / "events.jsonl", _events(20))
    load_events(work, [file])
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    last = [
        Event(event_type="cart", user_id=f"u{n % 2}", item_id=("i3", "new")[n // 2], timestamp=start + timedelta(seconds=n))
        for n in range(4)
    ]
    *where, stored = RECORDINGS[moment]
    killed(*where, "record", *(event.model_dump_json(exclude_none=True) for event in last))
    assert work.events.count() == 200 + stored
    assert (count_outdated_profiles(work, work.snapshots.latest()) > 0) == (stored > 0)
    # A load of what is known already brings the profiles up as well.
    assert load_events(work, [file]).loaded.added == 0
    assert count_outdated_profiles(work, work.snapshots.latest()) == 0
    with Client(settings=work.settings) as client:
        assert client.put_events(last).added == 4 - stored
        client.insert_items([Item(item_id="new", title="came later")])
        assert "new" in client.get_user_profile("u1").seen
    _check_whole(work, 20)


CATALOGUES = {
    "when the items are stored": ("es_recsys.jobs.write_items:refresh_after_items", "before"),
    "when their events count again": ("es_recsys.events.store:EventStore.set_quarantine", "after"),
    "before the profiles follow": ("es_recsys.serving.refresh:fold_new_events", "before"),
}


@pytest.mark.parametrize("moment", CATALOGUES)
def test_items_whose_load_was_killed_count_after_the_next(
    work: Workspace, killed: Callable[..., None], tmp_path: Path, moment: str
) -> None:
    items = _lines(tmp_path / "items.jsonl", _items(44))
    load_items(work, [_lines(tmp_path / "some.jsonl", _items(40))])
    load_events(work, [_lines(tmp_path / "events.jsonl", _events())])
    killed(*CATALOGUES[moment], 1, "command", "items", "load", str(items))
    report = load_items(work, [items])
    assert (report.added, report.unchanged) == (0, 44)
    assert all(row.quarantine != "unknown_item" for row in work.events.scan())
    assert {"i40", "i43"} <= {item_id for item_id, _ in work.snapshots.latest().popularity}
    _check_whole(work, 60)


def test_a_catalogue_of_events_that_was_killed_is_none_of_a_person(
    work: Workspace, killed: Callable[..., None], tmp_path: Path
) -> None:
    file = _lines(tmp_path / "events.jsonl", _events(20))
    killed("es_recsys.jobs.load_events:_load_bare", "after", 1, "command", "events", "load", str(file))
    load_events(work, [file])
    assert work.es.count(index=work.snapshots.latest().metadata.index)["count"] == 44
    assert all(row.quarantine is None for row in work.events.scan())
    _check_whole(work, 20)
