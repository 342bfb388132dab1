"""Puts the service together: its routes, and what happens around each request."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

import orjson
import structlog
from fastapi import FastAPI, Path
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from es_recsys.errors import InputError, RecsysError
from es_recsys.service import elastic_protocol, openapi, rest_api
from es_recsys.service.access import Caller
from es_recsys.service.errors import ServiceError, error_body, from_recsys_error
from es_recsys.service.logs import describe_failure
from es_recsys.service.state import ServiceState
from es_recsys.settings import Settings

__all__ = ["make_app"]

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_WITH_A_SLASH = ("/_search/", "/_msearch/")  # which are the same to Elasticsearch
_Index = Annotated[str, Path(description="the adopted index")]


def make_app(settings: Settings) -> FastAPI:
    """Return the application of one store. Its connections are opened at its start and closed at its end."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.service = state = ServiceState(settings)
        try:
            await state.warm_up()
            yield
        finally:
            await state.close()

    app = FastAPI(title="es_recsys", lifespan=lifespan, redoc_url=None)
    _add_elastic_routes(app)
    _add_own_routes(app)
    app.add_middleware(_Surroundings)
    app.add_exception_handler(HTTPException, _unknown_path)
    if settings.service.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.service.allowed_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type", "x-api-key", "traceparent"],
            expose_headers=["x-es-recsys", "x-request-id"],
        )
    return app


def _add_elastic_routes(app: FastAPI) -> None:
    @app.head("/", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    async def info(request: Request) -> Response:
        _caller(request)
        return await elastic_protocol.info(request, _state(request))

    @app.get("/_msearch", include_in_schema=False)
    @app.post("/_msearch", tags=["Elasticsearch"], openapi_extra=openapi.MSEARCH)
    async def msearch(request: Request) -> Response:
        """Elasticsearch's _msearch, of adopted indices; `ext.es_recsys` in a body makes its answer personal."""
        return await elastic_protocol.msearch(request, _state(request), _caller(request))

    @app.get("/{index}/_msearch", include_in_schema=False)
    @app.post("/{index}/_msearch", tags=["Elasticsearch"], openapi_extra=openapi.MSEARCH)
    async def msearch_of(request: Request, index: _Index) -> Response:
        """Elasticsearch's _msearch of one adopted index."""
        return await elastic_protocol.msearch(request, _state(request), _caller(request), index)

    @app.get("/{index}/_search", include_in_schema=False)
    @app.post("/{index}/_search", tags=["Elasticsearch"], openapi_extra=openapi.SEARCH)
    async def search(request: Request, index: _Index) -> Response:
        """Elasticsearch's _search, of an adopted index; `ext.es_recsys` in the body makes the answer personal."""
        return await elastic_protocol.search(request, _state(request), _caller(request), index)


def _add_own_routes(app: FastAPI) -> None:
    @app.post("/api/v1/events", tags=["es_recsys"], openapi_extra=openapi.EVENTS)
    async def events(request: Request) -> Response:
        """Record events: one, a list, one a line; also UBI's."""
        return await rest_api.post_events(request, _state(request), _caller(request))

    @app.get("/api/v1/recommend/{user_id:path}", tags=["es_recsys"], openapi_extra=openapi.parameters(openapi.RECOMMEND))
    async def recommend(request: Request, user_id: Annotated[str, Path(description="the user")]) -> Response:
        """Recommend items to a user; with `repeat`, what they have bought and buy again."""
        return await rest_api.recommend(request, _state(request), _caller(request), user_id)

    @app.get(
        "/api/v1/bought-together/{item_id:path}",
        tags=["es_recsys"],
        openapi_extra=openapi.parameters(openapi.BOUGHT_TOGETHER),
    )
    async def bought_together(request: Request, item_id: Annotated[str, Path(description="the item")]) -> Response:
        """Find what is bought together with an item, or with any of several."""
        return await rest_api.bought_together(request, _state(request), _caller(request), item_id)

    @app.get("/health/live", tags=["operation"])
    async def live() -> dict[str, str]:
        """Tell that the process answers."""
        return {"status": "live"}

    @app.get("/health/ready", tags=["operation"])
    async def ready(request: Request) -> dict[str, str]:
        """Tell that Elasticsearch and the store answer; 503 where they don't."""
        try:
            await _state(request).ready()
        except RecsysError as error:
            request.state.failure = _described(error)
            reason = "Elasticsearch or the store doesn't answer. The service's log says why."
            raise ServiceError(503, "service_unavailable_exception", reason) from error
        return {"status": "ready"}

    @app.get("/metrics", tags=["operation"])
    async def metrics(request: Request) -> Response:
        """Return the counters for Prometheus."""
        _caller(request).check("admin")
        return Response(_state(request).metrics.text(), media_type=CONTENT_TYPE_LATEST)


def _state(request: Request) -> ServiceState:
    found: ServiceState = request.app.state.service
    return found


def _caller(request: Request) -> Caller:
    caller = _state(request).access.caller(request)
    request.state.key_id = caller.key_id
    return caller


class _Surroundings:
    """Answers errors in Elasticsearch's shape, and counts, times and logs each request.

    Plain ASGI, as a middleware of Starlette's own kind costs each request a task and two queues.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"].endswith(_WITH_A_SLASH):
            scope = {**scope, "path": scope["path"][:-1]}
        request, began = Request(scope, receive), _Began()

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                began.status, headers = message["status"], MutableHeaders(scope=message)
                began.how = headers.get("x-es-recsys")
                headers["x-request-id"] = request_id
                headers.setdefault("x-elastic-product", "Elasticsearch")  # or its clients refuse the paths of our own
            await send(message)

        request_id = _request_id(request)
        try:
            await self._app(scope, receive, answer)
        except Exception as error:
            if began.status:
                raise
            response, began.failure = _failed(error, request_id)
            await response(scope, receive, answer)
        finally:
            _count(request, request_id, began)


@dataclass(slots=True)
class _Began:
    """A request that is under way. status: 0 until its answer begins. failure: for the log."""

    started: float = field(default_factory=time.perf_counter)
    status: int = 0
    how: str | None = None
    failure: dict[str, str] = field(default_factory=dict)


def _failed(error: Exception, request_id: str) -> tuple[Response, dict[str, str]]:
    """Return the answer to a request that failed, and what the log is to tell."""
    if isinstance(error, ServiceError):
        return _error(error), {}
    if isinstance(error, ClientDisconnect):
        return _error(ServiceError(400, "parsing_exception", "The connection ended before the body did.")), {}
    if isinstance(error, RecsysError):
        return _error(from_recsys_error(error)), _described(error)
    reason = f"Something failed that should not. The log has it under {request_id}."
    return _error(ServiceError(500, "exception", reason)), describe_failure(error)


def _count(request: Request, request_id: str, began: _Began) -> None:
    seconds = time.perf_counter() - began.started
    failure = began.failure or getattr(request.state, "failure", {})
    route = getattr(request.scope.get("route"), "path", "unknown")
    metrics = _state(request).metrics
    metrics.requests.labels(route, str(began.status)).inc()
    metrics.seconds.labels(route).observe(seconds)
    log = structlog.get_logger("es_recsys.service")
    (log.error if failure.get("where") else log.info)(
        "request",
        method=request.method,
        route=route,
        status=began.status,
        ms=round(seconds * 1_000, 1),
        request_id=request_id,
        how=began.how,
        key_id=getattr(request.state, "key_id", "") or None,
        **failure,
    )


def _described(error: RecsysError) -> dict[str, str]:
    """Return an error of ours for the log. What somebody sent wrong is told to them alone."""
    found = {"error": type(error).__name__}
    return found if isinstance(error, InputError) else {**found, "reason": str(error)}


def _request_id(request: Request) -> str:
    """Return the trace's id where the caller has one, else a new id."""
    found = _TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    return found.group(1) if found else secrets.token_hex(16)


async def _unknown_path(request: Request, error: Any) -> Response:
    kind = "method_not_allowed_exception" if error.status_code == 405 else "resource_not_found_exception"
    reason = (
        "This path is not served: /{index}/_search, /_msearch, /api/v1/events, /api/v1/recommend/{user_id} and"
        " /api/v1/bought-together/{item_id} are."
    )
    return _error(ServiceError(error.status_code, kind, reason))


def _error(error: ServiceError) -> Response:
    return Response(orjson.dumps(error_body(error)), error.status, error.headers, media_type="application/json")
