"""One search as it was sent: what goes to Elasticsearch, and the query that the flows answer where it is personal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from es_recsys.errors import InputError
from es_recsys.query import Query
from es_recsys.service.access import Caller
from es_recsys.service.errors import ServiceError, from_recsys_error
from es_recsys.service.search_body import BodyRules, Extension, UbiExtension, check_body, media_bytes, take_extensions, whole

__all__ = ["SearchRequest", "read_search"]


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search.

    body: without what was meant for us. parameters: of the URL, or of a header of `_msearch`. query: None where
    Elasticsearch's own answer stands. reason: why the answer is of nobody in particular; None where it is personal.
    """

    body: Mapping[str, Any]
    parameters: Mapping[str, str]
    ext: Extension | None
    ubi: UbiExtension | None
    query: Query | None
    reason: str | None

    @property
    def is_plain(self) -> bool:
        """Whether the answer is Elasticsearch's byte for byte."""
        return self.ext is None and self.ubi is None

    @property
    def has_media(self) -> bool:
        """Whether a picture or a sound says what is near, so that there is no other answer than ours."""
        return self.ext is not None and self.ext.has_media

    @property
    def explains(self) -> bool:
        return self.query is not None and self.query.explain


def read_search(
    index: str, body: dict[str, Any], parameters: Mapping[str, str], rules: BodyRules, caller: Caller
) -> SearchRequest:
    """Read a search, and check it. body: as it came. Raises ServiceError."""
    page = {name: whole(parameters, name, 0) for name in ("from", "size") if name in parameters}
    check_body({**body, **page}, rules)
    rest, ext, ubi = take_extensions(body)
    if ext is None:
        return SearchRequest(rest, parameters, ext, ubi, None, None)
    caller.check_person(ext.user_id, ext.user_token, explain=bool(ext.explain))
    query = _query(index, {**rest, **page, **_fields(rest, parameters)}, ext, ubi)
    reason = _of_nobody(ext)
    unread = _unread(index, parameters)
    if ext.has_media and unread is not None:
        raise ServiceError(400, "illegal_argument_exception", f"A picture or a sound finds nothing here: {unread}.")
    reason = reason or unread
    return SearchRequest(rest, parameters, ext, ubi, query if reason is None or ext.has_media else None, reason)


def _fields(body: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of hits that the URL asks for, as a body does: beside its own doc values, in place of its stored ones."""
    found: dict[str, Any] = {}
    given = body.get("docvalue_fields", [])
    if "docvalue_fields" in parameters and isinstance(given, list):
        found["docvalue_fields"] = [*given, *filter(None, parameters["docvalue_fields"].split(","))]
    if "stored_fields" in parameters:
        found["stored_fields"] = parameters["stored_fields"].split(",")
    return found


def _query(index: str, body: Mapping[str, Any], ext: Extension, ubi: UbiExtension | None) -> Query:
    words = ext.words if ext.words is not None else ubi.user_query if ubi is not None else None
    try:
        return Query(
            text=words or "",
            image=media_bytes("image", ext.image),
            audio=media_bytes("audio", ext.audio),
            body=body,
            source_index=index,
            user_id=ext.user_id,
            session_id=ext.session_id,
            personalization=ext.personalization,
            diversity=ext.diversity,
            popularity=ext.popularity,
            calibration=ext.calibration,
            seen=ext.seen,
            exclude=ext.exclude_ids,
            explain=ext.explain,
        )
    except InputError as error:
        raise from_recsys_error(error) from error
    except ValueError:
        raise ServiceError(400, "illegal_argument_exception", "[ext.es_recsys] can't be read.") from None


def _of_nobody(ext: Extension) -> str | None:
    """Return why the answer is of nobody in particular."""
    if ext.user_id is None and ext.session_id is None and not ext.exclude_ids:
        return "it names no user_id and no session_id"
    if ext.personalization == 0 and not ext.exclude_ids:
        return "personalization is 0"
    return None


def _unread(index: str, parameters: Mapping[str, str]) -> str | None:
    """Return why the hits can't be ordered again, whatever is known of the person."""
    if "," in index:
        return "it is of several indices"
    if "filter_path" in parameters:
        return "filter_path leaves parts of the answer out"
    if "sort" in parameters:
        return "it is sorted by the URL"
    return None
