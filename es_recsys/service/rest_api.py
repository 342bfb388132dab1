"""The paths of our own: events in, recommendations out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from es_recsys.answer_methods import make_query
from es_recsys.service.access import Caller
from es_recsys.service.errors import ServiceError
from es_recsys.service.event_input import parse_events, read_posted_events
from es_recsys.service.request_body import read_body
from es_recsys.service.state import ServiceState
from es_recsys.types import Event

__all__ = ["post_events", "recommend"]

_NUMBERS = ("personalization", "diversity", "popularity", "calibration", "explore")
_LISTS = ("filter", "exclude")
_KNOWN = frozenset({"n", "offset", "explain", "session_id", *_NUMBERS, *_LISTS})


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
    if given.keys() - _KNOWN:
        raise ServiceError(400, "illegal_argument_exception", f"The URL may have: {', '.join(sorted(_KNOWN))}.")
    query = make_query(
        user_id=user_id,
        session_id=given.get("session_id"),
        n=_number(given.get("n", "10"), int, "n"),
        offset=_number(given.get("offset", "0"), int, "offset"),
        filter=tuple(given.getlist("filter")),
        exclude=tuple(given.getlist("exclude")),
        explain=given.get("explain", "false").lower() in ("", "1", "true"),
        **{name: _number(given[name], float, name) for name in _NUMBERS if name in given},
    )
    try:
        return _json((await state.answer(query)).to_dict())
    except TimeoutError:
        raise ServiceError(503, "service_unavailable_exception", "The answer took too long. Try again later.") from None


def _number(text: str, kind: Any, name: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise ServiceError(400, "illegal_argument_exception", f"[{name}] must be a number.") from None


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")
