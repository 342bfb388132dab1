"""The page of hits: what the second request found, reranked, cut, and explained.

order = order_page(request, user, policy, scoring, responses)
page = build_page(request, user, policy, order, response)    # to `order.documents`, where that is not None
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from es_recsys.query import RETURNED_FIELDS, Hit, Ranking
from es_recsys.search.candidates import ScoredCandidates
from es_recsys.search.explain import explain_hit, history_vectors
from es_recsys.search.exploration import ExploredOrder
from es_recsys.search.facets import parse_facets
from es_recsys.search.features import Column, base_features, extract_features, part_of
from es_recsys.search.personal_ranking import personal_ranker, search_features, titled
from es_recsys.search.query_dsl import NO_RESPONSE, Body, Response, hits_of, is_partial, item_id_of, total_of
from es_recsys.search.request import RankingPolicy, Request, UserState, ranker_of
from es_recsys.search.rerank.learned_ranking import LearnedOrder, apply_ranker
from es_recsys.search.rerank.pipeline import rerank
from es_recsys.search.retrieval_results import MATCHES
from es_recsys.search.retrievers import LEXICAL
from es_recsys.search.score import (
    ScoringRequest,
    ScoringResponses,
    page_documents_body,
    resolve_scores,
    stored_documents,
    vector_of,
    with_documents,
)
from es_recsys.search.suggest import parse_suggestion

__all__ = ["RANKING", "PageOrder", "build_page", "order_page", "window_features"]

RANKING = "ranking"
"""What `degraded` names where a learned ranking can't be used."""

# Parts of features that a hit has by what it was found with alone.
_OF_QUERY = frozenset({LEXICAL, "query", "sum"})


@dataclass(frozen=True, slots=True, eq=False)
class PageOrder:
    """The order of all candidates, and what a page of it is made from.

    rows: of the candidate table, those of the page, as they are shown. window, features: rows of the learned ranking's window and
    their features. documents: the body that fetches the documents of the page; None where they are there. failed: names of what
    failed so far.
    """

    scoring: ScoringRequest
    found: ScoringResponses
    scored: ScoredCandidates
    learned: LearnedOrder
    shown: ExploredOrder
    rows: Sequence[int]
    window: Sequence[int]
    features: Mapping[str, Column]
    documents: Body | None
    failed: tuple[str, ...]

    def missing(self, request: Request, response: Response | None) -> frozenset[str]:
        """Return the ids of the page that have no document, or one that may not be shown.

        They were deleted or written since the forward index was read. response: to `documents`, where that is not None. Where not
        all documents could be read, those that were not are not missing.
        """
        if self.documents is None:
            answered, documents = self.found.documents, self.scored.documents
        else:
            answered = response
            documents = {item_id_of(hit): hit for hit in hits_of(response or NO_RESPONSE)}
        complete = answered is not None and "error" not in answered and not is_partial(answered)
        ids = [self.scored.table.item_ids[row] for row in self.rows]
        gone = [item_id for item_id in ids if item_id not in documents] if complete else []
        there = (item_id for item_id in ids if item_id in documents)
        gone += [item_id for item_id in there if not request.may_show(documents[item_id].get("_source", {}))]
        return frozenset(gone)


def order_page(
    request: Request, user: UserState, policy: RankingPolicy, scoring: ScoringRequest, responses: Sequence[Response]
) -> PageOrder:
    """Return the order of the candidates from the responses to `scoring.bodies`.

    What failed is named: a body whose response is an error, whose scores count 0, and a learned ranking that lacks its features
    or can't be used, so that the weighted sum orders.
    """
    found = scoring.parse(responses)
    scored = resolve_scores(policy, scoring, found)
    stored_alone = policy.forward if request.by_body and scoring.documents is None else None
    if stored_alone is not None and scoring.features is not None:
        scored = scored.with_stored(stored_alone, _orderable(scored, scoring.features.window))
    window, features = window_features(request, user, policy, scoring, scored)
    ranker, unusable = ranker_of(request, user, policy)
    personal = personal_ranker(request, user, policy, scoring.results)
    if personal is None:
        learned = apply_ranker(ranker, request.personalization, scored, features)
    else:
        own = search_features(request, user, policy, scored, _orderable(scored, personal.window))
        learned = apply_ranker(personal, 1.0, scored, own, titled(own))
    lost = ranker is not None and bool(scored.order) and learned.ranker is None
    shown = rerank(request, user, policy, scored, learned, scoring.content_field)
    rows = shown.order[request.offset : request.end]
    stored = stored_documents(policy, scoring, scored, rows) if stored_alone is None else scored.with_stored(stored_alone, rows)
    is_read = stored is None or (stored_alone is not None and scoring.content_field is not None)
    documents = page_documents_body(scoring, scored, rows) if is_read else None
    scored = scored if stored is None else stored
    failed = (*((RANKING,) if unusable else ()), *scoring.results.degraded, *((RANKING,) if lost else ()))
    return PageOrder(scoring, found, scored, learned, shown, rows, window, features, documents, failed)


def build_page(
    request: Request, user: UserState, policy: RankingPolicy, order: PageOrder, documents: Response | None = None
) -> Ranking:
    """Return the page. documents: the response to `order.documents`. What failed is named in `degraded`."""
    scoring, page = order.scoring, order.rows
    scored = order.scored if order.documents is None else with_documents(order.scored, documents or NO_RESPONSE)
    rows, columns = order.window, order.features
    is_logged = policy.logs_answers and policy.logs_features
    if is_logged and scoring.features is None:
        rows, columns = page, _known_of(request, scored, page, base_features(request, user, policy, scored, page))
    logged = _known_features(columns, rows, page) if is_logged else {}
    history = history_vectors(order.found.history, scoring.content_field)
    hits = []
    for rank, (row, parts) in enumerate(zip(page, order.learned.parts(page), strict=True), start=request.offset):
        source = {name: value for name, value in scored.source(row).items() if name in RETURNED_FIELDS}
        hit = Hit(
            scored.table.item_ids[row],
            order.learned.scores[row],
            rank + 1,
            parts,
            title=str(source.get("title", "")),
            source=source,
            propensity=order.shown.propensities.get(rank, 1.0),
            inclusion_probability=order.shown.inclusion_probabilities.get(rank, 1.0),
            features=logged.get(row, {}),
        )
        if request.explain:
            hit = explain_hit(user, hit, vector_of(scored.document(row), scoring.content_field), history)
        hits.append(hit)
    total, facets, uncounted = _counts(scoring, order.found)
    suggestion = None if order.found.suggestion is None else parse_suggestion(request.text, order.found.suggestion)
    degraded = dict.fromkeys((*order.failed, *scored.failed, *uncounted))
    return Ranking(tuple(hits), total, tuple(degraded), facets, suggestion)


def window_features(
    request: Request, user: UserState, policy: RankingPolicy, scoring: ScoringRequest, scored: ScoredCandidates
) -> tuple[list[int], dict[str, Column]]:
    """Return the rows of the window, best first by weighted sum, and their features; none where none are requested."""
    if scoring.features is None or not (scored.documents or request.by_body):
        return [], {}
    rows = _orderable(scored, scoring.features.window)
    return rows, _known_of(request, scored, rows, extract_features(request, user, policy, scored, rows, scoring.features))


def _known_of(
    request: Request, scored: ScoredCandidates, rows: Sequence[int], columns: Mapping[str, Column]
) -> dict[str, Column]:
    """Return features (n,) of rows without those of a caller's hits that the store lacks, but for how they match the query."""
    unknown = [scored.table.item_ids[row] not in scored.documents for row in rows] if request.by_body else []
    if not any(unknown):
        return dict(columns)
    return {name: column if part_of(name) in _OF_QUERY else np.where(unknown, np.nan, column) for name, column in columns.items()}


def _orderable(scored: ScoredCandidates, window: int) -> list[int]:
    """Return the rows of the window, best first by weighted sum: neither found only deeper nor demoted."""
    table = scored.table
    return [row for row in scored.order if not (table.is_deep[row] or table.is_demoted(row))][:window]


def _known_features(columns: Mapping[str, Column], rows: Sequence[int], page: Sequence[int]) -> dict[int, dict[str, float]]:
    """Return row -> its known features, of the rows of the page. columns: features (n,) of `rows`."""
    position = {row: k for k, row in enumerate(rows)}
    there = [row for row in page if row in position]
    if not columns or not there:
        return {}
    values = np.column_stack(list(columns.values()))[[position[row] for row in there]]
    return {
        row: {name: value for name, value, known in zip(columns, line, finite, strict=True) if known}
        for row, line, finite in zip(there, values.tolist(), np.isfinite(values).tolist(), strict=True)
    }


def _counts(
    scoring: ScoringRequest, found: ScoringResponses
) -> tuple[int | None, Mapping[str, Mapping[str, int]], tuple[str, ...]]:
    """Return how much matches, its facets, and what `degraded` names where that is not known."""
    if found.count is None:
        # Nothing was asked, nothing was found, or the count is known.
        results = scoring.results
        total = results.total if scoring.total is None else scoring.total
        empty = total is None and not scoring.rows and not results.degraded
        return (0 if empty else total), results.facets, ()
    if "error" in found.count or is_partial(found.count):
        return None, {}, (MATCHES,)
    return total_of(found.count), parse_facets(found.count), ()
