"""Drives flows: one after another, in an event loop, or many side by side with their searches joined."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from elasticsearch import ApiError, ConflictError, NotFoundError, TransportError

from es_recsys.blas import on_one_thread
from es_recsys.engine.connect import address_of
from es_recsys.errors import RecsysError
from es_recsys.serving.error_translation import explained, gone
from es_recsys.serving.operations import Call, Delete, Document, Effect, Fetch, Flow, Get, Log, Pause, Put, Search, Top

if TYPE_CHECKING:
    from elasticsearch import AsyncElasticsearch, Elasticsearch

__all__ = ["AsyncDriver", "Driver", "Sink"]

T = TypeVar("T")

_BODIES_A_REQUEST = 192
_CONCURRENT_SEARCHES = 8
_IDS_A_REQUEST = 500
_ACCEPT = "application/vnd.elasticsearch+json; compatible-with=9"
_HEADERS = {"accept": _ACCEPT, "content-type": _ACCEPT}


class Sink(Protocol):
    """Where the answer log goes."""

    def write(self, records: Sequence[Mapping[str, Any]]) -> None: ...


def _searches(bodies: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    # A header may name the index of its own body; here all have the request's.
    lines: list[Mapping[str, Any]] = []
    for body in bodies:
        lines += ({}, body)
    return lines


def _search_arguments(effect: Search) -> dict[str, Any]:
    arguments = {"index": effect.index, "searches": _searches(effect.bodies), "max_concurrent_searches": _CONCURRENT_SEARCHES}
    # Named clauses tell their scores, too.
    return {**arguments, "include_named_queries_score": True}


def _document(found: Any) -> Document | None:
    if not found.get("found"):
        return None
    return Document(found["_source"], found["_seq_no"], found["_primary_term"])


def _put_arguments(effect: Put) -> dict[str, Any]:
    arguments: dict[str, Any] = {"index": effect.index, "id": effect.id, "document": effect.source}
    if effect.expected is None:
        arguments["op_type"] = "create"
    else:
        arguments["if_seq_no"] = effect.expected.seq_no
        arguments["if_primary_term"] = effect.expected.primary_term
    return arguments


def _fetches(effect: Fetch) -> list[dict[str, Any]]:
    # As plain requests: the client's own `mget` has no name for `_source_exclude_vectors`.
    params = {"_source_includes": ",".join(effect.fields), "_source_exclude_vectors": "false"}
    starts = range(0, len(effect.ids), _IDS_A_REQUEST)
    return [
        {
            "path": f"/{effect.index}/_mget",
            "params": params,
            "headers": _HEADERS,
            "body": {"ids": list(effect.ids[start : start + _IDS_A_REQUEST])},
        }
        for start in starts
    ]


def _sources(answers: Iterable[Any]) -> dict[str, Any]:
    return {doc["_id"]: doc["_source"] for answer in answers for doc in answer.body["docs"] if doc.get("found")}


class Driver:
    """Runs flows on a synchronous client. Errors of the connection come to the flow as ours, but for an index that is gone
    (`gone`); raises what the flow raises."""

    def __init__(self, client: Elasticsearch, sink: Sink) -> None:
        self.client = client
        self.sink = sink

    def run(self, flow: Flow[T]) -> T:
        try:
            effect = on_one_thread(next, flow)
            while True:
                try:
                    result = self.perform(effect)
                except Exception as error:  # the flow decides what a failure means
                    effect = on_one_thread(flow.throw, error)
                else:
                    effect = on_one_thread(flow.send, result)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def run_all(self, flows: Sequence[Flow[T]]) -> list[T | RecsysError]:
        """Runs many flows in step, their searches joined into few `_msearch`. Results are in the order of `flows`;
        one that raised a RecsysError has it in its place."""
        results: list[Any] = [None] * len(flows)
        waiting: dict[int, Effect] = {}
        records: list[Mapping[str, Any]] = []

        def step(i: int, result: Any) -> None:
            try:
                act = flows[i].throw if isinstance(result, Exception) else flows[i].send
                effect = on_one_thread(act, result)
                while isinstance(effect, Log):
                    records.append(effect.record)
                    effect = on_one_thread(flows[i].send, None)
                waiting[i] = effect
            except StopIteration as end:
                results[i] = end.value
            except RecsysError as error:
                results[i] = error

        for i in range(len(flows)):
            step(i, None)
        while waiting:
            turn, waiting = waiting, {}
            for i, result in self._perform_all(turn):
                step(i, result)
        if records:
            self.sink.write(records)
        return results

    def perform(self, effect: Effect) -> Any:
        try:
            return self._performed(effect)
        except (ApiError, TransportError) as error:
            if gone(error):
                raise
            raise explained(error, address_of(self.client)) from error

    def _performed(self, effect: Effect) -> Any:
        if isinstance(effect, Search):
            return self.client.msearch(**_search_arguments(effect)).body["responses"]
        if isinstance(effect, Get):
            try:
                return _document(self.client.get(index=effect.index, id=effect.id).body)
            except NotFoundError as error:
                _raise_if_no_index(error)
                return None
        if isinstance(effect, Fetch):
            return _sources([self.client.perform_request("POST", **request) for request in _fetches(effect)])
        if isinstance(effect, Put):
            try:
                self.client.index(**_put_arguments(effect))
            except ConflictError:
                return False
            return True
        if isinstance(effect, Delete):
            try:
                self.client.delete(index=effect.index, id=effect.id)
            except NotFoundError as error:
                _raise_if_no_index(error)
                return False
            return True
        if isinstance(effect, Top):
            return on_one_thread(effect.model.recommend, effect.history, effect.n, effect.exclude)
        if isinstance(effect, Call):
            return effect.function()
        if isinstance(effect, Pause):
            return time.sleep(effect.seconds)
        return self.sink.write([effect.record])

    def _perform_all(self, turn: Mapping[int, Effect]) -> Iterable[tuple[int, Any]]:
        # Effects that cost less together, by what they must share for it.
        searches: dict[str, dict[int, Search]] = defaultdict(dict)
        gets: dict[str, dict[int, Get]] = defaultdict(dict)
        fetches: dict[tuple[str, tuple[str, ...]], dict[int, Fetch]] = defaultdict(dict)
        tops: dict[tuple[int, int], dict[int, Top]] = defaultdict(dict)
        for i, effect in turn.items():
            match effect:
                case Search():
                    searches[effect.index][i] = effect
                case Get():
                    gets[effect.index][i] = effect
                case Fetch():
                    fetches[effect.index, effect.fields][i] = effect
                case Top():
                    tops[id(effect.model), effect.n][i] = effect
                case _:
                    yield i, self._tried(effect)
        for index, asked in searches.items():
            yield from self._search_all(index, asked)
        for index, read in gets.items():
            docs = self.client.mget(index=index, ids=[effect.id for effect in read.values()]).body["docs"]
            yield from zip(read, map(_document, docs), strict=True)
        for wanted in fetches.values():
            yield from self._fetch_all(wanted)
        for best in tops.values():
            yield from _top_all(best)

    def _tried(self, effect: Effect) -> Any:
        """What the effect gives, or the error that it raises, which its flow decides on."""
        try:
            return self.perform(effect)
        except Exception as error:
            return error

    def _fetch_all(self, asked: Mapping[int, Fetch]) -> Iterable[tuple[int, Any]]:
        """Of one index and the same fields. An item that several ask for is read once, as far as it is in one request."""
        chunk: dict[int, Fetch] = {}
        ids: dict[str, None] = {}
        for i, effect in asked.items():
            together = ids | dict.fromkeys(effect.ids)
            if chunk and len(together) > _IDS_A_REQUEST:
                yield from self._fetch_chunk(chunk, ids)
                chunk, together = {}, dict.fromkeys(effect.ids)
            chunk[i], ids = effect, together
        yield from self._fetch_chunk(chunk, ids)

    def _fetch_chunk(self, chunk: Mapping[int, Fetch], ids: Iterable[str]) -> Iterable[tuple[int, Any]]:
        found = self._tried(replace(next(iter(chunk.values())), ids=tuple(ids)))
        for i, effect in chunk.items():
            yield (
                i,
                found
                if isinstance(found, Exception)
                else {item_id: found[item_id] for item_id in effect.ids if item_id in found},
            )

    def _search_all(self, index: str, searches: Mapping[int, Search]) -> Iterable[tuple[int, Any]]:
        chunk: dict[int, Search] = {}
        size = 0
        for i, effect in searches.items():
            chunk[i] = effect
            size += len(effect.bodies)
            if size >= _BODIES_A_REQUEST:
                yield from self._search_chunk(index, chunk)
                chunk, size = {}, 0
        if chunk:
            yield from self._search_chunk(index, chunk)

    def _search_chunk(self, index: str, chunk: Mapping[int, Search]) -> Iterable[tuple[int, Any]]:
        bodies = tuple(body for effect in chunk.values() for body in effect.bodies)
        try:
            responses = self.perform(Search(index, bodies)) if bodies else []
        except Exception as error:
            if not gone(error):
                raise
            yield from ((i, error) for i in chunk)  # each flow decides what an index that is gone means to it
            return
        at = 0
        for i, effect in chunk.items():
            yield i, responses[at : at + len(effect.bodies)]
            at += len(effect.bodies)


def _top_all(asked: Mapping[int, Top]) -> Iterable[tuple[int, Any]]:
    """Of one model and the same number of items."""
    effects = list(asked.values())
    model, n = effects[0].model, effects[0].n
    try:
        histories, excluded = [effect.history for effect in effects], [effect.exclude for effect in effects]
        found = on_one_thread(model.recommend_batch, histories, n, excluded)
    except Exception as error:
        return [(i, error) for i in asked]
    return zip(asked, found, strict=True)


class AsyncDriver:
    """The same in an event loop; blocking calls go to a thread."""

    def __init__(self, client: AsyncElasticsearch, sink: Sink) -> None:
        self.client = client
        self.sink = sink

    async def run(self, flow: Flow[T]) -> T:
        try:
            effect = on_one_thread(next, flow)
            while True:
                try:
                    result = await self.perform(effect)
                except Exception as error:
                    effect = on_one_thread(flow.throw, error)
                else:
                    effect = on_one_thread(flow.send, result)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    async def perform(self, effect: Effect) -> Any:
        try:
            return await self._performed(effect)
        except (ApiError, TransportError) as error:
            if gone(error):
                raise
            raise explained(error, address_of(self.client)) from error

    async def _performed(self, effect: Effect) -> Any:
        if isinstance(effect, Search):
            return (await self.client.msearch(**_search_arguments(effect))).body["responses"]
        if isinstance(effect, Get):
            try:
                return _document((await self.client.get(index=effect.index, id=effect.id)).body)
            except NotFoundError as error:
                _raise_if_no_index(error)
                return None
        if isinstance(effect, Fetch):
            return _sources([await self.client.perform_request("POST", **request) for request in _fetches(effect)])
        if isinstance(effect, Put):
            try:
                await self.client.index(**_put_arguments(effect))
            except ConflictError:
                return False
            return True
        if isinstance(effect, Delete):
            try:
                await self.client.delete(index=effect.index, id=effect.id)
            except NotFoundError as error:
                _raise_if_no_index(error)
                return False
            return True
        if isinstance(effect, Top):
            return await asyncio.to_thread(on_one_thread, effect.model.recommend, effect.history, effect.n, effect.exclude)
        if isinstance(effect, Call):
            return await asyncio.to_thread(effect.function)
        if isinstance(effect, Pause):
            return await asyncio.sleep(effect.seconds)
        return await asyncio.to_thread(self.sink.write, [effect.record])


def _raise_if_no_index(error: ApiError) -> None:
    """A missing document is an answer; a missing index is an error."""
    if isinstance(error.body, dict) and "error" in error.body:
        raise error
