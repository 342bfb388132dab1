"""Protocols of holding events out, each of which gives a `HoldoutSplit`.

One rule everywhere: a target is an item that the user has no earlier event on, of any type, and events of everybody are held
out, though only some users are evaluated. Events at the same moment as the first one held out are held out with it, so that of
equal times none tells of the other; a user without a positive event before that moment is not evaluated, and keeps all
events.
In a store without times the order of a user's events stands for them.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import Interactions
from es_recsys.errors import InputError
from es_recsys.evaluation.holdout_split import HoldoutRule, HoldoutSplit, n_items_of, pairs_of
from es_recsys.models.types import HistoryBatch, take

__all__ = [
    "event_type_holdout",
    "leave_last_out",
    "leave_last_two_out",
    "new_users_after",
    "next_items_after",
    "random_holdout",
    "some_users_holdout",
    "split_moment",
    "temporal_split",
    "user_holdout",
]

# New items of a user after a split in time that are to be found.
_NEXT = 5
# Share of the events that a split in time holds out; more of them where only some types are asked for, which are rarer.
_NEWEST, _NEWEST_OF_TYPE = 0.1, 0.2


def leave_last_out(
    data: Interactions, rng: np.random.Generator, users: int = 2_000, *, targets: Collection[str] = ()
) -> HoldoutSplit:
    """Hold out the last new item of each user, with all of the user's events from the first one on it.

    targets: event types that make an item a target (none: all that are positive). So with "purchase" the next purchase is to be
    found, and the views of it just before are held out too. users: how many are evaluated at most, at random. Raises InputError
    for targets where the types of the events are not known.
    """
    cutoffs, items = _last_items(data, targets, 1)
    kind = f"the last new item of each user{_of_types(targets)}"
    return _split(kind, data, HoldoutRule(cutoffs=cutoffs), *_found(cutoffs, items), rng, users, targets)


def leave_last_two_out(
    data: Interactions, rng: np.random.Generator, users: int = 2_000, *, targets: Collection[str] = ()
) -> tuple[HoldoutSplit, HoldoutSplit]:
    """Hold out the last two new items of each user, and return a split for validation and one for the test.

    This is the protocol of published figures (Kang and McAuley 2018, "Self-attentive sequential recommendation"). Settings are
    chosen by the first split, whose target is the item before the last; the second is reported, and its target is the last.
    Models learn from neither item; when the last one is to be found, they know the one before it.
    """
    ends, last = _last_items(data, targets, 1, at_least=2)
    begins, before = _last_items(data, targets, 2)
    # Who has nothing positive before both items is no part of either question.
    ends = np.where(np.isfinite(begins), ends, math.inf)
    validation, test = HoldoutRule(cutoffs=begins), HoldoutRule(cutoffs=ends, learned=begins)
    kinds = [f"the {which} new item of each user{_of_types(targets)}" for which in ("last but one", "last")]
    return (
        _split(f"{kinds[0]}, learned from what was before", data, validation, *_found(begins, before), rng, users, targets),
        _split(f"{kinds[1]}, the last two left out of training", data, test, *_found(ends, last), rng, users, targets),
    )


def random_holdout(
    data: Interactions, rng: np.random.Generator, users: int = 2_000, *, share: float = 0.2, targets: Collection[str] = ()
) -> HoldoutSplit:
    """Hold out a random `share` of each user's items, one at least, with all events on them.

    For stores whose order tells nothing. Users who would be left without a positive event keep theirs.
    """
    rows = _first_events(data, targets)
    owners = data.users[rows].astype(np.int64)
    order = np.lexsort((rng.random(len(rows)), owners))
    sizes = np.bincount(owners, minlength=len(data.user_ids))
    wanted = np.where(sizes > 0, np.maximum(1, np.round(share * sizes)), 0).astype(np.int64)
    rank = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    wanted[_positive_items(data) <= wanted] = 0
    drawn = np.sort(rows[order][rank < wanted[owners[order]]])
    pairs = np.sort(pairs_of(data)[drawn])
    kind = f"a random {share:.0%} of the items of each user{_of_types(targets)}"
    return _split(kind, data, HoldoutRule(pairs=pairs), *np.divmod(pairs, n_items_of(data)), rng, users, targets)


def temporal_split(
    data: Interactions,
    rng: np.random.Generator,
    users: int = 2_000,
    *,
    share: float | None = None,
    targets: Collection[str] = (),
    back: int = 0,
) -> HoldoutSplit:
    """Hold out the newest `share` of the events (a tenth; with `targets` a fifth), of everybody: a global split in time.

    Users of whom something positive is known before that moment are evaluated on their next new items. back: how many such
    shares of the events are left out first, as if they had not happened yet. Raises InputError for a store without times.
    """
    if not data.timed:
        raise InputError("This store has no times, so it can't be split by time.", "Split it with --split last or random.")
    newest = share if share is not None else _NEWEST_OF_TYPE if targets else _NEWEST
    if back:
        data = take(data, data.times < split_moment(data, 1.0 - back * newest))
        newest /= 1.0 - back * newest
    return next_items_after(data, split_moment(data, 1.0 - newest), rng, users, targets=targets)


def next_items_after(
    data: Interactions, moment: float, rng: np.random.Generator, users: int = 2_000, *, targets: Collection[str] = ()
) -> HoldoutSplit:
    """Hold out all events from `moment` on (epoch seconds); the first five new items of each user are to be found."""
    rows = _first_events(data, targets)
    owners, items = _next_five(data, rows[data.times[rows] >= moment])
    kind = f"the next {_NEXT} new items of each user after a split in time{_of_types(targets)}"
    return _split(kind, data, HoldoutRule(moment=moment), owners, items, rng, users, targets)


def new_users_after(
    data: Interactions, moment: float, rng: np.random.Generator, users: int = 2_000, *, targets: Collection[str] = ()
) -> HoldoutSplit:
    """Hold out all events from `moment` on (epoch seconds); of users who came then the five new items after the first are sought.

    Only the first event of such a user is known at query time.
    """
    first, second = np.full((2, len(data.user_ids)), math.inf)
    np.minimum.at(first, data.users, data.times)
    later = data.times > first[data.users]
    np.minimum.at(second, data.users[later], data.times[later])
    new = np.isfinite(first) & (first >= moment)
    rule = HoldoutRule(cutoffs=np.where(new, second, moment), learned=np.full(len(first), moment))
    rows = _first_events(data, targets)
    owners, items = _next_five(data, rows[new[data.users[rows]] & (data.times[rows] >= second[data.users[rows]])])
    kind = f"the next {_NEXT} new items of who came after a split in time{_of_types(targets)}"
    return _split(kind, data, rule, owners, items, rng, users, targets)


def _next_five(data: Interactions, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return user and item of the first five of each user's rows."""
    owners = data.users[rows].astype(np.int64)
    sizes = np.bincount(owners, minlength=len(data.user_ids))
    rank = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return owners[rank < _NEXT], data.items[rows].astype(np.int64)[rank < _NEXT]


def user_holdout(
    data: Interactions,
    rng: np.random.Generator,
    users: int = 2_000,
    *,
    share: float = 0.1,
    targets: Collection[str] = (),
) -> HoldoutSplit:
    """Leave a random `share` of the users out of training, and hold out the last new item of each.

    All before it is known at query time: so are users served who came after the last training.
    """
    cutoffs, items = _last_items(data, targets, 1)
    evaluated = np.flatnonzero(np.isfinite(cutoffs))
    apart = rng.permutation(evaluated)[: max(1, round(share * len(evaluated)))]
    own = np.full(len(cutoffs), math.inf)
    own[apart] = cutoffs[apart]
    learned = np.full(len(cutoffs), math.inf)
    learned[apart] = -math.inf
    kind = f"the last new item of users whom the training never saw ({share:.0%})"
    return _split(kind, data, HoldoutRule(cutoffs=own, learned=learned), *_found(own, items), rng, users, targets)


def some_users_holdout(
    data: Interactions, rng: np.random.Generator, users: int, *, ordered: bool = True, at_least: int = 3
) -> HoldoutSplit:
    """Hold out the last new item of up to `users` random users who have `at_least` items.

    All of their events from the first one on it are held out with it; where order tells nothing (`ordered` is False), it is a
    random item of theirs, with all events on it. Everybody else keeps all events: for models that stop early, which need few
    users and should lose little. All targets count alike.
    """
    cutoffs, items = _last_items(data, (), 1, at_least)
    chosen = np.sort(rng.permutation(np.flatnonzero(np.isfinite(cutoffs)))[:users])
    kind = f"the {'last new' if ordered else 'random'} item of some users"
    if ordered:
        own = np.full(len(cutoffs), math.inf)
        own[chosen] = cutoffs[chosen]
        split = _split(kind, data, HoldoutRule(cutoffs=own), *_found(own, items), rng, users, ())
    else:
        rows = _first_events(data, ())
        order = np.lexsort((rng.random(len(rows)), data.users[rows]))
        ends = np.searchsorted(data.users[rows], chosen, side="right")
        pairs = pairs_of(data)[rows[order][ends - 1]]
        split = _split(kind, data, HoldoutRule(pairs=pairs), *np.divmod(pairs, n_items_of(data)), rng, users, ())
    return replace(split, gains=())


def event_type_holdout(
    data: Interactions, event_type: str, rng: np.random.Generator, users: int = 2_000, share: float = 0.2
) -> HoldoutSplit:
    """Hold out items of events of one type, with the user's events of all types on them.

    So a purchase is not told by the views before it.

    With times: items that the user has such an event on after the moment that the newest `share` of these events follow, and
    none before; what happened after it, to anybody, is unknown. Without: a random share of each user's items of the type.
    Raises InputError where the types are not known, or there is no positive event of this one.
    """
    if data.type_idx is None or event_type not in data.event_types:
        raise InputError(f"It is not known which of the events are {event_type}.", "Take the interactions of an event store.")
    of_type = _counted(data, (event_type,))
    if not of_type.any():
        raise InputError(f"There are no events of the type {event_type}.", "Name a type that the store has.")
    if not data.timed:
        return random_holdout(data, rng, users, share=share, targets=(event_type,))
    moment = float(np.quantile(data.times[of_type], 1.0 - share))
    pairs, before = pairs_of(data), data.times < moment
    out = np.setdiff1d(pairs[of_type & ~before], pairs[of_type & before])
    rule = HoldoutRule(moment=moment, pairs=out)
    kind = f"{event_type} events after a split in time"
    return _split(kind, data, rule, *np.divmod(out, n_items_of(data)), rng, users, (event_type,))


def split_moment(data: Interactions, share: float) -> float:
    """Return the time before which this share of the events happened; 0 where there are none."""
    return float(np.quantile(data.times, share)) if len(data.times) else 0.0


def _split(
    kind: str,
    data: Interactions,
    rule: HoldoutRule,
    owners: NDArray[np.int64],
    items: NDArray[np.int64],
    rng: np.random.Generator,
    users: int,
    targets: Collection[str],
) -> HoldoutSplit:
    """Build the holdout split.

    owners, items (k,): the pairs that are to be found, by user, those of one user in their order.
    """
    visible = take(data, rule.visible(data))
    train = visible if rule.learned is None else take(data, rule.train(data))
    chosen = rng.permutation(np.intersect1d(owners, visible.users[visible.weights > 0]))[:users].astype(np.int64)
    begins, ends = np.searchsorted(owners, chosen), np.searchsorted(owners, chosen, side="right")
    bounds = list(zip(begins.tolist(), ends.tolist(), strict=True))
    gains = _gains(data, targets, owners, items)
    starts = np.searchsorted(visible.users, np.arange(len(data.user_ids) + 1))
    own = [slice(int(starts[user]), int(starts[user + 1])) for user in chosen.tolist()]
    return HoldoutSplit(
        kind,
        train,
        HistoryBatch.of_users(visible, chosen),
        tuple(np.unique(visible.items[rows][visible.weights[rows] > 0]).astype(np.int64) for rows in own),
        tuple(items[begin:end] for begin, end in bounds),
        tuple(gains[begin:end] for begin, end in bounds),
        chosen,
        None if rule.learned is None else visible,
        rule,
    )


def _last_items(
    data: Interactions, targets: Collection[str], back: int, at_least: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the time (n_users,) of the first event on each user's last new item, and that item_idx (n_users,).

    They are inf and -1 for a user without one or with nothing positive before it. back: 1 for the last item, 2 for the one
    before it. at_least: how many items a user must have.
    """
    rows = _first_events(data, targets)
    ends = np.searchsorted(data.users[rows], np.arange(len(data.user_ids)), side="right")
    sizes = np.bincount(data.users[rows], minlength=len(data.user_ids))
    evaluated = np.flatnonzero(sizes >= max(back, at_least))
    last = rows[ends[evaluated] - back]
    positive = np.flatnonzero(data.weights > 0)
    first = np.full(len(data.user_ids), math.inf)
    first[data.users[positive[::-1]]] = data.times[positive[::-1]]
    known = first[evaluated] < data.times[last]
    times, items = np.full(len(data.user_ids), math.inf), np.full(len(data.user_ids), -1, np.int64)
    times[evaluated[known]], items[evaluated[known]] = data.times[last[known]], data.items[last[known]]
    return times, items


def _found(cutoffs: NDArray[np.float64], items: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    owners = np.flatnonzero(np.isfinite(cutoffs))
    return owners, items[owners]


def _first_events(data: Interactions, targets: Collection[str]) -> NDArray[np.int64]:
    """Return the rows of each user's first event on each target item, by user, then by time.

    A target item is one that the user has a positive event of a target type on.
    """
    wanted, pairs = _counted(data, targets), pairs_of(data)
    order = np.argsort(pairs, kind="stable")
    _, begins = np.unique(pairs[order], return_index=True)
    first = order[begins]
    return np.sort(first[np.isin(pairs[first], pairs[wanted])]).astype(np.int64)


def _counted(data: Interactions, targets: Collection[str]) -> NDArray[np.bool_]:
    """Return which events (n,) make their item a target: the positive ones, of these types where some are named.

    Raises InputError where types are named and those of the events are not known.
    """
    positive: NDArray[np.bool_] = data.weights > 0
    if not targets:
        return positive
    if data.type_idx is None:
        raise InputError("These events have no types to choose targets by.", "Leave the target's type out.")
    of_type = np.array([name in targets for name in data.event_types] or [False], bool)
    wanted: NDArray[np.bool_] = positive & of_type[data.type_idx]
    return wanted


def _gains(
    data: Interactions, targets: Collection[str], owners: NDArray[np.int64], items: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the sum (k,) of the weights of the events that make each pair a target."""
    counted = _counted(data, targets)
    wanted = owners * n_items_of(data) + items
    distinct = np.unique(wanted)
    pairs = pairs_of(data)[counted]
    at = np.minimum(np.searchsorted(distinct, pairs), max(len(distinct) - 1, 0))
    there = distinct[at] == pairs if len(distinct) else np.zeros(len(pairs), bool)
    sums = np.bincount(at[there], weights=data.weights[counted][there], minlength=len(distinct)).astype(np.float64)
    result: NDArray[np.float64] = sums[np.searchsorted(distinct, wanted)]
    return result


def _positive_items(data: Interactions) -> NDArray[np.int64]:
    """Return how many items (n_users,) each user has a positive event on."""
    pairs = np.unique(pairs_of(data)[data.weights > 0])
    return np.bincount(pairs // n_items_of(data), minlength=len(data.user_ids)).astype(np.int64)


def _of_types(targets: Collection[str]) -> str:
    return f" with {' or '.join(sorted(targets))}" if targets else ""
