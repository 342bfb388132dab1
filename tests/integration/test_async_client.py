"""The asynchronous client gives what the other does, and nobody waits in its event loop. On a real engine."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest
from sample_answers import QUERY, ids_of, view

from es_recsys import Answer, AsyncClient, Client, Query
from es_recsys.errors import FilterError, InputError
from es_recsys.sample import SampleStore
from es_recsys.serving import snapshot_cache
from es_recsys.serving.recording import RecordingReport

pytestmark = pytest.mark.engine


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
            assert ids_of(theirs) == ids_of(mine)
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
        in_threads.append(args[0] if args else function)  # a context's run gets what to call as an argument
        return submit(pool, function, *args, **options)

    # A snapshot that ages while a slow machine asks would be read again in a thread.
    monkeypatch.setattr(snapshot_cache, "REFRESH_S", 600.0)
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
        await other._driver.write_log()
        assert in_threads
        assert [called for called in in_threads if getattr(called, "func", None) != other._driver.log.write] == []
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
            assert ids_of(await other.search(QUERY)) == ids_of(warm)
        assert not waiting.done()
        encoded.set()
        assert ids_of(await waiting) == ids_of(client.search("slow words"))


async def test_the_async_client_writes(client: Client, stranger: str) -> None:
    async with AsyncClient(settings=client.settings) as other:
        before = await other.recommend(stranger)
        assert await other.put_events([view(stranger, "p0010")]) == RecordingReport(added=1)
        assert ids_of(await other.recommend(stranger)) != ids_of(before)
        assert (await other.delete_user(stranger)).events == 1
        assert ids_of(await other.recommend(stranger)) == ids_of(before)


async def test_a_training_that_is_not_due_is_none(client: Client) -> None:
    report = client.train_if_needed(growth=5.0)
    assert report.outcome == "nothing" and report.checked.facts
    async with AsyncClient(settings=client.settings) as other:
        assert (await other.train_if_needed(growth=5.0)).to_dict()["outcome"] == "nothing"
        with pytest.raises(InputError, match="growth"):
            await other.train_if_needed(growth=0.0)
        with pytest.raises(InputError, match="no such model"):
            await other.train(["no such model"], add=True, budget=1.0)
