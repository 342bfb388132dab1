"""Impressions: what was shown to whom, what of it was clicked, and how well a ranking of it has the clicked items first.

Metrics are those of MIND (Wu et al. 2020, "MIND: a large-scale dataset for news recommendation"), each a mean over impressions:

AUC      share of (clicked, not clicked) pairs in which the clicked item is ranked higher, ties half
MRR      mean of 1 / rank over the clicked items
NDCG@n   NDCG of the first n ranks, a clicked item being 1
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import Interactions
from es_recsys.errors import InputError
from es_recsys.evaluation.metrics import dcg, ideal_dcg
from es_recsys.evaluation.queries import EvalQuery, EvalSplit, EventRule, history_of, query_of, seen_items
from es_recsys.evaluation.searches import WITHIN_S, event_actor
from es_recsys.event_types import EVENT_TYPES
from es_recsys.events.records import UNKNOWN_ITEM, StoredEvent
from es_recsys.models.types import take
from es_recsys.query import MAX_RESULTS

__all__ = ["IMPRESSION_METRICS", "ShownItems", "impression_metrics", "impression_split", "shown_items"]

IMPRESSION_METRICS = ("AUC", "MRR", "NDCG@5", "NDCG@10")

_HELD_OUT = 0.2


@dataclass(slots=True)
class ShownItems:
    """One impression. items: in the order in which they were shown; clicked: those of them that something was done with."""

    actor: str
    time: float
    items: list[str] = field(default_factory=list)
    clicked: set[str] = field(default_factory=set)

    @property
    def tells(self) -> bool:
        """Whether something was clicked, and something not: else no order is better than another."""
        return 0 < len(self.clicked) < len(self.items) <= MAX_RESULTS


def shown_items(events: Iterable[StoredEvent], targets: Collection[str] = ()) -> list[ShownItems]:
    """Return the impressions of the events, by time.

    What one answer showed is one impression (query_id, recommendation_id); without such an id, what a user was shown at one
    moment. Clicked is what has an event that echoes the answer; without an id, one within half an hour after. targets: event
    types that count, all that speak for an item unless named.
    """
    wanted = set(targets) or {name for name, row in EVENT_TYPES.items() if row.is_opinion and row.sign > 0}
    found: dict[tuple[str, str | float], ShownItems] = {}
    unnamed: dict[tuple[str, str], list[ShownItems]] = {}
    usable = [event for event in events if event.item_id is not None and event.quarantine in (None, UNKNOWN_ITEM)]
    usable.sort(key=lambda event: (event.time, event.position or 0, event.row))
    for event in usable:
        if EVENT_TYPES[event.event_type].shown:
            actor, item_id, answer = event_actor(event), str(event.item_id), event.query_id or event.recommendation_id
            impression = found.setdefault((actor, answer or event.time), ShownItems(actor, event.time))
            if item_id not in impression.items:
                impression.items.append(item_id)
                if answer is None:
                    unnamed.setdefault((actor, item_id), []).append(impression)
    for event in usable:
        if event.event_type in wanted:
            actor, item_id, answer = event_actor(event), str(event.item_id), event.query_id or event.recommendation_id
            if answer is not None:
                one = found.get((actor, answer))
            else:
                one = _shown_before(unnamed.get((actor, item_id), ()), event.time)
            if one is not None and item_id in one.items:
                one.clicked.add(item_id)
    return sorted(found.values(), key=lambda one: (one.time, one.actor))


def _shown_before(impressions: Sequence[ShownItems], time: float) -> ShownItems | None:
    """Return the last of the impressions, which are by time, that is at most half an hour before."""
    at = bisect_right(impressions, time, key=lambda one: one.time)
    return impressions[at - 1] if at and time - impressions[at - 1].time <= WITHIN_S else None


def impression_split(
    data: Interactions, events: Iterable[StoredEvent], rng: np.random.Generator, queries: int, targets: Collection[str] = ()
) -> EvalSplit:
    """Return at most `queries` of the last fifth of the impressions, drawn by `rng`: who is to have these items ranked, and when.

    Everything of everybody from the first of that fifth on is held out, so that a user's history is what it was before. Raises
    InputError where no impression has something that was clicked and something that wasn't, or where there are no times.
    """
    telling = [one for one in shown_items(events, targets) if one.tells]
    if not telling:
        raise InputError(
            "There is no impression of which something was clicked, and something not.",
            "Load what was shown as events `impression`, and clicks with the same recommendation_id or query_id.",
        )
    if not data.timed:
        raise InputError("The events have no times, so no impression comes after others.", "Load events with times.")
    moment = telling[min(int(len(telling) * (1.0 - _HELD_OUT)), len(telling) - 1)].time
    train = take(data, data.times < moment) if len(data.users) else data
    held = [one for one in telling if one.time >= moment]
    chosen = [held[i] for i in np.sort(rng.permutation(len(held))[:queries])]
    kind = "the last fifth of the impressions"
    return EvalSplit(kind, train, tuple(_query(train, one, moment) for one in chosen), EventRule(moment=moment))


def _query(train: Interactions, one: ShownItems, moment: float) -> EvalQuery:
    user = int(np.searchsorted(train.user_ids, one.actor))
    rows = np.zeros(0, np.int64)
    if user < len(train.user_ids) and train.user_ids[user] == one.actor:
        rows = np.arange(*np.searchsorted(train.users, [user, user + 1]))
    query = query_of(one.actor).model_copy(update={"ids": tuple(one.items), "n": len(one.items)})
    grades = dict.fromkeys(sorted(one.clicked), 1.0)
    return EvalQuery(query, grades, one.actor, history_of(train, rows), seen_items(train, rows), moment)


def impression_metrics(lists: Sequence[Sequence[str]], queries: Sequence[EvalQuery]) -> dict[str, NDArray[np.float64]]:
    """Return each of IMPRESSION_METRICS (n_queries,) float64 in [0, 1].

    lists: the items of each query as they were ranked, best first. Items that a ranking lacks come last: of two of them none is
    higher in AUC, and for the others they are in the order in which they were shown.
    """
    values = {name: np.zeros(len(queries)) for name in IMPRESSION_METRICS}
    for row, (ranked, query) in enumerate(zip(lists, queries, strict=True)):
        shown = query.query.ids or ()
        for name, value in _metrics(ranked, shown, query.grades).items():
            values[name][row] = value
    return values


def _metrics(ranked: Sequence[str], shown: Sequence[str], clicked: Mapping[str, float]) -> dict[str, float]:
    own = [item for item in dict.fromkeys(ranked) if item in set(shown)]
    there = set(own)
    order = [*own, *(item for item in shown if item not in there)]
    hits = np.array([item in clicked for item in order], np.float64)
    found = {"AUC": _auc(hits, len(own)), "MRR": float((hits / np.arange(1, len(hits) + 1)).sum() / hits.sum())}
    return found | {f"NDCG@{n}": float(dcg(hits[:n]) / ideal_dcg(hits, min(n, len(hits)))) for n in (5, 10)}


def _auc(hits: NDArray[np.float64], n_ranked: int) -> float:
    """Return the AUC of hits in the order of a ranking, whose places from `n_ranked` on are tied."""
    positives, negatives = hits.sum(), (1.0 - hits).sum()
    if not positives or not negatives:
        return math.nan
    ranked, tied = hits[:n_ranked], hits[n_ranked:]
    after = negatives - np.cumsum(1.0 - ranked)
    won = float((ranked * after).sum()) + 0.5 * float(tied.sum()) * float((1.0 - tied).sum())
    return won / float(positives * negatives)
