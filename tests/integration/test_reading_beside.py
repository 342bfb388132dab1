"""A read beside searches on a real engine: what each gives alone, in a thread, in an event loop and among other flows."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from elasticsearch import AsyncElasticsearch, NotFoundError

from es_recsys.serving.drivers import AsyncDriver, Driver
from es_recsys.serving.joined_flows import run_all
from es_recsys.serving.operations import Document, Flow, Get, GetAndSearch, MultiSearch, Search

pytestmark = pytest.mark.engine


class NoLog:
    def write(self, records: Any) -> None:
        raise AssertionError


@pytest.fixture(scope="module")
def index(es: Any) -> Iterator[str]:
    name = f"t{uuid.uuid4().hex[:12]}"
    es.index(index=name, id="a b", document={"title": "red"}, refresh=True)
    es.index(index=name, id="c", document={"title": "red shoe"}, refresh=True)
    yield name
    es.indices.delete(index=name)


def ask(index: str, item_id: str, *, source: bool, text: str = "red") -> Flow[tuple[Document | None, list[str], list[Any]]]:
    bodies = ({"query": {"match": {"title": text}}}, {"sort": ["title"]})
    document, responses = yield GetAndSearch(Get(index, item_id, source), MultiSearch(index, bodies))
    return document, [hit["_id"] for hit in responses[0]["hits"]["hits"]], responses[1]["error"]["type"]


async def everywhere(es: Any, *asked: dict[str, Any]) -> list[Any]:
    """What each driver gives for these; an error as itself."""
    driver = Driver(es, NoLog())
    in_thread = [_outcome(driver, one) for one in asked]
    url = str(next(iter(es.transport.node_pool.all())).base_url)
    async with AsyncElasticsearch(url) as client:
        looping = AsyncDriver(client, NoLog())
        awaited = []
        for one in asked:
            try:
                awaited.append(await looping.run(ask(**one)))
            except NotFoundError as error:
                awaited.append(type(error))
        await looping.close()
    return [in_thread, awaited]


def _outcome(driver: Driver, one: dict[str, Any]) -> Any:
    try:
        return driver.run(ask(**one))
    except NotFoundError as error:
        return type(error)


async def test_both_results_come(es: Any, index: str) -> None:
    asked = [
        {"index": index, "item_id": "a b", "source": True},
        {"index": index, "item_id": "c", "source": False, "text": "shoe"},
        {"index": index, "item_id": "nobody", "source": True},
        {"index": index, "item_id": "nobody", "source": False},
    ]
    expected = [
        (Document({"title": "red"}, 0, 1), ["a b", "c"], "search_phase_execution_exception"),
        (Document({}, 1, 1), ["c"], "search_phase_execution_exception"),
        (None, ["a b", "c"], "search_phase_execution_exception"),
        (None, ["a b", "c"], "search_phase_execution_exception"),
    ]
    for found in [*await everywhere(es, *asked), run_all(Driver(es, NoLog()), [ask(**one) for one in asked])]:
        assert found == expected


async def test_an_index_that_is_gone_is_an_error(es: Any) -> None:
    asked = {"index": "t-not-there", "item_id": "a", "source": False}
    for found in await everywhere(es, asked):
        assert found == [NotFoundError]
    with pytest.raises(NotFoundError):
        run_all(Driver(es, NoLog()), [ask(**asked)])


async def test_a_search_by_itself_is_read_beside_as_well(es: Any, index: str) -> None:
    body = {"query": {"match": {"title": "shoe"}}}

    def asked(index: str = index) -> Flow[tuple[Document | None, list[str]]]:
        document, response = yield GetAndSearch(Get(index, "a b"), Search(index, body))
        return document, [hit["_id"] for hit in response["hits"]["hits"]]

    driver, expected = Driver(es, NoLog()), (Document({"title": "red"}, 0, 1), ["c"])
    assert driver.run(asked()) == expected and run_all(driver, [asked()]) == [expected]
    url = str(next(iter(es.transport.node_pool.all())).base_url)
    async with AsyncElasticsearch(url) as client:
        looping = AsyncDriver(client, NoLog())
        assert await looping.run(asked()) == expected
        await looping.close()
    with pytest.raises(NotFoundError):
        driver.run(asked("t-not-there"))
