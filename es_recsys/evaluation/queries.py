"""Queries of an evaluation with their relevant items, and the events that may be learned from."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import History, Interactions
from es_recsys.models.types import LAST
from es_recsys.query import Query

__all__ = ["EvalQuery", "EvalSplit", "EventRule", "Searches", "actor_of", "history_of", "query_of", "seen_items"]

_SESSION = "session:"

# Actor -> when and what the user searched for, oldest first.
Searches = Mapping[str, tuple[tuple[float, str], ...]]


@dataclass(frozen=True, slots=True, eq=False)
class EvalQuery:
    """Query of an evaluation with its relevant items.

    query: its `n` is set by the harness. grades: item id -> gain > 0 of each relevant item.
    actor: the user as in `Interactions.user_ids` ("session:" and its id for an anonymous session), "" for nobody.
    history: what is known of the user before the query; seen: every item that the user has a positive event on, which a
    recommendation leaves out. timestamp: epoch seconds of the query, NaN where there is no time.
    """

    query: Query
    grades: Mapping[str, float]
    actor: str = ""
    history: History = field(default_factory=History)
    seen: frozenset[str] = frozenset()
    timestamp: float = math.nan


@dataclass(frozen=True, slots=True, eq=False)
class EventRule:
    """Rule of which stored events may be seen: a holdout rule by actor and item id.

    Times are as in `Interactions.times`, actors as in `Interactions.user_ids`.
    moment: events from then on are held out, of everybody. cutoffs: actor -> time from which on the user's own are. pairs:
    (actor, item id) that are held out whenever they were. learned: actor -> time up to which models may learn from the
    user's events; later ones are known at query time, but not learned from.
    """

    moment: float = math.inf
    cutoffs: Mapping[str, float] = field(default_factory=dict)
    pairs: Collection[tuple[str, str]] = frozenset()
    learned: Mapping[str, float] = field(default_factory=dict)

    def part(self, actor: str, item_id: str | None, when: float) -> str:
        """Return the part of the split that an event is in: "train", "known" or "held".

        What is "known" is seen at query time, but not learned from; what is "held" is held out.
        """
        if when >= self.moment or when >= self.cutoffs.get(actor, math.inf):
            return "held"
        if item_id is not None and (actor, item_id) in self.pairs:
            return "held"
        return "known" if when >= self.learned.get(actor, math.inf) else "train"


@dataclass(frozen=True, slots=True, eq=False)
class EvalSplit:
    """Queries to evaluate on, and the events that models may learn from.

    kind: how the queries were chosen, in words. train: what models may learn from. rule: the same for every stored event,
    searches included.
    """

    kind: str
    train: Interactions
    queries: tuple[EvalQuery, ...]
    rule: EventRule = field(default_factory=EventRule)

    def __len__(self) -> int:
        return len(self.queries)


def query_of(actor: str) -> Query:
    """Return the query of a user, or of an anonymous session, for recommendations."""
    if actor.startswith(_SESSION):
        return Query(session_id=actor.removeprefix(_SESSION))
    return Query(user_id=actor)


def actor_of(query: Query) -> str:
    """Return the user key of a query, "" for nobody: the inverse of `query_of`."""
    if query.user_id is not None:
        return query.user_id
    return "" if query.session_id is None else _SESSION + query.session_id


def history_of(data: Interactions, rows: NDArray[np.int64], queries: tuple[str, ...] = ()) -> History:
    """Return the newest events among `rows` of one user, oldest first, as a profile keeps them."""
    rows = rows[-LAST:]
    times = data.times[rows]
    newest = float(times[-1]) if len(rows) else math.nan
    ages = (newest - times) / 86_400.0 if data.timed else np.arange(len(rows) - 1, -1, -1, dtype=np.float64)
    event_types = () if data.type_idx is None else tuple(data.event_types[kind] for kind in data.type_idx[rows].tolist())
    ids = tuple(data.item_ids[data.items[rows]].tolist())
    return History(ids, data.weights[rows], ages, queries, event_types, newest if data.timed else math.nan)


def seen_items(data: Interactions, rows: NDArray[np.int64]) -> frozenset[str]:
    """Return the items that `rows` have a positive event on."""
    return frozenset(data.item_ids[np.unique(data.items[rows[data.weights[rows] > 0]])].tolist())
