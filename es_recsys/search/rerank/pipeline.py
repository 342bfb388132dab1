"""The order in which the scored candidates are shown.

A learned ranking comes first, then the popularity dial and diversity, then each interest gets its slots, then calibration, then
the authors of a recommendation are arranged, each on the order before it. In a search that names one item neither popularity nor
calibration count. What is left to chance comes last, within the slots of each interest, and not beside a dial, which parts what
is near in score on purpose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from es_recsys.search.candidates import CandidateTable, ScoredCandidates
from es_recsys.search.exploration import RERANK_DEPTH, ExploredOrder, explore
from es_recsys.search.interests import Interests, allocate_slots, nearest_interest
from es_recsys.search.request import RankingPolicy, Request, UserState
from es_recsys.search.rerank.authors import arrange_authors
from es_recsys.search.rerank.calibration import calibrate
from es_recsys.search.rerank.diversity import diversify, labels_of, similarities
from es_recsys.search.rerank.learned_ranking import LearnedOrder
from es_recsys.search.rerank.popularity import popularity_shares, values_with_popularity
from es_recsys.search.retriever_weights import names_one_item
from es_recsys.search.retrievers import INTEREST, LEXICAL
from es_recsys.search.score import vector_of

__all__ = ["rerank"]


def rerank(
    request: Request,
    user: UserState,
    policy: RankingPolicy,
    scored: ScoredCandidates,
    learned: LearnedOrder,
    content_field: str | None,
) -> ExploredOrder:
    """Return rows of the candidate table as they are shown. content_field: vector field of `scored.documents`."""
    table = scored.table
    pool = [row for row in learned.order[:RERANK_DEPTH] if not (table.is_deep[row] or table.is_demoted(row))]
    rest = learned.order[len(pool) :]
    values = _relevance([learned.scores[row] for row in pool] if request.is_reordered else ())
    by_kind = request.is_reordered and not _names_one_item(request, policy, table)
    if request.popularity_dial != 0.0 and by_kind:
        pool, values = _with_popularity(request, policy, table, pool, values)
    if request.diversity > 0.0:
        pool = _diversified(request, scored, pool, values, content_field)
    interest_of = _nearest_interest(user.interests, table, pool)
    if interest_of and user.interests is not None:
        pool = allocate_slots(pool, [interest_of[row] for row in pool], user.interests.shares, request.personalization)
    if request.calibration > 0.0 and by_kind:
        pool = _calibrated(request, user, scored, pool, values)
    if request.arranges_authors and not request.has_query:
        pool = _with_authors_arranged(request, user, scored, pool)
    rows = [*pool, *rest]
    if policy.exploration is None or request.is_reordered:
        return ExploredOrder(rows)
    explored = explore(
        policy.exploration,
        [table.products[row] for row in rows],
        [learned.scores[row] for row in pool],
        request.offset,
        request.end,
        cold_start=[rank for rank, row in enumerate(rows) if table.is_cold_start[row]],
        groups=[interest_of[row] for row in pool] if interest_of else (),
    )
    return replace(explored, order=[rows[rank] for rank in explored.order])


def _relevance(scores: Sequence[float]) -> NDArray[np.float64]:
    """Return scores over the best one (n,)."""
    given = np.asarray(scores, np.float64)
    found: NDArray[np.float64] = given / max(float(np.abs(given).max(initial=0.0)), 1e-12)
    return found


def _with_popularity(
    request: Request, policy: RankingPolicy, table: CandidateTable, pool: Sequence[int], values: NDArray[np.float64]
) -> tuple[list[int], NDArray[np.float64]]:
    """Return the pool in the order of what each counts with its popularity, and that, best first."""
    popularity = popularity_shares([table.products[row] for row in pool], policy.popularity, policy.popularity_of)
    values = values_with_popularity(values, popularity, request.popularity_dial)
    order = np.argsort(-values, kind="stable")
    return [pool[rank] for rank in order.tolist()], values[order]


def _diversified(
    request: Request,
    scored: ScoredCandidates,
    pool: Sequence[int],
    values: NDArray[np.float64],
    content_field: str | None,
) -> list[int]:
    vectors = [vector_of(scored.document(row), content_field) for row in pool]
    similarity = similarities(vectors, [labels_of(scored.source(row)) for row in pool])
    return [pool[rank] for rank in diversify(values.tolist(), similarity, request.diversity)]


def _calibrated(
    request: Request, user: UserState, scored: ScoredCandidates, pool: Sequence[int], values: NDArray[np.float64]
) -> list[int]:
    """Return the pool with the categories of the history; each place has the value of the row that the order gives it."""
    categories = [scored.source(row).get("categories", ()) for row in pool]
    history = user.affinities.get("categories", {})
    order = calibrate(values.tolist(), categories, history, request.calibration, request.end)
    return [pool[rank] for rank in order]


def _with_authors_arranged(request: Request, user: UserState, scored: ScoredCandidates, pool: Sequence[int]) -> list[int]:
    authors = [scored.source(row).get("author") for row in pool]
    known = user.followed | user.affinities.get("author", {}).keys()
    order = arrange_authors(authors, known, request.n, request.max_per_author, request.new_authors)
    return [pool[rank] for rank in order]


def _names_one_item(request: Request, policy: RankingPolicy, table: CandidateTable) -> bool:
    """Return whether a search names one item, which then stays where it is."""
    words = next((each.scores for each in table.retrievers if each.retriever.name == LEXICAL), {}) if request.has_text else {}
    return bool(words) and names_one_item(list(words.values()), policy.settings.depth)


def _nearest_interest(interests: Interests | None, table: CandidateTable, rows: Sequence[int]) -> dict[int, int]:
    """Return row -> the interest that it is nearest to, -1 for none; empty where no slots are kept."""
    if interests is None:
        return {}
    columns = {each.retriever.name: column for column, each in enumerate(table.retrievers)}
    names = [f"{INTEREST}_{k + 1}" for k in range(len(interests))]
    if any(name not in columns for name in names):
        return {}
    own = [columns[name] for name in names]
    # Inner products are over their retriever's own best.
    similarity = table.scores[np.ix_(rows, own)] * [table.retrievers[column].best for column in own]
    return dict(zip(rows, nearest_interest(similarity), strict=True))
