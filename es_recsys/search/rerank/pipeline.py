"""The order in which the scored candidates are shown.

A learned ranking comes first, then diversity, then each interest gets its slots. What is left to chance comes last, within the
slots of each interest, and not beside diversity, which separates what is near in score on purpose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from es_recsys.search.candidates import CandidateTable, ScoredCandidates
from es_recsys.search.exploration import RERANK_DEPTH, ExploredOrder, explore
from es_recsys.search.interests import Interests, allocate_slots, nearest_interest
from es_recsys.search.request import RankingPolicy, Request, UserState
from es_recsys.search.rerank.diversity import diversify, labels_of, similarities
from es_recsys.search.rerank.learned_ranking import LearnedOrder
from es_recsys.search.retrievers import INTEREST
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
    if request.diversity > 0.0:
        pool = _diversified(request, scored, learned, pool, content_field)
    interest_of = _nearest_interest(user.interests, table, pool)
    if interest_of and user.interests is not None:
        pool = allocate_slots(pool, [interest_of[row] for row in pool], user.interests.shares, request.personalization)
    rows = [*pool, *rest]
    if policy.exploration is None or request.diversity > 0.0:
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


def _diversified(
    request: Request,
    scored: ScoredCandidates,
    learned: LearnedOrder,
    pool: Sequence[int],
    content_field: str | None,
) -> list[int]:
    vectors = [vector_of(scored.document(row), content_field) for row in pool]
    similarity = similarities(vectors, [labels_of(scored.source(row)) for row in pool])
    order = diversify([learned.scores[row] for row in pool], similarity, request.diversity)
    return [pool[rank] for rank in order]


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
