"""What is asked in an evaluation, what the right answers are, and what may be learned from before."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from es_recsys.models.histories import LAST
from es_recsys.types import History, Interactions, Query

__all__ = ["Question", "Rule", "Searches", "Split", "asked_by", "history_of", "known_of", "who_asks"]

_SESSION = "session:"

# Who (as in `Interactions.user_ids`) -> when and what they searched for, oldest first.
Searches = Mapping[str, tuple[tuple[float, str], ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """query: what is asked; its `n` is set by the harness. grades: item id -> gain > 0 of each right answer.

    who: the asker as in `Interactions.user_ids` ("session:" and its id for an anonymous session), "" for nobody.
    history: what is known of the asker before the question; known: every item that they have a positive event on, which a
    recommendation leaves out. at: epoch seconds of the question, NaN where there is no time.
    """

    query: Query
    grades: Mapping[str, float]
    who: str = ""
    history: History = field(default_factory=History)
    known: frozenset[str] = frozenset()
    at: float = math.nan


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """Which events may be seen. moment: from then on nothing is, of nobody. cutoffs: who -> time from which on their own
    events are held out. pairs: (who, item) that are held out whenever they were. apart: who is no part of the training,
    though their earlier events are known when they ask. Times as in `Interactions.times`."""

    moment: float = math.inf
    cutoffs: Mapping[str, float] = field(default_factory=dict)
    pairs: Collection[tuple[str, str]] = frozenset()
    apart: frozenset[str] = frozenset()

    def part(self, who: str, item_id: str | None, when: float) -> str:
        """ "train", "known" (seen when the user asks, but not by the training) or "held"."""
        if when >= self.moment or when >= self.cutoffs.get(who, math.inf):
            return "held"
        if item_id is not None and (who, item_id) in self.pairs:
            return "held"
        return "known" if who in self.apart else "train"


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """kind: how the questions were chosen, in words. train: what models may learn from. rule: the same for every stored
    event, searches included."""

    kind: str
    train: Interactions
    questions: tuple[Question, ...]
    rule: Rule = field(default_factory=Rule)

    def __len__(self) -> int:
        return len(self.questions)


def asked_by(who: str) -> Query:
    """The question of a user, or of an anonymous session, what to recommend."""
    if who.startswith(_SESSION):
        return Query(session_id=who.removeprefix(_SESSION))
    return Query(user_id=who)


def who_asks(query: Query) -> str:
    """The inverse: who a query is asked by, "" for nobody."""
    if query.user_id is not None:
        return query.user_id
    return "" if query.session_id is None else _SESSION + query.session_id


def history_of(data: Interactions, rows: NDArray[np.int64], queries: tuple[str, ...] = ()) -> History:
    """The newest events among `rows` of one user, oldest first, as a profile keeps them."""
    rows = rows[-LAST:]
    times = data.times[rows]
    newest = float(times[-1]) if len(rows) else math.nan
    ages = (newest - times) / 86_400.0 if data.timed else np.arange(len(rows) - 1, -1, -1, dtype=np.float64)
    kinds = () if data.kinds is None else tuple(data.event_types[kind] for kind in data.kinds[rows].tolist())
    ids = tuple(data.item_ids[data.items[rows]].tolist())
    return History(ids, data.weights[rows], ages, queries, kinds, newest if data.timed else math.nan)


def known_of(data: Interactions, rows: NDArray[np.int64]) -> frozenset[str]:
    """The items that `rows` have a positive event on."""
    return frozenset(data.item_ids[np.unique(data.items[rows[data.weights[rows] > 0]])].tolist())
