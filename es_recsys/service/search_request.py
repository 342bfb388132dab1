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

__all__ = ["IN_THE_BODY", "SearchRequest", "hit_contents", "read_search"]

_FLAGS = frozenset({"explain", "version", "seq_no_primary_term"})
_SOURCE = frozenset({"_source", "_source_includes", "_source_excludes"})
IN_THE_BODY = frozenset({"from", "size", "docvalue_fields", "stored_fields"}) | _FLAGS | _SOURCE
"""Parameters of the URL that the query of a personal search has in its body."""


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
    asked = {name: value for name, value in rest.items() if name != "query" or "q" not in parameters}
    query = _query(index, {**asked, **page, **hit_contents(rest, parameters)}, ext, ubi)
    reason = _of_nobody(ext)
    unread = _unread(index, parameters)
    if ext.has_media and unread is not None:
        raise ServiceError(400, "illegal_argument_exception", f"A picture or a sound finds nothing here: {unread}.")
    reason = reason or unread
    return SearchRequest(rest, parameters, ext, ubi, query if reason is None or ext.has_media else None, reason)


def hit_contents(body: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return what the URL wants of hits, as a body says it: doc values beside the body's, all else in place of its own."""
    found: dict[str, Any] = {}
    given = body.get("docvalue_fields", [])
    if "docvalue_fields" in parameters and isinstance(given, list):
        found["docvalue_fields"] = [*given, *_names(parameters["docvalue_fields"])]
    if "stored_fields" in parameters:
        found["stored_fields"] = parameters["stored_fields"].split(",")
    for name in _FLAGS & parameters.keys():
        found[name] = {"": True, "true": True, "false": False}.get(parameters[name], parameters[name])
    if _SOURCE & parameters.keys():
        found["_source"] = _source(parameters)
    return found


def _source(parameters: Mapping[str, str]) -> bool | dict[str, list[str]]:
    named = parameters.get("_source", "true")
    if named == "false":
        return False
    lists = {"includes": parameters.get("_source_includes", "" if named == "true" else named)}
    lists["excludes"] = parameters.get("_source_excludes", "")
    return {name: _names(text) for name, text in lists.items() if text} or True


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


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
