"""What comes back from Elasticsearch, looked at in one place before anybody reads it.

A status of 200 does not say that all went well: `_msearch` and `_mget` carry an error for each search and document, a search
may have timed out or missed shards, and what answers may be something in between. Both clients send through the transports
here, so no response is read that was not looked at.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from elastic_transport import (
    ApiResponseMeta,
    AsyncTransport,
    ConnectionError,
    NodePool,
    SerializationError,
    Transport,
    TransportApiResponse,
)
from elasticsearch import NotFoundError

from es_recsys.errors import BadResponse, EngineError

__all__ = ["CheckedAsyncTransport", "CheckedTransport", "check", "described"]

_GONE = "index_not_found_exception"
_PAUSES_S = (0.1, 0.5)
_READS = frozenset({"_search", "_msearch", "_mget", "_count"})
_REFUSED = ("Failed to establish a new connection", "Cannot connect to host")
# A node that has just started finds its indices first.
_AWAKE, _AWAKE_S = "/_cluster/health?wait_for_status=yellow&timeout=30s", 40.0
_JSON = {"accept": "application/json"}
_TITLE = re.compile(r"<title[^>]*>\s*([^<]{1,80})", re.IGNORECASE)


class Unread(EngineError):
    """Documents that can't be read at this moment."""


Moved = Callable[[], "NodePool | None"]
"""Where Elasticsearch is now, when it can't be reached where it was; None where that isn't known."""


class CheckedTransport(Transport):
    """Sends requests, and looks at what comes back. Documents that can't be read are asked for twice more.

    moved: asked once a request that finds nobody, as after a restart on another port; then the request is sent there, unless it
    writes and may have been carried out already.

    Raises BadResponse for what no Elasticsearch answers, EngineError for a search or count that missed shards and for
    documents that stay unread, NotFoundError where an index is gone, and what `Transport` raises.
    """

    moved: Moved | None = None

    def perform_request(self, method: str, target: str, *, body: Any = None, **options: Any) -> TransportApiResponse:
        for pause in (*_PAUSES_S, None):
            answer = self._sent(method, target, body, options)
            try:
                check(method, target, body, *answer)
            except Unread:
                if pause is None:
                    raise
                time.sleep(pause)
            else:
                return answer
        raise AssertionError("unreachable")

    def _sent(self, method: str, target: str, body: Any, options: Mapping[str, Any]) -> TransportApiResponse:
        try:
            return super().perform_request(method, target, body=body, **options)
        except SerializationError as error:
            raise _unreadable(error, self) from error
        except ConnectionError as error:
            pool = self.moved() if self.moved is not None else None
            if pool is None:
                raise
            self.node_pool = pool
            if not _harmless(method, target, error):
                raise
        super().perform_request("GET", _AWAKE, headers=_JSON, request_timeout=_AWAKE_S)
        return super().perform_request(method, target, body=body, **options)


class CheckedAsyncTransport(AsyncTransport):
    """As `CheckedTransport`, for asyncio; `moved` is asked in a thread."""

    moved: Moved | None = None

    async def perform_request(  # type: ignore[override]
        self, method: str, target: str, *, body: Any = None, **options: Any
    ) -> TransportApiResponse:
        for pause in (*_PAUSES_S, None):
            answer = await self._sent(method, target, body, options)
            try:
                check(method, target, body, *answer)
            except Unread:
                if pause is None:
                    raise
                await asyncio.sleep(pause)
            else:
                return answer
        raise AssertionError("unreachable")

    async def _sent(self, method: str, target: str, body: Any, options: Mapping[str, Any]) -> TransportApiResponse:
        try:
            return await super().perform_request(method, target, body=body, **options)
        except SerializationError as error:
            raise _unreadable(error, self) from error
        except ConnectionError as error:
            pool = await asyncio.to_thread(self.moved) if self.moved is not None else None
            if pool is None:
                raise
            old, self.node_pool = self.node_pool, pool
            nodes: list[Any] = old.all()
            for node in nodes:
                await node.close()
            if not _harmless(method, target, error):
                raise
        await super().perform_request("GET", _AWAKE, headers=_JSON, request_timeout=_AWAKE_S)
        return await super().perform_request(method, target, body=body, **options)


def check(method: str, target: str, sent: Any, metadata: ApiResponseMeta, body: Any) -> None:
    """Raises where the response to `sent` is not what Elasticsearch answers to such a request, or not a whole answer. A status
    that tells of an error is left to the client, but for a 404 that no Elasticsearch wrote: nothing was looked for."""
    if method == "HEAD" or (not 200 <= metadata.status < 300 and metadata.status != 404):
        return
    if not isinstance(body, Mapping):
        raise _bad(metadata, body)
    if metadata.status == 404:
        return
    parts = target.split("?")[0].strip("/").split("/")
    look = _LOOKS.get(parts[-1])
    if look is None and method == "GET" and len(parts) == 3 and parts[1] == "_doc":
        look = _document
    elif look is None and method in ("PUT", "DELETE") and len(parts) == 1:
        look = _acknowledged
    if look is None:
        return
    try:
        look(metadata, sent, body)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise _bad(metadata, body) from error


def described(headers: Mapping[str, str], body: Any) -> str:
    """What came, in words: its kind and size, of a page the title, and no more, since it may repeat what was sent."""
    if isinstance(body, Mapping):
        return f"JSON with {', '.join(map(str, list(body)[:3]))[:60] or 'nothing in it'}"
    if isinstance(body, str | bytes):
        text = body if isinstance(body, str) else body[:4_096].decode("utf-8", "replace")
        title = _TITLE.search(text[:4_096])
        named = f' titled "{" ".join(title[1].split())}"' if title else ""
        return f"{headers.get('content-type', 'text').split(';')[0][:40]} of {len(body):,} characters{named}"
    return "no JSON object" if body is not None else "nothing"


def _searches(metadata: ApiResponseMeta, sent: Any, body: Mapping[str, Any]) -> None:
    responses = body["responses"]
    if isinstance(sent, Sequence) and not isinstance(sent, str | bytes) and len(responses) != len(sent) // 2:
        raise ValueError("another number of responses")
    for response in responses:
        if "error" in response:
            _raise_if_gone(metadata, response)
        else:
            _ = [hit["_id"] for hit in response["hits"]["hits"]]


def _search(metadata: ApiResponseMeta, sent: Any, body: Mapping[str, Any]) -> None:
    _ = [hit["_id"] for hit in body["hits"]["hits"]]
    _whole(metadata, body, "search")


def _count(metadata: ApiResponseMeta, sent: Any, body: Mapping[str, Any]) -> None:
    _ = body["count"] + 0
    _whole(metadata, body, "count")


def _refresh(metadata: ApiResponseMeta, sent: Any, body: Mapping[str, Any]) -> None:
    _whole(metadata, body, "refresh")


def _documents(metadata: ApiResponseMeta, sent: Any, body: Mapping[str, Any]) -> None:
    docs = body["docs"]
    if isinstance(sent, Mapping) and len(docs) != len(sent.get("ids") or sent.get("docs") or docs):
        raise ValueError("another number of documents")
    unread = [doc for doc in docs if "error" in doc]
    for doc in unread:
        _raise_if_gone(metadata, doc)
    if unread:
        raise Unread(
            f"Elasticsearch at {_address(metadata)} could not read {len(unread):,} of {len(docs):,} documents "
            f"({_type_of(unread[0]) or 'no reason told'}).",
            "See its log and the health of its indices, then try again.",
        )
    for doc in docs:
        if doc.get("found"):
            _ = doc["_id"]


def _document(metadata: ApiResponseMeta, sent: Any, body: Mapping[str, Any]) -> None:
    if body["found"]:
        _ = body["_source"].items(), body["_seq_no"] + body["_primary_term"]


def _items(metadata: ApiResponseMeta, sent: Any, body: Mapping[str, Any]) -> None:
    for item in body.get("items", ()):
        _ = next(iter(item.values()))["status"] + 0


def _point_in_time(metadata: ApiResponseMeta, sent: Any, body: Mapping[str, Any]) -> None:
    if "succeeded" not in body and not isinstance(body["id"], str):
        raise TypeError("no id")


def _acknowledged(metadata: ApiResponseMeta, sent: Any, body: Mapping[str, Any]) -> None:
    """An index was made or deleted, or aliases were moved."""
    _ = body["acknowledged"]


def _mappings(metadata: ApiResponseMeta, sent: Any, body: Mapping[str, Any]) -> None:
    if "acknowledged" not in body:
        _ = [one["mappings"].items() for one in body.values()]


_LOOKS: Mapping[str, Callable[[ApiResponseMeta, Any, Mapping[str, Any]], None]] = {
    "_msearch": _searches,
    "_search": _search,
    "_count": _count,
    "_refresh": _refresh,
    "_mget": _documents,
    "_mapping": _mappings,
    "_aliases": _acknowledged,
    "_bulk": _items,
    "_pit": _point_in_time,
}


def _whole(metadata: ApiResponseMeta, body: Mapping[str, Any], what: str) -> None:
    """A part of the shards is no answer to what has to know all."""
    shards = body.get("_shards") or {}
    if body.get("timed_out") or shards.get("failed"):
        _raise_if_gone(metadata, next(iter(shards.get("failures") or ()), {}))
        why = "it timed out" if body.get("timed_out") else f"{shards['failed']} of {shards.get('total', '?')} shards failed"
        raise EngineError(
            f"A {what} at {_address(metadata)} is not whole: {why}.", "See its log and the health of its indices, then try again."
        )


def _raise_if_gone(metadata: ApiResponseMeta, response: Mapping[str, Any]) -> None:
    error = response.get("error") or response.get("reason")
    if _type_of(response) == _GONE:
        raise NotFoundError(_GONE, replace(metadata, status=404), {"error": error, "status": 404})


def _type_of(response: Mapping[str, Any]) -> str:
    error = response.get("error") or response.get("reason")
    return str(error.get("type", "")) if isinstance(error, Mapping) else ""


def _bad(metadata: ApiResponseMeta, body: Any) -> BadResponse:
    return BadResponse(
        f"What answers at {_address(metadata)} is not Elasticsearch, or something between changes what it says: a status of "
        f"{metadata.status} came with {described(metadata.headers, body)}.",
        "See what listens there, and what lies between; or give another URL with --url or ES_RECSYS_URL.",
    )


def _unreadable(error: SerializationError, transport: Transport | AsyncTransport) -> Exception:
    if "deserialize" not in error.message.lower() and "mimetype" not in error.message.lower():
        return error  # what was to be sent could not be written
    node = next(iter(transport.node_pool.all())).config
    return BadResponse(
        f"What came from {node.scheme}://{node.host}:{node.port}{node.path_prefix} can't be read: it is cut short, or no JSON.",
        "See what listens there, and what lies between; or give another URL with --url or ES_RECSYS_URL.",
    )


def _harmless(method: str, target: str, error: ConnectionError) -> bool:
    """Whether the request may be sent once more: it only reads, or never arrived."""
    reads = method in ("GET", "HEAD") or target.split("?")[0].rsplit("/", 1)[-1] in _READS
    return reads or any(words in str(error) for words in _REFUSED)


def _address(metadata: ApiResponseMeta) -> str:
    node = metadata.node
    return f"{node.scheme}://{node.host}:{node.port}{node.path_prefix}"
