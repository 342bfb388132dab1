"""Say in our errors what those of the Elasticsearch client mean to the user."""

from __future__ import annotations

from elasticsearch import ApiError, BadRequestError, NotFoundError, TransportError

from es_recsys.engine.connect import translate_error as translate_connection_error
from es_recsys.errors import IndexStateError, InputError, StoreNotFound

__all__ = ["is_index_missing", "translate_error"]


def is_index_missing(error: Exception) -> bool:
    """Return whether the index of a request is not there any more, as after a swap and a drop."""
    return isinstance(error, NotFoundError) and "index_not_found" in str(error.error)


def translate_error(error: Exception, address: str) -> Exception:
    """Return an error of the Elasticsearch client as one of ours, with a remedy; any other as it is.

    address: where Elasticsearch is, without credentials.
    """
    if is_index_missing(error):
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
        return translate_connection_error(error, address)
    return error
