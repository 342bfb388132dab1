"""The client on a real engine: a small sample store, loaded and trained once; what each answer must hold."""

from __future__ import annotations

import asyncio
import base64
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from es_recsys import Answer, AsyncClient, Client, Event, Query, Settings
from es_recsys.errors import FilterError, InputError, RecsysError
from es_recsys.index_metadata import profiles_index
from es_recsys.jobs.load_events import load_events
from es_recsys.jobs.load_items import load_items
from es_recsys.sample import SampleStore
from es_recsys.serving.drivers import Driver
from es_recsys.serving.operations import MultiSearch, Operation
from es_recsys.serving.recording import RecordingReport
from es_recsys.serving.refresh import build_profiles

pytestmark = pytest.mark.engine

QUERY = "running shoes"


@pytest.fixture(scope="module")
def client(
    module_settings: Callable[..., Settings], sample: SampleStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("sample")
    (folder / "items.jsonl").write_text("".join(item.model_dump_json(exclude={"image"}) + "\n" for item in sample.items))
    lines = (event.model_dump_json(exclude_none=True) + "\n" for event in sample.events)
    (folder / "events.jsonl").write_text("".join(lines))
    with Client(settings=module_settings(text="all-MiniLM-L6-v2")) as client:
        load_items(client.workspace, [folder / "items.jsonl"])
        load_events(client.workspace, [folder / "events.jsonl"])
        client.train(budget=5.0)
        yield client


@pytest.fixture(scope="module")
def user(sample: SampleStore) -> str:
    """The shopper who did most."""
    counts = Counter(event.user_id for event in sample.events)
    return str(counts.most_common(1)[0][0])


@pytest.fixture
def stranger(request: pytest.FixtureRequest) -> str:
    """A user whom no other test uses."""
    return f"stranger-{request.node.name}"


def _ids(answer: Answer) -> list[str]:
    return [hit.item_id for hit in answer.hits]


def _view(user: str, item_id: str, kind: str = "view", ago: float = 60.0, **more: Any) -> Event:
    when = datetime.now(UTC) - timedelta(seconds=ago)
    return Event(event_type=kind, user_id=user, item_id=item_id, timestamp=when, **more)


def _in_category(sample: SampleStore, name: str) -> list[str]:
    return [item.item_id for item in sample.items if name in item.categories]


def _all_kinds(client: Client, user: str, sample: SampleStore) -> dict[str, Answer]:
    ids = [item.item_id for item in sample.items[:40]]
    return {
        "search": client.search(QUERY, user_id=user, explain=True),
        "neutral search": client.search(QUERY),
        "recommend": client.recommend(user, explain=True),
        "diverse": client.recommend(user, diversity=0.7, explain=True),
        "niche": client.recommend(user, popularity=-0.7, explain=True),
        "calibrated": client.recommend(user, calibration=0.7, explain=True),
        "popular": client.recommend(),
        "history": client.recommend(history=ids[:3], explain=True),
        "similar": client.similar_items(ids[0], explain=True),
        "rank": client.rank(user, ids, explain=True),
        "half": client.search(QUERY, user_id=user, personalization=0.5),
        "deep": client.search("black", user_id=user, offset=20, n=30),
    }


def test_parts_sum_to_the_score_in_every_kind_of_answer(client: Client, user: str, sample: SampleStore) -> None:
    for name, answer in _all_kinds(client, user, sample).items():
        assert answer.hits, name
        assert not answer.ranking.degraded, name
        for hit in answer.hits:
            assert sum(hit.parts.values()) == pytest.approx(hit.score, abs=1e-9), (name, hit)


def test_answers_are_in_order_numbered_and_titled(client: Client, user: str, sample: SampleStore) -> None:
    titles = {item.item_id: item.title for item in sample.items}
    for name, answer in _all_kinds(client, user, sample).items():
        start = 21 if name == "deep" else 1
        assert [hit.rank for hit in answer.hits] == list(range(start, start + len(answer.hits))), name
        assert len(set(_ids(answer))) == len(answer.hits), name
        assert all(hit.title == titles[hit.item_id] for hit in answer.hits), name
        interests = any(part.startswith("interest_") for hit in answer.hits for part in hit.parts)
        if name not in ("diverse", "niche", "calibrated") and not interests:  # both keep places for what scores less
            scores = [hit.score for hit in answer.hits]
            assert scores == sorted(scores, reverse=True), name


def test_popularity_and_calibration_are_dials(client: Client, user: str) -> None:
    """0 is the answer without them; more is more of it, in a recommendation and in a search."""
    popularity_of = client.workspace.snapshots.current().popularity_of
    assert popularity_of is not None
    for call in (partial(client.recommend, user), partial(client.search, "shoes", user_id=user), partial(client.search, "bag")):
        plain = call()
        assert _ids(call(popularity=0.0, calibration=0.0)) == _ids(plain)
        counts = [float(popularity_of(_ids(call(popularity=dial))).sum()) for dial in (-0.6, 0.0, 0.6)]
        assert counts[0] < counts[1] < counts[2]
    history = client.get_user_profile(user).affinities["categories"]

    def apart(answer: Answer) -> float:
        found = Counter(name for hit in answer.hits for name in hit.source["categories"])
        return sum(abs(share - found[name] / found.total()) for name, share in history.items())

    assert apart(client.recommend(user, calibration=0.9)) < apart(client.recommend(user))
    assert _ids(client.recommend(calibration=0.9)) == _ids(client.recommend()), "nothing is known of nobody"


def test_what_is_searched_by_its_name_stays_first_with_every_dial(client: Client, user: str, sample: SampleStore) -> None:
    titled = sample.items[11]
    for dials in ({"popularity": -1.0}, {"popularity": 1.0}, {"calibration": 1.0}):
        assert _ids(client.search(titled.title, user_id=user, **dials))[0] == titled.item_id


def test_a_search_finds_what_is_asked_for(client: Client, sample: SampleStore) -> None:
    titled = sample.items[11]
    assert client.search(titled.title).hits[0].item_id == titled.item_id
    running = set(_in_category(sample, "Running"))
    assert len(running & set(_ids(client.search(QUERY, n=5)))) >= 3


def test_a_search_knows_the_user(client: Client, sample: SampleStore) -> None:
    one, other = (shopper.user_id for shopper in sample.opposites)
    neutral = client.search("shoes", n=20)
    first, second = client.search("shoes", user_id=one, n=20), client.search("shoes", user_id=other, n=20)
    assert _ids(first) != _ids(neutral)
    assert _ids(first) != _ids(second)
    personal = {"taste_text", *client.workspace.snapshots.current().metadata.models}
    assert any(personal & hit.parts.keys() for hit in first.hits)
    assert not any(personal & hit.parts.keys() for hit in neutral.hits)


@pytest.mark.parametrize("kind", ["search", "recommend", "rank"])
def test_personalization_0_is_the_neutral_answer(client: Client, user: str, sample: SampleStore, kind: str) -> None:
    known = client.get_user_profile(user)
    left_out = known.disliked | (known.seen if kind == "recommend" else frozenset())
    ids = [item.item_id for item in sample.items[:50]]
    ask = {
        "search": lambda who, **more: client.search(QUERY, user_id=who, n=30, **more),
        "recommend": lambda who, **more: client.recommend(who, n=30, **more),
        "rank": lambda who, **more: client.rank(who, ids, **more),
    }[kind]
    mine, neutral = ask(user, personalization=0.0), ask(None, exclude=left_out)
    assert _ids(mine) == _ids(neutral)
    np.testing.assert_allclose([hit.score for hit in mine.hits], [hit.score for hit in neutral.hits], rtol=1e-5)
    assert _ids(mine) != _ids(ask(user))


def test_recommend_leaves_out_what_is_known_and_search_does_not(client: Client, user: str, sample: SampleStore) -> None:
    profile = client.get_user_profile(user)
    assert profile.seen
    everything = _ids(client.recommend(user, n=300))
    assert not profile.seen & set(everything)
    assert not profile.disliked & set(everything)
    assert len(everything) == len(sample.items) - len(profile.seen | profile.disliked)
    titles = {item.item_id: item.title for item in sample.items}
    mine = sorted(profile.seen - profile.disliked)[0]
    assert mine in _ids(client.search(titles[mine], user_id=user))


def test_a_dislike_disappears_at_once(client: Client, stranger: str) -> None:
    client.put_events(_view(stranger, "p0001"))
    before = client.recommend(stranger)
    unwanted = before.hits[0].item_id
    client.put_events(_view(stranger, unwanted, "dislike"))
    assert unwanted not in _ids(client.recommend(stranger, n=50))
    assert unwanted not in _ids(client.search(before.hits[0].title, user_id=stranger, n=50))
    assert unwanted not in _ids(client.rank(stranger, [unwanted, "p0002"]))
    assert unwanted not in _ids(client.similar_items(before.hits[1].item_id, user_id=stranger, n=100))


FILTERS: list[tuple[Any, Callable[[Any], bool]]] = [
    (["price:20..60"], lambda item: 20 <= item.price <= 60),
    ({"price": (None, 50)}, lambda item: item.price <= 50),
    ({"price": (100, None)}, lambda item: item.price >= 100),
    (["price:>100"], lambda item: item.price > 100),
    (["categories:Shoes"], lambda item: "Shoes" in item.categories),
    (["categories:Shoes,Bags"], lambda item: {"Shoes", "Bags"} & set(item.categories)),
    ({"categories": ["Shoes", "Bags"]}, lambda item: {"Shoes", "Bags"} & set(item.categories)),
    (["-categories:Shoes"], lambda item: "Shoes" not in item.categories),
    (["colour:black", "price:..100"], lambda item: item.attributes["colour"] == "black" and item.price <= 100),
    ({"colour": "black"}, lambda item: item.attributes["colour"] == "black"),
    (["created_at:>2000-01-01"], lambda item: item.created_at.year >= 2000),
]


@pytest.mark.parametrize(("filters", "keeps"), FILTERS, ids=[str(form) for form, _ in FILTERS])
def test_filters_keep_what_meets_them(
    client: Client, user: str, sample: SampleStore, filters: Any, keeps: Callable[[Any], bool]
) -> None:
    known = client.get_user_profile(user)
    meets = {item.item_id for item in sample.items if keeps(item)}
    assert len(meets) > 0
    found = client.recommend(user, n=300, filter=filters)
    assert set(_ids(found)) == meets - known.seen - known.disliked
    searched = client.search("shoes", user_id=user, n=100, filter=filters)
    assert set(_ids(searched)) <= meets


@pytest.mark.parametrize("bad", [["nonsense:1"], ["price"], ["price:cheap"], {"nonsense": 1}, ["created_at:yesterday-ish"]])
def test_a_bad_filter_is_named(client: Client, bad: Any) -> None:
    with pytest.raises(FilterError) as caught:
        client.search("shoes", filter=bad)
    assert caught.value.remedy


@pytest.mark.parametrize("options", [{"n": 0}, {"n": 1001}, {"offset": -1}, {"offset": 999, "n": 2}, {"personalization": 1.1}])
def test_numbers_out_of_range_are_refused(client: Client, options: Mapping[str, Any]) -> None:
    with pytest.raises(InputError):
        client.search("shoes", **options)


def test_other_questions_that_cannot_be_answered(client: Client) -> None:
    with pytest.raises(InputError, match="no-such-item"):
        client.similar_items("no-such-item")
    with pytest.raises(InputError):
        client.rank("u0001", [])
    with pytest.raises(InputError, match="no pictures"):
        client.search(image=b"not a picture")
    with pytest.raises(InputError, match=r"missing\.jpg"):
        client.search(image="missing.jpg")


def test_what_is_excluded_stays_out(client: Client, user: str) -> None:
    top = _ids(client.search(QUERY, user_id=user))[:3]
    assert not set(top) & set(_ids(client.search(QUERY, user_id=user, n=100, exclude=top)))
    best = _ids(client.recommend(user))[:3]
    after = _ids(client.recommend(user, n=100, exclude=best))
    assert not set(best) & set(after)
    assert best[0] not in _ids(client.rank(user, best, exclude=[best[0]]))


@pytest.mark.parametrize("ask", ["search", "recommend", "neutral"])
def test_pages_partition_the_answer(client: Client, user: str, ask: str) -> None:
    def page(offset: int, n: int) -> Answer:
        if ask == "search":
            return client.search("black leather", user_id=user, offset=offset, n=n)
        return client.recommend(user if ask == "recommend" else None, offset=offset, n=n)

    whole = _ids(page(0, 60))
    pages = [item_id for start in range(0, 60, 12) for item_id in _ids(page(start, 12))]
    assert pages == whole
    assert len(set(pages)) == len(pages)


@pytest.mark.parametrize("ask", ["personal", "neutral"])
@pytest.mark.parametrize("text", ["black", "shoes", "leather bag for work"])
def test_a_deep_page_goes_on_where_the_others_end(client: Client, user: str, ask: str, text: str) -> None:
    """Pages up to the ordinary depth come from one body, those beyond it from a deeper one."""
    depth = client.settings.search.text_depth

    def page(offset: int, n: int) -> dict[str, float]:
        answer = client.search(text, user_id=user if ask == "personal" else None, offset=offset, n=n)
        return {hit.item_id: hit.score for hit in answer.hits}

    whole = page(0, depth)
    across = page(depth - 20, 60)
    assert len(whole) == depth and list(whole.items())[-20:] == list(across.items())[:20]
    assert not whole.keys() & (page(depth, 50).keys() | page(depth + 50, 50).keys())
    assert page(0, depth) == whole


def test_the_total_and_facets_count_what_matches(client: Client, sample: SampleStore) -> None:
    shoes = [item for item in sample.items if "Shoes" in item.categories]
    found = client.execute(Query(filter=["categories:Shoes"], facets=True, n=5))
    assert found.ranking.total == len(shoes)
    facets = found.ranking.facets
    assert facets["categories"]["Shoes"] == len(shoes)
    assert facets["brand"] == dict(Counter(item.brand for item in shoes).most_common()) or len(facets["brand"]) == 20
    assert sum(facets["price"].values()) == len(shoes)
    searched = client.search("leather", facets=True, filter=["categories:Shoes"])
    assert searched.ranking.facets["categories"]["Shoes"] == searched.ranking.total


def test_because_names_the_users_own_items(client: Client, user: str) -> None:
    mine = set(client.get_user_profile(user).history.item_ids)
    for answer in (client.recommend(user, explain=True), client.search(QUERY, user_id=user, explain=True)):
        assert any(hit.because for hit in answer.hits)
        assert all(set(hit.because) <= mine for hit in answer.hits)
    assert not any(hit.because for hit in client.recommend(user).hits)


def test_similar_items(client: Client, sample: SampleStore) -> None:
    item = sample.items[0]
    answer = client.similar_items(item.item_id, n=20, explain=True)
    assert len(answer.hits) == 20
    assert item.item_id not in _ids(answer)
    alike = set(_in_category(sample, item.categories[1]))
    assert len(alike & set(_ids(answer)[:5])) >= 2
    filtered = client.similar_items(item.item_id, filter={"price": (None, 50)}, exclude=[answer.hits[0].item_id])
    assert answer.hits[0].item_id not in _ids(filtered)


def test_rank_gives_exactly_the_given_items(client: Client, user: str, sample: SampleStore) -> None:
    known = client.get_user_profile(user)
    ids = [item.item_id for item in sample.items[::3] if item.item_id not in known.disliked]
    answer = client.rank(user, [*ids, ids[0], "no-such-item"])
    assert sorted(_ids(answer)) == sorted(ids)
    assert _ids(answer) == _ids(client.rank(user, ids[::-1]))
    assert sorted(_ids(client.rank(None, ids))) == sorted(ids)


def test_an_anonymous_session_counts_after_one_event(client: Client, stranger: str, sample: SampleStore) -> None:
    seen = _in_category(sample, "Running")[0]
    before = client.recommend(session_id=stranger)
    client.put_events(Event(event_type="view", session_id=stranger, item_id=seen, timestamp=datetime.now(UTC)))
    after = client.recommend(session_id=stranger, explain=True)
    assert _ids(after) != _ids(before)
    assert seen not in _ids(after)
    assert any(hit.because == (seen,) for hit in after.hits)
    # A user of whom nothing is known yet is known by the session.
    assert _ids(client.recommend("somebody-new", session_id=stranger)) == _ids(after)


def test_a_user_unknown_gets_what_is_popular(client: Client, stranger: str) -> None:
    answer = client.recommend(stranger)
    assert len(answer.hits) == 10
    assert _ids(answer) == _ids(client.recommend())
    assert answer.hits[0].parts["popularity"] > 0
    assert _ids(client.search(QUERY, user_id=stranger)) == _ids(client.search(QUERY))
    assert client.get_user_profile(stranger).strength == 0.0


def test_the_very_next_answer_shows_an_event(client: Client, stranger: str, sample: SampleStore) -> None:
    wanted = _in_category(sample, "Backpacks")
    for seen in wanted[:2]:
        before = client.recommend(stranger)
        assert client.put_events([_view(stranger, seen)]) == RecordingReport(added=1)
        after = client.recommend(stranger, explain=True)
        assert _ids(after) != _ids(before)
        assert seen in {reason for hit in after.hits for reason in hit.because}
    neutral, personal = client.search("blue"), client.search("blue", user_id=stranger)
    assert [hit.score for hit in neutral.hits] != [hit.score for hit in personal.hits]


def test_the_same_events_again_change_nothing(client: Client, stranger: str) -> None:
    events = [_view(stranger, "p0003"), _view(stranger, "p0004", "purchase", event_id=f"{stranger}-1")]
    assert client.put_events(events) == RecordingReport(added=2)
    before = client.get_user_profile(stranger)
    assert client.put_events(events) == RecordingReport(duplicates=2)
    after = client.get_user_profile(stranger)
    assert after.counts == before.counts == {"view": 1, "purchase": 1}
    assert after.applied_through == before.applied_through
    assert after.strength == pytest.approx(before.strength, rel=1e-4)


def _profile_document(client: Client, user: str) -> dict[str, Any]:
    from es_recsys.keys import user_key

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
        return client.put_events([_view(stranger, ids[n], ago=60.0 + n), _view(stranger, ids[n], "like", ago=30.0 + n)])

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
        client.put_events(_view(stranger, sample.items[n].item_id, kinds[n], ago=86_400.0 * n + 60.0))
    incremental, answer = _profile_document(client, stranger), client.recommend(stranger)
    report = build_profiles(client.workspace)
    assert report.written >= 50
    _same(_profile_document(client, stranger), incremental)
    assert _ids(client.recommend(stranger)) == _ids(answer)


def test_a_user_who_comes_after_training_gets_collaborative_parts(client: Client, stranger: str, sample: SampleStore) -> None:
    seen = [event.item_id for event in sample.events if event.item_id is not None][:3]
    client.put_events([_view(stranger, item_id) for item_id in seen])
    models = set(client.workspace.snapshots.current().metadata.models)
    assert models
    answer = client.recommend(stranger)
    assert any(models & {name for name, part in hit.parts.items() if part > 0} for hit in answer.hits)


def test_a_history_alone_needs_nothing_stored(client: Client, stranger: str, sample: SampleStore) -> None:
    seen = [event.item_id for event in sample.events if event.item_id is not None][:4]
    rows = client.workspace.events.count
    answer = client.recommend(history=[*seen, "no-such-item"], explain=True)
    assert not set(seen) & set(_ids(answer))
    assert _ids(answer) != _ids(client.recommend())
    assert {reason for hit in answer.hits for reason in hit.because} <= set(seen)
    assert client.workspace.events.count == rows
    # What is stored of a user doesn't count beside a given history.
    client.put_events(_view(stranger, "p0005"))
    assert _ids(client.recommend(stranger, history=[*seen, "no-such-item"])) == _ids(answer)
    assert _ids(client.recommend(history=[])) == _ids(client.recommend())


def test_many_questions_are_answered_as_one_by_one(client: Client, user: str) -> None:
    queries = [Query(text=QUERY, user_id=user), Query(user_id=user), Query(filter=["bad:1"]), Query(like="p0001"), Query()] * 8
    together = list(client.execute_many(queries))
    assert len(together) == 40
    assert [isinstance(found, RecsysError) for found in together] == [False, False, True, False, False] * 8
    for query, found in zip(queries[:5], together[-5:], strict=True):
        if isinstance(found, Answer):
            assert _ids(found) == _ids(client.execute(query))


@pytest.mark.parametrize("personal", [False, True])
def test_searches_of_a_batch_equal_those_one_by_one(client: Client, sample: SampleStore, personal: bool) -> None:
    asked = [(event.query, event.user_id) for event in sample.events if event.query is not None and event.user_id is not None]
    texts = [f"{text} {word}".strip() for text, _ in asked for word in ("", "red", "for children")]
    users = [user for _, user in asked for _ in range(3)]
    queries = [Query(text=text, user_id=user if personal else None) for text, user in zip(texts, users, strict=True)][:200]
    assert len(queries) == 200
    together = list(client.execute_many(queries))
    assert sum(isinstance(found, Answer) and bool(found.hits) for found in together) > 150
    for query, found in zip(queries, together, strict=True):
        alone = client.execute(query)
        assert isinstance(found, Answer)
        assert _ids(found) == _ids(alone)
        assert [hit.score for hit in found.hits] == pytest.approx([hit.score for hit in alone.hits], abs=1e-6)
        assert found.ranking.total == alone.ranking.total and found.ranking.degraded == alone.ranking.degraded == ()


def _text_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file() and "events.sqlite3" not in path.name)


def test_a_deleted_user_leaves_nothing(client: Client, stranger: str, user: str) -> None:
    session = f"{stranger}-session"
    events = [_view(stranger, "p0001", session_id=session), _view(stranger, "p0002", "purchase")]
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
    from es_recsys.keys import user_key

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
    assert b"secret" not in _text_of(work.log.folder)
    assert kept in {record["answer_id"] for record in work.log.read()}
    assert client.get_user_profile(stranger).counts == {}

    assert client.put_events(events) == RecordingReport(refused=2)
    assert client.get_user_profile(stranger).counts == {}
    build_profiles(work)
    assert client.get_user_profile(stranger).counts == {}
    time.sleep(0.01)
    assert client.put_events(_view(stranger, "p0001", ago=0.0)).added == 1


def test_erasing_while_events_are_written_leaves_nothing_of_before(client: Client, stranger: str, sample: SampleStore) -> None:
    events = [_view(stranger, item.item_id, ago=3600.0 + n) for n, item in enumerate(sample.items[:40])]

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


class FailingSearches:
    """A driver's steps in which the searches on one vector field bring a vector of another length."""

    def __init__(self, driver: Driver, field: str) -> None:
        self.steps_of_really = driver.steps_of
        self.field = field
        self.failed = 0

    def __call__(self, operation: Operation) -> Any:
        if isinstance(operation, MultiSearch):
            operation = MultiSearch(operation.index, tuple(map(self._spoilt, operation.bodies)))
        return self.steps_of_really(operation)

    def _spoilt(self, part: Any) -> Any:
        if isinstance(part, list):
            return [self._spoilt(each) for each in part]
        if not isinstance(part, Mapping):
            return part
        if part.get("field") == self.field and "query_vector" in part:
            self.failed += 1
            return {**part, "query_vector": [1.0, 2.0]}
        return {name: self._spoilt(each) for name, each in part.items()}


def test_a_leg_that_fails_is_named_and_the_rest_answers(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshots = client.workspace.snapshots
    without_forward_index = replace(snapshots.current(), forward=None)
    for name in ("current", "at_hand"):
        monkeypatch.setattr(snapshots, name, lambda: without_forward_index)
    whole = client.search(QUERY)
    failing = FailingSearches(client.workspace.driver, "text_vector")
    monkeypatch.setattr(client.workspace.driver, "steps_of", failing)
    answer = client.search(QUERY)
    assert failing.failed
    assert answer.ranking.degraded == ("text_vector",)
    assert answer.to_dict()["degraded"] == ["text_vector"]
    assert len(answer.hits) == 10
    assert all("text_vector" not in hit.parts for hit in answer.hits)
    assert all(sum(hit.parts.values()) == pytest.approx(hit.score, abs=1e-9) for hit in answer.hits)
    monkeypatch.setattr(client.workspace.driver, "steps_of", failing.steps_of_really)
    assert _ids(client.search(QUERY)) == _ids(whole)


def test_an_encoder_that_fails_is_named(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from es_recsys.errors import EncodingError

    def fail(*_: Any) -> Any:
        raise EncodingError("It can't be encoded.", "Try later.")

    encoder = type(client.workspace.snapshots.current().encoder)
    monkeypatch.setattr(encoder, "vector", fail)
    monkeypatch.setattr(encoder, "known_vector", lambda *_: None)
    answer = client.search(QUERY)
    assert answer.ranking.degraded == ("text_vector",)
    assert answer.hits


def test_one_record_an_answer_and_no_user_id_anywhere(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    canary = "canary-4711-user"
    caplog.set_level(logging.DEBUG)
    before = {record["answer_id"] for record in client.workspace.log.read()}
    client.put_events(_view(canary, "p0001"))
    answers = [
        client.search(QUERY, user_id=canary),
        client.recommend(canary, n=3),
        client.similar_items("p0001", user_id=canary),
        client.rank(canary, ["p0001", "p0002"]),
        *(found for found in client.execute_many([Query(user_id=canary)] * 2) if isinstance(found, Answer)),
    ]
    records = [record for record in client.workspace.log.read() if record["answer_id"] not in before]
    assert [record["answer_id"] for record in records] == [answer.answer_id for answer in answers]
    assert [record["kind"] for record in records] == ["search", "recommend", "similar", "rank", "recommend", "recommend"]
    for record, answer in zip(records, answers, strict=True):
        assert record["hits"] == [
            {
                "item_id": h.item_id,
                "position": h.rank,
                "score": h.score,
                "parts": dict(h.parts),
                "propensity": 1.0,
                "inclusion_probability": 1.0,
            }
            for h in answer.hits
        ]
        assert record["store"] == client.settings.index
    assert len({record["user_key"] for record in records}) == 1
    assert canary not in caplog.text
    assert canary.encode() not in _text_of(client.settings.home)
    client.workspace.es.indices.refresh(index=f"{client.settings.index}*")
    for index in client.workspace.es.indices.get(index=f"{client.settings.index}*"):
        for hit in client.workspace.es.search(index=index, size=500)["hits"]["hits"]:
            assert canary not in str(hit)
    client.delete_user(canary)


async def test_the_async_client_gives_the_same(client: Client, user: str, sample: SampleStore) -> None:
    ids = [item.item_id for item in sample.items[:20]]
    async with AsyncClient(settings=client.settings) as other:
        pairs = [
            (client.search(QUERY, user_id=user, explain=True), await other.search(QUERY, user_id=user, explain=True)),
            (client.recommend(user, n=20), await other.recommend(user, n=20)),
            (client.similar_items("p0001"), await other.similar_items("p0001")),
            (client.rank(user, ids), await other.rank(user, ids)),
        ]
        for mine, theirs in pairs:
            assert theirs.kind == mine.kind
            assert _ids(theirs) == _ids(mine)
            assert [hit.because for hit in theirs.hits] == [hit.because for hit in mine.hits]
            np.testing.assert_allclose([h.score for h in theirs.hits], [h.score for h in mine.hits], rtol=1e-4)
        found = [one async for one in other.execute_many([Query(text=QUERY), Query(filter=["bad:1"])])]
        assert isinstance(found[0], Answer)
        assert isinstance(found[1], FilterError)
        assert (await other.get_user_profile(user)).counts == client.get_user_profile(user).counts
        assert await other.titles(["p0001", "nothing"]) == client.titles(["p0001", "nothing"])


async def test_a_warm_answer_stays_in_the_event_loop(client: Client, user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    in_threads: list[Any] = []
    submit = ThreadPoolExecutor.submit

    def submitted(pool: ThreadPoolExecutor, function: Any, *args: Any, **options: Any) -> Any:
        in_threads.append(function)
        return submit(pool, function, *args, **options)

    async with AsyncClient(settings=client.settings) as other:
        asks = [partial(other.search, QUERY), partial(other.search, QUERY, user_id=user), partial(other.recommend, user)]
        for ask in asks:
            await ask()
        await other._driver.write_log()
        logged = sum(1 for _ in client.workspace.log.read())
        monkeypatch.setattr(ThreadPoolExecutor, "submit", submitted)
        for ask in asks:
            await ask()
        # Only the log, behind the answers.
        assert all(getattr(function, "func", None) == other._driver.log.write for function in in_threads)
        await other.delete_user("nobody")
        assert sum(1 for _ in client.workspace.log.read()) == logged + len(asks)


async def test_words_that_are_slow_to_encode_hold_up_nobody_else(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    encodes, encoded = threading.Event(), threading.Event()
    encoders = type(client.workspace.snapshots.current().encoder)
    vector = encoders.vector

    def slow(self: Any, metadata: Any, field: str, query: Any) -> Any:
        if query == "slow words":
            encodes.set()
            assert encoded.wait(60)
        return vector(self, metadata, field, query)

    monkeypatch.setattr(encoders, "vector", slow)
    async with AsyncClient(settings=client.settings) as other:
        warm = await other.search(QUERY)
        waiting = asyncio.create_task(other.search("slow words"))
        while not encodes.is_set():
            await asyncio.sleep(0.001)
        for _ in range(3):
            assert _ids(await other.search(QUERY)) == _ids(warm)
        assert not waiting.done()
        encoded.set()
        assert _ids(await waiting) == _ids(client.search("slow words"))


async def test_the_async_client_writes(client: Client, stranger: str) -> None:
    async with AsyncClient(settings=client.settings) as other:
        before = await other.recommend(stranger)
        assert await other.put_events([_view(stranger, "p0010")]) == RecordingReport(added=1)
        assert _ids(await other.recommend(stranger)) != _ids(before)
        assert (await other.delete_user(stranger)).events == 1
        assert _ids(await other.recommend(stranger)) == _ids(before)


def test_both_clients_have_the_same_methods() -> None:
    def public(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    assert public(Client) == public(AsyncClient)


async def test_a_training_that_is_not_due_is_none(client: Client) -> None:
    report = client.train_if_needed(growth=5.0)
    assert report.outcome == "nothing" and report.checked.facts
    async with AsyncClient(settings=client.settings) as other:
        assert (await other.train_if_needed(growth=5.0)).to_dict()["outcome"] == "nothing"
        with pytest.raises(InputError, match="growth"):
            await other.train_if_needed(growth=0.0)
        with pytest.raises(InputError, match="no such model"):
            await other.train(["no such model"], add=True, budget=1.0)


def test_items_come_and_go(client: Client) -> None:
    from es_recsys import Item

    report = client.insert_items([Item(item_id="extra-1", title="Zanzibar Snorkel Deluxe", price=12.5)])
    assert report.added == 1
    assert client.search("zanzibar snorkel").hits[0].item_id == "extra-1"
    assert client.insert_items([Item(item_id="extra-1", title="Zanzibar Snorkel Deluxe", price=12.5)]).unchanged == 1
    assert client.delete_items(["extra-1", "never-there"]).removed == 1
    assert "extra-1" not in _ids(client.search("zanzibar snorkel"))


def test_options_beside_settings_are_checked(client: Client) -> None:
    with pytest.raises(InputError, match="index"):
        Client(settings=client.settings, index="Not A Name")
    with pytest.raises(InputError, match="nonsense"):
        Client(settings=client.settings, nonsense=1)
    with Client(settings=client.settings, api_key="abc") as other:
        assert other.settings.api_key is not None
        assert "abc" not in repr(other.settings)
        assert other.settings.index == client.settings.index
