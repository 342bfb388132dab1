"""Transports of the Elasticsearch client that check every response, and follow an embedded node to another port."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from elastic_transport import (
    AiohttpHttpNode,
    AsyncTransport,
    ConnectionError,
    NodePool,
    SerializationError,
    Transport,
    TransportApiResponse,
    Urllib3HttpNode,
)
from elastic_transport.client_utils import DEFAULT

from es_recsys.engine.responses import UnreadableDocuments, check_response, translate_serialization_error
from es_recsys.engine.time_budget import spending

__all__ = ["BudgetedAsyncNode", "BudgetedNode", "CheckedAsyncTransport", "CheckedTransport"]

FindNodePool = Callable[[], NodePool | None]
"""Returns where Elasticsearch is now, when nothing answers where it was; None where that isn't known."""

_RETRY_PAUSES_S = (0.1, 0.5)
_READ_ENDPOINTS = frozenset({"_search", "_msearch", "_mget", "_count"})
_NOT_CONNECTED = ("Failed to establish a new connection", "Cannot connect to host")
# A node that has just started has to find its indices first.
_WAIT_FOR_INDICES, _WAIT_S = "/_cluster/health?wait_for_status=yellow&timeout=30s", 40.0
_JSON = {"accept": "application/json"}


class BudgetedNode(Urllib3HttpNode):
    """A node whose requests wait no longer than the budget of their call, whoever sends them and how often."""

    def perform_request(
        self, method: str, target: str, body: Any = None, headers: Any = None, request_timeout: Any = DEFAULT
    ) -> Any:
        with spending(self.config.request_timeout if request_timeout is DEFAULT else request_timeout) as timeout_s:
            return super().perform_request(method, target, body, headers, timeout_s)


class BudgetedAsyncNode(AiohttpHttpNode):
    """`BudgetedNode` for asyncio."""

    async def perform_request(  # type: ignore[override]
        self, method: str, target: str, body: Any = None, headers: Any = None, request_timeout: Any = DEFAULT
    ) -> Any:
        with spending(self.config.request_timeout if request_timeout is DEFAULT else request_timeout) as timeout_s:
            return await super().perform_request(method, target, body, headers, timeout_s)


class CheckedTransport(Transport):
    """A transport that checks responses. Documents that can't be read are requested twice more.

    find_node_pool: called when nothing answers, as after a restart on another port. The request is then sent there, unless it
    writes and may have been carried out already.

    Raises BadResponse for what no Elasticsearch answers, EngineError for a search or count that missed shards and for
    documents that stay unreadable, NotFoundError where an index is missing, and what `Transport` raises.
    """

    find_node_pool: FindNodePool | None = None

    def perform_request(self, method: str, target: str, *, body: Any = None, **options: Any) -> TransportApiResponse:
        for pause_s in _RETRY_PAUSES_S:
            try:
                return self._request(method, target, body, options)
            except UnreadableDocuments:
                time.sleep(pause_s)
        return self._request(method, target, body, options)

    def _request(self, method: str, target: str, body: Any, options: Mapping[str, Any]) -> TransportApiResponse:
        try:
            response = super().perform_request(method, target, body=body, **options)
        except SerializationError as error:
            raise translate_serialization_error(error, self) from error
        except ConnectionError as error:
            pool = self.find_node_pool() if self.find_node_pool is not None else None
            if pool is None:
                raise
            self.node_pool = pool
            if not _is_safe_to_repeat(method, target, error):
                raise
            super().perform_request("GET", _WAIT_FOR_INDICES, headers=_JSON, request_timeout=_WAIT_S)
            response = super().perform_request(method, target, body=body, **options)
        check_response(method, target, body, *response)
        return response


class CheckedAsyncTransport(AsyncTransport):
    """`CheckedTransport` for asyncio; `find_node_pool` is called in a thread."""

    find_node_pool: FindNodePool | None = None

    async def perform_request(  # type: ignore[override]
        self, method: str, target: str, *, body: Any = None, **options: Any
    ) -> TransportApiResponse:
        for pause_s in _RETRY_PAUSES_S:
            try:
                return await self._request(method, target, body, options)
            except UnreadableDocuments:
                await asyncio.sleep(pause_s)
        return await self._request(method, target, body, options)

    async def _request(self, method: str, target: str, body: Any, options: Mapping[str, Any]) -> TransportApiResponse:
        try:
            response = await super().perform_request(method, target, body=body, **options)
        except SerializationError as error:
            raise translate_serialization_error(error, self) from error
        except ConnectionError as error:
            pool = await asyncio.to_thread(self.find_node_pool) if self.find_node_pool is not None else None
            if pool is None:
                raise
            old_pool, self.node_pool = self.node_pool, pool
            nodes: list[Any] = old_pool.all()
            for node in nodes:
                await node.close()
            if not _is_safe_to_repeat(method, target, error):
                raise
            await super().perform_request("GET", _WAIT_FOR_INDICES, headers=_JSON, request_timeout=_WAIT_S)
            response = await super().perform_request(method, target, body=body, **options)
        check_response(method, target, body, *response)
        return response


def _is_safe_to_repeat(method: str, target: str, error: ConnectionError) -> bool:
    """Return whether the failed request only reads, or never arrived."""
    reads = method in ("GET", "HEAD") or target.split("?")[0].rsplit("/", 1)[-1] in _READ_ENDPOINTS
    return reads or any(words in str(error) for words in _NOT_CONNECTED)
