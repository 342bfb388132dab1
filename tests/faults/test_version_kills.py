"""Loads and trainings that are killed (SIGKILL) at every delicate moment: the same command again makes all good."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from es_recsys import Client, Event, Item, Settings
from es_recsys.doctor.store import check_orphaned_models, check_unfinished
from es_recsys.index import versions
from es_recsys.index.fetch import scan_ids
from es_recsys.index.unfinished_versions import draft_folders, orphaned_model_folders
from es_recsys.index.version_folders import models_folder
from es_recsys.index_metadata import items_alias
from es_recsys.jobs.load_items import load_items
from es_recsys.jobs.versions import swap_version
from es_recsys.settings import EncoderSettings

pytestmark = [pytest.mark.engine, pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")]

N = 1_200
INDICES = "elasticsearch._sync.client.indices.IndicesClient"
# What is run in a process of its own: one command, and the call before or after which the process ends itself.
SCRIPT = """
import os, signal, sys
from pathlib import Path
from pydoc import locate
from es_recsys import Client, Settings
from es_recsys.jobs.load_items import load_items
from es_recsys.jobs.versions import swap_version
from es_recsys.settings import EncoderSettings

url, index, home, command, place, nth, when = sys.argv[1:]
owner, name = locate(place.rpartition(".")[0]), place.rpartition(".")[2]
was, calls = getattr(owner, name), []

def killed(*given, **named):
    calls.append(1)
    last = len(calls) == int(nth)
    if last and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    done = was(*given, **named)
    if last:
        os.kill(os.getpid(), signal.SIGKILL)
    return done

none = EncoderSettings(text="none", image="none")
with Client(settings=Settings(url=url, index=index, home=home, cache=home + "/cache", encoders=none)) as client:
    client.workspace.events
    setattr(owner, name, killed)
    if command == "train":
        client.train(["covisitation"])
    elif command == "swap":
        swap_version(client.workspace, None)
    else:
        load_items(client.workspace, [Path(command)])
"""


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    none = EncoderSettings(text="none", image="none")
    with Client(settings=settings.model_copy(update={"encoders": none})) as client:
        yield client


def kill(client: Client, command: str, place: str, nth: int, when: str) -> None:
    """Runs the command in another process, which ends by SIGKILL at that call."""
    it = client.settings
    told = [str(it.url), it.index, str(it.home), command, place, str(nth), when]
    done = subprocess.run([sys.executable, "-c", SCRIPT, *told], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def csv(path: Path, n: int, word: str = "thing") -> Path:
    path.write_text("item_id,title,size\n" + "".join(f"i{k},{word} {k},{k}\n" for k in range(n)))
    return path


def stored(client: Client) -> set[str]:
    client.workspace.es.indices.refresh(index=items_alias(client.settings.index))
    return {item_id for ids in scan_ids(client.workspace.es, items_alias(client.settings.index)) for item_id in ids}


def assert_clean(client: Client) -> None:
    es, settings = client.workspace.es, client.settings
    assert versions.unfinished_versions(es, settings.index) == []
    assert orphaned_model_folders(es, settings) == draft_folders(settings) == []
    assert [*check_unfinished(es, settings), *check_orphaned_models(es, settings)] == []
    [interval] = es.indices.get_settings(index=items_alias(settings.index), name="index.refresh_interval").values() or [{}]
    assert not interval, "what is written to the index would not be seen"


FIRST = [
    pytest.param(f"{INDICES}.create", 1, "after", id="between the two indices"),
    pytest.param(f"{INDICES}.update_aliases", 1, "before", id="before it is in service", marks=pytest.mark.long),
    pytest.param(f"{INDICES}.update_aliases", 1, "after", id="in service and empty", marks=pytest.mark.long),
    pytest.param("es_recsys.index.chunk_sender.ChunkSender.send", 2, "after", id="in the middle"),
    pytest.param("es_recsys.index.mapping_updates.switch_to_hnsw", 1, "before", id="before its end", marks=pytest.mark.long),
]


@pytest.mark.parametrize(("place", "nth", "when"), FIRST)
def test_a_first_load_that_is_killed(client: Client, tmp_path: Path, place: str, nth: int, when: str) -> None:
    file = csv(tmp_path / "items.csv", N)
    kill(client, str(file), place, nth, when)
    report = load_items(client.workspace, [file])
    assert report.failed == 0
    assert stored(client) == {f"i{k}" for k in range(N)}
    assert client.search("thing 7", n=3, filter="size:7").hits[0].item_id == "i7"
    assert_clean(client)
    assert load_items(client.workspace, [file]).unchanged == N


@pytest.mark.long
def test_a_later_load_that_is_killed(client: Client, tmp_path: Path) -> None:
    load_items(client.workspace, [csv(tmp_path / "items.csv", N)])
    changed = csv(tmp_path / "items.csv", N + 300, "lamp")
    kill(client, str(changed), "es_recsys.index.chunk_sender.ChunkSender.send", 2, "after")
    load_items(client.workspace, [changed])
    assert stored(client) == {f"i{k}" for k in range(N + 300)}
    assert len(client.search("lamp", n=50).hits) == 50 and not client.search("thing", n=5).hits
    assert_clean(client)


def with_events(client: Client, n_items: int) -> None:
    client.insert_items([Item(item_id=f"i{k}", title=f"thing {k}") for k in range(n_items)])
    start = datetime.now(UTC) - timedelta(days=20)
    client.put_events(
        Event(
            event_type="view",
            user_id=f"u{user}",
            item_id=f"i{(user * 7 + step) % 40}",
            timestamp=start + timedelta(hours=user % 50, minutes=7 * step),
        )
        for user in range(60)
        for step in range(6)
    )


TRAIN = [
    pytest.param("es_recsys.training.publish.save_item_features", 1, "before", id="with half of the artefacts"),
    pytest.param(f"{INDICES}.create", 1, "after", id="between the two indices"),
    pytest.param("es_recsys.index.chunk_sender.ChunkSender.send", 2, "after", id="in mid copy"),
    pytest.param("es_recsys.training.publish.fold_all_profiles", 1, "after", id="with its profiles"),
    pytest.param(f"{INDICES}.update_aliases", 1, "before", id="before the swap"),
    pytest.param(f"{INDICES}.update_aliases", 1, "after", id="after the swap"),
    pytest.param("es_recsys.training.publish._drop_older", 1, "before", id="before its end"),
]


@pytest.mark.long
@pytest.mark.parametrize(("place", "nth", "when"), TRAIN)
def test_a_training_that_is_killed(client: Client, place: str, nth: int, when: str) -> None:
    with_events(client, N)
    client.train(["covisitation"])
    kill(client, "train", place, nth, when)
    served = {hit.item_id for hit in client.recommend("u1", n=10).hits}
    assert served
    swapped = (when == "after" and place.endswith("update_aliases")) or place.endswith("_drop_older")
    told = [check.what for check in check_unfinished(client.workspace.es, client.settings)]
    assert bool(told) != swapped, told
    report = client.train(["covisitation"])
    assert report.version == versions.live_version(client.workspace.es, client.settings.index)
    assert models_folder(client.settings, report.version).is_dir()
    assert stored(client) == {f"i{k}" for k in range(N)}
    assert client.get_user_profile("u1").counts == {"view": 6}
    assert_clean(client)


@pytest.mark.long
def test_a_load_clears_what_a_killed_training_left(client: Client) -> None:
    with_events(client, N)
    kill(client, "train", f"{INDICES}.create", 1, "after")
    assert [
        (one.version, one.incomplete) for one in versions.unfinished_versions(client.workspace.es, client.settings.index)
    ] == [(2, True)]
    version, models = check_unfinished(client.workspace.es, client.settings)
    assert "Version 2" in version.what and "items load" in version.remedy
    assert "000002" in models.what and "items load" in models.remedy
    client.insert_items([Item(item_id="new", title="new")])
    assert_clean(client)


SWAP = [
    pytest.param("es_recsys.index.chunk_sender.ChunkSender.send", 1, "after", id="while the items are brought up"),
    pytest.param(f"{INDICES}.update_aliases", 1, "before", id="before the swap"),
    pytest.param(f"{INDICES}.update_aliases", 1, "after", id="after the swap"),
]


@pytest.mark.long
@pytest.mark.parametrize(("place", "nth", "when"), SWAP)
def test_a_swap_that_is_killed(client: Client, place: str, nth: int, when: str) -> None:
    with_events(client, N)
    client.train(["covisitation"])
    client.insert_items([Item(item_id=f"n{k}", title=f"new {k}") for k in range(700)])
    client.delete_items(["i1199"])
    kill(client, "swap", place, nth, when)
    assert swap_version(client.workspace, 1) == 1
    assert stored(client) == {f"i{k}" for k in range(N - 1)} | {f"n{k}" for k in range(700)}
    assert client.get_user_profile("u1").counts == {"view": 6}
    assert_clean(client)
