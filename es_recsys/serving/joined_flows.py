"""Run many flows side by side, in step, with what they ask for joined into few requests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from threading import Lock
from typing import Any, TypeVar

from elasticsearch.serializer import OrjsonSerializer

from es_recsys.blas import on_one_thread
from es_recsys.errors import RecsysError
from es_recsys.serving.drivers import Driver, is_index_missing
from es_recsys.serving.operations import (
    IDS_PER_REQUEST,
    Document,
    EncodeQuery,
    Flow,
    Get,
    GetAndSearch,
    LogAnswer,
    MultiGet,
    MultiSearch,
    Operation,
    Recommend,
)

__all__ = ["run_all"]

T = TypeVar("T")

_SEARCHES_PER_REQUEST = 192
_json = OrjsonSerializer()

# Flows that run in several threads are computed by one at a time: together they would only wait for each other.
_computing = Lock()

Results = Iterable[tuple[int, Any]]
"""(number of a flow, the result of its operation or the error to throw into it)."""


def run_all(driver: Driver, flows: Sequence[Flow[T]]) -> list[T | RecsysError]:
    """Return the value of each flow, in their order; one that raised a RecsysError has it in its place."""
    values: list[Any] = [None] * len(flows)
    waiting: dict[int, Operation] = {}
    records: list[Mapping[str, Any]] = []

    def advance(i: int, result: Any) -> None:
        """Give a flow the result of its operation, and note the next one that it waits for."""
        try:
            operation = flows[i].throw(result) if isinstance(result, Exception) else flows[i].send(result)
            while isinstance(operation, LogAnswer):
                records.append(operation.record)
                operation = flows[i].send(None)
            waiting[i] = operation
        except StopIteration as end:
            values[i] = end.value
        except RecsysError as error:
            values[i] = error

    def advance_all(results: Results) -> None:
        with _computing:
            for i, result in results:
                advance(i, result)

    on_one_thread(advance_all, [(i, None) for i in range(len(flows))])
    while waiting:
        turn, waiting = waiting, {}
        on_one_thread(advance_all, list(_perform_all(driver, turn)))
    if records:
        driver.log.write(records)
    return values


def _perform_all(driver: Driver, turn: Mapping[int, Operation]) -> Results:
    searches: dict[str, dict[int, MultiSearch]] = defaultdict(dict)
    gets: dict[tuple[str, bool], dict[int, Get]] = defaultdict(dict)
    pairs: dict[int, dict[type, Any]] = {}
    reads: dict[tuple[str, tuple[str, ...]], dict[int, MultiGet]] = defaultdict(dict)
    recommends: dict[tuple[int, int], dict[int, Recommend]] = defaultdict(dict)
    texts: dict[tuple[int, int, str], dict[int, EncodeQuery]] = defaultdict(dict)
    for i, operation in turn.items():
        match operation:
            case MultiSearch():
                searches[operation.index][i] = operation
            case Get():
                gets[operation.index, operation.source][i] = operation
            case GetAndSearch(read, MultiSearch() as search):
                gets[read.index, read.source][i], searches[search.index][i], pairs[i] = read, search, {}
            case MultiGet():
                reads[operation.index, operation.fields][i] = operation
            case Recommend():
                recommends[id(operation.model), operation.n][i] = operation
            case EncodeQuery(content=str()):
                texts[id(operation.encoder), id(operation.metadata), operation.field][i] = operation
            case _:
                yield i, _result_or_error(driver.perform, operation)
    for searches_of_index in searches.values():
        yield from _alone(_search_all(driver, searches_of_index), pairs, MultiSearch)
    for gets_of_index in gets.values():
        yield from _alone(_get_all(driver, gets_of_index), pairs, Get)
    for i, halves in pairs.items():
        failed = [half for half in halves.values() if isinstance(half, Exception)]
        yield i, failed[0] if failed else (halves[Get], halves[MultiSearch])
    for reads_of_fields in reads.values():
        yield from _read_all(driver, reads_of_fields)
    for texts_of_field in texts.values():
        yield from _encode_all(driver, texts_of_field)
    for recommends_of_model in recommends.values():
        yield from _recommend_all(recommends_of_model)


def _alone(results: Results, pairs: Mapping[int, dict[type, Any]], kind: type) -> Results:
    """Yield the results but for those of flows that wait for another, too; these are stored."""
    for i, result in results:
        if i in pairs:
            pairs[i][kind] = result
        else:
            yield i, result


def _result_or_error(act: Callable[..., Any], *args: Any) -> Any:
    """Return the error as well: the flow that it is thrown into decides what it means."""
    try:
        return act(*args)
    except Exception as error:
        return error


def _get_all(driver: Driver, gets: Mapping[int, Get]) -> Results:
    first = next(iter(gets.values()))
    source = None if first.source else False
    docs = driver.client.mget(index=first.index, ids=[get.id for get in gets.values()], source=source).body["docs"]
    return zip(gets, map(Document.of, docs), strict=True)


def _read_all(driver: Driver, reads: Mapping[int, MultiGet]) -> Results:
    """Read the documents of one index and the same fields.

    An item that several flows ask for is read once a request.
    """
    chunk: dict[int, MultiGet] = {}
    ids: dict[str, None] = {}
    for i, read in reads.items():
        together = ids | dict.fromkeys(read.ids)
        if chunk and len(together) > IDS_PER_REQUEST:
            yield from _read_chunk(driver, chunk, ids)
            chunk, together = {}, dict.fromkeys(read.ids)
        chunk[i], ids = read, together
    yield from _read_chunk(driver, chunk, ids)


def _read_chunk(driver: Driver, chunk: Mapping[int, MultiGet], ids: Iterable[str]) -> Results:
    joined = replace(next(iter(chunk.values())), ids=tuple(ids))
    found = _result_or_error(driver.perform, joined)
    if isinstance(found, Exception):
        return [(i, found) for i in chunk]
    return [(i, {item_id: found[item_id] for item_id in read.ids if item_id in found}) for i, read in chunk.items()]


def _search_all(driver: Driver, searches: Mapping[int, MultiSearch]) -> Results:
    """Run the searches of one index."""
    chunk: dict[int, MultiSearch] = {}
    for i, search in searches.items():
        chunk[i] = search
        if sum(len(one.bodies) for one in chunk.values()) >= _SEARCHES_PER_REQUEST:
            yield from _search_chunk(driver, chunk)
            chunk = {}
    if chunk:
        yield from _search_chunk(driver, chunk)


def _search_chunk(driver: Driver, chunk: Mapping[int, MultiSearch]) -> Results:
    """Run searches together, the same body once."""
    written = {i: [_json.json_dumps(body) for body in search.bodies] for i, search in chunk.items()}
    bodies = tuple(dict.fromkeys(chain.from_iterable(written.values())))
    try:
        responses = driver.perform(MultiSearch(next(iter(chunk.values())).index, bodies)) if bodies else ()
    except Exception as error:
        if not is_index_missing(error):
            raise
        return [(i, error) for i in chunk]  # each flow decides what that means to it
    found = dict(zip(bodies, responses, strict=True))
    return [(i, [found[body] for body in own]) for i, own in written.items()]


def _encode_all(driver: Driver, texts: Mapping[int, EncodeQuery]) -> Results:
    """Encode the texts for one field together; where that fails, each by itself, so that only those that can't be fail."""
    first = next(iter(texts.values()))
    found = _result_or_error(
        first.encoder.text_vectors, first.metadata, first.field, [str(one.content) for one in texts.values()]
    )
    if isinstance(found, Exception):
        return [(i, _result_or_error(driver.perform, one)) for i, one in texts.items()]
    return zip(texts, found, strict=True)


def _recommend_all(recommends: Mapping[int, Recommend]) -> Results:
    """Recommend by one model the same number of items to each."""
    first = next(iter(recommends.values()))
    histories = [one.history for one in recommends.values()]
    excluded = [one.exclude for one in recommends.values()]
    found = _result_or_error(on_one_thread, first.model.recommend_batch, histories, first.n, excluded)
    if isinstance(found, Exception):
        return [(i, found) for i in recommends]
    return zip(recommends, found, strict=True)
