"""Whoever serves a store follows what any process writes to its items, in the background where that takes long."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Iterator

import pytest
from waiting import wait_until

from es_recsys import Client, Item, Settings
from es_recsys.forward_index import ForwardIndex
from es_recsys.index.version_folders import forward_index_folder
from es_recsys.serving import forward_index_follower, snapshot_cache, stored_forward_index
from es_recsys.serving.forward_index_follower import ForwardIndexFollower
from es_recsys.serving.stored_forward_index import store_forward_index
from es_recsys.settings import EncoderSettings

pytestmark = pytest.mark.engine


@pytest.fixture
def plain(settings: Settings) -> Settings:
    return settings.model_copy(update={"encoders": EncoderSettings(text="none", image="none")})


@pytest.fixture
def client(plain: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Serves 60 items; the snapshot is looked at again by every call."""
    with Client(settings=plain) as client:
        client.insert_items(things(*range(60)))
        monkeypatch.setattr(snapshot_cache, "REFRESH_S", -1.0)
        assert served(client) is not None
        yield client


@pytest.fixture
def other(plain: Settings, client: Client) -> Iterator[Client]:
    """Another process."""
    with Client(settings=plain) as other:
        yield other


def things(*numbers: int, group: str | None = None) -> list[Item]:
    return [Item(item_id=f"i{n}", title=f"thing {n}", group_id=group) for n in numbers]


def served(client: Client) -> ForwardIndex | None:
    return client.workspace.snapshots.current().forward


def products(client: Client, *ids: str) -> list[str | None]:
    """Return the products of items by the forward index that serves, None for an item that it lacks."""
    forward = served(client)
    assert forward is not None
    rows = forward.rows(ids)
    return [forward.products(rows[[place]])[0] if row >= 0 else None for place, row in enumerate(rows.tolist())]


def becomes(read: Callable[[], object], expected: object) -> None:
    wait_until(lambda: read() == expected)
    assert read() == expected


def test_own_writes_are_there_at_once(client: Client) -> None:
    client.insert_items([*things(1, 2, group="g"), *things(100)])
    client.delete_items(["i3"])
    assert products(client, "i0", "i1", "i3", "i100") == ["i0", "g", None, "i100"]


def test_writes_of_others_come_soon(client: Client, other: Client) -> None:
    other.insert_items([*things(1, group="g"), *things(100)])
    becomes(lambda: products(client, "i0", "i1", "i100"), ["i0", "g", "i100"])
    other.delete_items(["i1", "i2"])
    becomes(lambda: products(client, "i0", "i1", "i2"), ["i0", None, None])


def test_a_file_written_anew_takes_the_place_of_changes_in_memory(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.insert_items(things(*range(10), group="g"))
    forward = served(client)
    assert forward is not None and forward.changed == 10
    monkeypatch.setattr(stored_forward_index, "_FEW_WRITES", 5)
    client.insert_items(things(20, group="g"))
    forward = served(client)
    assert forward is not None and forward.changed == 0
    assert products(client, "i9", "i20", "i21") == ["g", "g", "i21"]


def test_the_old_one_serves_while_the_changes_are_read(client: Client, other: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    old = served(client)
    read, going_on = ForwardIndexFollower._read, threading.Event()

    def slowly(*args: object) -> ForwardIndex | None:
        assert going_on.wait(60)
        return read(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(ForwardIndexFollower, "_read", slowly)
    other.insert_items(things(1, group="g"))
    assert served(client) is old and served(client) is old
    going_on.set()
    becomes(lambda: products(client, "i1"), ["g"])


def test_a_client_that_opens_a_file_long_after_it_was_written_does_without_until_it_has_read_on(
    client: Client, other: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward_index_follower, "_FEW_WRITES", 0)
    client.insert_items(things(1, group="g"))
    assert served(other) is None
    becomes(lambda: served(other) is not None, True)
    assert products(other, "i1") == ["g"]


def test_too_many_changes_are_done_without_and_the_log_says_what_helps(
    client: Client, other: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(forward_index_follower, "MAX_CHANGED", 5)
    with caplog.at_level(logging.WARNING):
        other.insert_items(things(*range(6), group="g"))
        becomes(lambda: served(client), None)
        for _ in range(3):
            assert served(client) is None
    assert [record.message for record in caplog.records if "items load" in record.message and "5 items" in record.message] != []
    assert caplog.text.count("items load") == 1
    metadata = client.workspace.snapshots.current().metadata
    store_forward_index(client.workspace.es, client.settings, metadata)
    assert products(client, "i1") == ["g"]


def test_without_a_file_there_is_none_and_one_that_comes_is_opened(client: Client) -> None:
    folder = forward_index_folder(client.settings, 1)
    shutil.rmtree(folder)
    assert served(client) is None
    assert client.search("thing 7", n=1).hits[0].item_id == "i7"
    store_forward_index(client.workspace.es, client.settings, client.workspace.snapshots.current().metadata)
    assert products(client, "i7") == ["i7"]


def test_without_the_right_to_read_changes_answers_go_on(
    client: Client, other: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from elasticsearch import AuthorizationException

    def forbidden(*_args: object) -> None:
        raise AuthorizationException("forbidden", type("Meta", (), {"status": 403})(), {"error": "forbidden"})  # type: ignore[arg-type]

    monkeypatch.setattr(forward_index_follower, "index_state", forbidden)
    with caplog.at_level(logging.WARNING):
        assert served(client) is None and served(client) is None
        assert client.search("thing 7", n=1).hits[0].item_id == "i7"
    assert caplog.text.count("can't be read") == 1
