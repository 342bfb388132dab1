"""Sends requests of others to Elasticsearch as they are, and returns what came back as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from elastic_transport import ConnectionError, ConnectionTimeout, HttpHeaders, TransportError
from elasticsearch import ApiError, AsyncElasticsearch

from es_recsys.engine.connect import address_of, translate_error

__all__ = ["RawRequests", "RawResponse"]


@dataclass(frozen=True, slots=True)
class RawResponse:
    """A response of Elasticsearch. headers: names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class RawRequests:
    """Sends requests to the server of a client, over its connections and with its certificates, but without its credentials."""

    def __init__(self, client: AsyncElasticsearch) -> None:
        self._client = client

    async def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None = None, *, timeout_s: float
    ) -> RawResponse:
        """Return the response, whatever its status.

        target: path and query string. An embedded node that is on another port by now is found. Raises EngineError where nothing
        answers in time.
        """
        try:
            try:
                return await self._send(method, target, headers, body, timeout_s)
            except ConnectionTimeout:
                raise
            except ConnectionError:
                await self._client.info()  # its transport looks for where the server is now
                return await self._send(method, target, headers, body, timeout_s)
        except (ApiError, TransportError) as error:
            raise translate_error(error, address_of(self._client)) from error

    async def _send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None, timeout_s: float
    ) -> RawResponse:
        node = self._client.transport.node_pool.get()
        meta, content = await node.perform_request(  # type: ignore[misc]
            method, target, body=body, headers=HttpHeaders(headers), request_timeout=timeout_s
        )
        return RawResponse(meta.status, {name.lower(): value for name, value in meta.headers.items()}, content)
