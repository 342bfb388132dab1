"""Elasticsearch's own protocol: `_search` and `_msearch` of adopted indices, personal where `ext.es_recsys` says for whom."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response

from es_recsys.engine.raw_requests import RawResponse
from es_recsys.errors import InputError, RecsysError
from es_recsys.service.access import Caller
from es_recsys.service.errors import ServiceError, error_body, from_recsys_error
from es_recsys.service.personal_search import PersonalSearch, neutral_reason, personal_page, plan_search, their_page
from es_recsys.service.request_body import read_body
from es_recsys.service.search_body import (
    PARAMETERS,
    BodyRules,
    Extension,
    UbiExtension,
    check_body,
    parse_json,
    take_extensions,
    whole,
)
from es_recsys.service.state import ServiceState

__all__ = ["info", "msearch", "search"]

_FORWARDED = ("authorization", "accept", "content-type", "x-opaque-id", "traceparent", "user-agent")
_RETURNED = ("content-type", "warning", "x-elastic-product", "x-opaque-id")
_HOW = "x-es-recsys"
_MOST_SEARCHES = 100


@dataclass(frozen=True, slots=True)
class _Search:
    """One search as it was sent: what goes to Elasticsearch, and what becomes of the answer.

    personal: None where it is passed through, for `reason`.
    """

    body: Mapping[str, Any]
    ext: Extension | None
    ubi: UbiExtension | None
    personal: PersonalSearch | None
    reason: str | None

    @property
    def is_plain(self) -> bool:
        """Whether the answer is Elasticsearch's byte for byte."""
        return self.ext is None and self.ubi is None


async def info(request: Request, state: ServiceState) -> Response:
    """Answer `GET /` and `HEAD /` as Elasticsearch does."""
    found = await _send(request, state, request.method, "/", None)
    return _response(found, found.body)


async def search(request: Request, state: ServiceState, caller: Caller, index: str) -> Response:
    """Answer `/{index}/_search`."""
    started = time.perf_counter()
    rules = await state.body_rules()
    id_field = rules.id_field(index)
    raw = await read_body(request, state.settings.service.max_body_kib << 10)
    parameters = _parameters(request)
    one = _read(parse_json(raw), parameters, id_field, rules, state.settings.service.window, caller)
    path = f"/{quote(index, safe=',')}/_search"
    if one.personal is None:
        body = raw if one.is_plain else orjson.dumps(one.body)
        found = await _send(request, state, request.method if one.is_plain else "POST", path, body or None, parameters)
        if one.is_plain or found.status != 200:
            return _response(found, found.body, {_HOW: "passed-through"})
        return _json(found, await _finish(one, orjson.loads(found.body), state, started), one)
    left = {name: value for name, value in parameters.items() if name not in ("size", "from")}
    found = await _send(request, state, "POST", path, orjson.dumps(one.personal.body), left)
    if found.status != 200:
        return _response(found, found.body)
    return _json(found, await _finish(one, orjson.loads(found.body), state, started), one)


async def msearch(request: Request, state: ServiceState, caller: Caller, index: str | None = None) -> Response:
    """Answer `/_msearch` and `/{index}/_msearch`."""
    started = time.perf_counter()
    raw = await read_body(request, state.settings.service.max_body_kib << 10)
    parameters = _parameters(request)
    lines = [line for line in raw.split(b"\n") if line.strip() or line]
    if lines and not lines[-1].strip():
        lines.pop()
    if not lines or len(lines) % 2:
        raise ServiceError(400, "parsing_exception", "_msearch takes pairs of lines: a header and a body.")
    if len(lines) > 2 * _MOST_SEARCHES:
        raise ServiceError(400, "illegal_argument_exception", f"{_MOST_SEARCHES} searches at once are the most.")
    rules = await state.body_rules()
    searches = []
    for header, body in zip(lines[::2], lines[1::2], strict=True):
        id_field = rules.id_field(_index_of(parse_json(header), index))
        searches.append(_read(parse_json(body), {}, id_field, rules, state.settings.service.window, caller))
    path = "/_msearch" if index is None else f"/{quote(index, safe=',')}/_msearch"
    if all(one.is_plain for one in searches):
        found = await _send(request, state, request.method, path, raw, parameters)
        return _response(found, found.body, {_HOW: "passed-through"})
    sent = b"".join(
        header + b"\n" + (body if one.is_plain else orjson.dumps(one.body if one.personal is None else one.personal.body)) + b"\n"
        for one, header, body in zip(searches, lines[::2], lines[1::2], strict=True)
    )
    found = await _send(request, state, "POST", path, sent, parameters)
    if found.status != 200:
        return _response(found, found.body)
    whole_answer = orjson.loads(found.body)
    whole_answer["responses"] = await asyncio.gather(
        *(_finish_one(one, each, state, started) for one, each in zip(searches, whole_answer["responses"], strict=True))
    )
    return _json(found, whole_answer, *searches)


def _index_of(header: Mapping[str, Any], index: str | None) -> str:
    named = header.get("index", index)
    if isinstance(named, list):
        named = ",".join(map(str, named))
    if not isinstance(named, str) or not named:
        raise ServiceError(400, "illegal_argument_exception", "An index has to be named, in the path or in each header.")
    return named


async def _finish_one(one: _Search, response: dict[str, Any], state: ServiceState, started: float) -> dict[str, Any]:
    if one.is_plain or "error" in response:
        return response
    try:
        return {**await _finish(one, response, state, started), "status": response.get("status", 200)}
    except ServiceError as error:
        return error_body(error)


def _read(
    body: dict[str, Any], parameters: Mapping[str, str], id_field: str, rules: BodyRules, window: int, caller: Caller
) -> _Search:
    """Read one search and check it. Raises ServiceError."""
    page = {name: whole(parameters, name, 0) for name in ("from", "size") if name in parameters}
    check_body({**body, **page}, rules)
    rest, ext, ubi = take_extensions(body)
    reason = neutral_reason(ext)
    if ext is None or reason is not None:
        return _Search(rest, ext, ubi, None, reason)
    caller.check_person(ext.user_id, ext.user_token, explain=bool(ext.explain))
    planned = plan_search({**rest, **page}, parameters, ext, ubi, id_field, window)
    if isinstance(planned, str):
        return _Search(rest, ext, ubi, None, planned)
    try:
        planned.query(["-"])
    except InputError as error:
        raise from_recsys_error(error) from error
    return _Search(rest, ext, ubi, planned, None)


async def _finish(one: _Search, response: dict[str, Any], state: ServiceState, started: float) -> dict[str, Any]:
    """Return what is answered in place of Elasticsearch's response to a search."""
    query_id, said = None, None
    if one.personal is not None:
        response, said = await _ranked(one.personal, response, state)
        query_id = said.get("query_id")
        response["took"] = int((time.perf_counter() - started) * 1_000)
    elif one.ext is not None:
        said = {"personal": False, "passed_through": one.reason}
        state.metrics.passed_through.inc()
    if said is not None:
        response = {**response, "_es_recsys": said}
    if one.ubi is not None:
        query_id = one.ubi.query_id or query_id or str(uuid.uuid4())
        response = {**response, "ext": {"ubi": {"query_id": query_id}}}
        state.log_query(one.ubi, one.ext, query_id)
    return response


async def _ranked(search: PersonalSearch, response: dict[str, Any], state: ServiceState) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the personal page and what is said about it; Elasticsearch's own page where the ranking fails."""
    ids = search.item_ids(response)
    if not ids:
        return their_page(search, response), {"personal": False, "passed_through": "there is nothing to rank"}
    try:
        answer = await state.rank(search.query(ids))
    except (RecsysError, TimeoutError) as error:
        if isinstance(error, InputError):
            raise from_recsys_error(error) from error
        state.metrics.fallbacks.inc()
        return their_page(search, response), {"personal": False, "fallback": type(error).__name__}
    said: dict[str, Any] = {
        "personal": True,
        "query_id": answer.answer_id,
        "window": search.window,
        "unknown": sum(1 for found in answer.unknown),
    }
    if answer.ranking.degraded:
        said["degraded"] = list(answer.ranking.degraded)
    return personal_page(search, response, answer), said


def _parameters(request: Request) -> dict[str, str]:
    found: dict[str, str] = dict(request.query_params)
    if found.keys() - PARAMETERS:
        allowed = ", ".join(sorted(PARAMETERS))
        reason = f"The URL has a parameter that isn't passed on. It may have: {allowed}."
        raise ServiceError(400, "illegal_argument_exception", reason)
    return found


async def _send(
    request: Request,
    state: ServiceState,
    method: str,
    path: str,
    body: bytes | None,
    parameters: Mapping[str, str] | None = None,
) -> RawResponse:
    headers = {name: value for name in _FORWARDED if (value := request.headers.get(name)) is not None}
    if body is not None:
        _check_content_type(headers.get("content-type"))
    headers = {**headers, **({} if "authorization" in headers else state.callers_credentials)}
    target = path + (f"?{urlencode(parameters)}" if parameters else "")
    with state.metrics.stage("elasticsearch"):
        return await state.raw.send(method, target, headers, body, timeout_s=state.settings.search.timeout_s)


def _check_content_type(given: str | None) -> None:
    """Raise ServiceError for a body that isn't JSON: what can't be read here can't be checked."""
    kind = (given or "application/json").split(";")[0].strip().lower()
    if kind not in {
        "application/json",
        "application/x-ndjson",
        "application/vnd.elasticsearch+json",
        "application/vnd.elasticsearch+x-ndjson",
    }:
        raise ServiceError(415, "media_type_header_exception", "The body has to be JSON (application/json, or x-ndjson).")


def _response(found: RawResponse, body: bytes, more: Mapping[str, str] | None = None) -> Response:
    headers = {name: value for name in _RETURNED if (value := found.headers.get(name)) is not None}
    return Response(body, found.status, {**headers, **(more or {})})


def _json(found: RawResponse, body: Any, *searches: _Search) -> Response:
    return _response(found, orjson.dumps(body), {_HOW: _how(body, searches)})


def _how(body: Mapping[str, Any], searches: Sequence[_Search]) -> str:
    """Return in a word what became of the searches."""
    answers = body.get("responses", [body])
    said = [each.get("_es_recsys", {}) for each in answers]
    if any("fallback" in each for each in said):
        return "fallback"
    if all(each.get("personal") for each in said):
        return "personal"
    return "passed-through" if not any(each.get("personal") for each in said) else "mixed"
