"""Recording an event, step by step: what happens when somebody else writes or erases in between."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from es_recsys.errors import WriteError
from es_recsys.events.actors import actor_key
from es_recsys.events.store import EventStore
from es_recsys.index_metadata import IndexMetadata
from es_recsys.query import Query
from es_recsys.serving.operations import (
    CompareAndSet,
    Delete,
    Document,
    Flow,
    Get,
    GetLive,
    MultiGet,
    Operation,
    RunBlocking,
    Sleep,
)
from es_recsys.serving.recording import Recording, update_profile
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.user_profiles import read_profile
from es_recsys.settings import Settings
from es_recsys.types import Event

NOW = datetime(2026, 1, 2, tzinfo=UTC).timestamp()
SECRET = b"s" * 32
KEY = actor_key("u:anna", SECRET)


@pytest.fixture
def snapshot(tmp_path: Path) -> ServingSnapshot:
    return ServingSnapshot(Settings(home=tmp_path), IndexMetadata("shop", 1), SECRET, encoder=None)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with EventStore(f"sqlite:///{tmp_path / 'events.sqlite3'}", "shop", SECRET) as store:
        yield store


class Profiles:
    """The profiles index in memory. `before` is called with each operation before it is done. lacking: unknown item ids."""

    def __init__(self, before: Callable[[Operation], None] = lambda operation: None, lacking: Collection[str] = ()) -> None:
        self.documents: dict[str, Document] = {}
        self.before = before
        self.lacking = lacking
        self.operations: list[Operation] = []

    def run(self, flow: Flow[Any]) -> Any:
        result: Any = None
        try:
            while True:
                operation = flow.send(result)
                self.operations.append(operation)
                self.before(operation)
                result = self._perform(operation)
        except StopIteration as end:
            return end.value

    def write(self, key: str, source: Any) -> None:
        old = self.documents.get(key)
        self.documents[key] = Document(source, 0 if old is None else old.seq_no + 1, 1)

    def _perform(self, operation: Operation) -> Any:
        if isinstance(operation, Get | GetLive):
            return self.documents.get(operation.id)
        if isinstance(operation, CompareAndSet):
            if self.documents.get(operation.id) != operation.expected:
                return None
            self.write(operation.id, operation.source)
            return self.documents[operation.id]
        if isinstance(operation, Delete):
            return self.documents.pop(operation.id, None) is not None
        if isinstance(operation, MultiGet):
            return {item_id: {} for item_id in operation.ids if item_id not in self.lacking}
        if isinstance(operation, RunBlocking):
            return operation.function()
        assert isinstance(operation, Sleep)
        return None


def _view(item_id: str, minute: int = 0) -> Event:
    return Event(event_type="view", user_id="anna", item_id=item_id, timestamp=datetime(2026, 1, 1, 12, minute, tzinfo=UTC))


def _counts(profiles: Profiles) -> dict[str, int]:
    from es_recsys.events.profile_documents import from_document
    from es_recsys.events.profiles import build_profile

    return dict(build_profile(from_document(profiles.documents[KEY].source), NOW).counts)


def test_an_event_is_in_the_profile(snapshot: ServingSnapshot, store: EventStore) -> None:
    profiles = Profiles()
    assert profiles.run(Recording(store, [_view("i1"), _view("i2")], NOW)(snapshot)).added == 2
    assert _counts(profiles) == {"view": 2}
    assert list(profiles.documents) == [KEY]


def test_events_on_items_that_the_store_lacks_are_reported(snapshot: ServingSnapshot, store: EventStore) -> None:
    profiles = Profiles(lacking={"i2"})
    store.append([_view("i2", 1)], NOW)  # one of before is not counted again
    recording = Recording(store, [_view("i1"), _view("i2", 2)], NOW)
    report = profiles.run(recording(snapshot))
    assert (report.added, report.quarantined) == (2, {"unknown_item": 1})
    assert profiles.run(recording(snapshot)) == report


def test_what_was_written_is_at_hand_for_the_next_answer(snapshot: ServingSnapshot, store: EventStore) -> None:
    profiles = Profiles()
    profiles.run(Recording(store, [_view("i1")], NOW)(snapshot))
    known = snapshot.users.known(snapshot.metadata.profiles, KEY)
    assert known is not None and known.is_still(profiles.documents[KEY])
    query = Query(user_id="anna", text="shoes")
    read = profiles.run(read_profile(snapshot, query, known, NOW))
    assert read is profiles.run(read_profile(snapshot, query, profiles.documents[KEY], NOW))
    assert dict(read.counts) == {"view": 1} == _counts(profiles)


def test_a_known_event_writes_nothing(snapshot: ServingSnapshot, store: EventStore) -> None:
    profiles = Profiles()
    profiles.run(Recording(store, [_view("i1")], NOW)(snapshot))
    profiles.operations.clear()
    assert profiles.run(Recording(store, [_view("i1")], NOW)(snapshot)).duplicates == 1
    assert not [operation for operation in profiles.operations if isinstance(operation, CompareAndSet | Delete)]


def test_the_next_event_repairs_a_profile_that_was_not_written(snapshot: ServingSnapshot, store: EventStore) -> None:
    store.append([_view("i1")], NOW)
    profiles = Profiles()
    profiles.run(Recording(store, [_view("i2")], NOW)(snapshot))
    assert _counts(profiles) == {"view": 2}


def test_another_writer_in_between_costs_a_turn_and_no_event(snapshot: ServingSnapshot, store: EventStore) -> None:
    other = Profiles()
    done: list[int] = []

    def interfere(operation: Operation) -> None:
        if isinstance(operation, CompareAndSet) and not done:
            done.append(1)
            store.append([_view("i2", 1)], NOW)
            other.documents = profiles.documents
            other.run(update_profile(snapshot, store, "u:anna", NOW))

    profiles = Profiles(interfere)
    profiles.run(Recording(store, [_view("i1")], NOW)(snapshot))
    assert _counts(profiles) == {"view": 2}
    # The other writer had folded both rows in, so nothing was left to do on the second turn.
    assert len([operation for operation in profiles.operations if isinstance(operation, CompareAndSet)]) == 1
    assert [operation for operation in profiles.operations if isinstance(operation, Sleep)]


def test_a_user_erased_while_an_event_is_folded_does_not_come_back(snapshot: ServingSnapshot, store: EventStore) -> None:
    """The erasure ends, with its deletion of the profile, after the rows were read and before the profile is written."""

    def erase(operation: Operation) -> None:
        if isinstance(operation, CompareAndSet):
            store.erase("anna", NOW)
            profiles.documents.pop(operation.id, None)

    profiles = Profiles(erase)
    profiles.run(Recording(store, [_view("i1")], NOW)(snapshot))
    assert profiles.documents == {}


def test_where_no_turn_comes_the_way_out_is_named(snapshot: ServingSnapshot, store: EventStore) -> None:
    def interfere(operation: Operation) -> None:
        if isinstance(operation, CompareAndSet):
            profiles.write(KEY, {**operation.source, "applied_through": 0})

    store.append([_view("i0")], NOW)
    Profiles().run(update_profile(snapshot, store, "u:anna", NOW))
    profiles = Profiles(interfere)
    with pytest.raises(WriteError) as caught:
        profiles.run(_forever(snapshot, store))
    assert "send them again" in caught.value.remedy
    pauses = [operation.seconds for operation in profiles.operations if isinstance(operation, Sleep)]
    assert len(pauses) == 40
    assert pauses == sorted(pauses)
    assert max(pauses) <= 0.75


def _forever(snapshot: ServingSnapshot, store: EventStore) -> Flow[bool]:
    """Each turn finds one more row, and loses."""
    flow = update_profile(snapshot, store, "u:anna", NOW)
    minute = 0
    result: Any = None
    while True:
        try:
            operation = flow.send(result)
        except StopIteration as end:
            return bool(end.value)
        if isinstance(operation, Get | GetLive):
            minute += 1
            store.append([_view(f"i{minute}", minute % 60)], NOW)
        result = yield operation
