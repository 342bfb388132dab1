"""Baskets out of stored purchases: what was bought in one order, and what within a month."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from es_recsys.events.records import StoredEvent
from es_recsys.index_metadata import IndexMetadata
from es_recsys.item_ids import ItemIds
from es_recsys.models.association_rules import MAX_BASKET, AssociationRules, Transactions
from es_recsys.models.repeat_purchases import RepeatPurchases
from es_recsys.serving.product_groups import fetch_item_groups
from es_recsys.serving.snapshot_cache import association_rules_folder, repeat_purchases_folder
from es_recsys.serving.workspace import Workspace

__all__ = ["WINDOW_DAYS", "association_rules", "repeat_purchases", "store_purchase_counts"]

WINDOW_DAYS = 30.0
"""How far apart two purchases of one user may be in a relaxed basket."""

_DAY_S = 86_400.0


@dataclass(slots=True)
class _Basket:
    time: float
    items: set[int] = field(default_factory=set)


def store_purchase_counts(work: Workspace, metadata: IndexMetadata) -> AssociationRules:
    """Count what is bought together, and what again, in the store's purchases, and store both as artefacts."""
    groups = fetch_item_groups(work, metadata)
    rules = association_rules(work.events.scan(event_type="purchase"), groups, timed=work.events.timed)
    rules.save(association_rules_folder(work.settings))
    if work.events.timed:
        repeat_purchases(work.events.scan(event_type="purchase"), groups).save(repeat_purchases_folder(work.settings))
    work.snapshots.invalidate()
    return rules


def repeat_purchases(events: Iterable[StoredEvent], groups: Mapping[str, str]) -> RepeatPurchases:
    """Return what is bought again. groups: item_id -> group_id: products are counted."""
    return RepeatPurchases.count(
        (event.user_id, groups.get(event.item_id, event.item_id), event.time / _DAY_S)
        for event in events
        if event.quarantine is None and event.item_id is not None and event.user_id is not None
    )


def association_rules(events: Iterable[StoredEvent], groups: Mapping[str, str], *, timed: bool) -> AssociationRules:
    """Return the rules of purchases.

    A strict basket is an order: what one user bought under one order number (the `event_id` of an order's lines is
    `order:item`), else in one session, else on one day (UTC). A relaxed one is all that the user bought within WINDOW_DAYS from
    an order on (windows as in Mannila, Toivonen and Verkamo 1997, "Discovery of frequent episodes in event sequences"); without
    times all that they bought. groups: item_id -> group_id: products are counted. Events that cleaning set aside are not.
    """
    codes: dict[str, int] = {}
    users: dict[str, dict[str, _Basket]] = defaultdict(dict)
    for event in events:
        if event.quarantine is not None or event.item_id is None:
            continue
        item = codes.setdefault(groups.get(event.item_id, event.item_id), len(codes))
        actor = event.user_id if event.user_id is not None else f"\0{event.session_id}"
        basket = users[actor].setdefault(_order(event, timed), _Basket(event.time))
        basket.time = min(basket.time, event.time)
        basket.items.add(item)
    names = sorted(codes)
    place = np.zeros(len(codes), np.int64)
    place[[codes[name] for name in names]] = np.arange(len(names))
    strict = [basket.items for own in users.values() for basket in own.values()]
    relaxed = [items for own in users.values() for items in _windows(own.values(), timed)]
    ids = ItemIds.of(names)
    return AssociationRules.count(
        ids, {"strict": _transactions(ids, strict, place), "relaxed": _transactions(ids, relaxed, place)}
    )


def _order(event: StoredEvent, timed: bool) -> str:
    ending = f":{event.item_id}"
    if event.event_id is not None and event.event_id.endswith(ending) and len(event.event_id) > len(ending):
        return f"order {event.event_id.removesuffix(ending)}"
    if event.session_id is not None:
        return f"session {event.session_id}"
    return f"day {event.time // _DAY_S:.0f}" if timed else ""


def _windows(baskets: Iterable[_Basket], timed: bool) -> Iterable[set[int]]:
    """Yield what was bought from each basket of one user on within the window."""
    ordered = sorted(baskets, key=lambda basket: basket.time)
    if not timed:
        yield set[int]().union(*(basket.items for basket in ordered))
        return
    times = [basket.time for basket in ordered]
    for begin, basket in enumerate(ordered):
        end = bisect_right(times, basket.time + WINDOW_DAYS * _DAY_S)
        yield set[int]().union(*(one.items for one in ordered[begin:end]))


def _transactions(ids: ItemIds, baskets: Iterable[set[int]], place: np.ndarray) -> Transactions:
    usable = [basket for basket in baskets if len(basket) <= MAX_BASKET]
    numbers = np.repeat(np.arange(len(usable)), [len(basket) for basket in usable]) if usable else np.zeros(0, np.int64)
    items = np.array([item for basket in usable for item in sorted(basket)], np.int64)
    return Transactions(ids, numbers.astype(np.int64), place[items] if len(items) else items, len(usable))
