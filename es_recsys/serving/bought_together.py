"""What is bought together with items: association rules give the candidates and their order, the rest is as everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import Profile
from es_recsys.errors import InputError
from es_recsys.models.association_rules import AssociationRule
from es_recsys.query import Query, Ranking
from es_recsys.search.products import id_filter
from es_recsys.search.query_dsl import Clause
from es_recsys.search.request import RankingPolicy, Request, UserState
from es_recsys.search.retrievers import MAX_LIST_IDS
from es_recsys.serving.operations import Flow
from es_recsys.serving.requests import build_request
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.user_profiles import fetch_item_content, stored_content

__all__ = ["BOUGHT_TOGETHER", "bought_together_request", "for_bought_together", "with_rules"]

BOUGHT_TOGETHER = "bought_together"
"""Name of the part of a score that comes of the rules: all of it."""


def for_bought_together(policy: RankingPolicy) -> RankingPolicy:
    """Return the policy in which the rules alone decide."""
    weights = {"no_query": {BOUGHT_TOGETHER: 1.0}, "new_user": {}}
    return replace(policy, retriever_weights=weights, rankers={}, item_features=None)


def bought_together_request(
    snapshot: ServingSnapshot,
    policy: RankingPolicy,
    query: Query,
    profile: Profile | None,
    filters: Sequence[Clause],
    now: float,
) -> Flow[tuple[Request, UserState, dict[str, AssociationRule]]]:
    """Return the request, a user state of which the rules are all, and the rule of each product; no rule where nothing is known.

    Left out are the items themselves, and what the asking user dislikes. Raises InputError for an item that the store lacks, and
    where no training has counted what is bought together.
    """
    if snapshot.association_rules is None:
        raise InputError(
            f"It is not counted yet what is bought together in {snapshot.metadata.store}.",
            "Load purchases, then run: es-recsys train.",
        )
    asked = query.bought_with or ()
    products = yield from _products(snapshot, asked)
    found = snapshot.association_rules.rules(products, relaxed=query.relaxed)[:MAX_LIST_IDS]
    rules = {rule.item_id: rule for rule in found}
    disliked = profile.disliked if profile is not None else frozenset()
    exclude = frozenset(query.exclude) | frozenset(asked) | frozenset(products) | disliked
    plain = query.model_copy(update={"bought_with": None, "exclude": exclude, "personalization": 1.0, "calibration": 0.0})
    only = [*filters, id_filter(list(rules), has_variants=policy.has_variants)]
    request = build_request(plain, policy, None, {}, only, now)
    scored = [(item_id, rule.score) for item_id, rule in rules.items()]

    def score(item_ids: Sequence[str]) -> NDArray[np.float32]:
        return np.array([rules[one].score if one in rules else 0.0 for one in item_ids], np.float32)

    user = UserState(
        neighbours={BOUGHT_TOGETHER: scored},
        scorers={BOUGHT_TOGETHER: score},
        explainers={BOUGHT_TOGETHER: lambda item_id: (rules[item_id].antecedent,) if item_id in rules else ()},
    )
    return request, user, rules


def with_rules(ranking: Ranking, rules: dict[str, AssociationRule]) -> Ranking:
    """Return the hits with what each rule says, and the item that it is of as the reason."""
    hits = []
    for hit in ranking.hits:
        rule = rules.get(hit.product_id)
        if rule is not None:
            told = {"count": rule.count, "support": rule.support, "confidence": rule.confidence, "lift": rule.lift}
            hit = replace(hit, rule=told, because=(rule.antecedent,))
        hits.append(hit)
    return replace(ranking, hits=tuple(hits))


def _products(snapshot: ServingSnapshot, item_ids: Sequence[str]) -> Flow[list[str]]:
    """Return the products of items. Raises InputError for an item that the store lacks."""
    known = {item_id: stored for item_id in item_ids if (stored := stored_content(snapshot, item_id)) is not None}
    missing = tuple(item_id for item_id in item_ids if item_id not in known)
    if missing:
        known |= yield from fetch_item_content(snapshot, missing)
    for item_id in item_ids:
        if item_id not in known:
            raise InputError(f"There is no item {item_id!r} in {snapshot.metadata.store}.", "Give the id of a loaded item.")
    return list(dict.fromkeys(known[item_id].group_id or item_id for item_id in item_ids))
