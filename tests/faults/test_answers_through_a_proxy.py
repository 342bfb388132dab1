"""What something between us and Elasticsearch changes: errors inside a 200, parts of shards, pages of HTML, half a JSON."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from store_indices import delete_indices

from es_recsys import Answer, AsyncClient, Client, Event, Item, Query, RecsysError, Settings
from es_recsys.errors import BadResponse, EngineError, InputError, StoreNotFound
from es_recsys.index.fetch import fetch_sources, scan, scan_ids
from es_recsys.jobs.load_events import load_events
from es_recsys.serving import user_profiles
from es_recsys.serving.forward_index_follower import ForwardIndexFollower
from es_recsys.settings import EncoderSettings

pytestmark = pytest.mark.engine

Through = Callable[[Any], AbstractContextManager[str]]
GONE = {"error": {"type": "index_not_found_exception", "reason": "no such index", "root_cause": []}, "status": 404}
SHARD = {"error": {"type": "search_phase_execution_exception", "reason": "all shards failed", "root_cause": []}, "status": 503}
BUSY = {"type": "es_rejected_execution_exception", "reason": "the queue is full"}


@pytest.fixture(scope="module")
def stored(es: Elasticsearch, es_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A store with items of two brands, and one user who is known."""
    name, home = f"t{uuid.uuid4().hex[:12]}", tmp_path_factory.mktemp("home")
    settings = Settings(url=es_url, index=name, home=home, encoders=EncoderSettings(text="none", image="none"))
    began = 1_700_000_000
    with Client(settings=settings) as client:
        client.insert_items(Item(item_id=f"i{n}", title=f"red shoe {n}", brand="ab"[n % 2], created_at=began) for n in range(20))
        events = home / "events.jsonl"
        liked = [{"event_type": "like", "user_id": "u1", "item_id": f"i{n}", "timestamp": began + n} for n in range(5)]
        events.write_text("".join(json.dumps(event) + "\n" for event in liked))
        load_events(client.workspace, [events])
    yield settings
    delete_indices(es, name)


@pytest.fixture
def client(stored: Settings, through_proxy: Through) -> Callable[[Any], AbstractContextManager[Client]]:
    """client(change): a client that asks through the proxy."""

    @contextmanager
    def make(change: Any) -> Iterator[Client]:
        with through_proxy(change) as url, Client(settings=stored.model_copy(update={"url": url})) as made:
            yield made

    return make


def at(part: str, alter: Callable[[Any], Any], times: int = 10**9) -> Any:
    """Changes the JSON of the first so many answers to paths that end so."""
    left = [times]

    def change(method: str, path: str, reply: Any) -> Any:
        if not path.split("?")[0].endswith(part) or left[0] <= 0:
            return reply
        left[0] -= 1
        return replace(reply, body=json.dumps(alter(json.loads(reply.body))).encode())

    return change


def each_response(alter: Callable[[int, Any], Any]) -> Callable[[Any], Any]:
    return lambda body: {**body, "responses": [alter(place, one) for place, one in enumerate(body["responses"])]}


def each_doc(alter: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda body: {**body, "docs": [alter(doc) for doc in body["docs"]]}


def unread(doc: Any) -> Any:
    return {"_index": doc.get("_index", "x"), "_id": doc["_id"], "error": BUSY}


HTML = b"<html><head><title>Sign in</title></head><body>Authorization: ApiKey c2VjcmV0</body></html>"
PLAIN_HTML = {"content-type": "text/html; charset=utf-8"}


def cut(reply: Any) -> Any:
    return replace(reply, body=reply.body[: len(reply.body) // 2])


GARBAGE: dict[str, Callable[[Any], Any]] = {
    "a page": lambda reply: replace(reply, status=200, body=HTML, headers=PLAIN_HTML),
    "a page that says it is Elasticsearch": lambda reply: replace(
        reply, status=200, body=HTML, headers={**PLAIN_HTML, "x-elastic-product": "Elasticsearch"}
    ),
    "a page of JSON's kind": lambda reply: replace(reply, status=200, body=HTML),
    "another kind": lambda reply: replace(reply, headers={**reply.headers, "content-type": "application/x-thing"}),
    "a list": lambda reply: replace(reply, status=200, body=b"[1, 2]"),
    "a number": lambda reply: replace(reply, status=200, body=b"17"),
    "null": lambda reply: replace(reply, status=200, body=b"null"),
    "nothing": lambda reply: replace(reply, status=200, body=b""),
    "an empty object": lambda reply: replace(reply, status=200, body=b"{}"),
    "lists of other things": lambda reply: replace(
        reply, status=200, body=b'{"responses": [1], "docs": "x", "hits": 3, "found": true, "_source": 3}'
    ),
    "half a JSON": cut,
    "half of what was announced": lambda reply: replace(cut(reply), length=len(reply.body)),
    "a bad gateway": lambda reply: replace(reply, status=502, body=HTML, headers=PLAIN_HTML),
    "a page that is not found": lambda reply: replace(reply, status=404, body=HTML, headers=PLAIN_HTML),
    "a way elsewhere": lambda reply: replace(reply, status=302, body=HTML, headers={**PLAIN_HTML, "location": "/login"}),
    "very much": lambda reply: replace(reply, status=200, body=HTML * 50_000, headers=PLAIN_HTML),
}

CALLS: dict[str, Callable[[Client], Any]] = {
    "_msearch": lambda client: client.search("shoe"),
    "_mget": lambda client: client.titles(["i1"]),
    "_doc": lambda client: client.get_user_profile("u1"),
}


@pytest.mark.parametrize("part", CALLS)
@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_is_an_error_of_ours(garbage: str, part: str, client: Any) -> None:
    def change(method: str, path: str, reply: Any) -> Any:
        return GARBAGE[garbage](reply) if f"/{part}" in path else reply

    with client(change) as asked, pytest.raises(EngineError) as raised:
        CALLS[part](asked)
    said = str(raised.value)
    assert asked.workspace.address in said and "c2VjcmV0" not in said and len(said) < 700


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_from_the_first_request_on_is_an_error_of_ours(garbage: str, stored: Settings, through_proxy: Through) -> None:
    def change(method: str, path: str, reply: Any) -> Any:
        return reply if method == "HEAD" else GARBAGE[garbage](reply)

    calls: list[Callable[[Client], Any]] = [
        lambda one: one.search("shoe"),
        lambda one: one.insert_items([Item(item_id="x", title="x")]),
        lambda one: one.put_events([Event(event_type="view", user_id="u9", item_id="i1")]),
        lambda one: one.delete_items(["x"]),
        lambda one: one.train(),
    ]
    with through_proxy(change) as url, Client(settings=stored.model_copy(update={"url": url})) as one:
        for call in calls:
            with pytest.raises(RecsysError) as raised:
                call(one)
            assert "c2VjcmV0" not in str(raised.value) and len(str(raised.value)) < 700


def test_the_kind_of_page_is_told(client: Any) -> None:
    def page(method: str, path: str, reply: Any) -> Any:
        return GARBAGE["a page"](reply) if "/_msearch" in path else reply

    with client(page) as asked, pytest.raises(BadResponse, match=r'text/html of \d+ characters titled "Sign in"'):
        asked.search("shoe")


def test_a_retriever_that_fails_is_named_and_the_others_answer(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # With a forward index no retriever of a recommendation would be asked.
    monkeypatch.setattr(ForwardIndexFollower, "follow", lambda *_, **__: None)
    first = each_response(lambda place, one: SHARD if place == 0 else one)
    with client(at("_msearch", first, times=1)) as asked:
        found = asked.recommend("u1")
    assert found.hits and len(found.ranking.degraded) == 1
    # All but the last body, which only counts, failed.
    but_last = at("_msearch", lambda body: {**body, "responses": [SHARD] * (len(body["responses"]) - 1) + body["responses"][-1:]})
    with client(but_last) as asked, pytest.raises(EngineError, match="carried out none"):
        asked.recommend("u1")


def test_what_needs_no_search_is_answered_while_searches_fail(client: Any) -> None:
    with client(at("_msearch", each_response(lambda place, one: SHARD))) as asked:
        found = asked.recommend("u1")
    assert found.hits and found.hits[0].title and not found.ranking.degraded
    assert found.ranking.total == 15


ASKED: list[Callable[[Client], Any]] = [
    lambda one: one.search("shoe"),
    lambda one: one.recommend("u1"),
    lambda one: one.rank("u1", ["i1"]),
]


@pytest.mark.parametrize("ask", ASKED)
def test_an_answer_of_which_no_retriever_could_be_asked_is_an_error(
    ask: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With a forward index a recommendation asks none.
    monkeypatch.setattr(ForwardIndexFollower, "follow", lambda *_, **__: None)
    none = at("_msearch", each_response(lambda place, one: SHARD))
    with client(none) as asked, pytest.raises(EngineError, match=r"carried out none of the .* searches .*all shards failed"):
        ask(asked)
    error = {"type": "parsing_exception", "reason": "no such query", "root_cause": []}
    refused = at("_msearch", each_response(lambda place, one: {"error": error, "status": 400}))
    with client(refused) as asked, pytest.raises(InputError, match="no such query"):
        ask(asked)


def test_an_index_that_is_gone_inside_an_answer_is_looked_for_again(client: Any) -> None:
    with client(at("_msearch", each_response(lambda place, one: GONE), times=1)) as asked:
        assert asked.search("shoe").hits
    with client(at("_msearch", each_response(lambda place, one: GONE))) as asked, pytest.raises(StoreNotFound):
        asked.search("shoe")
    with client(at("_mget", each_doc(lambda doc: {**unread(doc), **GONE}))) as asked, pytest.raises(StoreNotFound):
        asked.titles(["i1"])
    with client(at("_msearch", each_response(lambda place, one: GONE), times=1)) as asked:
        assert all(isinstance(one, Answer) for one in asked.execute_many([Query(text="shoe"), Query(text="red")]))


@pytest.mark.parametrize(
    "some", [{"timed_out": True}, {"_shards": {"total": 2, "successful": 1, "failed": 1}}], ids=["timed out", "a shard"]
)
def test_what_only_a_part_of_the_shards_said_is_named(some: Any, client: Any, stored: Settings) -> None:
    with client(at("_msearch", each_response(lambda place, one: {**one, **some}))) as asked:
        found = asked.search("shoe")
        assert found.hits and "lexical" in found.ranking.degraded and found.ranking.total is None
    with client(at("_search", lambda body: {**body, **some})) as asked:
        index = asked.workspace.snapshots.current().metadata.index
        with pytest.raises(EngineError, match="is not whole"):
            list(scan(asked.workspace.es, index))
        with pytest.raises(EngineError, match="is not whole"):
            list(scan_ids(asked.workspace.es, index))
    with client(at("_count", lambda body: {**body, **some})) as asked, pytest.raises(EngineError, match="is not whole"):
        asked.workspace.es.count(index=index)


def test_documents_that_can_not_be_read_are_asked_for_again(client: Any) -> None:
    with client(at("_mget", each_doc(unread), times=2)) as asked:
        assert asked.titles(["i1"]) == {"i1": "red shoe 1"}
        assert fetch_sources(asked.workspace.es, asked.workspace.snapshots.current().metadata.index, ["i2"])["i2"]["brand"] == "a"


def test_documents_that_stay_unread_are_never_folded_as_unknown(
    client: Any, stored: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As of an item that the forward index doesn't hold yet.
    monkeypatch.setattr(user_profiles, "stored_content", lambda *_: None)
    event = Event(event_type="like", user_id="unread", item_id="i1", event_id="e1", timestamp=1.7e9)
    with client(at("_mget", each_doc(unread))) as asked, pytest.raises(EngineError, match="could not read 1 of 1 documents"):
        asked.put_events([event])
    with Client(settings=stored) as whole:
        whole.put_events([event])
        assert whole.get_user_profile("unread").affinities["brand"] == {"b": 1.0}


def test_async_answers_are_looked_at_as_well(stored: Settings, through_proxy: Through) -> None:
    async def ask(change: Any, call: Any) -> Any:
        with through_proxy(change) as url:
            async with AsyncClient(settings=stored.model_copy(update={"url": url})) as asked:
                return await call(asked)

    found = asyncio.run(ask(at("_mget", each_doc(unread), times=1), lambda one: one.titles(["i1"])))
    assert found == {"i1": "red shoe 1"}
    with pytest.raises(EngineError, match="could not read"):
        asyncio.run(ask(at("_mget", each_doc(unread)), lambda one: one.titles(["i1"])))
    with pytest.raises(EngineError, match="carried out none"):
        asyncio.run(ask(at("_msearch", each_response(lambda place, one: SHARD)), lambda one: one.search("shoe")))
    with pytest.raises(BadResponse):
        asyncio.run(ask(lambda method, path, reply: cut(reply) if "/_msearch" in path else reply, lambda one: one.search("shoe")))


async def _answered(call: Callable[[], Any]) -> None:
    """Ask until there is an answer: the first loads what all need, which may take a slow machine longer than a call may wait."""
    for _ in range(20):
        with suppress(EngineError):
            assert (await call()).hits
            return
    raise AssertionError("no answer in time")


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_call_waits_no_longer_than_it_may_whatever_is_tried_again(
    stored: Settings, through_proxy: Through, is_async: bool
) -> None:
    wait_s = [0.0]

    def slow(method: str, path: str, reply: Any) -> Any:
        time.sleep(wait_s[0])
        return replace(reply, status=503, body=json.dumps(SHARD).encode()) if wait_s[0] else reply

    with through_proxy(slow) as url:
        search = stored.search.model_copy(update={"timeout_s": 1.0})
        settings = stored.model_copy(update={"url": url, "search": search})
        query = Query(text="shoe", user_id="u1")
        with Client(settings=settings) as client:
            async with AsyncClient(settings=settings) as other:
                call = partial(other.execute, query) if is_async else partial(asyncio.to_thread, client.execute, query)
                await _answered(call)
                wait_s[0] = 0.95  # three tries of one round trip would take 2.85 seconds
                began = time.monotonic()
                with pytest.raises(EngineError, match="in time"):
                    await call()
                assert time.monotonic() - began < 2.8
                wait_s[0] = 0.0
                await _answered(call)
