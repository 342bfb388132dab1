"""Checks of Elasticsearch's responses, in one place before anybody reads them.

A status of 200 does not say that all went well: `_msearch` and `_mget` carry an error for each search and document, a search
may have timed out or missed shards, and what answers may be a proxy in between.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from elastic_transport import ApiResponseMeta, AsyncTransport, NodeConfig, SerializationError, Transport
from elasticsearch import NotFoundError

from es_recsys.errors import BadResponse, EngineError

__all__ = ["UnreadableDocuments", "check_response", "describe_body", "node_url", "translate_serialization_error"]

_INDEX_NOT_FOUND = "index_not_found_exception"
_TITLE = re.compile(r"<title[^>]*>\s*([^<]{1,80})", re.IGNORECASE)


class UnreadableDocuments(EngineError):
    """Documents that can't be read at this moment."""


def check_response(method: str, target: str, sent: Any, meta: ApiResponseMeta, body: Any) -> None:
    """Raise where the response to the body `sent` is not what Elasticsearch answers to such a request, or is incomplete.

    Error statuses are left to the client, except a 404 that Elasticsearch did not write: it doesn't mean that nothing was found.
    """
    if method == "HEAD" or (not 200 <= meta.status < 300 and meta.status != 404):
        return
    if not isinstance(body, Mapping):
        raise _bad_response(meta, body)
    if meta.status == 404:
        return
    parts = target.split("?")[0].strip("/").split("/")
    validate = _VALIDATORS.get(parts[-1])
    if validate is None and method == "GET" and len(parts) == 3 and parts[1] == "_doc":
        validate = _validate_version if "_source=false" in target else _validate_document
    elif validate is None and method in ("PUT", "DELETE") and len(parts) == 1:
        validate = _validate_acknowledged
    if validate is None:
        return
    try:
        validate(meta, sent, body)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise _bad_response(meta, body) from error


def describe_body(headers: Mapping[str, str], body: Any) -> str:
    """Return the kind and size of a body, and a page's title; no more of it, since it may repeat what was sent."""
    if isinstance(body, Mapping):
        return f"JSON with {', '.join(map(str, list(body)[:3]))[:60] or 'nothing in it'}"
    if isinstance(body, str | bytes):
        text = body if isinstance(body, str) else body[:4_096].decode("utf-8", "replace")
        title = _TITLE.search(text[:4_096])
        titled = f' titled "{" ".join(title[1].split())}"' if title else ""
        return f"{headers.get('content-type', 'text').split(';')[0][:40]} of {len(body):,} characters{titled}"
    return "no JSON object" if body is not None else "nothing"


# A validator reads what a response must have; where it is missing it raises LookupError, TypeError, AttributeError or ValueError.
def _validate_msearch(meta: ApiResponseMeta, sent: Any, body: Mapping[str, Any]) -> None:
    responses = body["responses"]
    if isinstance(sent, Sequence) and not isinstance(sent, str | bytes) and len(responses) != len(sent) // 2:
        raise ValueError("another number of responses")
    for response in responses:
        if "error" in response:
            _raise_if_index_missing(meta, response)
        else:
            _require_ids(response)


def _validate_search(meta: ApiResponseMeta, sent: Any, body: Mapping[str, Any]) -> None:
    _require_ids(body)
    _require_all_shards(meta, body, "search")


def _require_ids(response: Mapping[str, Any]) -> None:
    """Raise where a hit has neither its id nor what stands for it: fields, or the number of its write."""
    _ = [hit["_id"] if "_id" in hit else hit["fields"] if "fields" in hit else hit["_seq_no"] for hit in response["hits"]["hits"]]


def _validate_count(meta: ApiResponseMeta, sent: Any, body: Mapping[str, Any]) -> None:
    _ = body["count"] + 0
    _require_all_shards(meta, body, "count")


def _validate_refresh(meta: ApiResponseMeta, sent: Any, body: Mapping[str, Any]) -> None:
    _require_all_shards(meta, body, "refresh")


def _validate_mget(meta: ApiResponseMeta, sent: Any, body: Mapping[str, Any]) -> None:
    docs = body["docs"]
    if isinstance(sent, Mapping) and len(docs) != len(sent.get("ids") or sent.get("docs") or docs):
        raise ValueError("another number of documents")
    unreadable = [doc for doc in docs if "error" in doc]
    for doc in unreadable:
        _raise_if_index_missing(meta, doc)
    if unreadable:
        raise UnreadableDocuments(
            f"Elasticsearch at {node_url(meta.node)} could not read {len(unreadable):,} of {len(docs):,} documents "
            f"({_error_type(unreadable[0]) or 'no reason given'}).",
            "See its log and the health of its indices, then try again.",
        )
    for doc in docs:
        if doc.get("found"):
            _ = doc["_id"]


def _validate_document(meta: ApiResponseMeta, sent: Any, body: Mapping[str, Any]) -> None:
    _validate_version(meta, sent, body)
    if body["found"]:
        _ = body["_source"].items()


def _validate_version(meta: ApiResponseMeta, sent: Any, body: Mapping[str, Any]) -> None:
    if body["found"]:
        _ = body["_seq_no"] + body["_primary_term"]


def _validate_bulk(meta: ApiResponseMeta, sent: Any, body: Mapping[str, Any]) -> None:
    for item in body.get("items", ()):
        _ = next(iter(item.values()))["status"] + 0


def _validate_point_in_time(meta: ApiResponseMeta, sent: Any, body: Mapping[str, Any]) -> None:
    if "succeeded" not in body and not isinstance(body["id"], str):
        raise TypeError("no id")


def _validate_acknowledged(meta: ApiResponseMeta, sent: Any, body: Mapping[str, Any]) -> None:
    """Validate the response to creating or deleting an index, or to moving aliases."""
    _ = body["acknowledged"]


def _validate_mapping(meta: ApiResponseMeta, sent: Any, body: Mapping[str, Any]) -> None:
    if "acknowledged" not in body:
        _ = [one["mappings"].items() for one in body.values()]


_VALIDATORS: Mapping[str, Callable[[ApiResponseMeta, Any, Mapping[str, Any]], None]] = {
    "_msearch": _validate_msearch,
    "_search": _validate_search,
    "_count": _validate_count,
    "_refresh": _validate_refresh,
    "_mget": _validate_mget,
    "_mapping": _validate_mapping,
    "_aliases": _validate_acknowledged,
    "_bulk": _validate_bulk,
    "_pit": _validate_point_in_time,
}


def _require_all_shards(meta: ApiResponseMeta, body: Mapping[str, Any], what: str) -> None:
    """Raise where the response covers a part of the shards only."""
    shards = body.get("_shards") or {}
    if body.get("timed_out") or shards.get("failed"):
        _raise_if_index_missing(meta, next(iter(shards.get("failures") or ()), {}))
        why = "it timed out" if body.get("timed_out") else f"{shards['failed']} of {shards.get('total', '?')} shards failed"
        raise EngineError(
            f"A {what} at {node_url(meta.node)} is not whole: {why}.",
            "See its log and the health of its indices, then try again.",
        )


def _raise_if_index_missing(meta: ApiResponseMeta, response: Mapping[str, Any]) -> None:
    error = response.get("error") or response.get("reason")
    if _error_type(response) == _INDEX_NOT_FOUND:
        raise NotFoundError(_INDEX_NOT_FOUND, replace(meta, status=404), {"error": error, "status": 404})


def _error_type(response: Mapping[str, Any]) -> str:
    error = response.get("error") or response.get("reason")
    return str(error.get("type", "")) if isinstance(error, Mapping) else ""


def _bad_response(meta: ApiResponseMeta, body: Any) -> BadResponse:
    return BadResponse(
        f"What answers at {node_url(meta.node)} is not Elasticsearch, or something between changes what it says: a status of "
        f"{meta.status} came with {describe_body(meta.headers, body)}.",
        "See what listens there, and what lies between; or give another URL with --url or ES_RECSYS_URL.",
    )


def translate_serialization_error(error: SerializationError, transport: Transport | AsyncTransport) -> Exception:
    """Return BadResponse for a body that can't be parsed; the error itself for a request that could not be written."""
    if "deserialize" not in error.message.lower() and "mimetype" not in error.message.lower():
        return error
    return BadResponse(
        f"What came from {node_url(next(iter(transport.node_pool.all())).config)} can't be read: it is cut short, or no JSON.",
        "See what listens there, and what lies between; or give another URL with --url or ES_RECSYS_URL.",
    )


def node_url(node: NodeConfig) -> str:
    """Return the URL of a node without a user name or password, fit to be shown."""
    return f"{node.scheme}://{node.host}:{node.port}{node.path_prefix}"
