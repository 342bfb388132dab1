"""Many queries of an event loop at the same time, on a real engine: each gets what it gets alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from es_recsys import Answer, AsyncClient, Client, Event, Query, Settings
from es_recsys.errors import EngineError, FilterError, InputError, RecsysError
from es_recsys.jobs.load_events import load_events
from es_recsys.sample import SampleStore
from es_recsys.serving import concurrent_answers, feature_sampler
from es_recsys.serving.block_answers import BlockAnswering
from es_recsys.serving.workspace import Workspace

pytestmark = pytest.mark.engine

ALONE = AssertionError("not together")


@pytest.fixture(scope="module")
def client(
    module_settings: Callable[..., Settings], sample: SampleStore, sample_events: Path, tmp_path_factory: Any
) -> Iterator[Client]:
    with Client(settings=module_settings("all-MiniLM-L6-v2")) as client:
        client.insert_items([item.model_copy(update={"image": None}) for item in sample.items])
        load_events(client.workspace, [sample_events])
        client.train(["covisitation", "als"], budget=0.0)
        yield client


@pytest.fixture
def users(sample: SampleStore) -> list[str]:
    return sorted({event.user_id for event in sample.events if event.user_id is not None})


async def _ask(client: AsyncClient, queries: Sequence[Query]) -> list[Answer | BaseException]:
    return await asyncio.gather(*(client.execute(query) for query in queries), return_exceptions=True)


def _alone(client: Client, query: Query) -> Answer | RecsysError:
    try:
        return client.execute(query)
    except RecsysError as error:
        return error


def _assert_same(query: Query, found: Answer | BaseException, alone: Answer | RecsysError) -> None:
    if not isinstance(alone, Answer):
        assert (type(found), str(found)) == (type(alone), str(alone))
        return
    assert isinstance(found, Answer), found
    assert [hit.item_id for hit in found.hits] == [hit.item_id for hit in alone.hits], query
    assert (found.kind, found.ranking.total, found.ranking.degraded) == (alone.kind, alone.ranking.total, alone.ranking.degraded)
    assert (found.made_at, found.unknown, found.ranking.facets) == (alone.made_at, alone.unknown, alone.ranking.facets)
    assert found.took_ms > 0.0
    for one, other in zip(found.hits, alone.hits, strict=True):
        assert (one.rank, one.title, one.because, dict(one.source)) == (
            other.rank,
            other.title,
            other.because,
            dict(other.source),
        )
        assert one.score == pytest.approx(other.score, abs=1e-5)
        assert dict(one.parts) == pytest.approx(dict(other.parts), abs=1e-5)


def _assert_logged_the_same(together: Sequence[dict[str, Any]], alone: Sequence[dict[str, Any]]) -> None:
    for one, other in zip(together, alone, strict=True):
        assert one.keys() == other.keys()
        for key in ("kind", "situation", "user_key", "store", "version", "query", "offset", "degraded"):
            assert one[key] == other[key], key
        assert [hit["item_id"] for hit in one["hits"]] == [hit["item_id"] for hit in other["hits"]]
        assert one["features"].keys() == other["features"].keys()
        for name, values in other["features"].items():
            both = (np.array(each, np.float64) for each in (one["features"][name], values))
            # Scores that are equal but for rounding may change places.
            np.testing.assert_allclose(*both, rtol=1e-3, atol=2.0 if name.endswith("/rank") else 1e-4, err_msg=name)


async def _assert_as_alone(client: Client, queries: Sequence[Query]) -> list[Answer | BaseException]:
    """Answer at the same time and one by one; compare the answers and what is logged. Return those of the same time."""
    before = len(list(client.workspace.log.read()))
    async with AsyncClient(settings=client.settings) as looping:
        with patch.object(concurrent_answers, "answer_flow", side_effect=ALONE):
            found = await _ask(looping, queries)
    together = {record["answer_id"]: record for record in list(client.workspace.log.read())[before:]}
    alone = [_alone(client, query) for query in queries]
    for query, one, other in zip(queries, found, alone, strict=True):
        _assert_same(query, one, other)
    answered = [one for one in found if isinstance(one, Answer)]
    assert set(together) == {one.answer_id for one in answered} and len(together) == len(answered)
    for one in answered:
        assert together[one.answer_id]["took_ms"] == one.took_ms
    last = list(client.workspace.log.read())[-len(answered) :]
    _assert_logged_the_same([together[one.answer_id] for one in answered], last)
    return found


def _queries(users: Sequence[str], ids: Sequence[str]) -> list[Query]:
    return [
        *(Query(user_id=user) for user in users),
        *(Query(user_id=user, n=7, offset=9) for user in users[:9]),
        *(Query(user_id=user, text="red shoes") for user in users[:9]),
        Query(user_id=users[0], explain=True),
        Query(user_id=users[0], filter=["price:..50"]),
        Query(user_id="nobody"),
        Query(history=ids[:3]),
        Query(text="black", facets=True),
        Query(like=ids[0], n=4),
        Query(user_id=users[1], ids=[*ids[:5], "no such item"], n=6),
        Query(history=["x"] * 2_001),
        Query(user_id=users[0], filter=["bad:1"]),
    ]


@pytest.mark.parametrize("logs_features", [True, False])
async def test_each_gets_what_it_gets_alone(
    logs_features: bool, client: Client, sample: SampleStore, users: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not logs_features:  # as where so many are asked that few are in the sample
        monkeypatch.setattr(feature_sampler, "ANSWERS_PER_SECOND", 0.0)
        monkeypatch.setattr(feature_sampler, "AT_ONCE", 0.0)
    queries = _queries(users, [item.item_id for item in sample.items])
    blocks, answer = list[int](), BlockAnswering.answer

    def counted(self: BlockAnswering, driver: Any, some: Sequence[Query], now: float, **options: Any) -> Any:
        blocks.append(len(some))
        return answer(self, driver, some, now, **options)

    with patch.object(BlockAnswering, "answer", counted):
        found = await _assert_as_alone(client, queries)
    assert sum(blocks) >= len(users)
    assert [type(each) for each in found[-2:]] == [InputError, FilterError]
    records = list(client.workspace.log.read())[-2 * len(queries) + 4 :]
    assert all(("sum/rank" in record["features"]) == logs_features for record in records if record["hits"])


async def test_ready_lists_are_served(client: Client, users: list[str]) -> None:
    assert client.store_recommendations(users[:20]).stored == 20
    found = await _assert_as_alone(client, [Query(user_id=user) for user in users[:32]])
    assert [isinstance(one, Answer) and one.made_at is not None for one in found] == [True] * 20 + [False] * 12


async def test_an_event_shows_in_the_next_answers(client: Client, sample: SampleStore, users: list[str]) -> None:
    queries = [Query(user_id=user) for user in users[:32]]
    async with AsyncClient(settings=client.settings) as looping:
        before = await _ask(looping, queries)
        bought = [one.hits[0].item_id for one in before if isinstance(one, Answer)]
        now = datetime.now(UTC)
        events = [
            Event(event_type="purchase", user_id=user, item_id=item_id, timestamp=now)
            for user, item_id in zip(users, bought, strict=False)
        ]
        await looping.put_events(events)
        after = await _ask(looping, queries)
    assert len(bought) == 32
    for item_id, one in zip(bought, after, strict=True):
        assert isinstance(one, Answer) and one.hits and item_id not in [hit.item_id for hit in one.hits]


async def test_what_elasticsearch_fails_on_together_is_tried_again(client: Client, users: list[str]) -> None:
    queries = [*(Query(user_id=user) for user in users[:16]), *(Query(text="red", user_id=user) for user in users[:16])]
    run_all, failed = Workspace.run_all, list[int]()

    def fails_first(self: Workspace, *given: Any) -> Any:
        failed.append(1)
        if len(failed) <= 2:
            raise EngineError("It is slow.", "Wait.")
        return run_all(self, *given)

    async with AsyncClient(settings=client.settings) as looping:
        with (
            patch.object(BlockAnswering, "answer", side_effect=EngineError("It is slow.", "Wait.")),
            patch.object(Workspace, "run_all", fails_first),
        ):
            found = await _ask(looping, queries)
    assert len(failed) > 2
    for query, one in zip(queries, found, strict=True):
        _assert_same(query, one, client.execute(query))


def test_loops_and_clients_of_different_settings_share_nothing(client: Client, users: list[str]) -> None:
    queries = [Query(user_id=user) for user in users[:32]]
    search = client.settings.search
    settings = [
        client.settings.model_copy(update={"search": search.model_copy(update=changed)})
        for changed in ({}, {"personalization": 0.0}, {"diversity": 0.5})
    ]
    found: list[list[Answer | BaseException]] = [[], [], []]

    def in_a_loop(k: int) -> None:
        async def ask() -> None:
            async with AsyncClient(settings=settings[k]) as looping:
                found[k] = await _ask(looping, queries)

        asyncio.run(ask())

    threads = [threading.Thread(target=in_a_loop, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for own, together in zip(settings, found, strict=True):
        with Client(settings=own) as alone:
            for query, one in zip(queries, together, strict=True):
                _assert_same(query, one, alone.execute(query))


async def test_many_queries_of_one_call_are_together(client: Client, users: list[str]) -> None:
    queries = [Query(user_id=user) for user in users[:32]]
    with patch.object(concurrent_answers, "answer_flow", side_effect=ALONE):
        async with AsyncClient(settings=client.settings) as looping:
            found = [one async for one in looping.execute_many(queries)]
    for query, one in zip(queries, found, strict=True):
        _assert_same(query, one, client.execute(query))


def test_a_store_that_is_not_there_says_so_to_each(module_settings: Callable[..., Settings]) -> None:
    async def ask() -> list[Any]:
        async with AsyncClient(settings=module_settings()) as looping:
            return await _ask(looping, [Query(user_id=f"u{k}") for k in range(20)])

    with Client(settings=module_settings()) as alone, pytest.raises(RecsysError) as expected:
        alone.recommend("u0")
    assert {type(each) for each in asyncio.run(ask())} == {type(expected.value)}
