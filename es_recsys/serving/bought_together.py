"""What is bought together with items: the rules from any of them, best first."""

from __future__ import annotations

from collections.abc import Sequence

from es_recsys.errors import InputError
from es_recsys.query import Query
from es_recsys.serving.listed_items import ListedItems
from es_recsys.serving.operations import Flow
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.user_profiles import fetch_item_content, stored_content

__all__ = ["bought_together"]

_NAME = "bought_together"


def bought_together(snapshot: ServingSnapshot, query: Query) -> Flow[ListedItems]:
    """Return what is bought together with the items of a query, without them.

    Raises InputError for an item that the store lacks, and where no training has counted what is bought together.
    """
    if snapshot.association_rules is None:
        raise InputError(
            f"It is not counted yet what is bought together in {snapshot.metadata.store}.",
            "Load purchases, then run: es-recsys train.",
        )
    asked = query.bought_with or ()
    products = yield from _products(snapshot, asked)
    found = snapshot.association_rules.rules(products, relaxed=query.relaxed)
    return ListedItems(
        _NAME,
        {rule.item_id: rule.score for rule in found},
        {
            rule.item_id: {
                "count": rule.count,
                "support": rule.support,
                "confidence": rule.confidence,
                "lift": rule.lift,
            }
            for rule in found
        },
        {rule.item_id: (rule.antecedent,) for rule in found},
        frozenset((*asked, *products)),
    )


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
