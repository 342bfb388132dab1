"""Jobs keep a store's forward index in step with its items, write it anew seldom, and leave nothing of what they drop."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from es_recsys import Client, Event, Item, Settings
from es_recsys.forward_index import ForwardIndex
from es_recsys.index import versions
from es_recsys.index.fetch import scan
from es_recsys.index.sequence_numbers import index_state
from es_recsys.index.stored_metadata import read_metadata
from es_recsys.index.version_folders import forward_index_folder, forward_index_root
from es_recsys.jobs.load_events import load_events
from es_recsys.jobs.rebuild_index import rebuild_index
from es_recsys.jobs.versions import drop_version, swap_version
from es_recsys.serving import stored_forward_index
from es_recsys.serving.stored_forward_index import load_forward_index
from es_recsys.serving.workspace import drop_store
from es_recsys.settings import EncoderSettings

pytestmark = pytest.mark.engine


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    none = EncoderSettings(text="none", image="none")
    with Client(settings=settings.model_copy(update={"encoders": none})) as client:
        yield client


def things(*numbers: int, word: str = "thing") -> list[Item]:
    return [Item(item_id=f"i{n}", title=f"{word} {n}") for n in numbers]


def views(users: int = 40) -> Iterator[Event]:
    start = datetime.now(UTC) - timedelta(days=20)
    for user in range(users):
        for step in range(6):
            moment = start + timedelta(hours=user % 50, minutes=7 * step)
            yield Event(event_type="view", user_id=f"u{user}", item_id=f"i{(user * 7 + step) % 40}", timestamp=moment)


def stored(client: Client) -> tuple[ForwardIndex, int]:
    """Return the live version's forward index as its file has it, and how many writes came since."""
    es = client.workspace.es
    metadata = read_metadata(es, client.settings.index)
    found = load_forward_index(client.settings, metadata, index_state(es, metadata.index))
    assert found is not None
    return found


def versions_with_one(client: Client) -> list[str]:
    return [folder.name for folder in sorted(forward_index_root(client.settings).glob("*"))]


def check_all_there(client: Client) -> ForwardIndex:
    """Return the live version's forward index after a check that it holds the items and vectors as they are."""
    forward, writes = stored(client)
    assert writes == 0
    metadata = read_metadata(client.workspace.es, client.settings.index)
    hits = [hit for page in scan(client.workspace.es, metadata.index, vectors=True, seq_no=True) for hit in page]
    rows = forward.rows([hit["_id"] for hit in hits])
    assert len(forward) == len(hits) and (rows >= 0).all()
    assert forward.seq_no(rows).tolist() == [hit["_seq_no"] for hit in hits]
    for field, d in metadata.dims.items():
        expected = [value for hit in hits for value in hit["_source"].get(field, [0.0] * d)]
        assert forward.vectors(field, rows).ravel().tolist() == pytest.approx(expected, rel=1e-3, abs=1e-3)
    return forward


def test_loads_build_it_and_few_writes_leave_its_file_alone(client: Client) -> None:
    client.insert_items(things(*range(60)))
    check_all_there(client)
    file = forward_index_folder(client.settings, 1) / "manifest.json"
    before = file.stat().st_mtime_ns
    client.insert_items(things(60))
    client.delete_items(["i1", "i2"])
    forward, writes = stored(client)
    assert file.stat().st_mtime_ns == before and len(forward) == 60 and writes == 3


def test_many_writes_write_it_anew(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.insert_items(things(*range(60)))
    monkeypatch.setattr(stored_forward_index, "_FEW_WRITES", 7)
    client.insert_items(things(*range(5), word="changed"))
    assert stored(client)[1] == 5
    client.delete_items(["i20", "i21"])
    client.insert_items(things(*range(3, 10), 70))
    forward = check_all_there(client)
    assert forward.rows(["i20"]).tolist() == [-1] and forward.rows(["i70"]).tolist() != [-1]


def test_a_small_job_builds_none_for_a_large_catalogue(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.insert_items(things(*range(60)))
    folder = forward_index_folder(client.settings, 1)
    shutil.rmtree(folder)
    monkeypatch.setattr(stored_forward_index, "_FEW_ITEMS", 0)
    client.insert_items(things(1, word="changed"))
    assert not folder.exists()
    client.insert_items(things(*range(30)))
    check_all_there(client)


def test_trainings_swaps_and_rebuilds_bring_their_own_and_drops_take_it_along(client: Client) -> None:
    client.insert_items(things(*range(60)))
    client.put_events(views())
    client.train(["als"], budget=0.0)
    forward = check_all_there(client)
    assert forward.dims.keys() == {"als_vector"} and versions_with_one(client) == ["000001", "000002"]
    client.train(["als"], budget=0.0)
    check_all_there(client)
    # The version before the last one is dropped.
    assert versions_with_one(client) == ["000002", "000003"]
    client.insert_items(things(3, 100, word="changed"))
    swap_version(client.workspace, None)
    forward, _ = stored(client)
    assert forward.state.index.endswith("000002")
    rebuild_index(client.workspace)
    check_all_there(client)
    assert versions_with_one(client) == ["000002", "000003", "000004"]
    drop_version(client.workspace, 3)
    assert versions_with_one(client) == ["000002", "000004"]
    drop_store(client.workspace)
    assert versions_with_one(client) == []


def test_one_of_an_index_that_was_made_again_is_not_used(client: Client) -> None:
    client.insert_items(things(*range(20)))
    folder = forward_index_folder(client.settings, 1)
    kept = folder.with_name("kept")
    folder.rename(kept)
    versions.drop_store(client.workspace.es, client.settings.index)
    client.workspace.snapshots.invalidate()
    client.insert_items(things(*range(20)))
    shutil.rmtree(folder)
    kept.rename(folder)
    es = client.workspace.es
    metadata = read_metadata(es, client.settings.index)
    assert load_forward_index(client.settings, metadata, index_state(es, metadata.index)) is None
    client.insert_items(things(1, word="changed"))
    check_all_there(client)


def test_items_made_of_events_are_in_it(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text("".join(event.model_dump_json(exclude_none=True) + "\n" for event in views()))
    load_events(client.workspace, [file])
    assert len(check_all_there(client)) == 40


def test_a_file_that_cannot_be_written_costs_a_warning(
    client: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stored_forward_index, "build_forward_index", full)
    with caplog.at_level(logging.WARNING):
        client.insert_items(things(*range(5)))
    assert "No space left" in caplog.text and sorted(forward_index_root(client.settings).glob("*")) == []
    assert [hit.item_id for hit in client.search("thing 3", n=1).hits] == ["i3"]
