"""The second request of a ranking: the scores that the first one left open, the fields that hits show, and counts.

scoring = build_scoring_request(request, user, policy, results)    # the bodies of one `_msearch`
scored = resolve_scores(policy, scoring, scoring.parse(responses))
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import History
from es_recsys.query import MAX_RESULTS, RETURNED_FIELDS
from es_recsys.search.bodies import count_body, scoring_body
from es_recsys.search.candidates import (
    CandidateTable,
    ScoredCandidates,
    build_candidates,
    reachable_rows,
    sorted_rows,
    vector_matches,
)
from es_recsys.search.facets import with_counts
from es_recsys.search.features import clause_queries, feature_fields, feature_request
from es_recsys.search.personal_ranking import personal_ranker
from es_recsys.search.products import best_of_each_product, id_filter, with_group_id
from es_recsys.search.query_dsl import NO_RESPONSE, Body, Response, hits_of, is_partial, item_id_of
from es_recsys.search.ranker import FeatureRequest
from es_recsys.search.request import RankingPolicy, Request, UserState
from es_recsys.search.retrieval_results import RetrievalResults
from es_recsys.search.retrievers import LEXICAL
from es_recsys.search.scales import scaled_scores
from es_recsys.search.suggest import suggestion_body
from es_recsys.vector_fields import VECTOR_FIELDS, is_encoder_field

__all__ = [
    "MissingScores",
    "ScoringRequest",
    "ScoringResponses",
    "build_scoring_request",
    "content_vector_field",
    "history_ids",
    "page_documents_body",
    "resolve_scores",
    "stored_documents",
    "vector_of",
    "with_documents",
]

_MAX_HISTORY_VECTORS = 50

# A document costs about 30 microseconds, a request a millisecond.
_MAX_DOCUMENTS = 40


@dataclass(frozen=True, slots=True)
class MissingScores:
    """Scores that a retriever lacks. column: of `table.retrievers`. item_ids: the candidates. body: asks for them."""

    column: int
    item_ids: tuple[str, ...]
    body: Body


@dataclass(frozen=True, slots=True)
class ScoringResponses:
    """Responses by what they answer; None for a body that was not sent."""

    missing_scores: tuple[Response, ...] = ()
    documents: Response | None = None
    history: Response | None = None
    count: Response | None = None
    suggestion: Response | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ScoringRequest:
    """What is still to be asked.

    rows: candidates that can reach the page, as rows of `table`. missing_scores: scores not known yet. documents: the candidates'
    fields, vectors in `content_field`, and the scores of lexical clauses that `features` names; None where their order doesn't
    need them, and nothing else is asked or they are many: then those of the page are read alone, afterwards. history: vectors
    of the user's own items, for explanations by content. count: how much matches a query, with facets; None where `total` is
    known. suggestion: what else may have been meant. No rows: only a suggestion may be asked for.
    """

    results: RetrievalResults
    table: CandidateTable
    rows: tuple[int, ...]
    features: FeatureRequest | None = None
    content_field: str | None = None
    missing_scores: tuple[MissingScores, ...] = field(default=())
    documents: Body | None = None
    history: Body | None = None
    count: Body | None = None
    suggestion: Body | None = None
    total: int | None = None

    @property
    def bodies(self) -> tuple[Body, ...]:
        single = (self.documents, self.history, self.count, self.suggestion)
        return (*(gap.body for gap in self.missing_scores), *(body for body in single if body is not None))

    def parse(self, responses: Sequence[Response]) -> ScoringResponses:
        """Assign the responses to `bodies`, in their order, to what they answer; one that is missing is an error."""
        following = iter(responses)
        missing_scores = tuple(next(following, NO_RESPONSE) for _ in self.missing_scores)
        single = (self.documents, self.history, self.count, self.suggestion)
        return ScoringResponses(missing_scores, *(None if body is None else next(following, NO_RESPONSE) for body in single))


def build_scoring_request(
    request: Request,
    user: UserState,
    policy: RankingPolicy,
    results: RetrievalResults,
    features: FeatureRequest | None = None,
    table: CandidateTable | None = None,
) -> ScoringRequest:
    """Return the searches of the second request.

    features: in place of those that the learned ranking and the log need. table: `build_candidates`, where it was called.
    """
    features = feature_request(request, user, policy) if features is None else features
    table = build_candidates(request, user, policy, results) if table is None else table
    personal = personal_ranker(request, user, policy, results)
    window = max(0 if features is None else features.window, 0 if personal is None else personal.window)
    rows = tuple(reachable_rows(request, user, policy, table, window).tolist())
    suggestion = None
    if results.text_finds_nothing:
        suggestion = suggestion_body(request.text, policy.text_matching)
    if not rows:
        return ScoringRequest(results, table, rows, features, suggestion=suggestion)
    content_field = content_vector_field(policy) if request.explain or request.diversity > 0.0 else None
    missing_scores = _missing_scores(policy, table, rows)
    history = _history_body(user, policy, content_field) if request.explain and content_field else None
    total = _known_total(request, policy, results)
    # Of a window the forward index has all that there is.
    is_stored = request.by_body and policy.forward is not None
    ordered_by_documents = (features is not None and not is_stored) or request.orders_by_content
    is_sent = bool(missing_scores) or (request.has_query and total is None) or history is not None
    early = ordered_by_documents or (is_sent and len(rows) <= _MAX_DOCUMENTS)
    ids = [table.item_ids[row] for row in rows]
    return ScoringRequest(
        results,
        table,
        rows,
        features,
        content_field,
        missing_scores=missing_scores,
        documents=_documents_body(request, policy, ids, content_field, features) if early else None,
        history=history,
        count=_count_body(request, policy, results, table) if request.has_query and total is None else None,
        suggestion=suggestion,
        total=total,
    )


def resolve_scores(policy: RankingPolicy, scoring: ScoringRequest, responses: ScoringResponses) -> ScoredCandidates:
    """Fill in what the second request found. What failed is named, and its scores count 0."""
    table = scoring.table
    answered = list(zip(scoring.missing_scores, responses.missing_scores, strict=True))
    failed = [table.retrievers[gap.column].retriever.name for gap, found in answered if "error" in found or is_partial(found)]
    table = _filled(table, answered)
    totals = table.totals()
    order = sorted_rows(table, scoring.rows, totals)
    if policy.collapse:
        order = best_of_each_product(order, table.products)
    scored = ScoredCandidates(table, totals.tolist(), order, {}, tuple(failed))
    return scored if scoring.documents is None else with_documents(scored, responses.documents or NO_RESPONSE)


def page_documents_body(scoring: ScoringRequest, scored: ScoredCandidates, rows: Sequence[int]) -> Body | None:
    """Return the body that fetches the documents of the rows of a page; None where they are there, or nothing is shown."""
    if scoring.documents is not None or not rows:
        return None
    return _fields_body([scored.table.item_ids[row] for row in rows], scoring.content_field)


def stored_documents(
    policy: RankingPolicy, scoring: ScoringRequest, scored: ScoredCandidates, rows: Sequence[int]
) -> ScoredCandidates | None:
    """Return the candidates with the documents of the rows of a page from the forward index.

    None where it lacks one, or has it as of another write than was found.
    """
    forward = policy.forward
    if forward is None or scoring.documents is not None or scoring.content_field is not None or not rows:
        return None
    ids = [scored.table.item_ids[row] for row in rows]
    there = forward.rows(ids)
    found = scoring.results.seq_no
    written = forward.seq_no(there).tolist()
    if (there < 0).any() or any(found.get(item_id, number) != number for item_id, number in zip(ids, written, strict=True)):
        return None
    documents = zip(ids, forward.documents(there), strict=True)
    return replace(scored, documents={item_id: {"_id": item_id, "_source": source} for item_id, source in documents})


def with_documents(scored: ScoredCandidates, response: Response) -> ScoredCandidates:
    """Return the candidates with the documents of a response; one that failed is named."""
    failed = ("sources",) if scored.order and ("error" in response or is_partial(response)) else ()
    documents = {item_id_of(hit): hit for hit in hits_of(response)}
    return replace(scored, documents=documents, failed=(*scored.failed, *failed))


def vector_of(document: Mapping[str, Any], field: str | None) -> NDArray[np.float32] | None:
    """Return the vector (d,) float32 of a hit in a field; None where it has none."""
    values = document.get("fields", {}).get(field)
    return None if not values else np.asarray(values, np.float32)


def content_vector_field(policy: RankingPolicy) -> str | None:
    """Return the vector field that tells best how similar two items are: text, pictures, sounds, then behaviour."""
    for name in (*filter(is_encoder_field, VECTOR_FIELDS), *policy.metadata.vectors):
        if name in policy.metadata.vectors:
            return name
    return None


def _missing_scores(policy: RankingPolicy, table: CandidateTable, rows: Sequence[int]) -> tuple[MissingScores, ...]:
    missing_scores: list[MissingScores] = []
    if not np.isnan(table.scores).any():
        return ()
    unknown = np.isnan(table.scores[list(rows)])
    for column in np.flatnonzero(unknown.any(axis=0)).tolist():
        missing = tuple(table.item_ids[rows[k]] for k in np.flatnonzero(unknown[:, column]).tolist())
        query = table.retrievers[column].query
        missing_scores.append(MissingScores(column, missing, scoring_body(query, missing, policy)))
    return tuple(missing_scores)


def _fields_body(item_ids: Sequence[str], content_field: str | None) -> Body:
    body: Body = {
        "size": len(item_ids),
        "_source": list(RETURNED_FIELDS),
        "track_total_hits": False,
        "query": {"constant_score": {"filter": {"ids": {"values": list(item_ids)}}}},
    }
    return {**body, "fields": [content_field]} if content_field else body


def _documents_body(
    request: Request,
    policy: RankingPolicy,
    item_ids: Sequence[str],
    content_field: str | None,
    features: FeatureRequest | None,
) -> Body:
    body = _fields_body(item_ids, content_field)
    if features is None:
        return body
    clauses = clause_queries(request, policy, features)
    ids = body["query"]["constant_score"]["filter"]
    query = {"bool": {"filter": [ids], "should": clauses}} if clauses else body["query"]
    return {**body, "_source": [*RETURNED_FIELDS, *feature_fields(policy, features)], "query": query}


def history_ids(history: History) -> tuple[str, ...]:
    """Return the ids of the newest items of a history, which explanations by content compare with."""
    return tuple(dict.fromkeys(reversed(history.item_ids)))[:_MAX_HISTORY_VECTORS]


def _history_body(user: UserState, policy: RankingPolicy, content_field: str) -> Body | None:
    ids = history_ids(user.history)
    if not ids:
        return None
    body = {**_fields_body(ids, content_field), "_source": False}
    if policy.metadata.variants is not None:
        body["query"] = {"constant_score": {"filter": id_filter(ids, has_variants=True)}}
        body["size"] = min(math.ceil(len(ids) * max(policy.metadata.variants, 1.0)), MAX_RESULTS)
    return with_group_id(body, has_variants=policy.has_variants)


def _known_total(request: Request, policy: RankingPolicy, results: RetrievalResults) -> int | None:
    """Return how much matches, None where that must be asked for."""
    if results.joined is None or request.facets or policy.collapse or LEXICAL in results.degraded:
        return results.total
    return results.joined.matches + len(vector_matches(request, policy, results))


def _count_body(request: Request, policy: RankingPolicy, results: RetrievalResults, table: CandidateTable) -> Body:
    by_text = any(each.retriever.name == LEXICAL for each in table.retrievers)
    body = count_body(request, policy, vector_matches(request, policy, results), by_text=by_text)
    return with_counts(body, request, policy)


def _filled(table: CandidateTable, answered: Sequence[tuple[MissingScores, Response]]) -> CandidateTable:
    if not np.isnan(table.scores).any():
        return table
    scores = table.scores.copy()
    row_of = {item_id: row for row, item_id in enumerate(table.item_ids)} if answered else {}
    for gap, response in answered:
        result = table.retrievers[gap.column]
        hits = hits_of(response)
        found = scaled_scores(result.retriever.scale, np.array([hit["_score"] for hit in hits], np.float64), result.best)
        scores[[row_of[item_id_of(hit)] for hit in hits], gap.column] = np.minimum(found, result.unseen_upper_bound)
    return replace(table, scores=np.nan_to_num(scores, nan=0.0))
