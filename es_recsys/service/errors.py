"""Errors of the service, in the shape in which Elasticsearch's clients expect them."""

from __future__ import annotations

from typing import Any

from es_recsys.errors import EngineError, IndexStateError, InputError, RecsysError, StoreNotFound

__all__ = ["ServiceError", "error_body", "from_recsys_error"]


class ServiceError(Exception):
    """What the service answers in place of what was asked for.

    status: of HTTP. type: the word by which Elasticsearch's clients tell errors. reason: what failed and what to do, without a
    value that somebody sent.
    """

    def __init__(self, status: int, type: str, reason: str, headers: dict[str, str] | None = None) -> None:
        self.status, self.type, self.reason, self.headers = status, type, reason, headers or {}
        super().__init__(reason)


def error_body(error: ServiceError) -> dict[str, Any]:
    """Return the body of the answer."""
    cause = {"type": error.type, "reason": error.reason}
    return {"error": {"root_cause": [cause], **cause}, "status": error.status}


def from_recsys_error(error: RecsysError) -> ServiceError:
    """Return what an error of the package is for a caller of the service: no address, path or setting of ours."""
    if isinstance(error, InputError):
        return ServiceError(400, "illegal_argument_exception", str(error))
    if isinstance(error, StoreNotFound):
        return ServiceError(404, "index_not_found_exception", str(error))
    if isinstance(error, EngineError | IndexStateError):
        reason = "Elasticsearch or the store can't be used at the moment. The service's log says why."
        return ServiceError(503, "service_unavailable_exception", reason)
    return ServiceError(500, "exception", "Something is wrong with the service's set-up. Its log says what.")
