"""Recommendations by blocks on a real engine: what each user would get alone, with its scores, parts and documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from recent_sample import recent_sample_store

from es_recsys import Answer, Client, Event, Item, Settings
from es_recsys.errors import EngineError, InputError
from es_recsys.jobs import ready_lists
from es_recsys.jobs.load_events import load_events
from es_recsys.query import Query
from es_recsys.sample import SampleStore
from es_recsys.serving import batch_answers, block_answers
from es_recsys.serving.block_answers import BlockAnswering
from es_recsys.training.train import train

pytestmark = pytest.mark.engine

Make = Callable[..., Settings]


def _filled(settings: Settings, sample: SampleStore, folder: Path, models: Sequence[str]) -> Client:
    client = Client(settings=settings)
    client.insert_items([item.model_copy(update={"image": None}) for item in sample.items])
    file = folder / "events.jsonl"
    file.write_text("".join(event.model_dump_json(exclude_none=True) + "\n" for event in sample.events))
    load_events(client.workspace, [file])
    train(client.workspace, models, budget=0.0, searches=False)
    return client


@pytest.fixture(scope="module")
def small(module_settings: Make, sample: SampleStore, tmp_path_factory: Any) -> Iterator[Client]:
    """300 items with text vectors."""
    settings, folder = module_settings("all-MiniLM-L6-v2"), tmp_path_factory.mktemp("small")
    with _filled(settings, sample, folder, ["covisitation", "als"]) as client:
        yield client


@pytest.fixture(scope="module")
def large_sample() -> SampleStore:
    return recent_sample_store(items=1_600, users=200)


@pytest.fixture(scope="module")
def large(module_settings: Make, large_sample: SampleStore, tmp_path_factory: Any) -> Iterator[Client]:
    """1,600 items, more than neighbours are kept of one, without vectors of their content."""
    models = ["als", "bspm", "covisitation"]
    with _filled(module_settings(), large_sample, tmp_path_factory.mktemp("large"), models) as client:
        yield client


def _assert_as_one_by_one(client: Client, queries: Sequence[Query], every: int = 1) -> None:
    """Answer by blocks, one in `every` also by itself, and compare all that an answer shows."""
    with patch.object(batch_answers, "execute", side_effect=AssertionError("not by blocks")):
        together = list(client.execute_many(queries))
    assert len(together) == len(queries)
    for query, found in list(zip(queries, together, strict=True))[::every]:
        alone = client.execute(query)
        assert isinstance(found, Answer), found
        assert [hit.item_id for hit in found.hits] == [hit.item_id for hit in alone.hits], query
        assert (found.kind, found.ranking.total, found.ranking.degraded) == ("recommend", alone.ranking.total, ())
        for one, other in zip(found.hits, alone.hits, strict=True):
            assert (one.rank, one.title, dict(one.source)) == (other.rank, other.title, dict(other.source))
            assert one.score == pytest.approx(other.score, abs=1e-6) and sum(one.parts.values()) == pytest.approx(one.score)
            assert dict(one.parts) == pytest.approx(dict(other.parts), abs=1e-6)


def _users(sample: SampleStore) -> list[str]:
    return sorted({event.user_id for event in sample.events if event.user_id is not None})


@pytest.mark.parametrize("name", ["small", pytest.param("large", marks=pytest.mark.long)])
def test_every_user_gets_what_they_get_alone(
    name: str, request: pytest.FixtureRequest, sample: SampleStore, large_sample: SampleStore
) -> None:
    client: Client = request.getfixturevalue(name)
    users = _users(sample if name == "small" else large_sample)
    _assert_as_one_by_one(client, [Query(user_id=user, n=12) for user in users], every=max(len(users) // 20, 1))


def _event(user: str, kind: str, item: Item) -> Event:
    return Event(event_type=kind, user_id=user, item_id=item.item_id, timestamp=datetime.now(UTC))


@pytest.mark.parametrize("name", ["small", pytest.param("large", marks=pytest.mark.long)])
def test_so_do_those_of_whom_other_things_are_known(
    name: str, request: pytest.FixtureRequest, sample: SampleStore, large_sample: SampleStore
) -> None:
    client: Client = request.getfixturevalue(name)
    shop = sample if name == "small" else large_sample
    some, ids = _users(shop)[:4], [item.item_id for item in shop.items]
    client.put_events([_event(user, "dislike", item) for user in some for item in shop.items[20:45]])
    client.put_events([_event("only dislikes", "dislike", item) for item in shop.items[:5]])
    client.put_events([_event("new", "view", shop.items[7])])
    queries = [
        *(Query(user_id=user) for user in (*some, "only dislikes", "new", "unknown")),
        Query(),
        Query(history=[]),
        *(Query(history=ids[k : k + 1 + k % 9]) for k in range(0, 60, 4)),
        Query(user_id=some[0], history=["no such item", ids[3], ids[3]]),
        Query(history=ids[:150]),
        *(Query(user_id=user, n=7, offset=offset) for user in some for offset in (5, 90, 193)),
        Query(user_id=some[0], exclude=frozenset(ids[:40])),
        Query(user_id=some[1], personalization=0.0),
        Query(user_id=some[1], personalization=0.4),
    ]
    _assert_as_one_by_one(client, queries)


@pytest.fixture
def shares_of_a_first_event(small: Client) -> Iterator[None]:
    """Shares of their own for users of whom one event is known."""
    before = small.workspace.snapshots.latest().metadata.retriever_weights
    first = {"covisitation": 0.3, "als": 0.1, "popularity": 0.6}
    tables = [{**before, "first_event": first}, before]
    small.workspace.update_metadata(lambda metadata: replace(metadata, retriever_weights=tables[0]))
    yield
    small.workspace.update_metadata(lambda metadata: replace(metadata, retriever_weights=tables[1]))


@pytest.mark.usefixtures("shares_of_a_first_event")
def test_a_first_event_is_weighed_alike_in_every_answer(small: Client, sample: SampleStore) -> None:
    ids = [item.item_id for item in sample.items]
    small.put_events([_event("just come", "view", sample.items[11])])
    small.put_events([Event(event_type="view", session_id="s", item_id=ids[11], timestamp=datetime.now(UTC))])
    histories = [Query(history=ids[k : k + count], n=12) for k in range(0, 60, 20) for count in (1, 3, 4)]
    _assert_as_one_by_one(small, [Query(user_id="just come", n=12), *histories])
    assert small.store_recommendations(["just come"]).stored == 1
    ready, computed = small.recommend("just come"), small.recommend("just come", exclude=["no such item"])
    assert ready.made_at is not None and computed.made_at is None
    for answer in (ready, computed, small.recommend(session_id="s")):
        assert [hit.item_id for hit in answer.hits] == [hit.item_id for hit in ready.hits]
        assert max(hit.parts.get("popularity", 0.0) for hit in answer.hits) > 0.3
    # A fourth event, and the usual shares hold.
    small.put_events([_event("just come", "view", item) for item in sample.items[12:15]])
    known = small.recommend("just come")
    assert max(hit.parts.get("popularity", 0.0) for hit in known.hits) < 0.01


@pytest.mark.parametrize("name", ["small", pytest.param("large", marks=pytest.mark.long)])
def test_ready_lists_of_a_block_are_the_computed_answers(
    name: str, request: pytest.FixtureRequest, sample: SampleStore, large_sample: SampleStore
) -> None:
    client: Client = request.getfixturevalue(name)
    users = _users(sample if name == "small" else large_sample)[:8]
    with patch.object(ready_lists, "make_ready_list", side_effect=AssertionError("not by blocks")):
        assert client.store_recommendations([*users, "unknown"]) == ready_lists.ReadyListReport(stored=8, unknown=1)
    reasons = 0
    for user in users:
        ready = client.recommend(user, n=100, explain=True)
        computed = client.recommend(user, n=100, explain=True, exclude=["no such item"])
        assert ready.made_at is not None and computed.made_at is None
        for one, other in zip(ready.hits, computed.hits, strict=True):
            assert (one.item_id, one.rank, one.because) == (other.item_id, other.rank, other.because)
            assert dict(one.source) == dict(other.source)
            assert one.score == pytest.approx(other.score, abs=1e-6)
            assert dict(one.parts) == pytest.approx(dict(other.parts), abs=1e-6)
            reasons += len(one.because)
    assert reasons > 160
    # They are logged with the features that any answer has.
    *_, of_ready, of_computed = client.workspace.log.read()
    assert of_ready["answer_id"] == ready.answer_id and of_ready["situation"] == of_computed["situation"] == "no_query"
    assert of_ready["features"].keys() == of_computed["features"].keys()
    for feature, values in of_computed["features"].items():
        both = (np.array(each, np.float64) for each in (of_ready["features"][feature], values))
        np.testing.assert_allclose(*both, rtol=1e-3, atol=1e-4, err_msg=feature)


def test_an_item_that_was_written_or_deleted_since_is_seen(large: Client, large_sample: SampleStore) -> None:
    """What changed lies beside the rows of before."""
    users = _users(large_sample)[:12]
    best = large.recommend(users[0]).hits[0].item_id
    large.delete_items([best])
    new = [Item(item_id=f"new{k}", title="A new one", created_at=datetime.now(UTC)) for k in range(3)]
    large.insert_items([*new, large_sample.items[50].model_copy(update={"title": "Another title", "image": None})])
    large.workspace.snapshots.invalidate()
    _assert_as_one_by_one(large, [Query(user_id=user, n=30) for user in users])


def test_what_goes_by_blocks_stands_among_the_rest_in_order(small: Client, sample: SampleStore) -> None:
    users = _users(sample)[:20]
    queries = [
        *(Query(user_id=user) for user in users[:10]),
        Query(text="red", user_id=users[0]),
        Query(history=["x"] * 2_001),
        Query(user_id=users[0], diversity=0.5),
        Query(user_id=users[0], popularity=-0.5),
        Query(user_id=users[0], calibration=0.5),
        Query(user_id=users[0], filter=["bad:1"]),
        *(Query(user_id=user) for user in users[10:]),
    ]
    found = list(small.execute_many(queries))
    errors = [place for place, each in enumerate(found) if isinstance(each, InputError)]
    assert errors == [11, 15]
    for query, each in zip(queries, found, strict=True):
        if isinstance(each, Answer):
            assert [hit.item_id for hit in each.hits] == [hit.item_id for hit in small.execute(query).hits]


def test_many_blocks_come_in_order_and_are_logged(small: Client, sample: SampleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (batch_answers, block_answers):
        monkeypatch.setattr(module, "BLOCK_SIZE", 16)
    users = _users(sample)
    before = len(list(small.workspace.log.read()))
    queries = [Query(user_id=user, n=3) for user in users * 2]
    found = list(small.execute_many(iter(queries)))
    assert len(found) == len(queries)
    alone = {user: [hit.item_id for hit in small.recommend(user, n=3).hits] for user in users}
    for query, each in zip(queries, found, strict=True):
        assert isinstance(each, Answer) and query.user_id is not None
        assert [hit.item_id for hit in each.hits] == alone[query.user_id]
    records = list(small.workspace.log.read())[before : before + len(queries)]
    assert {record["answer_id"] for record in records} == {each.answer_id for each in found if isinstance(each, Answer)}
    assert {record["situation"] for record in records} == {"no_query"}


def test_whoever_stops_early_waits_for_nothing(small: Client, sample: SampleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_answers, "BLOCK_SIZE", 16)
    asked: list[Query] = []

    def queries() -> Iterator[Query]:
        for user in _users(sample) * 10:
            asked.append(Query(user_id=user))
            yield asked[-1]

    answers = small.execute_many(queries())
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert len(asked) <= 16 * 5


def test_a_block_that_elasticsearch_fails_on_is_tried_one_by_one(small: Client, sample: SampleStore) -> None:
    users = _users(sample)[:20]
    with patch.object(BlockAnswering, "answer", side_effect=EngineError("It is slow.", "Wait.")):
        found = list(small.execute_many([Query(user_id=user) for user in users]))
    assert all(isinstance(each, Answer) and each.hits for each in found)
