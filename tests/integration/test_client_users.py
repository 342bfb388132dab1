"""What users do counts at once, for them alone, and once; a user who is erased leaves nothing. On a real engine."""

from __future__ import annotations

import base64
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from sample_answers import QUERY, files_of, ids_of, in_category, view

from es_recsys import Client, Event
from es_recsys.index_metadata import profiles_index
from es_recsys.keys import user_key
from es_recsys.sample import SampleStore
from es_recsys.serving.recording import RecordingReport
from es_recsys.serving.refresh import build_profiles

pytestmark = pytest.mark.engine


def test_a_dislike_disappears_at_once(client: Client, stranger: str) -> None:
    client.put_events(view(stranger, "p0001"))
    before = client.recommend(stranger)
    unwanted = before.hits[0].item_id
    client.put_events(view(stranger, unwanted, "dislike"))
    assert unwanted not in ids_of(client.recommend(stranger, n=50))
    assert unwanted not in ids_of(client.search(before.hits[0].title, user_id=stranger, n=50))
    assert unwanted not in ids_of(client.rank(stranger, [unwanted, "p0002"]))
    assert unwanted not in ids_of(client.similar_items(before.hits[1].item_id, user_id=stranger, n=100))


def test_an_anonymous_session_counts_after_one_event(client: Client, stranger: str, sample: SampleStore) -> None:
    seen = in_category(sample, "Running")[0]
    before = client.recommend(session_id=stranger)
    client.put_events(Event(event_type="view", session_id=stranger, item_id=seen, timestamp=datetime.now(UTC)))
    after = client.recommend(session_id=stranger, explain=True)
    assert ids_of(after) != ids_of(before)
    assert seen not in ids_of(after)
    assert any(hit.because == (seen,) for hit in after.hits)
    # A user of whom nothing is known yet is known by the session.
    assert ids_of(client.recommend("somebody-new", session_id=stranger)) == ids_of(after)


def test_a_user_unknown_gets_what_is_popular(client: Client, stranger: str) -> None:
    answer = client.recommend(stranger)
    assert len(answer.hits) == 10
    assert ids_of(answer) == ids_of(client.recommend())
    assert answer.hits[0].parts["popularity"] > 0
    assert ids_of(client.search(QUERY, user_id=stranger)) == ids_of(client.search(QUERY))
    assert client.get_user_profile(stranger).strength == 0.0


def test_the_very_next_answer_shows_an_event(client: Client, stranger: str, sample: SampleStore) -> None:
    wanted = in_category(sample, "Backpacks")
    for seen in wanted[:2]:
        before = client.recommend(stranger)
        assert client.put_events([view(stranger, seen)]) == RecordingReport(added=1)
        after = client.recommend(stranger, explain=True)
        assert ids_of(after) != ids_of(before)
        assert seen in {reason for hit in after.hits for reason in hit.because}
    neutral, personal = client.search("blue"), client.search("blue", user_id=stranger)
    assert [hit.score for hit in neutral.hits] != [hit.score for hit in personal.hits]


def test_the_same_events_again_change_nothing(client: Client, stranger: str) -> None:
    events = [view(stranger, "p0003"), view(stranger, "p0004", "purchase", event_id=f"{stranger}-1")]
    assert client.put_events(events) == RecordingReport(added=2)
    before = client.get_user_profile(stranger)
    assert client.put_events(events) == RecordingReport(duplicates=2)
    after = client.get_user_profile(stranger)
    assert after.counts == before.counts == {"view": 1, "purchase": 1}
    assert after.applied_through == before.applied_through
    assert after.strength == pytest.approx(before.strength, rel=1e-4)


def _profile_document(client: Client, user: str) -> dict[str, Any]:
    metadata = client.workspace.snapshots.current().metadata
    key = user_key(user, client.settings.secret())
    return dict(client.workspace.es.get(index=metadata.profiles, id=key)["_source"])


def _same(one: Any, other: Any, where: str = "") -> None:
    """Equal but for rounding, and for when they were written."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for name in one:
            if name not in ("updated_at", "revision"):
                _same(one[name], other[name], f"{where}.{name}")
    elif isinstance(one, list):
        assert len(one) == len(other), where
        for place, (a, b) in enumerate(zip(one, other, strict=True)):
            _same(a, b, f"{where}[{place}]")
    elif isinstance(one, str) and ".vectors." in where:
        first, second = (np.frombuffer(base64.b64decode(text), "<f8") for text in (one, other))
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-6, err_msg=where)
    elif isinstance(one, float) or isinstance(other, float):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-6), where
    else:
        assert one == other, where


def test_50_writers_of_one_profile_lose_nothing(client: Client, stranger: str, sample: SampleStore) -> None:
    ids = [item.item_id for item in sample.items[:50]]
    start = threading.Barrier(50)

    def write(n: int) -> RecordingReport:
        start.wait()
        return client.put_events([view(stranger, ids[n], ago=60.0 + n), view(stranger, ids[n], "like", ago=30.0 + n)])

    with ThreadPoolExecutor(50) as pool:
        done = list(pool.map(write, range(50)))
    assert sum(one.added for one in done) == 100
    profile = client.get_user_profile(stranger)
    assert profile.counts == {"view": 50, "like": 50}
    assert profile.seen == set(ids)
    incremental = _profile_document(client, stranger)
    build_profiles(client.workspace)
    _same(_profile_document(client, stranger), incremental)


def test_a_rebuild_agrees_with_what_came_step_by_step(client: Client, stranger: str, sample: SampleStore) -> None:
    kinds = ("view", "cart", "purchase", "dislike", "like")
    for n in (4, 0, 3, 1, 2):
        client.put_events(view(stranger, sample.items[n].item_id, kinds[n], ago=86_400.0 * n + 60.0))
    incremental, answer = _profile_document(client, stranger), client.recommend(stranger)
    report = build_profiles(client.workspace)
    assert report.written >= 50
    _same(_profile_document(client, stranger), incremental)
    assert ids_of(client.recommend(stranger)) == ids_of(answer)


def test_a_user_who_comes_after_training_gets_collaborative_parts(client: Client, stranger: str, sample: SampleStore) -> None:
    seen = [event.item_id for event in sample.events if event.item_id is not None][:3]
    client.put_events([view(stranger, item_id) for item_id in seen])
    models = set(client.workspace.snapshots.current().metadata.models)
    assert models
    answer = client.recommend(stranger)
    assert any(models & {name for name, part in hit.parts.items() if part > 0} for hit in answer.hits)


def test_a_history_alone_needs_nothing_stored(client: Client, stranger: str, sample: SampleStore) -> None:
    seen = [event.item_id for event in sample.events if event.item_id is not None][:4]
    rows = client.workspace.events.count
    answer = client.recommend(history=[*seen, "no-such-item"], explain=True)
    assert not set(seen) & set(ids_of(answer))
    assert ids_of(answer) != ids_of(client.recommend())
    assert {reason for hit in answer.hits for reason in hit.because} <= set(seen)
    assert client.workspace.events.count == rows
    # What is stored of a user doesn't count beside a given history.
    client.put_events(view(stranger, "p0005"))
    assert ids_of(client.recommend(stranger, history=[*seen, "no-such-item"])) == ids_of(answer)
    assert ids_of(client.recommend(history=[])) == ids_of(client.recommend())


def test_a_deleted_user_leaves_nothing(client: Client, stranger: str, user: str) -> None:
    session = f"{stranger}-session"
    events = [view(stranger, "p0001", session_id=session), view(stranger, "p0002", "purchase")]
    client.put_events([*events, Event(event_type="view", session_id=session, item_id="p0009", timestamp=datetime.now(UTC))])
    client.search("a present for my very secret friend", user_id=stranger)
    client.search("another secret of mine", session_id=session)
    kept = client.search("not erased", user_id=user).answer_id
    work = client.workspace
    # The version before, kept for a rollback, holds a profile of the user as well.
    live = work.snapshots.current().metadata
    old = profiles_index(live.store, live.version - 1)
    document = _profile_document(client, stranger)
    key = work.es.search(index=live.profiles, query={"match_all": {}}, size=0, track_total_hits=True)
    assert key["hits"]["total"]["value"]

    mine = user_key(stranger, client.settings.secret())
    work.es.index(index=old, id=mine, document=document)

    report = client.delete_user(stranger)
    assert report.events == 3
    assert report.profiles == 3
    assert report.answers == 2
    assert not work.events.rows(stranger)
    assert not work.events.rows(session_id=session)
    work.es.indices.refresh(index=f"{live.store}*")
    for name in (mine, f"s-{user_key(session, client.settings.secret())}"):
        assert work.es.count(index=f"{live.store}-profiles-*", query={"ids": {"values": [name]}})["count"] == 0
    assert b"secret" not in files_of(work.log.folder)
    assert kept in {record["answer_id"] for record in work.log.read()}
    assert client.get_user_profile(stranger).counts == {}

    assert client.put_events(events) == RecordingReport(refused=2)
    assert client.get_user_profile(stranger).counts == {}
    build_profiles(work)
    assert client.get_user_profile(stranger).counts == {}
    time.sleep(0.01)
    assert client.put_events(view(stranger, "p0001", ago=0.0)).added == 1


def test_erasing_while_events_are_written_leaves_nothing_of_before(client: Client, stranger: str, sample: SampleStore) -> None:
    events = [view(stranger, item.item_id, ago=3600.0 + n) for n, item in enumerate(sample.items[:40])]

    def write(event: Event) -> None:
        client.put_events(event)

    with ThreadPoolExecutor(8) as pool:
        writing = [pool.submit(write, event) for event in events]
        time.sleep(0.1)
        client.delete_user(stranger)
        for one in writing:
            one.result()
    assert not client.workspace.events.rows(stranger)
    assert client.get_user_profile(stranger).counts == {}
