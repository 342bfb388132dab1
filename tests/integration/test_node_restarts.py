"""A client of the embedded node outlives the node: one that was started again on another port, and one that was killed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from es_recsys import AsyncClient, Client, Event, Item, Settings, engine
from es_recsys.errors import EngineError
from es_recsys.settings import EncoderSettings

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    place = tmp_path_factory.mktemp("embedded")
    none = EncoderSettings(text="none", image="none")
    settings = Settings(
        url=None, index="shop", home=place / "home", heap="256m", encoders=none, java=os.environ.get("ES_RECSYS_JAVA")
    )
    yield settings
    engine.stop(settings)


def _restarted(settings: Settings, looking_on: Client) -> None:
    before = engine.status(settings)
    assert before is not None and engine.stop(settings)
    with pytest.raises(EngineError, match="was stopped"):
        looking_on.search("shoe")
    # Something else may have its port meanwhile; the node takes another in any case.
    assert engine.start(settings).url != before.url
    assert len(looking_on.search("shoe").hits) == 5


def _killed(settings: Settings) -> None:
    known = engine.status(settings)
    assert known is not None
    os.kill(known.pid, signal.SIGKILL)
    while known.is_alive():
        os.waitpid(known.pid, 0)


@pytest.mark.long
def test_a_client_goes_on_with_a_node_that_was_restarted_or_killed(embedded: Settings, tmp_path: Path) -> None:
    with Client(settings=embedded) as client, Client(settings=embedded) as looking_on:
        client.insert_items(Item(item_id=f"i{n}", title=f"red shoe {n}") for n in range(5))
        assert len(client.search("shoe").hits) == len(looking_on.search("shoe").hits) == 5

        async def ask_after(happens: object) -> None:
            async with AsyncClient(settings=embedded) as asked:
                assert len((await asked.search("shoe")).hits) == 5
                await asyncio.to_thread(happens, embedded)  # type: ignore[arg-type]
                assert len((await asked.search("shoe", user_id="u1")).hits) == 5
                assert (await asked.put_events(Event(event_type="like", user_id="u1", item_id="i1"))).added == 1

        asyncio.run(ask_after(partial(_restarted, looking_on=looking_on)))
        # The one that only looked on has not heard of it; its writes go where the node is, too.
        assert client.put_events(Event(event_type="like", user_id="u1", item_id="i2")).added == 1
        assert client.get_user_profile("u1").counts == {"like": 2}
        _killed(embedded)
        assert len(client.search("shoe").hits) == 5
        assert client.insert_items([Item(item_id="i9", title="red shoe 9")]).added == 1
        status = engine.status(embedded)
        assert status is not None and status.url == client.workspace.address == client.workspace.url
        assert len(looking_on.search("shoe").hits) == 6
