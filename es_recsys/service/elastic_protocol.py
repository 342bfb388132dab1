"""Elasticsearch's own protocol: `_search` and `_msearch` of adopted indices, personal where `ext.es_recsys` says for whom."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response

from es_recsys.engine.raw_requests import RawResponse
from es_recsys.engine.time_budget import within_budget
from es_recsys.errors import InputError, RecsysError
from es_recsys.query import Answer
from es_recsys.service.access import Caller
from es_recsys.service.circuit_breaker import CircuitOpen
from es_recsys.service.errors import ServiceError, error_body, from_recsys_error
from es_recsys.service.request_body import read_body
from es_recsys.service.search_body import PARAMETERS, BodyRules, parse_json
from es_recsys.service.search_request import IN_THE_BODY, SearchRequest, read_search
from es_recsys.service.state import ServiceState

__all__ = ["info", "msearch", "search"]

_FORWARDED = ("authorization", "accept", "content-type", "x-opaque-id", "traceparent", "user-agent")
_OF_THE_CALLER = ("authorization", "x-opaque-id", "traceparent")
_RETURNED = ("content-type", "warning", "www-authenticate", "x-elastic-product", "x-opaque-id")
_HOW = "x-es-recsys"
_MOST_SEARCHES = 100
_JSON_TYPES = frozenset(
    f"application/{name}" for name in ("json", "x-ndjson", "vnd.elasticsearch+json", "vnd.elasticsearch+x-ndjson")
)
_JSON_ANSWERS = ("*/*", "application/*", "application/json", "application/vnd.elasticsearch+json")
_COMPATIBLE = re.compile(r"application/vnd\.elasticsearch\+json\s*;\s*compatible-with=(\d+)", re.IGNORECASE)
# Those in the body, and what shapes the text of an answer, which is written anew here, or has no meaning for one search.
_NOT_IN_FLOWS = IN_THE_BODY | {"pretty", "human", "error_trace", "max_concurrent_searches"}


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What the ranking of a search came to: an answer, or why there is none. refused: why it isn't searched at all."""

    answer: Answer | None = None
    failure: RecsysError | TimeoutError | CircuitOpen | None = None
    refused: ServiceError | None = None


async def info(request: Request, state: ServiceState) -> Response:
    """Answer `GET /` and `HEAD /` as Elasticsearch does."""
    found = await _send(request, state, request.method, "/", None)
    return _response(found, found.body)


async def search(request: Request, state: ServiceState, caller: Caller, index: str) -> Response:
    """Answer `/{index}/_search`. The ranking, and what follows where it fails, have one budget of time."""
    with within_budget(state.settings.search.timeout_s):
        return await _search(request, state, caller, index)


async def _search(request: Request, state: ServiceState, caller: Caller, index: str) -> Response:
    rules = await state.body_rules()
    rules.check_indices(index)
    raw, kind, parameters = await _sent(request, state)
    one = _read(index, raw, parameters, rules, request, state, caller)
    path = f"/{quote(index, safe=',')}/_search"
    if one.is_plain:
        found = await _send(request, state, request.method, path, raw or None, parameters, kind)
        return _response(found, found.body, {_HOW: "passed-through"})
    accepted = _answer_type(request)
    outcome = await _rank(one, request, state)
    if outcome.answer is not None:
        answered = _personal(one, outcome.answer)
        state.log_query(one.ubi, one.ext, outcome.answer.answer_id)
        headers = {**_own_headers(request, accepted), _HOW: _how([answered])}
        return Response(_written(answered, parameters), 200, headers)
    if one.has_media:
        raise _without_answer(outcome)
    found = await _send(request, state, "POST", path, orjson.dumps(one.body), parameters, kind, accepted)
    if found.status != 200:
        return _response(found, found.body, {_HOW: "passed-through"})
    answered = _neutral(one, outcome, orjson.loads(found.body), state)
    return _response(found, _written(answered, parameters), {_HOW: _how([answered])})


async def msearch(request: Request, state: ServiceState, caller: Caller, index: str | None = None) -> Response:
    """Answer `/_msearch` and `/{index}/_msearch`; all searches have one budget of time."""
    with within_budget(state.settings.search.timeout_s):
        return await _msearch(request, state, caller, index)


async def _msearch(request: Request, state: ServiceState, caller: Caller, index: str | None) -> Response:
    rules = await state.body_rules()
    raw, kind, parameters = await _sent(request, state)
    pairs = _pairs(raw)
    searches: list[SearchRequest] = []
    refused: dict[int, ServiceError] = {}
    for number, (header, body) in enumerate(pairs):
        found_index, given = _header(parse_json(header), index)
        try:
            rules.check_indices(found_index)
        except ServiceError as error:
            refused[number] = error  # the others are answered, as Elasticsearch does where an index isn't there
        searches.append(_read(found_index, body, {**parameters, **given}, rules, request, state, caller))
    path = "/_msearch" if index is None else f"/{quote(index, safe=',')}/_msearch"
    if refused and (len(refused) == len(searches) or "filter_path" in parameters):
        raise next(iter(refused.values()))
    if all(one.is_plain for one in searches) and not refused:
        found = await _send(request, state, request.method, path, raw, parameters, kind)
        return _response(found, found.body, {_HOW: "passed-through"})
    accepted = _answer_type(request)
    if "filter_path" in parameters:  # which may leave out any of the responses
        lines = b"".join(map(_line, searches, pairs))
        found = await _send(request, state, "POST", path, lines, parameters, kind, accepted)
        return _response(found, found.body, {_HOW: "passed-through"})
    outcomes = await asyncio.gather(*(_rank(one, request, state, refused.get(number)) for number, one in enumerate(searches)))
    left = [
        number
        for number, (one, outcome) in enumerate(zip(searches, outcomes, strict=True))
        if outcome.answer is None and outcome.refused is None and not one.has_media
    ]
    sent = b"".join(_line(searches[number], pairs[number]) for number in left)
    theirs: dict[str, Any] = {"took": 0, "responses": []}
    head = RawResponse(200, _own_headers(request, accepted), b"")
    if left:
        head = await _send(request, state, "POST", path, sent, parameters, kind, accepted)
        if head.status != 200:
            return _response(head, head.body)
        theirs = orjson.loads(head.body)
    by_number = dict(zip(left, theirs["responses"], strict=True))
    responses = [
        _one_of_many(one, outcome, by_number.get(number), state)
        for number, (one, outcome) in enumerate(zip(searches, outcomes, strict=True))
    ]
    return _response(head, _written({**theirs, "responses": responses}, parameters), {_HOW: _how(responses)})


def _pairs(raw: bytes) -> list[tuple[bytes, bytes]]:
    lines = raw.split(b"\n")
    if not lines[-1].strip():
        lines.pop()
    if not lines or len(lines) % 2:
        raise ServiceError(400, "parsing_exception", "_msearch takes pairs of lines: a header and a body.")
    if len(lines) > 2 * _MOST_SEARCHES:
        raise ServiceError(400, "illegal_argument_exception", f"{_MOST_SEARCHES} searches at once are the most.")
    return list(zip(lines[::2], lines[1::2], strict=True))


def _header(header: Mapping[str, Any], index: str | None) -> tuple[str, dict[str, str]]:
    """Return the index that a header of `_msearch` names, and its parameters. Raises ServiceError."""
    named = header.get("index", index)
    if isinstance(named, list):
        named = ",".join(map(str, named))
    if not isinstance(named, str) or not named:
        raise ServiceError(400, "illegal_argument_exception", "An index has to be named, in the path or in each header.")
    given = {name: value for name, value in header.items() if name != "index"}
    if given.keys() - PARAMETERS:
        raise ServiceError(400, "illegal_argument_exception", "A header has a parameter that isn't passed on.")
    return named, {name: _text(value) for name, value in given.items()}


def _text(value: Any) -> str:
    """Return a value of a header as a parameter of a URL has it."""
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _line(one: SearchRequest, pair: tuple[bytes, bytes]) -> bytes:
    return pair[0] + b"\n" + (pair[1] if one.is_plain else orjson.dumps(one.body)) + b"\n"


def _one_of_many(one: SearchRequest, outcome: _Outcome, response: dict[str, Any] | None, state: ServiceState) -> dict[str, Any]:
    """Return one of the responses of `_msearch`."""
    if outcome.refused is not None:
        return error_body(outcome.refused)
    if outcome.answer is not None:
        state.log_query(one.ubi, one.ext, outcome.answer.answer_id)
        return {**_personal(one, outcome.answer), "status": 200}
    if one.has_media:
        return error_body(_without_answer(outcome))
    assert response is not None
    if one.is_plain or "error" in response:
        return response
    try:
        return _neutral(one, outcome, response, state)
    except ServiceError as error:
        return error_body(error)


def _read(
    index: str,
    raw: bytes,
    parameters: Mapping[str, str],
    rules: BodyRules,
    request: Request,
    state: ServiceState,
    caller: Caller,
) -> SearchRequest:
    one = read_search(index, parse_json(raw), parameters, rules, caller)
    if one.query is not None and "authorization" not in request.headers and state.withholds_credentials:
        if one.has_media:
            raise ServiceError(401, "security_exception", "A picture or a sound finds nothing without Authorization.")
        return replace(one, query=None, reason="no Authorization came with it")
    return one


async def _rank(one: SearchRequest, request: Request, state: ServiceState, refused: ServiceError | None = None) -> _Outcome:
    """Have the flows of the Python client answer a personal search, unless it is refused."""
    if one.query is None or refused is not None:
        return _Outcome(refused=refused)
    headers = {name: value for name in _OF_THE_CALLER if (value := request.headers.get(name)) is not None}
    given = {name: value for name, value in one.parameters.items() if name not in _NOT_IN_FLOWS}
    try:
        return _Outcome(await state.rank(one.query, headers, given))
    except (RecsysError, TimeoutError, CircuitOpen) as error:
        return _Outcome(failure=error)


def _personal(one: SearchRequest, answer: Answer) -> dict[str, Any]:
    """Return the answer in Elasticsearch's shape."""
    response: dict[str, Any] = dict(answer.response or {})
    reason = answer.unranked or one.reason
    said: dict[str, Any] = {"personal": not reason, "query_id": answer.answer_id}
    if reason:
        said["passed_through"] = reason
    if answer.ranking.degraded:
        said["degraded"] = list(answer.ranking.degraded)
    if one.explains:
        hits = [
            {**theirs, "_es_recsys": {"item_id": hit.item_id, "parts": dict(hit.parts), "because": list(hit.because)}}
            for theirs, hit in zip(response["hits"]["hits"], answer.hits, strict=True)
        ]
        response["hits"] = {**response["hits"], "hits": hits}
    response["_es_recsys"] = said
    return _with_query_id(one, response, answer.answer_id)


def _neutral(one: SearchRequest, outcome: _Outcome, response: dict[str, Any], state: ServiceState) -> dict[str, Any]:
    """Return Elasticsearch's own answer with what is to be said about it.

    Raises ServiceError where it was not Elasticsearch that found something wrong with the search.
    """
    if isinstance(outcome.failure, InputError):
        raise from_recsys_error(outcome.failure) from outcome.failure
    if outcome.failure is not None:
        if not isinstance(outcome.failure, CircuitOpen):
            state.breaker.failed()
        state.metrics.fallbacks.inc()
        response = {**response, "_es_recsys": {"personal": False, "fallback": type(outcome.failure).__name__}}
    elif one.ext is not None:
        state.metrics.passed_through.inc()
        response = {**response, "_es_recsys": {"personal": False, "passed_through": one.reason}}
    query_id = str(uuid.uuid4())
    state.log_query(one.ubi, one.ext, query_id)
    return _with_query_id(one, response, query_id)


def _without_answer(outcome: _Outcome) -> ServiceError:
    """Return the error where a picture or a sound found nothing; their own answer would be one to something else."""
    if isinstance(outcome.failure, RecsysError):
        return from_recsys_error(outcome.failure)
    return ServiceError(503, "service_unavailable_exception", "The answer took too long. Try again later.")


def _with_query_id(one: SearchRequest, response: dict[str, Any], query_id: str) -> dict[str, Any]:
    """Return the response with the query's id where UBI is spoken."""
    return response if one.ubi is None else {**response, "ext": {"ubi": {"query_id": one.ubi.query_id or query_id}}}


def _how(responses: Sequence[Mapping[str, Any]]) -> str:
    """Return in a word what became of the searches."""
    said = [each.get("_es_recsys", {}) for each in responses]
    if any("fallback" in each for each in said):
        return "fallback"
    personal = [bool(each.get("personal")) for each in said]
    return "personal" if all(personal) else "mixed" if any(personal) else "passed-through"


async def _sent(request: Request, state: ServiceState) -> tuple[bytes, str | None, dict[str, str]]:
    """Return the body, its type, and the parameters of the URL. A body may stand in the URL, as `source`.

    Raises ServiceError for one that isn't JSON by its type: what can't be read here can't be checked.
    """
    parameters = _parameters(request)
    source, source_type = parameters.pop("source", None), parameters.pop("source_content_type", None)
    kind = request.headers.get("content-type")
    raw = await read_body(request, state.settings.service.max_body_kib << 10)
    if source is not None and raw:
        raise ServiceError(400, "illegal_argument_exception", "There is a body, and source in the URL. Send one of them.")
    if source is not None:
        raw, kind = source.encode(), source_type or "none"
    if raw and (kind or "application/json").split(";")[0].strip().lower() not in _JSON_TYPES:
        said = "source_content_type" if source is not None else "content-type"
        raise ServiceError(
            415, "media_type_header_exception", f"The body has to be JSON: {said} application/json, or application/x-ndjson."
        )
    return raw, kind, parameters


def _parameters(request: Request) -> dict[str, str]:
    found: dict[str, str] = dict(request.query_params)
    if found.keys() - PARAMETERS - {"source", "source_content_type"}:
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
    kind: str | None = None,
    accept: str | None = None,
) -> RawResponse:
    """Send a request on as the caller's. kind: of the body. accept: in place of what the caller does."""
    headers = {name: value for name in _FORWARDED if (value := request.headers.get(name)) is not None}
    headers = {**({} if "authorization" in headers else state.callers_credentials), **headers}
    if accept is not None:
        headers["accept"] = accept
        kind = kind or "application/json"
    if kind is not None:
        headers["content-type"] = kind
    target = path + (f"?{urlencode(parameters)}" if parameters else "")
    with state.metrics.stage("elasticsearch"):
        return await state.raw.send(method, target, headers, body, timeout_s=state.settings.search.timeout_s)


def _written(answer: Mapping[str, Any], parameters: Mapping[str, str]) -> bytes:
    """Return an answer as text, on lines of its own where `pretty` asks for that."""
    return orjson.dumps(answer, option=orjson.OPT_INDENT_2 if parameters.get("pretty", "false") != "false" else 0)


def _answer_type(request: Request) -> str:
    """Return the type of an answer that is written here. Raises ServiceError where the caller takes no JSON."""
    accepted = request.headers.get("accept", "*/*")
    if not any(kind in accepted.lower() for kind in _JSON_ANSWERS):
        raise ServiceError(
            406, "media_type_header_exception", "An answer with ext is JSON. Send the header accept: application/json"
        )
    found = _COMPATIBLE.search(accepted)
    return f"application/vnd.elasticsearch+json;compatible-with={found[1]}" if found else "application/json"


def _own_headers(request: Request, kind: str) -> dict[str, str]:
    """Return the headers that Elasticsearch gives an answer, for one that is written here."""
    named = request.headers.get("x-opaque-id")
    return {"x-elastic-product": "Elasticsearch", "content-type": kind, **({} if named is None else {"x-opaque-id": named})}


def _response(found: RawResponse, body: bytes, more: Mapping[str, str] | None = None) -> Response:
    headers = {name: value for name in _RETURNED if (value := found.headers.get(name)) is not None}
    return Response(body, found.status, {**headers, **(more or {})})
