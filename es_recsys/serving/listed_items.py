"""Answers whose candidates and order are a list that was counted: filters, exclusions, variants and pages are as everywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import Profile
from es_recsys.query import Query, Ranking
from es_recsys.search.products import id_filter
from es_recsys.search.query_dsl import Clause
from es_recsys.search.request import RankingPolicy, Request, UserState
from es_recsys.search.retrievers import MAX_LIST_IDS
from es_recsys.serving.operations import Flow
from es_recsys.serving.requests import build_request

__all__ = ["ListedItems", "Listing", "for_listed_items", "listed_request", "with_figures"]


@dataclass(frozen=True, slots=True)
class ListedItems:
    """A list of products. name: of the part that is all of a score. scores: product -> score > 0, best first.

    figures: product -> what a hit tells of it. because: product -> the items that it is there for. exclude: items that never
    appear.
    """

    name: str
    scores: Mapping[str, float]
    figures: Mapping[str, Mapping[str, float]]
    because: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    exclude: frozenset[str] = frozenset()


Listing = Callable[[Profile | None], Flow[ListedItems]]
"""Makes the list that alone decides, from the profile of the user, None where nothing is known."""


def for_listed_items(policy: RankingPolicy, listed: ListedItems) -> RankingPolicy:
    """Return the policy in which the list alone decides."""
    return policy.with_weights_alone({"no_query": {listed.name: 1.0}, "new_user": {}})


def listed_request(
    policy: RankingPolicy,
    query: Query,
    profile: Profile | None,
    listed: ListedItems,
    filters: Sequence[Clause],
    now: float,
) -> tuple[Request, UserState]:
    """Return the request, which leaves out what all of its kind do, and a user state of which the list is all."""
    scored = list(listed.scores.items())[:MAX_LIST_IDS]
    plain = query.model_copy(
        update={"exclude": frozenset(query.exclude) | listed.exclude, "personalization": 1.0, "calibration": 0.0}
    )
    only = [*filters, id_filter([item_id for item_id, _ in scored], has_variants=policy.has_variants)]
    request = build_request(plain, policy, profile, {}, only, now)

    def score(item_ids: Sequence[str]) -> NDArray[np.float32]:
        return np.array([listed.scores.get(one, 0.0) for one in item_ids], np.float32)

    user = UserState(
        neighbours={listed.name: scored},
        scorers={listed.name: score},
        explainers={listed.name: lambda item_id: listed.because.get(item_id, ())},
    )
    return request, user


def with_figures(ranking: Ranking, listed: ListedItems) -> Ranking:
    """Return the hits with what the list tells of each, and the items that it is there for."""
    hits = tuple(
        replace(hit, rule=listed.figures.get(hit.product_id, {}), because=listed.because.get(hit.product_id, ()))
        for hit in ranking.hits
    )
    return replace(ranking, hits=hits)
