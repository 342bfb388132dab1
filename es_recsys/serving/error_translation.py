"""What the errors of the Elasticsearch client mean for the user."""

from __future__ import annotations

from elasticsearch import ApiError, BadRequestError, NotFoundError, TransportError

from es_recsys.engine.connect import translate_error
from es_recsys.errors import IndexStateError, InputError, StoreNotFound

__all__ = ["explained", "gone"]


def gone(error: Exception) -> bool:
    """Whether an index that was asked is not there any more, as after a swap and a drop."""
    return isinstance(error, NotFoundError) and "index_not_found" in str(error.error)


def explained(error: Exception, address: str) -> Exception:
    """An error of the Elasticsearch client as one of ours, with a remedy; any other as it is."""
    if gone(error):
        if "-profiles-" in str(getattr(error, "body", "")):
            return IndexStateError(
                "The index of the users' profiles is gone.", "Make it anew of the stored events: es-recsys profiles build"
            )
        return StoreNotFound("The index that was asked does not exist.", "Load items into it first: es-recsys items load FILE.")
    if isinstance(error, BadRequestError):
        return InputError(
            f"Elasticsearch refused the request ({error.error}).", "Look at the values given, above all at filters."
        )
    if isinstance(error, ApiError | TransportError):
        return translate_error(error, address)
    return error
