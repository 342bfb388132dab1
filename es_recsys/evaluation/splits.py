"""Holdout splits as queries with their relevant items, for whatever answers a query."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

import numpy as np

from es_recsys.dataset import Interactions
from es_recsys.evaluation import holdout
from es_recsys.evaluation.holdout_split import HoldoutRule, HoldoutSplit
from es_recsys.evaluation.queries import EvalQuery, EvalSplit, EventRule, Searches, history_of, query_of, seen_items

__all__ = ["QUERY_SPLITS", "as_queries", "query_split"]


def _leave_last_two_out(data: Interactions, rng: np.random.Generator, users: int, targets: Collection[str]) -> HoldoutSplit:
    return holdout.leave_last_two_out(data, rng, users, targets=targets)[1]


QUERY_SPLITS: Mapping[str, Callable[..., HoldoutSplit]] = MappingProxyType(
    {
        "last": holdout.leave_last_out,
        "last-two": _leave_last_two_out,
        "time": holdout.temporal_split,
        "user": holdout.user_holdout,
        "random": holdout.random_holdout,
    }
)
"""Name -> how events are held out."""


def query_split(
    name: str,
    data: Interactions,
    rng: np.random.Generator,
    users: int = 2_000,
    *,
    targets: Collection[str] = (),
    searches: Searches | None = None,
) -> EvalSplit:
    """Return the split of `QUERY_SPLITS` with this name as queries."""
    return as_queries(QUERY_SPLITS[name](data, rng, users, targets=targets), searches)


def as_queries(split: HoldoutSplit, searches: Searches | None = None) -> EvalSplit:
    """Return the users of the split as queries for recommendations, by user; all targets are equally relevant.

    searches: what users searched for, which is part of their history.
    """
    visible = split.train if split.visible is None else split.visible
    rule = _event_rule(split.rule, visible)
    starts = np.searchsorted(visible.users, np.arange(len(visible.user_ids) + 1))
    queries = []
    for row in np.argsort(split.users, kind="stable").tolist():
        user = int(split.users[row])
        actor = str(visible.user_ids[user])
        events = np.arange(starts[user], starts[user + 1])
        at = min(rule.moment, rule.cutoffs.get(actor, math.inf))
        past = tuple(text for time, text in (searches or {}).get(actor, ()) if time < at)
        when = at if visible.timed and math.isfinite(at) else math.nan
        relevant = dict.fromkeys(visible.item_ids[split.targets[row]].tolist(), 1.0)
        history = history_of(visible, events, past)
        queries.append(EvalQuery(query_of(actor), relevant, actor, history, seen_items(visible, events), when))
    return EvalSplit(split.kind, split.train, tuple(queries), rule)


def _event_rule(rule: HoldoutRule, data: Interactions) -> EventRule:
    """Return the rule with the names of `data`."""
    n_items = max(len(data.item_ids), 1)
    pairs = [] if rule.pairs is None else rule.pairs.tolist()
    return EventRule(
        rule.moment,
        _by_user(rule.cutoffs, data),
        frozenset((str(data.user_ids[pair // n_items]), str(data.item_ids[pair % n_items])) for pair in pairs),
        _by_user(rule.learned, data),
    )


def _by_user(times: np.ndarray | None, data: Interactions) -> dict[str, float]:
    if times is None:
        return {}
    return {str(data.user_ids[user]): float(times[user]) for user in np.flatnonzero(times < math.inf).tolist()}
