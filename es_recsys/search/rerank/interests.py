"""Slots of an answer for each interest of the user.

The order by score stays but for one rule: after each slot, an interest whose items have fewer of the slots so far than
`KEPT_SHARE` of its share (times personalization), rounded, is served next with its best item. Scores and parts stay as they
are; only the order among the first `RERANK_DEPTH` changes, the same for all pages.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from es_recsys.search.candidates import CandidateTable
from es_recsys.search.interests import Interests
from es_recsys.search.retrievers import INTEREST

__all__ = ["KEPT_SHARE", "allocate_slots", "nearest_interest"]

KEPT_SHARE = 0.7


def nearest_interest(interests: Interests | None, table: CandidateTable, rows: Sequence[int]) -> dict[int, int]:
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
    nearest = np.where(similarity.max(axis=1) > 0.0, similarity.argmax(axis=1), -1)
    return dict(zip(rows, nearest.tolist(), strict=True))


def allocate_slots(
    order: Sequence[int], interest_of: Sequence[int], shares: NDArray[np.float64], personalization: float = 1.0
) -> list[int]:
    """Return `order` with the interests' slots kept.

    order: rows, best first. interest_of: interest of each of them, -1 for none. shares: of each interest. personalization: 0
    (none are kept) to 1.
    """
    due = KEPT_SHARE * personalization * shares
    queues: list[list[int]] = [[] for _ in shares]
    for rank, interest in enumerate(interest_of):
        if interest >= 0:
            queues[interest].append(rank)
    taken, served = [False] * len(order), np.zeros(len(shares))
    heads = [0] * len(shares)
    found: list[int] = []
    first = 0
    while len(found) < len(order):
        owed = _owed_rank(queues, heads, served, due, len(found) + 1)
        if owed is None:
            while taken[first]:
                first += 1
        rank = first if owed is None else owed
        taken[rank] = True
        found.append(order[rank])
        interest = interest_of[rank]
        if interest >= 0:
            served[interest] += 1
            while heads[interest] < len(queues[interest]) and taken[queues[interest][heads[interest]]]:
                heads[interest] += 1
    return found


def _owed_rank(
    queues: Sequence[Sequence[int]], heads: Sequence[int], served: NDArray[np.float64], due: NDArray[np.float64], slots: int
) -> int | None:
    """Return the next rank of the interest that is furthest below its due, None where none is."""
    lacking = np.floor(due * slots + 0.5) - served
    for interest in np.argsort(-lacking, kind="stable").tolist():
        if lacking[interest] >= 1.0 and heads[interest] < len(queues[interest]):
            return int(queues[interest][heads[interest]])
    return None
