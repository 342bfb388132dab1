"""What is bought together with items: the rules from any of them, best first."""

from __future__ import annotations

from es_recsys.errors import InputError
from es_recsys.query import Query
from es_recsys.serving.listed_items import ListedItems
from es_recsys.serving.operations import Flow
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.user_profiles import named_items

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
    known = yield from named_items(snapshot, asked)
    products = list(dict.fromkeys(known[item_id].group_id or item_id for item_id in asked))
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
