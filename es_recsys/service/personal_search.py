"""Makes a search of an adopted index personal: its first hits are ranked by the flows of the Python client.

The query runs on its index as it is, for the first `window` hits. These are ranked for the person by the words of the query and
all that the store knows of them, and the page is cut from that. Aggregations, highlights and totals stay Elasticsearch's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from es_recsys.query import Answer, Query
from es_recsys.service.errors import ServiceError
from es_recsys.service.query_words import UnreadableQuery, query_words
from es_recsys.service.search_body import Extension, UbiExtension, whole

__all__ = ["PersonalSearch", "neutral_reason", "personal_page", "plan_search", "their_page"]


@dataclass(frozen=True, slots=True)
class PersonalSearch:
    """A search whose hits are to be ranked.

    body: in query DSL, for the whole window. id_field: field of the item id, `_id` or one that doc values are read from.
    first, count: the page. window: how many of the first hits are ranked.
    """

    body: Mapping[str, Any]
    words: str
    ext: Extension
    id_field: str
    first: int
    count: int
    window: int

    def query(self, ids: Sequence[str]) -> Query:
        """Return the query that ranks items for the person. Raises InputError for what `ext.es_recsys` says wrongly."""
        ext = self.ext
        return Query(
            text=self.words,
            ids=tuple(ids),
            n=len(ids),
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

    def item_id(self, hit: Mapping[str, Any]) -> str | None:
        """Return the item that a hit is of; None where it doesn't say."""
        if self.id_field == "_id":
            return str(hit["_id"])
        values = hit.get("fields", {}).get(self.id_field)
        return str(values[0]) if values else None

    def item_ids(self, response: Mapping[str, Any]) -> list[str]:
        """Return the items of the hits that are ranked, each once."""
        hits = response["hits"]["hits"][: self.window]
        return list(dict.fromkeys(found for hit in hits if (found := self.item_id(hit)) is not None))


def neutral_reason(ext: Extension | None) -> str | None:
    """Return why a search is nobody's; None where it is to be personal."""
    if ext is None:
        return "no ext.es_recsys"
    if ext.user_id is None and ext.session_id is None:
        return "no user_id and no session_id"
    if ext.personalization == 0 and not isinstance(ext.personalization, bool) and not ext.exclude_ids:
        return "personalization is 0"
    return None


def plan_search(
    body: Mapping[str, Any],
    parameters: Mapping[str, str],
    ext: Extension,
    ubi: UbiExtension | None,
    id_field: str,
    window: int,
) -> PersonalSearch | str:
    """Return how a search becomes personal, or why it is passed through as it is. Raises ServiceError.

    body: without our extensions, and with `size` and `from` of the URL in it.
    """
    first, count = whole(body, "from", 0), whole(body, "size", 10)
    reason = _obstacle(body, parameters)
    if reason is None and count == 0:
        reason = "no hits are wanted"
    if reason is None and first >= window:
        reason = f"the page lies beyond the first {window} hits"
    if reason is not None:
        return reason
    words = _words(body, parameters, ext, ubi)
    if words is None:
        return "the words of the query can't be read; name them in ext.es_recsys.words"
    wanted = {**body, "from": 0, "size": max(window, first + count)}
    if id_field != "_id":
        wanted["docvalue_fields"] = [*body.get("docvalue_fields", []), {"field": id_field}]
    return PersonalSearch(wanted, words, ext, id_field, first, count, window)


def _obstacle(body: Mapping[str, Any], parameters: Mapping[str, str]) -> str | None:
    for name in ("search_after", "rescore", "rank", "slice", "sub_searches"):
        if name in body:
            return f"{name} stands in the body"
    if "filter_path" in parameters:
        return "filter_path leaves parts of the answer out"
    sort = parameters.get("sort") or body.get("sort")
    if sort and not _by_score(sort):
        return "it is sorted by something else than the score"
    return None


def _by_score(sort: Any) -> bool:
    given = sort.split(",") if isinstance(sort, str) else sort if isinstance(sort, list) else [sort]
    first = given[0] if given else "_score"
    return first in ("_score", "_score:desc") or first in ({"_score": "desc"}, {"_score": {"order": "desc"}}, {"_score": {}})


def _words(body: Mapping[str, Any], parameters: Mapping[str, str], ext: Extension, ubi: UbiExtension | None) -> str | None:
    """Return the words that are searched for, "" for none; None where they can't be known."""
    if ext.words is not None:
        if not isinstance(ext.words, str):
            raise ServiceError(400, "illegal_argument_exception", "[ext.es_recsys.words] must be a text.")
        return ext.words
    if ubi is not None and ubi.user_query:
        return ubi.user_query
    if "q" in parameters:
        return parameters["q"] if parameters["q"].replace(" ", "").isalnum() else None
    try:
        words = query_words(_root_query(body))
    except UnreadableQuery:
        return None
    return None if not words and "knn" in body else words


def _root_query(body: Mapping[str, Any]) -> Any:
    retriever = body.get("retriever")
    if retriever is None:
        return body.get("query")
    standard = retriever.get("standard") if isinstance(retriever, Mapping) else None
    if not isinstance(standard, Mapping):
        raise UnreadableQuery
    return standard.get("query")


def their_page(search: PersonalSearch, response: dict[str, Any]) -> dict[str, Any]:
    """Return the page of Elasticsearch's own answer."""
    hits = response["hits"]["hits"][search.first : search.first + search.count]
    return {**response, "hits": {**response["hits"], "hits": [_without_id_field(search, hit) for hit in hits]}}


def personal_page(search: PersonalSearch, response: dict[str, Any], answer: Answer) -> dict[str, Any]:
    """Return the page of the ranked hits.

    A hit that the store doesn't know keeps its place and its score; one that the ranking leaves out (excluded, disliked) is left
    out.
    """
    theirs: list[dict[str, Any]] = response["hits"]["hits"]
    window, beyond = theirs[: search.window], theirs[search.window :]
    unknown = {*answer.unknown, None}
    by_id: dict[str, dict[str, Any]] = {}
    for hit in window:
        if (item_id := search.item_id(hit)) is not None:
            by_id.setdefault(item_id, hit)
    ranked = iter([_ranked_hit(by_id[hit.item_id], hit, bool(search.ext.explain)) for hit in answer.hits if hit.item_id in by_id])
    places = [hit if search.item_id(hit) in unknown else None for hit in window]
    ordered = [found for place in places if (found := place if place is not None else next(ranked, None)) is not None]
    page = [*ordered, *beyond][search.first : search.first + search.count]
    scores = [hit["_score"] for hit in page if isinstance(hit.get("_score"), int | float)]
    hits = {**response["hits"], "hits": [_without_id_field(search, hit) for hit in page]}
    if response["hits"].get("max_score") is not None:
        hits["max_score"] = max(scores, default=None)
    return {**response, "hits": hits}


def _ranked_hit(theirs: Mapping[str, Any], ranked: Any, explain: bool) -> dict[str, Any]:
    found = {**theirs, "_score": ranked.score}
    if "sort" in found:
        found["sort"] = [ranked.score, *found["sort"][1:]]
    if explain:
        found["_es_recsys"] = {
            "parts": dict(ranked.parts),
            "because": list(ranked.because),
            "elasticsearch_score": theirs.get("_score"),
        }
    return found


def _without_id_field(search: PersonalSearch, hit: dict[str, Any]) -> dict[str, Any]:
    """Take what we asked for only to know the item out of a hit again."""
    if search.id_field == "_id" or search.id_field not in hit.get("fields", {}) or _asked_for(search):
        return hit
    fields = {name: values for name, values in hit["fields"].items() if name != search.id_field}
    left = {name: value for name, value in hit.items() if name != "fields"}
    return {**left, "fields": fields} if fields else left


def _asked_for(search: PersonalSearch) -> bool:
    named = [*search.body["docvalue_fields"][:-1], *search.body.get("fields", [])]
    return any((each.get("field") if isinstance(each, Mapping) else each) == search.id_field for each in named)
