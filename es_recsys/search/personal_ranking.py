"""Learned order of personal searches.

A sum can't say that a taste counts less where the words stand in the title, or that the nearest neighbour of what was seen last
is worth more than its share. A forest (LambdaMART, trained by `training.personal_ranking` on the searches that weights are chosen
on) orders the best WINDOW candidates where
- something is known of the user,
- the weights of the search's kind were chosen by what people did (see `retriever_weights`), and
- the words don't name one item.
Its features are known by then or in the forward index, so it needs no request. What is asked for by its whole title stays before
the others, whatever the forest says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from es_recsys.search.candidates import ScoredCandidates
from es_recsys.search.features import Column, light_features
from es_recsys.search.ranker import Ranker
from es_recsys.search.request import RankingPolicy, Request, UserState
from es_recsys.search.retrieval_results import RetrievalResults
from es_recsys.search.retriever_weights import SEARCH_KINDS

__all__ = ["PERSONAL_KINDS", "PERSONAL_SEARCH", "WINDOW", "personal_ranker", "search_features", "titled"]

PERSONAL_SEARCH = "personal_search"
"""Name of the ranking among those of a store."""

PERSONAL_KINDS = tuple(kind for kind in SEARCH_KINDS if kind != "query_item")
"""Kinds of searches that it orders."""

WINDOW = 30
"""How many of the best candidates it orders."""


def personal_ranker(request: Request, user: UserState, policy: RankingPolicy, results: RetrievalResults) -> Ranker | None:
    """Return the ranking that orders a search; None where the weighted sum does, or another learned ranking."""
    if (
        results.table not in PERSONAL_KINDS
        or policy.forward is None
        or "query" in policy.rankers
        or policy.settings.fusion != "weighted"
    ):
        return None
    known = request.personalization > 0.0 and user.strength > 0.0
    return policy.rankers.get(PERSONAL_SEARCH) if known else None


def titled(columns: Mapping[str, NDArray[np.floating]]) -> NDArray[np.bool_] | None:
    """Return which candidates (n,) have the words of the search as their whole title, by their features; None for no words."""
    equal = columns.get("title/equal")
    return None if equal is None else equal == 1.0


def search_features(
    request: Request, user: UserState, policy: RankingPolicy, scored: ScoredCandidates, rows: Sequence[int]
) -> dict[str, Column]:
    """Return the features (n,) of the best candidates, rows of the candidate table.

    Those of `light_features`, and each retriever's score over the best of these. Ranks are left out: which retriever is asked for
    its items differs from search to search.
    """
    assert policy.forward is not None
    light = light_features(request, user, policy, scored.with_stored(policy.forward, rows), rows)
    found = {name: column for name, column in light.items() if not name.endswith("/rank")}
    scores = scored.table.scores[list(rows)]
    best = np.maximum(scores.max(axis=0, initial=0.0), 1e-9)
    names = [each.retriever.name for each in scored.table.retrievers]
    return found | {f"{name}/relative": scores[:, column] / best[column] for column, name in enumerate(names)}
