"""Run flows: in the calling thread, or in an event loop; errors of the Elasticsearch client come as ours."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from elasticsearch import ApiError, AsyncElasticsearch, BadRequestError, Elasticsearch, NotFoundError, TransportError

from es_recsys.blas import lifted, one_thread
from es_recsys.engine.connect import address_of
from es_recsys.engine.connect import translate_error as translate_connection_error
from es_recsys.errors import IndexStateError, InputError, StoreNotFound
from es_recsys.serving.operations import Flow, LogAnswer, Operation, Pair, Request, RunBlocking, Sleep, Step, Steps

__all__ = ["AsyncDriver", "Driver", "LogWriter", "is_index_missing", "translate_error"]

_THREADS, _THREADS_BESIDE = 8, 32
_LOG_PAUSE_S = 0.05

T = TypeVar("T")
C = TypeVar("C", Elasticsearch, AsyncElasticsearch)


class LogWriter(Protocol):
    """Where the answer log goes."""

    def write(self, records: Sequence[Mapping[str, Any]]) -> None: ...


class _FlowSteps(Generic[C]):
    """What both drivers share: a flow taken apart into steps.

    Errors of the Elasticsearch client come to the flow as ours, but for a missing index, which `is_index_missing` knows.
    """

    def __init__(self, client: C, log: LogWriter) -> None:
        self.client: C = client
        self.log = log

    def steps_of(self, operation: Operation) -> Steps[Any]:
        """Yield the steps of an operation and return its result."""
        try:
            return (yield from operation.steps())
        except (ApiError, TransportError) as error:
            if is_index_missing(error):
                raise
            raise translate_error(error, address_of(self.client)) from error

    def steps_of_flow(self, flow: Flow[T]) -> Steps[T]:
        """Yield the steps of all operations of a flow and return its value; the flow decides what a failure means."""
        try:
            operation = next(flow)
            while True:
                try:
                    result = yield from self.steps_of(operation)
                except Exception as error:
                    operation = flow.throw(error)
                else:
                    operation = flow.send(result)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


class Driver(_FlowSteps[Elasticsearch]):
    """Runs flows in the calling thread, the first of two requests at a time in another. Raises what the flow raises."""

    def __init__(self, client: Elasticsearch, log: LogWriter) -> None:
        super().__init__(client, log)
        self._threads: tuple[int, ThreadPoolExecutor] | None = None

    def run(self, flow: Flow[T]) -> T:
        return self._run(self.steps_of_flow(flow))

    def perform(self, operation: Operation) -> Any:
        """Run one operation and return its result."""
        return self._run(self.steps_of(operation))

    def _run(self, steps: Steps[T]) -> T:
        result, error = None, None
        with one_thread():
            while True:
                try:
                    step = _advance(steps, result, error)
                except StopIteration as end:
                    return end.value  # type: ignore[no-any-return]
                try:
                    result, error = self._take(step), None
                except Exception as raised:
                    result, error = None, raised

    def _take(self, step: Step) -> Any:
        match step:
            case Request():
                return self._request(step)
            case Pair():
                first = self._pool().submit(copy_context().run, _outcome, self._request, step.first)
                second = _outcome(self._request, step.second)
                return first.result(), second
            case RunBlocking():
                with lifted():
                    return step.function()
            case LogAnswer():
                return self.log.write([step.record])
            case Sleep():
                return time.sleep(step.seconds)

    def _request(self, step: Request) -> Any:
        return getattr(self.client, step.method)(**step.arguments)

    def _pool(self) -> ThreadPoolExecutor:
        # A forked process has none of the threads.
        if self._threads is None or self._threads[0] != os.getpid():
            self._threads = os.getpid(), ThreadPoolExecutor(_THREADS_BESIDE, thread_name_prefix="es-recsys-beside")
        return self._threads[1]


class AsyncDriver(_FlowSteps[AsyncElasticsearch]):
    """Runs flows in an event loop; calls that block run in a few threads of its own. Raises what the flow raises.

    The answer log is written behind the answers, many records at once; `write_log` waits until all are written.
    """

    def __init__(self, client: AsyncElasticsearch, log: LogWriter) -> None:
        super().__init__(client, log)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="es-recsys")
        self._records: list[Mapping[str, Any]] = []
        self._log_lock = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._writing: set[asyncio.Task[None]] = set()

    async def run(self, flow: Flow[T]) -> T:
        steps = self.steps_of_flow(flow)
        result, error = None, None
        with one_thread():
            while True:
                try:
                    step = _advance(steps, result, error)
                except StopIteration as end:
                    return end.value  # type: ignore[no-any-return]
                try:
                    result, error = await self._take(step), None
                except Exception as raised:
                    result, error = None, raised

    async def _take(self, step: Step) -> Any:
        match step:
            case Request():
                return await self._request(step)
            case Pair():
                return await asyncio.gather(self._request(step.first), self._request(step.second), return_exceptions=True)
            case RunBlocking():
                with lifted():
                    return await self.in_thread(step.function)
            case LogAnswer():
                return self.log_later(step.record)
            case Sleep():
                return await asyncio.sleep(step.seconds)

    async def _request(self, step: Request) -> Any:
        return await getattr(self.client, step.method)(**step.arguments)

    async def write_log(self) -> None:
        """Write what is not written yet of the answer log."""
        async with self._log_lock:
            records, self._records = self._records, []
            if records:
                await self.in_thread(partial(self.log.write, records))

    async def close(self) -> None:
        """Write the answer log and end the threads."""
        if self._timer is not None:
            self._timer.cancel()
        await self.write_log()
        self._threads.shutdown(wait=False)

    def log_later(self, record: Mapping[str, Any]) -> None:
        """Have a record written with the next ones."""
        self._records.append(record)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LOG_PAUSE_S, self._start_writing)

    def _start_writing(self) -> None:
        self._timer = None
        writing = asyncio.get_running_loop().create_task(self.write_log())
        self._writing.add(writing)  # or it may be collected while it runs
        writing.add_done_callback(self._writing.discard)

    async def in_thread(self, function: Callable[[], T]) -> T:
        """Call a function in one of the threads, with the budget of time of whoever asks."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, copy_context().run, function)


def _outcome(function: Callable[..., Any], *args: Any) -> Any:
    """Return the error as well."""
    try:
        return function(*args)
    except Exception as error:
        return error


def _advance(steps: Steps[Any], result: Any, error: Exception | None) -> Step:
    """Send a step's result, or throw its error, and return the next step that has to be waited for.

    Raises StopIteration where there is none.
    """
    while True:
        step = steps.send(result) if error is None else steps.throw(error)
        if not isinstance(step, RunBlocking):
            return step
        try:
            result, error = step.known(), None
        except Exception as raised:
            result, error = None, raised
        if result is None and error is None:
            return step


def is_index_missing(error: Exception) -> bool:
    """Return whether the index of a request is not there any more, as after a swap and a drop."""
    return isinstance(error, NotFoundError) and "index_not_found" in str(error.error)


def translate_error(error: Exception, address: str, *, source: bool = False) -> Exception:
    """Return an error of the Elasticsearch client as one of ours, with a remedy; any other as it is.

    address: where Elasticsearch is, without credentials. source: whether it is another than the store's, that is read from.
    """
    if source and isinstance(error, ApiError | TransportError):
        return translate_connection_error(error, address, source=True)
    if is_index_missing(error):
        if any(name in str(getattr(error, "body", "")) for name in ("-profiles-", "-profiles]")):
            return IndexStateError(
                "The index of the users' profiles is gone.", "Make it anew of the stored events: es-recsys profiles build"
            )
        return StoreNotFound("The index that was asked does not exist.", "Load items into it first: es-recsys items load FILE.")
    if isinstance(error, BadRequestError):
        return InputError(
            f"Elasticsearch refused the request ({error.error}).", "Look at the values given, above all at filters."
        )
    if isinstance(error, ApiError | TransportError):
        return translate_connection_error(error, address)
    return error
