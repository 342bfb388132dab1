"""Answer a search body of the caller's on an index that the store has adopted, personally."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from elasticsearch import BadRequestError, NotFoundError

from es_recsys.errors import InputError
from es_recsys.index.stored_metadata import error_reason
from es_recsys.index_metadata import IndexMetadata, items_alias
from es_recsys.query import Hit, Query, Ranking
from es_recsys.search.body_window import (
    WINDOW,
    BodyPage,
    item_ids_of_body,
    ordered_response,
    page_of_body,
    policy_of_window,
    window_results,
    with_id_field,
    without_field,
)
from es_recsys.search.page import PageOrder, build_page, order_page
from es_recsys.search.query_dsl import Response, hits_of, is_partial
from es_recsys.search.request import RankingPolicy, Request, UserState
from es_recsys.search.rerank.learned_ranking import BASE as LEARNED_BASE
from es_recsys.search.rerank.learned_ranking import BELOW_WINDOW
from es_recsys.search.retrievers import LEXICAL
from es_recsys.search.score import build_scoring_request
from es_recsys.search.window_documents import WindowDocuments, window_documents
from es_recsys.serving.operations import Flow, GetAndSearch, MultiGet, MultiSearch, Search

__all__ = ["ADOPTED", "BASE", "BodyAnswer", "adopted_id_field", "adopted_indices", "on_behalf", "search_by_body"]

T = TypeVar("T")

ADOPTED = "adopted"
"""Note of a version: name of an index that its items come from -> where the item ids are in it."""

BASE = "query"
"""Part of a score by the caller's own query."""

# Parameters of a URL that say where documents are read; the others are about finding them.
_WHERE = frozenset(
    {
        "allow_no_indices",
        "allow_partial_search_results",
        "expand_wildcards",
        "ignore_throttled",
        "ignore_unavailable",
        "preference",
        "routing",
    }
)
# Sets further documents of one item apart, which keep their own score as those of items that the store doesn't know.
_AGAIN = "\n"


@dataclass(frozen=True, slots=True)
class BodyAnswer:
    """The answer to a body: our ranking of the page, Elasticsearch's response in its order, and why that is its own, if so."""

    ranking: Ranking
    response: Mapping[str, Any]
    unranked: str = ""


def adopted_indices(metadata: IndexMetadata) -> dict[str, str]:
    """Return each index that bodies may run on, and where the item ids are in it: the store's own items, and those adopted."""
    return {items_alias(metadata.store): "_id", **metadata.notes.get(ADOPTED, {})}


def on_behalf(flow: Flow[T], headers: Mapping[str, str], parameters: Mapping[str, str]) -> Flow[T]:
    """Run a flow whose search by a body goes out as somebody else's; all other operations stay the store's own.

    headers: with the credentials of whose it is, if there are any. parameters: of the URL.
    """
    try:
        operation = next(flow)
        while True:
            match operation:
                case Search():
                    operation = _sent_by(operation, headers, parameters)
                case GetAndSearch(_, Search() as search):
                    operation = replace(operation, search=_sent_by(search, headers, parameters))
            try:
                result = yield operation
            except Exception as error:
                operation = flow.throw(error)
            else:
                operation = flow.send(result)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def _sent_by(search: Search, headers: Mapping[str, str], parameters: Mapping[str, str]) -> Search:
    given = {name: parameters[name] for name in _WHERE & parameters.keys()} if search.documents else parameters
    return replace(search, headers=headers, parameters=given)


def adopted_id_field(metadata: IndexMetadata, index: str) -> str:
    """Return where the item ids are in an index that the store has adopted. Raises InputError for another."""
    adopted = adopted_indices(metadata)
    if index not in adopted:
        known = f"It has adopted {', '.join(names)}. " if (names := list(adopted)[1:]) else ""
        raise InputError(
            f"The store {metadata.store!r} has not adopted the index {index}.",
            f"{known}es-recsys items sync --from-index {index}",
        )
    return adopted[index]


def search_by_body(request: Request, user: UserState, policy: RankingPolicy, query: Query) -> Flow[BodyAnswer]:
    """Run the query's body on its index, and order the first hits again for the user.

    Where nothing is known of the user, or personalization is 0, the answer is exactly Elasticsearch's, unless something else is
    asked for; and so it is for a body whose order is its own. Raises InputError for an index that isn't adopted or there, and for
    a body that Elasticsearch refuses.
    """
    index, body = str(query.source_index), query.body or {}
    id_field = adopted_id_field(policy.metadata, index)
    page = page_of_body(body)
    if request.personalization <= 0.0:
        request = replace(request, exclude=query.exclude)
    asked = (query.diversity, query.popularity, query.calibration, query.explore, query.seen)
    if page.unranked or not (user.is_known or request.exclude or any(asked)):
        sent = with_id_field(body, id_field)
        response = yield from _search(Search(index, sent))
        found = BodyAnswer(_ranking_as_it_is(response, page, id_field), response, page.unranked)
        added = sent.get("docvalue_fields") != body.get("docvalue_fields")
        return replace(found, response=without_field(response, id_field)) if added else found
    window = window_documents(page.of_window(body), id_field, is_ours=index == items_alias(policy.metadata.store))
    return (yield from _ordered(request, user, policy_of_window(policy), page, index, window))


def _ordered(
    request: Request, user: UserState, policy: RankingPolicy, page: BodyPage, index: str, window: WindowDocuments
) -> Flow[BodyAnswer]:
    """Order the window by what is known of the user."""
    response = yield from _search(Search(index, window.search))
    hits = hits_of(response)
    ids = item_ids_of_body(hits, window.id_field)
    products = yield from _products(policy, ids)
    excluded = [bool({item_id, products.get(item_id, item_id)} & request.exclude) for item_id in ids]
    ranks: dict[str, int] = {}
    for rank, item_id in enumerate(ids[:WINDOW]):
        if item_id not in ranks:
            ranks[item_id] = rank
        elif not excluded[rank]:
            ranks[f"{item_id}{_AGAIN}{rank}"] = rank
    scores = {key: _score(hits[rank]) for key, rank in ranks.items()}
    request = replace(request, n=page.n, offset=page.offset)
    results = window_results(request, user, policy, scores, len(ids), products)
    scoring = build_scoring_request(request, user, policy, results)
    store = policy.metadata.index
    responses = (yield MultiSearch(store, scoring.bodies)) if scoring.bodies else []
    order = order_page(request, user, policy, scoring, responses)
    documents = None
    if order.documents is not None and (request.explain or (policy.logs_answers and policy.logs_features)):
        documents = (yield MultiSearch(store, (order.documents,)))[0]
    elif order.documents is not None:
        order = replace(order, documents=None)  # hits have theirs
    ranking = build_page(request, user, policy, order, documents)
    scale = results.weights[LEXICAL] / results.retrievers[0].best
    beyond = [
        (rank, scale * _score(hits[rank]))
        for rank in range(max(WINDOW, page.offset), min(len(hits), page.offset + page.n))
        if not excluded[rank]
    ]
    placed = [(ranks[hit.item_id], replace(_above_the_rest(hit, order), item_id=ids[ranks[hit.item_id]])) for hit in ranking.hits]
    start = page.offset + len(placed) + 1
    placed += [(rank, Hit(ids[rank], score, start + n, {LEXICAL: score})) for n, (rank, score) in enumerate(beyond)]
    learned = order.learned
    best = max(learned.scores.values()) - learned.offset if learned.scores else response["hits"].get("max_score")
    found = yield from _documents(index, window, [hits[rank] for rank, _ in placed])
    shown = [(hit, theirs) for (_, hit), theirs in zip(placed, found.hits, strict=True) if theirs is not None]
    answer = ordered_response(response, [{**theirs, "_score": hit.score} for hit, theirs in shown], best, found.took_ms)
    # That the store lacks a document is nothing to an answer that shows another's.
    degraded = (*(name for name in ranking.degraded if name != "sources"), *(("sources",) if found.is_partial else ()))
    own = tuple(_shown(hit, theirs) for hit, theirs in shown)
    return BodyAnswer(replace(ranking, hits=own, total=_total(response), degraded=degraded), answer)


@dataclass(frozen=True, slots=True)
class _Documents:
    """Hits with their documents, None for one that is gone meanwhile."""

    hits: Sequence[Mapping[str, Any] | None]
    took_ms: int = 0
    is_partial: bool = False


def _documents(index: str, window: WindowDocuments, hits: Sequence[Mapping[str, Any]]) -> Flow[_Documents]:
    """Read what the page shows of its hits."""
    if not hits or window.documents is None:
        return _Documents(window.merged(hits, None))
    response = yield from _search(Search(index, window.body_of(hits), documents=True))
    return _Documents(window.merged(hits, response), response.get("took", 0), is_partial(response))


def _above_the_rest(hit: Hit, order: PageOrder) -> Hit:
    """Return a hit with what a learned ranking says of it above all that it doesn't order, which keep the scores that they have.

    One that the store lacks is placed by its own score, which stays its only part.
    """
    learned = order.learned
    if learned.ranker is None:
        return hit
    row = bisect_left(order.scored.table.item_ids, hit.item_id)
    if row not in learned.position:
        parts = {name: part for name, part in hit.parts.items() if name != BELOW_WINDOW}
        return replace(hit, parts=parts, score=order.scored.totals[row])
    score = hit.score - learned.offset
    if hit.item_id not in order.scored.documents:
        return replace(hit, parts={LEXICAL: score}, score=score)
    parts = {**hit.parts, LEARNED_BASE: hit.parts.get(LEARNED_BASE, 0.0) - learned.offset}
    return replace(hit, parts=parts, score=score)


def _search(search: Search) -> Flow[Mapping[str, Any]]:
    try:
        response: Mapping[str, Any] = yield search
    except NotFoundError as error:
        raise InputError(
            f"There is no index {search.index} any more.", "Check the name, or sync the store from another."
        ) from error
    except InputError as error:
        cause = error.__cause__
        if not isinstance(cause, BadRequestError):
            raise
        raise InputError(f"Elasticsearch refused the body ({error_reason(cause)}).", "Mend it: it runs as it is.") from cause
    return response


def _products(policy: RankingPolicy, ids: list[str]) -> Flow[dict[str, str]]:
    """Return the products of the items that are variants."""
    if not policy.has_variants or not ids:
        return {}
    found = yield MultiGet(policy.metadata.index, tuple(ids), ("group_id",))
    return {item_id: source["group_id"] for item_id, source in found.items() if source.get("group_id")}


def _shown(hit: Hit, theirs: Mapping[str, Any]) -> Hit:
    """Return the hit as its own document has it."""
    source = theirs.get("_source", {})
    title = source.get("title")
    parts = {name: part for name, part in hit.parts.items() if name != LEXICAL}
    if LEXICAL in hit.parts:  # what a learned ranking reads of the query has that name, too
        parts = {BASE: parts.pop(BASE, 0.0) + hit.parts[LEXICAL], **parts}
    return replace(hit, parts=parts, source=source, title=title if isinstance(title, str) else hit.title)


def _score(hit: Mapping[str, Any]) -> float:
    return float(hit.get("_score") or 0.0)


def _ranking_as_it_is(response: Response, page: BodyPage, id_field: str) -> Ranking:
    hits = hits_of(response)
    ids = item_ids_of_body(hits, id_field)
    shown = []
    for rank, (item_id, hit) in enumerate(zip(ids, hits, strict=True), start=page.offset + 1):
        score = _score(hit)
        shown.append(_shown(Hit(item_id, score, rank, {LEXICAL: score} if score else {}), hit))
    return Ranking(tuple(shown), _total(response))


def _total(response: Response) -> int | None:
    total = response.get("hits", {}).get("total")
    return int(total["value"]) if isinstance(total, Mapping) else total
