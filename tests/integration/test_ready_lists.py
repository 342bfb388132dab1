"""Ready lists on a real engine: served in one read, as the computed answer is, and never after what makes them wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from es_recsys import Answer, AsyncClient, Client, Event, Settings
from es_recsys.doctor import diagnose
from es_recsys.errors import IndexStateError, InputError
from es_recsys.jobs import ready_lists
from es_recsys.jobs.load_events import load_events
from es_recsys.jobs.load_items import load_items
from es_recsys.jobs.rebuild_index import rebuild_index
from es_recsys.sample import SampleStore
from es_recsys.serving.ready_list_making import check_servable
from es_recsys.serving.ready_lists import unpacked

pytestmark = pytest.mark.engine

NOBODY = ("no such item",)
"""Left out of an answer that is to be computed: a query that sets anything is."""


@pytest.fixture(scope="module")
def client(
    module_settings: Callable[..., Settings], sample: SampleStore, sample_events: Path, tmp_path_factory: Any
) -> Iterator[Client]:
    file = tmp_path_factory.mktemp("items") / "items.jsonl"
    file.write_text("".join(item.model_dump_json(exclude={"image"}) + "\n" for item in sample.items))
    with Client(settings=module_settings()) as client:
        load_items(client.workspace, [file])
        load_events(client.workspace, [sample_events])
        client.train(["covisitation", "als"], budget=0.0)
        yield client


@pytest.fixture(scope="module")
def shoppers(sample: SampleStore) -> Iterator[str]:
    return iter(sorted({event.user_id for event in sample.events if event.user_id is not None}))


@pytest.fixture
def user(client: Client, shoppers: Iterator[str]) -> str:
    """A shopper of the test's own, with a ready list."""
    user = next(shoppers)
    assert client.store_recommendations(user).stored == 1
    return user


@contextmanager
def _requests(client: Client) -> Iterator[list[str]]:
    """The requests to Elasticsearch in the block, as "GET /index/_doc/id"."""
    made: list[str] = []
    es = client.workspace.es
    client.workspace.snapshots.latest()
    perform = es.transport.perform_request

    def noted(method: str, target: str, **options: Any) -> Any:
        made.append(f"{method} {target}")
        return perform(method, target, **options)

    with patch.object(es.transport, "perform_request", noted):
        yield made


def _is_ready(client: Client, user: str, **more: Any) -> bool:
    return client.recommend(user, **more).made_at is not None


def _computed(client: Client, user: str, **more: Any) -> Answer:
    answer = client.recommend(user, exclude=NOBODY, **more)
    assert answer.made_at is None
    return answer


def _ids(answer: Answer) -> list[str]:
    return [hit.item_id for hit in answer.hits]


def _view(user: str, item_id: str, kind: str = "view") -> Event:
    return Event(event_type=kind, user_id=user, item_id=item_id, timestamp=datetime.now(UTC))


def _key(client: Client, user: str) -> str:
    return client.workspace.snapshots.latest().key_of(f"u:{user}")


@pytest.mark.parametrize(
    ("n", "offset", "explain"), [(10, 0, False), (20, 0, True), (7, 3, True), (100, 0, True), (25, 75, False)]
)
def test_a_ready_list_is_one_read_and_the_computed_answer(client: Client, user: str, n: int, offset: int, explain: bool) -> None:
    with _requests(client) as requests:
        ready = client.recommend(user, n=n, offset=offset, explain=explain)
    metadata = client.workspace.snapshots.current().metadata
    assert requests == [f"GET /{metadata.profiles}/_doc/{_key(client, user)}"]
    computed = _computed(client, user, n=n, offset=offset, explain=explain)
    assert ready.made_at is not None and len(ready.hits) == n
    for one, other in zip(ready.hits, computed.hits, strict=True):
        assert (one.item_id, one.rank, one.title, one.because) == (other.item_id, other.rank, other.title, other.because)
        assert dict(one.source) == dict(other.source)
        assert one.score == pytest.approx(other.score, abs=1e-6) and dict(one.parts) == pytest.approx(dict(other.parts), abs=1e-6)
        assert sum(one.parts.values()) == pytest.approx(one.score)
    assert any(hit.because for hit in ready.hits) == explain
    assert ready.ranking.total == computed.ranking.total
    assert ready.to_dict()["made_at"] == ready.made_at and "made_at" not in computed.to_dict()


def test_it_is_logged_as_any_other(client: Client, user: str) -> None:
    answers = [client.recommend(user, n=15), _computed(client, user, n=15)]
    ready, computed = (record for record in client.workspace.log.read() if record["answer_id"] in {a.answer_id for a in answers})
    assert ready["made_at"] == answers[0].made_at and "made_at" not in computed
    for name in ("kind", "situation", "user_key", "store", "version", "query", "offset", "degraded"):
        assert ready[name] == computed[name], name
    assert [(hit["item_id"], hit["position"]) for hit in ready["hits"]] == [(hit.item_id, hit.rank) for hit in answers[1].hits]
    assert ready["features"].keys() == computed["features"].keys()

    def column(record: dict[str, Any], name: str) -> list[Any]:
        values = record["features"][name]
        return values if isinstance(values, list) else [values] * 15

    for name in ("sum/score", "price/value", "user/events", "categories/affinity", "pair/category_affinity"):
        assert column(ready, name) == pytest.approx(column(computed, name), rel=1e-3), name


def test_making_a_list_is_not_logged(client: Client, user: str) -> None:
    before = len(list(client.workspace.log.read()))
    client.store_recommendations(user)
    assert len(list(client.workspace.log.read())) == before


@pytest.mark.parametrize(
    "more",
    [
        {"filter": ["price:..50"]}, {"exclude": ["p0001"]}, {"history": ["p0001"]}, {"session_id": "s"}, {"diversity": 0.5},
        {"personalization": 0.5}, {"explore": 0.1}, {"n": 101}, {"offset": 95},
    ],
    ids=str,
)  # fmt: skip
def test_what_sets_more_is_computed(client: Client, user: str, more: dict[str, Any]) -> None:
    assert not _is_ready(client, user, **more)


@pytest.mark.parametrize("more", [{"personalization": 1.0}, {"diversity": 0.0}, {"explore": 0.0}], ids=str)
def test_what_names_a_default_is_served(client: Client, user: str, more: dict[str, Any]) -> None:
    assert _is_ready(client, user, **more)


def _records(client: Client, event: Event, file: Path) -> None:
    client.put_events(event)


def _loads(client: Client, event: Event, file: Path) -> None:
    file.write_text(event.model_dump_json(exclude_none=True) + "\n")
    load_events(client.workspace, [file])


def _records_elsewhere(client: Client, event: Event, file: Path) -> None:
    with Client(settings=client.settings) as other:
        other.put_events(event)


async def test_no_list_is_served_after_an_event(client: Client, user: str, tmp_path: Path) -> None:
    for number, record in enumerate((_records, _loads, _records_elsewhere)):
        client.store_recommendations(user)
        first = client.recommend(user)
        assert first.made_at is not None
        record(client, _view(user, first.hits[0].item_id, "purchase"), tmp_path / f"{number}.jsonl")
        after = client.recommend(user)
        assert after.made_at is None and first.hits[0].item_id not in _ids(after), record
    client.store_recommendations(user)
    async with AsyncClient(settings=client.settings) as other:
        first = await other.recommend(user)
        assert first.made_at is not None and _ids(first) == _ids(client.recommend(user))
        await other.put_events([_view(user, first.hits[0].item_id)])
        assert (await other.recommend(user)).made_at is None
        assert (await other.store_recommendations([user])).stored == 1
        assert (await other.recommend(user)).made_at is not None


def test_events_that_are_known_already_leave_the_list(client: Client, user: str) -> None:
    event = _view(user, "p0001")
    client.put_events(event)
    client.store_recommendations(user)
    client.put_events(event)
    assert _is_ready(client, user)


def test_an_event_between_making_and_storing_wins(client: Client, user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write, bought = ready_lists.write_ready_lists, list[str]()

    def event_comes_first(*given: Any) -> Any:
        if len(bought) < 2:
            bought.append(_ids(_computed(client, user))[0])
            with Client(settings=client.settings) as other:
                other.put_events(_view(user, bought[-1], "purchase"))
        return write(*given)

    monkeypatch.setattr(ready_lists, "write_ready_lists", event_comes_first)
    assert client.store_recommendations(user).stored == 1
    ready = client.recommend(user, n=100)
    assert ready.made_at is not None and len(set(bought)) == 2 and not set(bought) & set(_ids(ready))

    def event_always_comes_first(*given: Any) -> Any:
        client.put_events(_view(user, "p0002"))
        return write(*given)

    monkeypatch.setattr(ready_lists, "write_ready_lists", event_always_comes_first)
    report = client.store_recommendations(user)
    assert (report.stored, report.changed) == (0, 1)
    assert not _is_ready(client, user)


def test_no_stale_list_where_lists_are_made_all_the_time(client: Client, user: str) -> None:
    done = threading.Event()

    def make() -> None:
        with Client(settings=client.settings) as other:
            while not done.is_set():
                other.store_recommendations(user)

    thread = threading.Thread(target=make)
    thread.start()
    try:
        for _ in range(12):
            top = client.recommend(user).hits[0].item_id
            client.put_events(_view(user, top, "purchase"))
            for _ in range(3):
                assert top not in _ids(client.recommend(user, n=50))
    finally:
        done.set()
        thread.join()


def test_items_that_are_gone_or_changed(client: Client, user: str, sample: SampleStore) -> None:
    by_id = {item.item_id: item for item in sample.items}
    before = client.recommend(user, n=12)
    gone, changed = before.hits[2].item_id, before.hits[8].item_id
    try:
        client.delete_items(gone)
        after = client.recommend(user)
        assert after.made_at is not None
        assert _ids(after) == [item_id for item_id in _ids(before) if item_id != gone][:10]
        assert [hit.rank for hit in after.hits] == list(range(1, 11))
        assert not _is_ready(client, user, offset=90), "99 are left"
        client.insert_items(by_id[changed].model_copy(update={"title": "Another title", "image": None}))
        assert _is_ready(client, user, n=7), "the first hits are as they were"
        computed = client.recommend(user)
        assert computed.made_at is None and not _is_ready(client, user, offset=10)
        assert "Another title" in [hit.title for hit in client.recommend(user, n=20).hits]
        client.store_recommendations(user)
        assert _is_ready(client, user)
    finally:
        client.insert_items([by_id[item_id].model_copy(update={"image": None}) for item_id in (gone, changed)])


def test_lists_grow_old_and_are_of_one_ranking(client: Client, user: str) -> None:
    def ready_with(**search: Any) -> bool:
        settings = client.settings
        settings = settings.model_copy(update={"search": settings.search.model_copy(update=search)})
        with Client(settings=settings) as other:
            return _is_ready(other, user)

    assert ready_with() and ready_with(timeout_s=20.0)
    assert not ready_with(ready_hours=0.0) and not ready_with(ready_hours=1e-9)
    assert not ready_with(interests=0) and not ready_with(exploration=0.1)


def test_where_no_list_would_be_served_none_is_made(client: Client, user: str) -> None:
    for search in ({"ready_hours": 0.0}, {"exploration": 0.2}):
        settings = client.settings.model_copy(update={"search": client.settings.search.model_copy(update=search)})
        with Client(settings=settings) as other, pytest.raises(InputError, match="search"):
            other.store_recommendations(user)
    without = replace(client.workspace.snapshots.latest(), forward=None)
    with pytest.raises(IndexStateError, match="forward index"):
        check_servable(without)


def test_an_erased_user_has_none(client: Client) -> None:
    client.put_events(_view("to be erased", "p0001"))
    assert client.store_recommendations("to be erased").stored == 1
    assert _is_ready(client, "to be erased")
    key, metadata = _key(client, "to be erased"), client.workspace.snapshots.current().metadata
    client.delete_user("to be erased")
    assert not _is_ready(client, "to be erased")
    assert not client.workspace.es.exists(index=metadata.profiles, id=key)
    report = client.store_recommendations(["to be erased", "never seen"])
    assert (report.stored, report.unknown) == (0, 2)
    assert not client.workspace.es.exists(index=metadata.profiles, id=key)


def test_nothing_in_a_list_tells_who_it_is_for(client: Client) -> None:
    canary = "canary-4712-user"
    client.put_events(_view(canary, "p0001"))
    client.store_recommendations(canary)
    es, metadata = client.workspace.es, client.workspace.snapshots.current().metadata
    document = es.get(index=metadata.profiles, id=_key(client, canary)).body
    chunks = [unpacked(text) for text in document["_source"]["ready_list"]["chunks"]]
    assert len(chunks) == 10 and canary not in json.dumps([document, chunks])
    client.delete_user(canary)


def test_all_users_and_the_doctor(client: Client, sample: SampleStore) -> None:
    report = client.store_recommendations()
    users = {event.user_id for event in sample.events if event.user_id is not None}
    assert report.stored >= len(users) and not (report.failed or report.degraded or report.changed)
    assert all(_is_ready(client, user) for user in sorted(users)[:20])
    (found,) = [check for check in diagnose(client.settings) if check.name == "ready lists"]
    assert found.ok and f"{report.stored:,}" in found.what


def test_another_version_has_none_until_they_are_made(client: Client, user: str) -> None:
    assert _is_ready(client, user)
    rebuild_index(client.workspace)
    with Client(settings=client.settings) as other:
        assert not _is_ready(client, user) and not _is_ready(other, user)
        metadata = client.workspace.snapshots.current().metadata
        assert "ready_list" not in client.workspace.es.get(index=metadata.profiles, id=_key(client, user))["_source"]
        client.store_recommendations(user)
        assert _is_ready(client, user) and _is_ready(other, user)
    client.train(["covisitation"], budget=0.0)
    assert not _is_ready(client, user)
