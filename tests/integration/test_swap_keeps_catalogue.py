"""A swap between versions changes models and settings; the catalogue stays as it is, also while it is written to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from waiting import wait_until

from es_recsys import Client, Event, Item, Settings
from es_recsys.errors import IndexStateError, WriteError
from es_recsys.index import mappings, versions
from es_recsys.index.fetch import fetch_vectors, scan_ids
from es_recsys.index.version_folders import models_folder
from es_recsys.index_metadata import IndexMetadata, items_alias, items_index, profiles_alias
from es_recsys.jobs.rebuild_index import rebuild_index
from es_recsys.jobs.versions import swap_version
from es_recsys.settings import EncoderSettings
from es_recsys.training import publish
from es_recsys.training.train import train

pytestmark = pytest.mark.engine


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    none = EncoderSettings(text="none", image="none")
    with Client(settings=settings.model_copy(update={"encoders": none})) as client:
        yield client


def things(*numbers: int, word: str = "thing") -> list[Item]:
    return [Item(item_id=f"i{n}", title=f"{word} {n}") for n in numbers]


def snapshots(*users: int) -> Iterator[Event]:
    start = datetime.now(UTC) - timedelta(days=20)
    for user in users:
        for step in range(6):
            moment = start + timedelta(hours=user % 50, minutes=7 * step)
            yield Event(event_type="view", user_id=f"u{user}", item_id=f"i{(user * 7 + step) % 40}", timestamp=moment)


def stored(client: Client) -> dict[str, str]:
    es, alias = client.workspace.es, items_alias(client.settings.index)
    es.indices.refresh(index=alias)
    return client.titles([item_id for ids in scan_ids(es, alias) for item_id in ids])


def test_a_rollback_is_of_models_and_the_catalogue_stays(client: Client) -> None:
    client.insert_items(things(*range(60)))
    client.put_events(snapshots(*range(40)))
    client.train(["als"], budget=0.0)
    client.train(["covisitation"], budget=0.0)
    client.insert_items([*things(*range(100, 150)), *things(3, word="changed")])
    client.delete_items(["i50", "i51"])
    client.put_events(snapshots(70))
    before = stored(client)
    assert len(before) == 108 and before["i3"] == "changed 3"

    assert swap_version(client.workspace, None) == 2
    assert stored(client) == before
    es, index = client.workspace.es, items_index(client.settings.index, 2)
    # The version's own vectors stay with what it knew, and new items have none of them.
    assert {name for name, found in fetch_vectors(es, index, ["i3", "i100"], ["als_vector"]).items() if found} == {"i3"}
    assert client.get_user_profile("u70").counts == {"view": 6}
    assert client.recommend("u1").hits
    client.insert_items(things(200))
    assert swap_version(client.workspace, 3) == 3
    assert stored(client) == before | {"i200": "thing 200"}


def test_a_version_that_is_not_finished_is_not_swapped_to(client: Client) -> None:
    client.insert_items(things(1))
    es = client.workspace.es
    versions.create(es, IndexMetadata(client.settings.index, 2), count=1)
    with pytest.raises(IndexStateError, match="not finished"):
        swap_version(client.workspace, 2)


@pytest.mark.long
def test_items_come_and_go_while_a_training_runs(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other threads write and delete through the whole of it."""
    client.insert_items(things(*range(1_000)))
    client.put_events(snapshots(*range(40)))
    done, failures = threading.Event(), list[BaseException]()
    added, gone = set[str](), set[str]()

    def load() -> None:
        number = 10_000
        while not done.is_set():
            batch = things(*range(number, number + 40))
            client.insert_items(batch)
            added.update(item.item_id for item in batch)
            number += 40
            done.wait(0.02)  # the training is to have its share of the machine

    def delete() -> None:
        for number in range(100, 1_000):
            if done.is_set():
                return
            client.delete_items([f"i{number}"])
            gone.add(f"i{number}")
            done.wait(0.02)

    def guarded(act: object) -> None:
        try:
            act()  # type: ignore[operator]
        except BaseException as error:
            failures.append(error)

    check = publish._check

    def meanwhile(*given: object) -> None:
        """Before a version goes live, some more come and go."""
        enough, fewer = len(added) + 40, len(gone) + 1
        assert wait_until(lambda: (len(added) >= enough and len(gone) >= fewer) or bool(failures))
        check(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(publish, "_check", meanwhile)
    writers = [threading.Thread(target=guarded, args=(act,)) for act in (load, delete)]
    for writer in writers:
        writer.start()
    try:
        reports = [train(client.workspace, ["covisitation"], budget=0.0) for _ in range(2)]
    finally:
        done.set()
        for writer in writers:
            writer.join()
    assert failures == []
    assert [report.version for report in reports] == [2, 3]
    assert len(added) >= 80 and len(gone) >= 2
    assert stored(client).keys() == ({f"i{n}" for n in range(1_000)} | added) - gone


def test_an_index_is_made_anew_with_all_that_is_in_it(client: Client) -> None:
    client.insert_items(things(*range(60)))
    client.put_events(snapshots(*range(40)))
    client.train(["als", "userknn"], budget=0.0)
    before, profile = stored(client), client.get_user_profile("u1")
    answer = [hit.item_id for hit in client.recommend("u1", n=10).hits]
    assert rebuild_index(client.workspace) == 3
    assert stored(client) == before
    again = client.get_user_profile("u1")
    assert (again.counts, again.history.item_ids) == (profile.counts, profile.history.item_ids)
    assert [hit.item_id for hit in client.recommend("u1", n=10).hits] == answer
    assert models_folder(client.settings, 3).is_dir()
    assert versions.unfinished_versions(client.workspace.es, client.settings.index) == []


def earlier_store(client: Client) -> None:
    """A store as the first release made it, with three items."""
    es, metadata = client.workspace.es, IndexMetadata(client.settings.index, 1)
    body = json.loads((Path(__file__).parent / "items_of_first_release.json").read_text())
    body["mappings"]["_meta"] = metadata.to_dict()
    es.indices.create(index=metadata.index, aliases={items_alias(metadata.store): {}}, **body)
    es.indices.create(index=metadata.profiles, aliases={profiles_alias(metadata.store): {}}, **mappings.profiles_body(metadata))
    for n, size in enumerate((42, 123456789012345678, 123456789012345679)):
        attributes = {"size": size, "gift": True, "since": "2024-01-02T00:00:00.000000Z", "colour": "red"}
        es.index(index=metadata.index, id=f"i{n}", document={"item_id": f"i{n}", "title": f"thing {n}", "attributes": attributes})
    es.indices.refresh(index=metadata.index)


def found(client: Client, asked: str) -> set[str]:
    return {hit.item_id for hit in client.search("thing", n=20, filter=asked).hits}


def test_a_store_of_an_earlier_release_takes_values_of_any_type(client: Client) -> None:
    earlier_store(client)
    assert (found(client, "size:42"), found(client, "size:40..50")) == ({"i0"}, {"i0"})
    client.insert_items(
        [Item(item_id="i8", title="thing 8", group_id="g", attributes={"ean": "4006381333931", "n": 7, "a.b": 5})]
    )
    assert (found(client, "group_id:g"), found(client, "ean:4006381333931"), found(client, "n:7")) == ({"i8"}, {"i8"}, {"i8"})
    odd = {"size": "XL", "gift": "card", "since": "soon", "colour": 7, "new": 1}
    client.insert_items([Item(item_id="i9", title="thing 9", attributes=odd)])
    for asked in ("size:XL", "gift:card", "since:soon", "colour:7", "new:1"):
        assert found(client, asked) == {"i9"}, asked
    assert found(client, "size:40..50") == {"i0"}
    # The last digits of what was written before are only known to an index that is made anew.
    assert found(client, "size:123456789012345679") == {"i1", "i2"}
    rebuild_index(client.workspace)
    assert found(client, "size:123456789012345679") == {"i2"}
    assert found(client, "size:XL") == {"i9"}


def test_items_that_are_refused_are_an_error_with_a_report(client: Client) -> None:
    items = [*things(1, 2), Item(item_id="bad", title="bad", attributes={"weight": float("nan")})]
    with pytest.raises(WriteError, match="1 item was not stored") as caught:
        client.insert_items(items)
    assert "weight" in caught.value.remedy and caught.value.exit_code == 6
    assert caught.value.report.added == 2  # type: ignore[attr-defined]
    assert stored(client).keys() == {"i1", "i2"}
