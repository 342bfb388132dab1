"""Holding events out, so that what is left can be asked for them.

Each split holds out the events of everybody, though only `users` of them are asked: what is to come is unknown of all. A
target is an item that the user has no earlier event on.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import InputError
from es_recsys.evaluation.questions import Question, Rule, Searches, Split, asked_by, history_of, known_of
from es_recsys.models.sequences import take
from es_recsys.models.slices import counting, moment_before, with_targets
from es_recsys.types import Interactions

__all__ = ["at_random", "by_time", "by_user", "leave_last_out"]

_DAY = 86_400.0
_NEXT = 5


def leave_last_out(
    data: Interactions,
    rng: np.random.Generator,
    users: int = 2_000,
    *,
    targets: Collection[str] = (),
    searches: Searches | None = None,
) -> Split:
    """The last new item of each user; the user's events from their first on it are held out.

    targets: event types that make an item a target (none named: all that are positive). So with "purchase" the question is
    what is bought next, and the views of it just before are held out too. Users without an earlier event stay in training.
    """
    first = _first_touches(data, targets)
    last = first[np.append(np.diff(data.users[first]) > 0, True)] if len(first) else first
    # Who has no event before it can't be asked.
    last = last[data.times[_starts(data)[data.users[last]]] < data.times[last]]
    cutoffs = np.full(len(data.user_ids), math.inf)
    cutoffs[data.users[last]] = data.times[last]
    grades = {int(data.users[row]): {str(data.item_ids[data.items[row]]): 1.0} for row in last.tolist()}
    rule = Rule(cutoffs={str(data.user_ids[user]): float(cutoffs[user]) for user in grades})
    train = take(data, data.times < cutoffs[data.users])
    return _split(f"the last new item of each user{with_targets(targets)}", data, train, rule, grades, rng, users, searches)


def by_time(
    data: Interactions,
    rng: np.random.Generator,
    users: int = 2_000,
    *,
    share: float = 0.1,
    targets: Collection[str] = (),
    searches: Searches | None = None,
) -> Split:
    """The next new items (5 at most) of users after the moment that the newest `share` of the events follow; nothing of what
    happened from then on, to anybody, is in training. Users of whom nothing is known before it are not asked.

    Raises InputError for a store without times.
    """
    if not data.timed:
        raise InputError("This store has no times, so it can't be split by time.", "Split it with --split last or random.")
    moment = moment_before(data, 1.0 - share)
    train = take(data, data.times < moment)
    asked = np.zeros(len(data.user_ids), bool)
    asked[train.users] = True
    first = _first_touches(data, targets)
    late = (data.times[first] >= moment) & asked[data.users[first]]
    grades: dict[int, dict[str, float]] = {}
    for row in first[late].tolist():
        found = grades.setdefault(int(data.users[row]), {})
        if len(found) < _NEXT:
            found[str(data.item_ids[data.items[row]])] = 1.0
    kind = f"the next {_NEXT} new items of each user after a split in time{with_targets(targets)}"
    return _split(kind, data, train, Rule(moment=moment), grades, rng, users, searches)


def by_user(
    data: Interactions,
    rng: np.random.Generator,
    users: int = 2_000,
    *,
    share: float = 0.1,
    targets: Collection[str] = (),
    searches: Searches | None = None,
) -> Split:
    """A random `share` of the users is no part of the training; each is asked with all but the last new item, which is to be
    found. This is how a user is served who came after the last training."""
    last = leave_last_out(data, rng, len(data.user_ids), targets=targets, searches=searches)
    chosen = rng.permutation(len(last))[: max(1, round(share * len(last)))].tolist()
    questions = tuple(last.questions[i] for i in sorted(chosen[:users]))
    apart = frozenset(last.questions[i].who for i in chosen)
    rule = Rule(cutoffs={who: time for who, time in last.rule.cutoffs.items() if who in apart}, apart=apart)
    train = take(data, ~np.isin(data.user_ids, list(apart))[data.users])
    return Split(f"the last new item of users whom the training never saw ({share:.0%})", train, questions, rule)


def at_random(
    data: Interactions,
    rng: np.random.Generator,
    users: int = 2_000,
    *,
    share: float = 0.2,
    targets: Collection[str] = (),
    searches: Searches | None = None,
) -> Split:
    """A random `share` of each user's items: for stores whose order tells nothing. A pair is held out of all behaviours."""
    first = _first_touches(data, targets)
    drawn = rng.random(len(first))
    n_items = len(data.item_ids)
    cells = data.users.astype(np.int64) * n_items + data.items
    bounds = np.searchsorted(data.users[first], np.arange(len(data.user_ids) + 1))
    grades: dict[int, dict[str, float]] = {}
    taken = [np.zeros(0, np.int64)]
    for user in np.flatnonzero(np.diff(bounds) >= 2).tolist():
        own = slice(int(bounds[user]), int(bounds[user + 1]))
        some = first[own][np.argsort(drawn[own], kind="stable")[: max(1, round(share * (own.stop - own.start)))]]
        taken.append(cells[some])
        grades[user] = {str(data.item_ids[item]): 1.0 for item in np.sort(data.items[some]).tolist()}
    out = np.concatenate(taken)
    pairs = frozenset((str(data.user_ids[cell // n_items]), str(data.item_ids[cell % n_items])) for cell in out.tolist())
    train = take(data, ~np.isin(cells, out))
    return _split(f"a random {share:.0%} of the items of each user", data, train, Rule(pairs=pairs), grades, rng, users, searches)


def _first_touches(data: Interactions, targets: Collection[str]) -> NDArray[np.int64]:
    """Rows of each user's first event on each item that they have a positive event of a target type on; sorted by user, then
    by time."""
    wanted = counting(data, targets)
    cells = data.users.astype(np.int64) * max(len(data.item_ids), 1) + data.items
    order = np.argsort(cells, kind="stable")
    _, begins = np.unique(cells[order], return_index=True)
    first = order[begins]
    return np.sort(first[np.isin(cells[first], cells[wanted])]).astype(np.int64)


def _split(
    kind: str,
    data: Interactions,
    train: Interactions,
    rule: Rule,
    grades: Mapping[int, Mapping[str, float]],
    rng: np.random.Generator,
    users: int,
    searches: Searches | None,
) -> Split:
    asked = rng.permutation(np.array(sorted(grades), np.int64))[:users]
    starts = _starts(train)
    questions = []
    for user in np.sort(asked).tolist():
        who = str(data.user_ids[user])
        rows = np.arange(starts[user], starts[user + 1])
        at = min(rule.moment, rule.cutoffs.get(who, math.inf))
        past = tuple(text for time, text in (searches or {}).get(who, ()) if time < at)
        when = at if data.timed and math.isfinite(at) else math.nan
        questions.append(Question(asked_by(who), grades[user], who, history_of(train, rows, past), known_of(train, rows), when))
    return Split(kind, train, tuple(questions), rule)


def _starts(data: Interactions) -> NDArray[np.int64]:
    return np.searchsorted(data.users, np.arange(len(data.user_ids) + 1)).astype(np.int64)
