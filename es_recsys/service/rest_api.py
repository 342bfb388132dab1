"""The paths of our own: events in, recommendations and what is bought together out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from es_recsys.answer_methods import make_query
from es_recsys.service.access import Caller
from es_recsys.service.errors import ServiceError
from es_recsys.service.event_input import parse_events, read_posted_events
from es_recsys.service.openapi import BOUGHT_TOGETHER, RECOMMEND, Described
from es_recsys.service.request_body import read_body
from es_recsys.service.state import ServiceState
from es_recsys.types import Event

__all__ = ["bought_together", "post_events", "recommend"]

_NUMBERS = [name for name, (_, schema) in RECOMMEND.items() if schema["type"] == "number"]


async def post_events(request: Request, state: ServiceState, caller: Caller) -> Response:
    """Record events; the very next answer shows them."""
    if not caller.is_public:
        caller.check("write")
    rows = parse_events(await read_body(request, state.settings.service.max_body_kib << 10))
    events, rejected = read_posted_events(rows)
    for event, token in zip(events, _tokens(rows, events), strict=True):
        caller.check_person(event.user_id, token)
    if not events and rejected.count:
        first = rejected.first[0]
        reason = f"No event can be used. Event {first.line}, {first.field}: {first.reason}."
        raise ServiceError(400, "illegal_argument_exception", reason)
    report = await state.client.put_events(events)
    for outcome in ("added", "duplicates", "refused"):
        state.metrics.events.labels(outcome).inc(getattr(report, outcome))
    return _json(
        {
            "added": report.added,
            "duplicates": report.duplicates,
            "refused": report.refused,
            "clamped": report.clamped,
            "quarantined": dict(report.quarantined),
            "rejected": [{"event": row.line, "field": row.field, "reason": row.reason} for row in rejected.first],
            "rejected_count": rejected.count,
            "skipped": dict(rejected.skipped),
        }
    )


def _tokens(rows: Sequence[dict[str, Any]], events: Sequence[Event]) -> list[Any]:
    """Return the token that was sent for the user of each event, with any of them."""
    by_user = {str(row.get("user_id")): token for row in rows if (token := row.get("user_token")) is not None}
    return [by_user.get(str(event.user_id)) for event in events]


async def recommend(request: Request, state: ServiceState, caller: Caller, user_id: str) -> Response:
    """Recommend items to a user."""
    caller.check("read")
    given = request.query_params
    numbers = {name: _number(given[name], float, name) for name in _NUMBERS if name in given}
    own = {"user_id": user_id, "session_id": given.get("session_id"), "repeat": _flag(given, "repeat"), **numbers}
    return await _answered(state, own, given, RECOMMEND)


async def bought_together(request: Request, state: ServiceState, caller: Caller, item_id: str) -> Response:
    """Find what is bought together with an item, or with any of several."""
    caller.check("read")
    given = request.query_params
    own = {"bought_with": (item_id, *given.getlist("also")), "user_id": given.get("user_id"), "relaxed": _flag(given, "relaxed")}
    return await _answered(state, own, given, BOUGHT_TOGETHER)


async def _answered(state: ServiceState, own: dict[str, Any], given: QueryParams, known: Described) -> Response:
    """Return the answer to a query with the page that the URL asks for. known: what the URL may have."""
    if not given.keys() <= known.keys():
        raise ServiceError(400, "illegal_argument_exception", f"The URL may have: {', '.join(sorted(known))}.")
    query = make_query(
        n=_number(given.get("n", "10"), int, "n"),
        offset=_number(given.get("offset", "0"), int, "offset"),
        filter=tuple(given.getlist("filter")),
        exclude=tuple(given.getlist("exclude")),
        explain=_flag(given, "explain"),
        **own,
    )
    try:
        return _json((await state.answer(query)).to_dict())
    except TimeoutError:
        raise ServiceError(503, "service_unavailable_exception", "The answer took too long. Try again later.") from None


def _flag(given: QueryParams, name: str) -> bool:
    return given.get(name, "false").lower() in ("", "1", "true")


def _number(text: str, kind: Any, name: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise ServiceError(400, "illegal_argument_exception", f"[{name}] must be a number.") from None


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")
