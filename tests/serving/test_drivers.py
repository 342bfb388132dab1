"""Drivers: results go into the flow, errors are thrown into it, many flows run in step."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import pytest
from elasticsearch import AsyncElasticsearch, Elasticsearch
from numpy.typing import NDArray

from es_recsys.dataset import History, Interactions
from es_recsys.errors import EncodingError, EngineError, InputError, ModelError, RecsysError
from es_recsys.models.base import ScoredItems
from es_recsys.models.covisitation import CoVisitation
from es_recsys.models.types import HistoryBatch
from es_recsys.serving import drivers
from es_recsys.serving.drivers import AsyncDriver, Driver
from es_recsys.serving.joined_flows import run_all
from es_recsys.serving.operations import EncodeQuery, Flow, Get, LogAnswer, MultiGet, MultiSearch, Recommend, RunBlocking, Sleep


class Records:
    """An answer log in memory."""

    def __init__(self) -> None:
        self.writes: list[list[Mapping[str, Any]]] = []

    def write(self, records: Sequence[Mapping[str, Any]]) -> None:
        self.writes.append(list(records))


class Body:
    def __init__(self, body: Any) -> None:
        self.body = body


class Engine:
    """The requests that `run_all` joins, answered from the request itself; counts them. failing: whether parts of
    documents can't be read."""

    def __init__(self, failing: bool = False) -> None:
        self.requests: list[tuple[str, int]] = []
        self.failing = failing

    def mget(self, *, index: str, ids: Sequence[str], source: bool | None) -> Body:
        self.requests.append((index, len(ids)))
        docs = [{"found": i != "nobody", "_source": {"id": i}, "_seq_no": 1, "_primary_term": 1} for i in ids]
        return Body({"docs": docs})

    def perform_request(self, method: str, path: str, *, body: Any, params: Mapping[str, Any], **_: Any) -> Body:
        assert method == "POST"
        index, endpoint = path.strip("/").split("/")
        if endpoint == "_msearch":
            bodies = [orjson.loads(one) if isinstance(one, bytes) else one for one in body[1::2]]
            self.requests.append((index, len(bodies)))
            return Body({"responses": [{"index": index, "echo": one["n"]} for one in bodies]})
        self.requests.append((f"{path} {params['_source_includes']}", len(body["ids"])))
        if self.failing:
            raise InputError("It can't be read.")
        docs = [{"_id": i, "found": i != "gone", "_source": {params["_source_includes"]: i}} for i in body["ids"]]
        return Body({"docs": docs})


def _refuse() -> int:
    raise InputError("It does not work.", "Try another.")


def _add(numbers: Sequence[int]) -> Flow[int]:
    total = 0
    for number in numbers:
        total += yield RunBlocking(lambda number=number: number)
        yield Sleep(0.0)
    yield LogAnswer({"total": total})
    return total


def _mended() -> Flow[str]:
    try:
        yield RunBlocking(_refuse)
    except InputError as error:
        yield LogAnswer({"failed": error.what})
        return "mended"
    return "not reached"


def _broken(error: Exception) -> Flow[int]:
    def fail() -> int:
        raise error

    return (yield RunBlocking(fail))  # type: ignore[no-any-return]


def _driver() -> tuple[Driver, Records]:
    records = Records()
    return Driver(Engine(), records), records  # type: ignore[arg-type]


def test_a_flow_gets_results_and_gives_its_value() -> None:
    driver, records = _driver()
    assert driver.run(_add([1, 2, 3])) == 6
    assert records.writes == [[{"total": 6}]]


def test_a_flow_without_operations_gives_its_value() -> None:
    driver, _ = _driver()

    def nothing() -> Flow[str]:
        return "done"
        yield

    assert driver.run(nothing()) == "done"


def test_a_pause_waits() -> None:
    driver, _ = _driver()

    def wait() -> Flow[None]:
        yield Sleep(0.03)

    started = time.perf_counter()
    driver.run(wait())
    assert time.perf_counter() - started >= 0.03


def test_an_error_is_thrown_into_the_flow_which_may_go_on() -> None:
    driver, records = _driver()
    assert driver.run(_mended()) == "mended"
    assert records.writes == [[{"failed": "It does not work."}]]


@pytest.mark.parametrize("error", [InputError("no"), ValueError("no")])
def test_what_the_flow_does_not_catch_comes_out(error: Exception) -> None:
    driver, _ = _driver()
    with pytest.raises(type(error)) as caught:
        driver.run(_broken(error))
    assert caught.value is error


def test_run_all_keeps_order_puts_errors_in_place_and_logs_once() -> None:
    driver, records = _driver()
    refused = InputError("no")
    results = run_all(driver, [_add([1]), _broken(refused), _mended(), _add([2, 3, 4])])
    assert results == [1, refused, "mended", 9]
    assert len(records.writes) == 1
    assert {"total": 1} in records.writes[0]
    assert len(records.writes[0]) == 3


def test_run_all_of_nothing() -> None:
    driver, records = _driver()
    assert run_all(driver, []) == []
    assert records.writes == []


def test_run_all_lets_an_unexpected_error_out() -> None:
    driver, _ = _driver()
    with pytest.raises(ZeroDivisionError):
        run_all(driver, [_add([1]), _broken(ZeroDivisionError())])


def test_run_all_goes_in_step() -> None:
    driver, _ = _driver()
    seen: list[str] = []

    def walk(name: str, steps: int) -> Flow[str]:
        for n in range(steps):
            yield RunBlocking(lambda n=n: seen.append(f"{name}{n}"))  # type: ignore[misc]
        return name

    assert run_all(driver, [walk("a", 3), walk("b", 1), walk("c", 2)]) == ["a", "b", "c"]
    assert seen == ["a0", "b0", "c0", "a1", "c1", "a2"]


def test_run_all_joins_searches_and_gets_of_one_index() -> None:
    engine, records = Engine(), Records()
    driver = Driver(engine, records)  # type: ignore[arg-type]

    def ask(name: str, index: str, bodies: int) -> Flow[tuple[bool, list[str]]]:
        found = yield Get("people", name)
        answers = yield MultiSearch(index, tuple({"n": f"{name}{n}"} for n in range(bodies)))
        return found is not None, [one["echo"] for one in answers if one["index"] == index]

    results: list[tuple[bool, list[str]] | RecsysError] = run_all(
        driver, [ask("a", "x", 2), ask("nobody", "y", 1), ask("c", "x", 3), ask("d", "x", 0)]
    )
    assert results == [(True, ["a0", "a1"]), (False, ["nobody0"]), (True, ["c0", "c1", "c2"]), (True, [])]
    assert sorted(engine.requests) == [("people", 4), ("x", 5), ("y", 1)]


def test_the_same_search_of_many_flows_is_run_once() -> None:
    engine = Engine()

    def ask(*numbers: float) -> Flow[list[float]]:
        answers = yield MultiSearch("x", tuple({"n": n, "vector": np.full(2, n, np.float32)} for n in numbers))
        return [one["echo"] for one in answers]

    results = run_all(Driver(engine, Records()), [ask(1.0, 2.0), ask(2.0), ask(2.0, 1.0, 3.0)])  # type: ignore[arg-type]
    assert results == [[1.0, 2.0], [2.0], [2.0, 1.0, 3.0]]
    assert engine.requests == [("x", 3)]


def test_run_all_splits_very_many_searches() -> None:
    engine = Engine()
    driver = Driver(engine, Records())  # type: ignore[arg-type]

    def ask(name: int) -> Flow[list[int]]:
        answers = yield MultiSearch("x", tuple({"n": name * 10 + n} for n in range(10)))
        return [one["echo"] for one in answers]

    results = run_all(driver, [ask(name) for name in range(50)])
    assert results == [[name * 10 + n for n in range(10)] for name in range(50)]
    assert len(engine.requests) == 3
    assert sum(size for _, size in engine.requests) == 500


def _read(ids: Sequence[str], field: str) -> Flow[Any]:
    try:
        return (yield MultiGet("x", tuple(ids), (field,)))
    except InputError as error:
        return error.what


def test_run_all_reads_an_item_once_for_all_that_ask_for_its_same_parts() -> None:
    engine = Engine()
    flows = [_read(["a", "b"], "title"), _read(["b", "gone"], "title"), _read(["a"], "vector"), _read([], "title")]
    results = run_all(Driver(engine, Records()), flows)  # type: ignore[arg-type]
    assert results == [{"a": {"title": "a"}, "b": {"title": "b"}}, {"b": {"title": "b"}}, {"a": {"vector": "a"}}, {}]
    assert sorted(engine.requests) == [("/x/_mget title", 3), ("/x/_mget vector", 1)]


def test_run_all_splits_very_many_reads() -> None:
    engine = Engine()
    asked = [[str(number) for number in range(user * 30, user * 30 + 40)] for user in range(50)]
    results = run_all(Driver(engine, Records()), [_read(ids, "title") for ids in asked])  # type: ignore[arg-type]
    assert results == [{item_id: {"title": item_id} for item_id in ids} for ids in asked]
    sizes = [size for _, size in engine.requests]
    assert len(sizes) == 4
    assert max(sizes) <= 500
    assert sum(sizes) == 50 * 30 + 10 * len(sizes)  # each item once a request


def test_a_read_that_fails_fails_in_each_flow() -> None:
    engine = Engine(failing=True)
    results = run_all(Driver(engine, Records()), [_read(["a"], "title"), _read(["b"], "title")])  # type: ignore[arg-type]
    assert results == ["It can't be read."] * 2
    assert engine.requests == [("/x/_mget title", 2)]


async def test_where_the_engine_does_not_answer_the_flow_gets_an_error_of_ours() -> None:
    """On real clients of a port where nothing listens, as what they raise is not what a double would."""

    def ask() -> Flow[str]:
        try:
            yield MultiGet("x", ("a",), ("title",))
        except EngineError as error:
            return error.what
        return "not reached"

    address = "http://127.0.0.1:9"
    with Elasticsearch(address, max_retries=0) as client:
        driver = Driver(client, Records())
        alone, (one, other) = driver.run(ask()), run_all(driver, [ask(), ask()])
    async with AsyncElasticsearch(address, max_retries=0) as looping:
        awaited = await AsyncDriver(looping, Records()).run(ask())
    assert address in alone
    assert alone == one == other == awaited


def _fitted() -> CoVisitation:
    data = Interactions(
        user_ids=np.array(["u", "v", "w"]),
        item_ids=np.array(["a", "b", "c", "d"]),
        users=np.array([0, 0, 0, 1, 1, 2, 2, 2], np.int32),
        items=np.array([0, 1, 2, 0, 1, 1, 2, 3], np.int32),
        weights=np.ones(8, np.float32),
        times=np.arange(8.0),
    )
    return CoVisitation().fit(data, np.random.default_rng(0))


ASKED = [(["a"], 2, ""), (["a", "c"], 2, "b"), ([], 2, ""), (["d", "nobody knows it"], 1, "c")]


async def test_a_model_is_asked_at_once_for_what_each_flow_asks_it() -> None:
    class Counted(CoVisitation):
        asked = 0

        def recommend_idx(self, batch: HistoryBatch, n: int, exclude: Sequence[NDArray[np.int64]]) -> list[ScoredItems]:
            self.asked += 1
            return super().recommend_idx(batch, n, exclude)

    model, other = _fitted(), Counted()
    other.__dict__.update(model.__dict__)

    def ask(items: Sequence[str], n: int, without: str) -> Flow[list[tuple[str, float]]]:
        return (yield Recommend(other, History.of(items), n, frozenset({without})))  # type: ignore[no-any-return]

    expected = [model.recommend(History.of(items), n, {without}) for items, n, without in ASKED]
    assert [len(one) for one in expected] == [2, 2, 0, 1]
    driver, records = _driver()
    assert run_all(driver, [ask(*one) for one in ASKED]) == expected
    assert other.asked == 2  # lists of two lengths
    assert [driver.run(ask(*one)) for one in ASKED] == expected
    assert [await AsyncDriver(Engine(), records).run(ask(*one)) for one in ASKED] == expected  # type: ignore[arg-type]


class _Encoder:
    """Each text as its length; "odd" can't be encoded."""

    def __init__(self) -> None:
        self.calls = list[list[str]]()

    def vector(self, metadata: Any, field: str, query: str) -> Any:
        return self.text_vectors(metadata, field, [query])[0]

    def text_vectors(self, metadata: Any, field: str, texts: list[str]) -> list[Any]:
        self.calls.append(texts)
        if "odd" in texts:
            raise EncodingError("It can't be encoded.", "Give another.")
        return [np.full(1, len(text), np.float32) for text in texts]

    def known_vector(self, metadata: Any, field: str, query: str) -> None:
        return None


def _encode(encoder: Any, metadata: Any, text: str) -> Flow[float]:
    try:
        vector = yield EncodeQuery(encoder, metadata, "text_vector", text)
    except EncodingError:
        return -1.0
    return float(vector[0])


def test_texts_of_many_flows_are_encoded_together() -> None:
    encoder, metadata = _Encoder(), object()
    driver, _ = _driver()
    assert run_all(driver, [_encode(encoder, metadata, text) for text in ("a", "bcd", "ef")]) == [1.0, 3.0, 2.0]
    assert encoder.calls == [["a", "bcd", "ef"]]
    assert driver.run(_encode(encoder, metadata, "four")) == 4.0


def test_of_texts_only_that_fails_which_cannot_be_encoded() -> None:
    encoder, metadata = _Encoder(), object()
    driver, _ = _driver()
    assert run_all(driver, [_encode(encoder, metadata, text) for text in ("a", "odd", "ef")]) == [1.0, -1.0, 2.0]


def test_a_model_that_fails_fails_in_each_flow() -> None:
    driver, _ = _driver()

    def ask() -> Flow[str]:
        try:
            yield Recommend(CoVisitation(), History.of(["a"]), 1, frozenset())
        except ModelError as error:
            return error.what
        return "not reached"

    first, second = run_all(driver, [ask(), ask()])
    assert first == second == driver.run(ask())
    assert "before it was trained" in str(first)


async def test_the_async_driver_does_the_same() -> None:
    records = Records()
    driver = AsyncDriver(Engine(), records)  # type: ignore[arg-type]
    assert await driver.run(_add([1, 2, 3])) == 6
    assert await driver.run(_mended()) == "mended"
    refused = InputError("no")
    with pytest.raises(InputError) as caught:
        await driver.run(_broken(refused))
    assert caught.value is refused
    await driver.close()
    assert records.writes == [[{"total": 6}, {"failed": "It does not work."}]]


async def test_a_blocking_call_leaves_the_event_loop_free() -> None:
    driver = AsyncDriver(Engine(), Records())  # type: ignore[arg-type]
    ticked = threading.Event()

    async def tick() -> None:
        for _ in range(3):
            await asyncio.sleep(0.005)
        ticked.set()

    def block() -> Flow[bool]:
        return (yield RunBlocking(lambda: ticked.wait(60)))

    clock = asyncio.create_task(tick())
    assert await driver.run(block())
    await clock


async def test_what_is_known_needs_no_thread_and_its_error_goes_into_the_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    def flow(known: Callable[[], Any]) -> Flow[Any]:
        try:
            return (yield RunBlocking(threading.get_ident, known))
        except InputError as error:
            return error.what

    sync, _ = _driver()
    driver = AsyncDriver(Engine(), Records())  # type: ignore[arg-type]
    here = threading.get_ident()
    assert sync.run(flow(lambda: "known")) == await driver.run(flow(lambda: "known")) == "known"
    assert sync.run(flow(_refuse)) == await driver.run(flow(_refuse)) == "It does not work."
    assert sync.run(flow(lambda: None)) == here
    assert await driver.run(flow(lambda: None)) not in (None, here)
    await driver.close()


async def test_a_model_of_many_items_recommends_in_a_thread() -> None:
    class Model:
        def __init__(self, items: int) -> None:
            self.item_ids = range(items)

        def recommend(self, *_: Any) -> int:
            return threading.get_ident()

    def flow(items: int) -> Flow[int]:
        return (yield Recommend(Model(items), History.of(["a"]), 1, frozenset()))  # type: ignore[arg-type, no-any-return]

    driver = AsyncDriver(Engine(), Records())  # type: ignore[arg-type]
    assert await driver.run(flow(1_000)) == threading.get_ident()
    assert await driver.run(flow(1_000_000)) != threading.get_ident()
    await driver.close()


async def test_the_log_is_written_behind_the_answers_many_records_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers, "_LOG_PAUSE_S", 600.0)
    records = Records()
    driver = AsyncDriver(Engine(), records)  # type: ignore[arg-type]
    await asyncio.gather(*(driver.run(_add([n])) for n in range(20)))
    assert not records.writes
    driver._start_writing()  # as when the pause is over
    while not records.writes:
        await asyncio.sleep(0.005)
    assert sorted(record["total"] for [*together] in records.writes for record in together) == list(range(20))
    assert len(records.writes) == 1
    await driver.run(_add([21]))
    await driver.write_log()
    assert records.writes[1:] == [[{"total": 21}]]
    await driver.run(_add([22]))
    await driver.close()
    assert records.writes[2:] == [[{"total": 22}]]


async def test_the_log_is_written_after_a_pause_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers, "_LOG_PAUSE_S", 0.01)
    records = Records()
    driver = AsyncDriver(Engine(), records)  # type: ignore[arg-type]
    await driver.run(_add([1]))
    while not records.writes:
        await asyncio.sleep(0.005)
    assert records.writes == [[{"total": 1}]]
    await driver.close()
