"""Profiles follow what is stored: many at once as one by one, beside other writers, and items that come after their events."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from pydantic import SecretStr

from es_recsys import AsyncClient, Client
from es_recsys.doctor.events import check_events
from es_recsys.errors import IndexStateError, KeyMismatch
from es_recsys.events import cleaning
from es_recsys.events.schema import STORES
from es_recsys.index import stored_profiles, versions
from es_recsys.index.fetch import scan_ids
from es_recsys.index.stored_metadata import read_metadata, write_metadata
from es_recsys.jobs.batch import answer_file
from es_recsys.jobs.rebuild_index import rebuild_index
from es_recsys.jobs.reset_user_key import reset_user_key
from es_recsys.serving import profile_folding, snapshot_cache
from es_recsys.serving.profile_folding import count_outdated_profiles, fold_new_events
from es_recsys.serving.recording import RecordingReport, update_profile
from es_recsys.serving.refresh import build_profiles, refresh_after_items, repair_profiles
from es_recsys.serving.workspace import Workspace
from es_recsys.settings import EncoderSettings, Settings
from es_recsys.types import Event, Item

pytestmark = pytest.mark.engine

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def shop(settings: Settings) -> Settings:
    return settings.model_copy(update={"encoders": EncoderSettings(text="none", image="none")})


@pytest.fixture
def client(shop: Settings) -> Iterator[Client]:
    with Client(settings=shop) as client:
        client.insert_items([_item(n) for n in range(30)])
        yield client


def _item(n: int | str) -> Item:
    return Item(item_id=f"i{n}", title=f"item {n}", price=5.0, categories=["c"])


def _event(user: int | str, item: int | str, minutes: float = 0.0, **more: Any) -> Event:
    return Event(event_type="cart", user_id=f"u{user}", item_id=f"i{item}", timestamp=NOW - timedelta(minutes=minutes), **more)


def _stored(work: Workspace) -> dict[str, Any]:
    index = work.snapshots.latest().metadata.profiles
    keys = [work.snapshots.current().key_of(actor) for actor in work.events.actors()]
    found = stored_profiles.fetch_profiles(work.es, index, keys, None)
    return {key: {**it.source, "updated_at": None} for key, it in found.items()}


def test_many_at_once_are_as_one_by_one(client: Client) -> None:
    work = client.workspace
    first = [_event(user, (user + n) % 33, 600 - n) for user in range(40) for n in range(6)]
    work.events.append(first)
    fold_new_events(work, work.snapshots.latest())
    later = [_event(user, (user * 3 + n) % 33, 100 - n) for user in range(0, 60, 2) for n in range(4)]
    work.events.append(later)
    assert count_outdated_profiles(work, work.snapshots.latest()) == 30
    before = _stored(work)
    assert fold_new_events(work, work.snapshots.latest()) == 30
    together = _stored(work)
    # The same from where the profiles stood, one after the other.
    index = work.snapshots.latest().metadata.profiles
    for key in together:
        work.es.delete(index=index, id=key)
    for key, source in before.items():
        work.es.index(index=index, id=key, document=source)
    for actor in work.events.actors():
        work.driver.run(update_profile(work.snapshots.current(), work.events, actor, work.now()))
    assert _stored(work) == together
    work.es.indices.refresh(index=index)
    ids, keys = (sorted(key for page in scan_ids(work.es, index, field) for key in page) for field in (None, "user_key"))
    assert ids == keys == sorted(together)
    assert fold_new_events(work, work.snapshots.latest()) == 0


@pytest.mark.long
def test_a_rebuild_of_many_beside_writers_loses_nothing(client: Client) -> None:
    work = client.workspace
    work.events.append([_event(user, n, 60 + n) for user in range(15) for n in range(5)])
    stop, failures = threading.Event(), list[BaseException]()

    def write(number: int) -> None:
        try:
            minute = 0
            while not stop.is_set() and minute < 200:
                client.put_events([_event(user, 10 + minute % 20, 50 - minute / 10) for user in range(number, 15, 5)])
                minute += 1
                stop.wait(0.02)  # the rebuild is to have its share of the machine
        except BaseException as error:
            failures.append(error)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for writer in writers:
        writer.start()
    for _ in range(2):
        fold_new_events(work, work.snapshots.latest())
        build_profiles(work)
    stop.set()
    for writer in writers:
        writer.join()
    assert not failures
    assert count_outdated_profiles(work, work.snapshots.latest()) == 0
    found = _stored(work)
    build_profiles(work)
    assert {key: it["state"]["counts"] for key, it in found.items()} == {
        key: it["state"]["counts"] for key, it in _stored(work).items()
    }


def test_who_writes_in_between_wins_and_nothing_is_lost(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    work = client.workspace
    work.events.append([_event(user, 1, 9) for user in range(3)])
    real, done = profile_folding.to_document, list[RecordingReport]()

    def interfere(*arguments: Any) -> dict[str, Any]:
        if not done:
            done.append(RecordingReport())
            done.append(client.put_events([_event(0, 2), _event(2, 3)]))
        return real(*arguments)

    monkeypatch.setattr(profile_folding, "to_document", interfere)
    build_profiles(work)
    assert done[1].added == 2
    assert [client.get_user_profile(f"u{user}").seen for user in range(3)] == [{"i1", "i2"}, {"i1"}, {"i1", "i3"}]


def test_who_is_erased_while_many_are_folded_does_not_come_back(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    work = client.workspace
    work.events.append([_event(user, 1, 9) for user in range(3)])
    real, done = profile_folding.to_document, list[int]()

    def erase(*arguments: Any) -> dict[str, Any]:
        if not done:
            done.append(client.delete_user("u1").events)
        return real(*arguments)

    monkeypatch.setattr(profile_folding, "to_document", erase)
    fold_new_events(work, work.snapshots.latest())
    assert done == [1]
    assert client.get_user_profile("u1").counts == {}
    assert work.es.count(index=work.snapshots.latest().metadata.profiles)["count"] == 2


def test_profiles_of_other_settings_or_another_event_store_are_folded_anew(client: Client, shop: Settings) -> None:
    client.put_events([_event(1, 1), _event(2, 2)])
    fold_new_events(client.workspace, client.workspace.snapshots.latest())
    other = shop.model_copy(update={"profiles": shop.profiles.model_copy(update={"short_half_life": 1.0})})
    with Workspace(other) as work:
        assert count_outdated_profiles(work, work.snapshots.latest()) == 2
        assert fold_new_events(work, work.snapshots.latest()) == 2
        assert count_outdated_profiles(work, work.snapshots.latest()) == 0
    emptied = shop.model_copy(update={"home": shop.home / "elsewhere", "user_secret": SecretStr(shop.secret().decode())})
    with Client(settings=emptied) as fresh:
        fresh.put_events(_event(2, 3))
        fold_new_events(fresh.workspace, fresh.workspace.snapshots.latest())
        assert fresh.get_user_profile("u2").seen == {"i3"}
        assert fresh.get_user_profile("u1").counts == {}


def test_items_that_come_after_their_events_count(client: Client) -> None:
    client.put_events([_event(1, "later"), _event(1, 1), Event(event_type="view", session_id="s", item_id="ilater")])
    assert client.get_user_profile("u1").seen == {"i1"}
    report = client.insert_items([_item("later"), _item("else")])
    assert any("2 events count again" in note for note in report.notes)
    assert client.get_user_profile("u1").seen == {"i1", "ilater"}
    assert "ilater" in dict(client.workspace.snapshots.latest().popularity)
    client.put_events(_event(1, "never"))
    client.insert_items([_item("else").model_copy(update={"price": 6.0})])
    assert client.get_user_profile("u1").seen == {"i1", "ilater"}
    assert count_outdated_profiles(client.workspace, client.workspace.snapshots.latest()) == 0


def test_events_on_items_that_are_removed_count_no_longer(client: Client) -> None:
    client.put_events([_event(1, 1), _event(1, 2), _event(2, 3)])
    client.insert_items([_item("else")])
    assert {"i1", "i2", "i3"} <= dict(client.workspace.snapshots.latest().popularity).keys()
    report = client.delete_items(["i1", "i3", "never"])
    assert (report.removed, report.unchanged) == (2, 1)
    assert any("2 events count no longer" in note for note in report.notes)
    assert count_outdated_profiles(client.workspace, client.workspace.snapshots.latest()) == 0
    assert [client.get_user_profile(user).seen for user in ("u1", "u2")] == [{"i2"}, set()]
    assert not {"i1", "i3"} & dict(client.workspace.snapshots.latest().popularity).keys()
    assert client.delete_items("i1").notes == ("1 id is that of no item in the store: nothing to remove.",)
    client.insert_items([_item(1)])
    assert client.get_user_profile("u1").seen == {"i1", "i2"}


def test_removing_with_another_secret_removes_nothing(client: Client, stranger: Callable[..., Client]) -> None:
    client.put_events(_event(1, 1))
    with stranger() as other, pytest.raises(KeyMismatch):
        other.delete_items(["i1"])
    assert client.titles("i1") == {"i1": "item 1"}


def test_an_item_that_comes_while_its_event_is_folded_counts(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in before the event is said to be on an unknown item, so that the load of items can't see that."""
    real = client.workspace.events.quarantine_unknown_items

    def late(rows: Any) -> None:
        client.insert_items([_item("late")])
        real(rows)

    monkeypatch.setattr(client.workspace.events, "quarantine_unknown_items", late)
    client.put_events(_event(1, "late"))
    assert client.get_user_profile("u1").seen == {"ilate"}


def test_a_store_that_is_made_anew_has_its_profiles(client: Client, es: Elasticsearch) -> None:
    client.put_events([_event(1, 1), _event(2, "later")])
    versions.drop_store(es, client.settings.index)
    client.insert_items([_item(1), _item("later")])
    assert [client.get_user_profile(user).seen for user in ("u1", "u2")] == [{"i1"}, {"ilater"}]


def test_an_item_that_is_only_changed_costs_no_look_at_all_events(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:

    client.put_events(_event(1, 1))
    client.insert_items([_item("new")])
    looked: list[int] = []
    real = cleaning.clean
    monkeypatch.setattr(cleaning, "clean", lambda *arguments: looked.append(1) or real(*arguments))
    client.insert_items([_item(2).model_copy(update={"price": 9.0})])
    client.insert_items([_item(2).model_copy(update={"price": 9.0})])
    assert looked == []
    client.insert_items([_item("newer")])
    assert looked == [1]
    assert refresh_after_items(client.workspace) == []


@pytest.mark.parametrize("way", ["build", "load", "train"])
def test_an_index_of_profiles_that_is_gone_is_made_anew(client: Client, es: Elasticsearch, way: str) -> None:
    client.put_events([_event(user, n) for user in range(3) for n in range(4)])
    work = client.workspace
    gone = read_metadata(es, client.settings.index).profiles
    es.indices.delete(index=gone)
    for ask in (lambda: client.recommend("u1"), lambda: client.put_events(_event(1, 9)), lambda: client.get_user_profile("u1")):
        with pytest.raises(IndexStateError, match="es-recsys profiles build"):
            ask()
    (told,) = [check for check in check_events(client.settings, str(client.settings.url)) if not check.ok]
    assert "es-recsys profiles build" in told.remedy
    if way == "build":
        build_profiles(work)
    elif way == "load":
        client.insert_items([_item("else")])
    else:
        client.train("covisitation")
    assert client.get_user_profile("u1").seen == {"i0", "i1", "i2", "i3", "i9"}
    assert count_outdated_profiles(work, work.snapshots.latest()) == 0
    client.put_events(_event(1, 10))
    # Its aliases are whole, so that another version can go live.
    version = client.train("covisitation").version
    assert read_metadata(es, client.settings.index).version == version
    assert client.get_user_profile("u1").counts == {"cart": 6}


def test_events_without_a_time_are_stored_once_whatever_is_tried_again(
    client: Client, es: Elasticsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = client.workspace
    event = Event(event_type="cart", user_id="u1", item_id="i1")
    # Another version went live, which this client has not seen yet, so the event is recorded into that one.
    work.snapshots.latest()
    monkeypatch.setattr(snapshot_cache, "REFRESH_S", 1_000.0)
    _other_version(client.settings)
    assert client.put_events([event]) == RecordingReport(added=1)
    assert work.events.count() == 1
    assert client.get_user_profile("u1").counts == {"cart": 1}
    # The index of profiles is gone when they are asked for, so all is done once more.
    gone = iter([True])
    real = work.driver.steps_of

    def steps_of(operation: Any) -> Any:
        if type(operation).__name__ == "GetLive" and next(gone, False):
            es.get(index=f"{client.settings.index}-no-such", id="x")
        return real(operation)

    monkeypatch.setattr(work.driver, "steps_of", steps_of)
    assert client.put_events([event]) == RecordingReport(added=1)
    assert work.events.count() == 2
    assert client.get_user_profile("u1").counts == {"cart": 2}


async def test_the_same_awaited(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async with AsyncClient(settings=client.settings) as other:
        await other.get_user_profile("u1")
        monkeypatch.setattr(snapshot_cache, "REFRESH_S", 1_000.0)
        _other_version(client.settings)
        assert await other.put_events(Event(event_type="cart", user_id="u1", item_id="i1")) == RecordingReport(added=1)
        assert (await other.get_user_profile("u1")).counts == {"cart": 1}
    assert client.workspace.events.count() == 1


def _other_version(settings: Settings) -> None:
    """Make another version live, as another process does."""
    with Client(settings=settings) as other:
        rebuild_index(other.workspace)


@pytest.fixture
def stranger(shop: Settings) -> Callable[..., Client]:
    """A client of the same store with another secret. own: with an event store of its own."""

    def make(*, own: bool = False) -> Client:
        update: dict[str, Any] = {"user_secret": SecretStr("wrong-one")}
        if own:
            update["home"] = shop.home / "own"
        return Client(settings=shop.model_copy(update=update))

    return make


@pytest.mark.parametrize("own", [False, True])
def test_another_secret_is_refused_before_anything_is_read_or_written(
    client: Client, stranger: Callable[..., Client], own: bool
) -> None:
    client.put_events([_event(1, 1), _event(2, 2)])
    with stranger(own=own) as other:
        for ask in (
            lambda: other.put_events(_event(1, 3)),
            lambda: other.delete_user("u1"),
            lambda: other.get_user_profile("u1"),
            lambda: other.recommend("u1"),
            lambda: other.search("item", session_id="s"),
            lambda: build_profiles(other.workspace),
        ):
            with pytest.raises(KeyMismatch) as caught:
                ask()
            assert "wrong-one" not in str(caught.value)
        assert other.search("item").hits
        assert other.recommend().hits
    assert (client.workspace.events.count(), client.get_user_profile("u1").seen) == (2, {"i1"})
    assert client.delete_user("u1").profiles == 1


@pytest.mark.parametrize("kind", ["recommend", "search"])
def test_a_batch_with_another_secret_ends_and_leaves_no_answers_of_strangers(
    client: Client, stranger: Callable[..., Client], tmp_path: Path, kind: str
) -> None:
    client.put_events([_event(1, 1), _event(2, 2)])
    file, out = tmp_path / "questions.jsonl", tmp_path / "out.jsonl"
    file.write_text("".join(f'{{"user_id": "u{n}", "query": "item"}}\n' for n in range(1, 41)))
    with stranger() as other, pytest.raises(KeyMismatch):
        answer_file(other.execute_many, kind, file, n=3, out=out)
    assert not out.exists()
    report = answer_file(client.execute_many, kind, file, n=3, out=out)
    assert (report.answered, report.failed, report.resumed) == (40, 0, 0)
    assert len(out.read_text().splitlines()) == 40


def _as_before(client: Client) -> None:
    """The store of a version that said nothing of its secret."""
    work = client.workspace
    with work.events.database.writing() as connection:
        connection.execute(STORES.update().values(key_check=None))
    metadata = read_metadata(work.es, work.settings.index)
    write_metadata(work.es, replace(metadata, key_check=""))
    work.es.indices.refresh(index=metadata.profiles)


def test_a_store_that_does_not_say_its_secret_is_told_by_its_profiles(client: Client, stranger: Callable[..., Client]) -> None:
    client.put_events([_event(1, 1), _event(2, 2)])
    _as_before(client)
    with stranger() as other:
        for ask in (lambda: other.put_events(_event(1, 3)), lambda: other.delete_user("u1"), lambda: other.train()):
            with pytest.raises(KeyMismatch):
                ask()
    assert client.workspace.events.count() == 2
    assert not read_metadata(client.workspace.es, client.settings.index).key_check
    with Client(settings=client.settings) as again:
        again.put_events(_event(1, 3))
        assert again.workspace.events.key_known
        assert read_metadata(again.workspace.es, again.settings.index).key_check
    with pytest.raises(KeyMismatch), stranger() as other:
        other.recommend("u1")


def test_erasing_tries_again_with_what_it_found_first(client: Client, es: Elasticsearch, monkeypatch: pytest.MonkeyPatch) -> None:
    client.put_events([_event(1, 1, session_id="s"), Event(event_type="view", session_id="s", item_id="i2")])
    work, real, gone = client.workspace, client.workspace.driver.steps_of, iter([True])

    def steps_of(operation: Any) -> Any:
        if type(operation).__name__ == "Delete" and next(gone, False):
            es.get(index=f"{client.settings.index}-no-such", id="x")
        return real(operation)

    monkeypatch.setattr(work.driver, "steps_of", steps_of)
    done = client.delete_user("u1")
    assert (done.events, done.profiles, len(done.user_keys)) == (2, 2, 2)


def test_an_action_is_carried_out_only_if_the_document_is_as_it_was(client: Client) -> None:
    from es_recsys.index.bulk import bulk_write
    from es_recsys.index.bulk_actions import Action

    work, index = client.workspace, client.workspace.snapshots.latest().metadata.profiles
    assert bulk_write(work.es, [Action("a", {"applied_through": 1}, precondition="absent")], index=index).stored == 1
    again = bulk_write(work.es, [Action("a", {"applied_through": 2}, precondition="absent")], index=index)
    assert [failure.status for failure in again.failures] == [409]
    version = stored_profiles.fetch_profiles(work.es, index, ["a"], ())["a"].seq_no
    assert bulk_write(work.es, [Action("a", {"applied_through": 3}, precondition=version)], index=index).stored == 1
    late = bulk_write(work.es, [Action("a", operation="delete", precondition=version)], index=index)
    assert [failure.status for failure in late.failures] == [409]
    assert stored_profiles.fetch_profiles(work.es, index, ["a", "b"], None)["a"].source == {"applied_through": 3}


def test_the_doctor_tells_of_secrets_events_and_profiles(client: Client, shop: Settings) -> None:
    def told(settings: Settings = shop) -> dict[str, str]:
        return {check.name: f"{check.what} {check.remedy}" for check in check_events(settings, str(settings.url)) if not check.ok}

    work = client.workspace
    assert list(check_events(shop, str(shop.url))) == []
    client.put_events([_event(1, 1), _event(2, 2)])
    assert [(check.name, check.ok) for check in check_events(shop, str(shop.url))] == [
        ("users", True),
        ("events", True),
        ("profiles", True),
    ]
    work.events.append([_event(2, 3)])
    assert told() == {"profiles": "1 profile lacks events that are stored. Run: es-recsys profiles build"}
    work.events.load([_event(3, 3)])
    assert set(told()) == {"events", "profiles"}
    repair_profiles(work)
    assert told() == {}
    assert set(told(shop.model_copy(update={"user_secret": SecretStr("wrong-one")}))) == {"users"}
    shop.key_file.rename(shop.home / "kept")
    assert "user.key" in told()["users"]
    assert not shop.key_file.exists(), "the doctor leaves nothing behind"
    shop.key_file.write_bytes(b"")
    assert "empty" in told()["users"]


def test_a_store_whose_secret_is_lost_is_kept_under_another(client: Client, stranger: Callable[..., Client]) -> None:
    client.put_events([_event(1, 1), _event(2, 2)])
    client.delete_user("u2")
    with stranger() as other:
        with pytest.raises(KeyMismatch, match="--new-key"):
            other.put_events(_event(1, 3))
        reset_user_key(other.workspace)
        repair_profiles(other.workspace)
        assert other.get_user_profile("u1").seen == {"i1"}
        assert other.put_events(_event(1, 3)).added == 1
        assert other.workspace.es.count(index=other.workspace.snapshots.latest().metadata.profiles)["count"] == 1
        assert [check.name for check in check_events(other.settings, str(other.settings.url)) if not check.ok] == []
    with pytest.raises(KeyMismatch), Client(settings=client.settings) as before:
        before.put_events(_event(1, 4))
