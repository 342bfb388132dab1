"""Run flows: in the calling thread, or in an event loop; errors of the Elasticsearch client come as ours."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from elasticsearch import ApiError, AsyncElasticsearch, BadRequestError, Elasticsearch, NotFoundError, TransportError

from es_recsys.blas import on_one_thread
from es_recsys.engine.connect import address_of
from es_recsys.engine.connect import translate_error as translate_connection_error
from es_recsys.errors import IndexStateError, InputError, StoreNotFound
from es_recsys.serving.operations import Flow, LogAnswer, Operation, Request, RunBlocking, Sleep, Step, Steps

__all__ = ["AsyncDriver", "Driver", "LogWriter", "is_index_missing", "translate_error"]

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
        if isinstance(operation, LogAnswer):
            operation = RunBlocking(partial(self.log.write, [operation.record]))
        try:
            return (yield from operation.steps())
        except (ApiError, TransportError) as error:
            if is_index_missing(error):
                raise
            raise translate_error(error, address_of(self.client)) from error

    def steps_of_flow(self, flow: Flow[T]) -> Steps[T]:
        """Yield the steps of all operations of a flow and return its value; the flow decides what a failure means."""
        try:
            operation = on_one_thread(next, flow)
            while True:
                try:
                    result = yield from self.steps_of(operation)
                except Exception as error:
                    operation = on_one_thread(flow.throw, error)
                else:
                    operation = on_one_thread(flow.send, result)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


class Driver(_FlowSteps[Elasticsearch]):
    """Runs flows in the calling thread. Raises what the flow raises."""

    def run(self, flow: Flow[T]) -> T:
        return self._run(self.steps_of_flow(flow))

    def perform(self, operation: Operation) -> Any:
        """Run one operation and return its result."""
        return self._run(self.steps_of(operation))

    def _run(self, steps: Steps[T]) -> T:
        try:
            step = next(steps)
            while True:
                try:
                    result = self._take(step)
                except Exception as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(result)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    def _take(self, step: Step) -> Any:
        match step:
            case Request():
                return getattr(self.client, step.method)(**step.arguments)
            case RunBlocking():
                return step.function()
            case Sleep():
                return time.sleep(step.seconds)


class AsyncDriver(_FlowSteps[AsyncElasticsearch]):
    """Runs flows in an event loop; calls that block run in a thread. Raises what the flow raises."""

    async def run(self, flow: Flow[T]) -> T:
        steps = self.steps_of_flow(flow)
        try:
            step = next(steps)
            while True:
                try:
                    result = await self._take(step)
                except Exception as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(result)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]

    async def _take(self, step: Step) -> Any:
        match step:
            case Request():
                return await getattr(self.client, step.method)(**step.arguments)
            case RunBlocking():
                return await asyncio.to_thread(step.function)
            case Sleep():
                return await asyncio.sleep(step.seconds)


def is_index_missing(error: Exception) -> bool:
    """Return whether the index of a request is not there any more, as after a swap and a drop."""
    return isinstance(error, NotFoundError) and "index_not_found" in str(error.error)


def translate_error(error: Exception, address: str) -> Exception:
    """Return an error of the Elasticsearch client as one of ours, with a remedy; any other as it is.

    address: where Elasticsearch is, without credentials.
    """
    if is_index_missing(error):
        if "-profiles-" in str(getattr(error, "body", "")):
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
