"""Validation slices: events held out of the interactions, and what is known of each user without them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import InputError
from es_recsys.models.histories import HistoryBatch
from es_recsys.models.sequences import take
from es_recsys.types import Interactions

__all__ = [
    "HoldoutSplit",
    "counting",
    "found_in",
    "ideal",
    "latest",
    "moment_before",
    "ndcg",
    "next_after",
    "next_in_time",
    "scattered",
    "slice_of",
    "with_targets",
]

# Events of a user after the split in time that count as targets.
_NEXT = 5
# Share of the events that a split in time holds out; more of them where only some types are asked for, which are rarer.
_NEWEST, _NEWEST_OF_TYPE = 0.1, 0.2


@dataclass(frozen=True, slots=True, eq=False)
class HoldoutSplit:
    """kind: how the targets were chosen, in words. train: what models may learn from. histories: what is known of the n
    users; known, targets: n arrays of item places, to be left out of and to be found in the answer. gains: what each target
    is worth, the sum of the weights of what was done with it, so that a purchase counts for more than a look; () where all
    are worth the same."""

    kind: str
    train: Interactions
    histories: HistoryBatch
    known: tuple[NDArray[np.int64], ...]
    targets: tuple[NDArray[np.int64], ...]
    gains: tuple[NDArray[np.float64], ...] = ()

    def __len__(self) -> int:
        return len(self.targets)

    def first(self, users: int) -> HoldoutSplit:
        """The same with the first of its users only."""
        users = min(users, len(self))
        return replace(
            self,
            histories=self.histories.some(0, users),
            known=self.known[:users],
            targets=self.targets[:users],
            gains=self.gains[:users],
        )

    @property
    def worth(self) -> NDArray[np.float64]:
        """(n_users,) what their targets are worth on average over what everybody's are: of people who buy it should matter more
        that they are understood than of people who look. 1 where all events weigh the same."""
        if not self.gains:
            return np.ones(len(self))
        each = np.array([one.mean() for one in self.gains])
        result: NDArray[np.float64] = each / each.mean()
        return result

    def ndcg(self, lists: list[NDArray[np.int64]], n: int) -> NDArray[np.float64]:
        """(n_users,) float64 NDCG@n of each user, times their `worth`; so the mean is a weighted mean in 0..1."""
        return ndcg(lists, self.targets, n, self.gains) * self.worth


def counting(data: Interactions, targets: Collection[str]) -> NDArray[np.bool_]:
    """(n,) which events make their item one to be found: the positive ones, of these types where some are named. Raises
    InputError where it is not known of which type the events are."""
    positive: NDArray[np.bool_] = data.weights > 0
    if not targets:
        return positive
    if data.kinds is None:
        raise InputError("These events have no types to choose targets by.", "Leave the target's type out.")
    of_type = np.array([name in targets for name in data.event_types] or [False], bool)
    wanted: NDArray[np.bool_] = positive & of_type[data.kinds]
    return wanted


def latest(data: Interactions, rng: np.random.Generator, users: int, targets: Collection[str] = ()) -> HoldoutSplit:
    """The last new item of every user, and what they liked from then on; up to `users` random users are asked.

    targets: types of event that make an item one to be found (empty: all that are positive). What led to such an event, as
    the views of what was bought, is held out too.
    """

    def hold(items: NDArray[np.int64], counts: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        distinct, first = np.unique(items, return_index=True)
        last = int(first[np.isin(distinct, items[counts])].max())
        return np.arange(len(items)) < last, items[[last]]

    return _held_out(f"the last item of each user{with_targets(targets)}", data, rng, users, targets, hold)


def scattered(
    data: Interactions, rng: np.random.Generator, users: int, share: float = 0.2, targets: Collection[str] = ()
) -> HoldoutSplit:
    """A random share of every user's items, of those with an event of the targets' types; up to `users` random users are
    asked."""

    def hold(items: NDArray[np.int64], counts: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        distinct = np.unique(items[counts])
        out = rng.choice(distinct, max(1, round(share * len(distinct))), replace=False)
        return ~np.isin(items, out), np.sort(out)

    return _held_out(f"a random {share:.0%} of the items of each user{with_targets(targets)}", data, rng, users, targets, hold)


def next_in_time(
    data: Interactions,
    rng: np.random.Generator,
    users: int,
    share: float | None = None,
    targets: Collection[str] = (),
    back: int = 0,
) -> HoldoutSplit:
    """The next new items of users after the moment that the newest `share` of the events follow (a tenth; with `targets` a
    fifth); nothing of what happened after it, to anybody, is in `train`. back: how many such shares of the events are left
    out first, as if they had not happened yet."""
    newest = share if share is not None else _NEWEST_OF_TYPE if targets else _NEWEST
    if back:
        data = take(data, data.times < moment_before(data, 1.0 - back * newest))
        newest /= 1.0 - back * newest
    return next_after(data, moment_before(data, 1.0 - newest), rng, users, targets)


def next_after(
    data: Interactions, moment: float, rng: np.random.Generator, users: int, targets: Collection[str] = ()
) -> HoldoutSplit:
    """The next new items of users from `moment` on (epoch seconds), the earliest first; `train` has what was before it.

    targets: types of event that make an item one to be found (empty: all that are positive); new is what the user had no
    positive event of any type on.
    """
    before = data.times < moment
    train = take(data, before)
    later = take(data, ~before & counting(data, targets))
    candidates = np.intersect1d(train.users[train.weights > 0], later.users)
    rng.shuffle(candidates)
    chosen: list[int] = []
    wanted: list[NDArray[np.int64]] = []
    gains: list[NDArray[np.float64]] = []
    for user in candidates.tolist():
        known, _ = _items_of(train, user)
        items, weights = _items_of(later, user)
        new = _in_order(items)
        new = new[~np.isin(new, known)][:_NEXT]
        if len(new):
            chosen.append(user)
            wanted.append(new)
            gains.append(_worth(items, weights, new))
        if len(chosen) == users:
            break
    kind = f"the next {_NEXT} items of each user after a split in time{with_targets(targets)}"
    return slice_of(kind, train, chosen, wanted, gains)


def ndcg(
    lists: list[NDArray[np.int64]],
    targets: tuple[NDArray[np.int64], ...],
    n: int,
    gains: tuple[NDArray[np.float64], ...] = (),
) -> NDArray[np.float64]:
    """(n_users,) float64 NDCG@n with linear gains, all alike unless given (Järvelin and Kekäläinen 2002); `lists` has places,
    best first."""
    discount = 1.0 / np.log2(np.arange(2, n + 2))
    worth = gains or tuple(np.ones(len(wanted)) for wanted in targets)
    each = zip(lists, targets, worth, strict=True)
    dcg = [float(found_in(places[:n], wanted, own) @ discount[: len(places)]) for places, wanted, own in each]
    result: NDArray[np.float64] = np.array(dcg) / np.array([ideal(own, n) for own in worth])
    return result


def found_in(places: NDArray[np.int64], wanted: NDArray[np.int64], worth: NDArray[np.float64]) -> NDArray[np.float64]:
    """What each of the places is worth, 0 for what isn't wanted."""
    order = np.argsort(wanted, kind="stable")
    at = np.minimum(np.searchsorted(wanted[order], places), len(wanted) - 1)
    return np.where(wanted[order][at] == places, worth[order][at], 0.0)


def ideal(worth: NDArray[np.float64], n: int) -> float:
    """The DCG@n of a list that begins with all that is wanted, the worthiest first."""
    best = np.sort(worth)[::-1][:n]
    return float(best @ (1.0 / np.log2(np.arange(2, len(best) + 2))))


# Items of a user's positive events, and which of the events count -> which stay, and what is to be found.
Hold = Callable[[NDArray[np.int64], NDArray[np.bool_]], tuple[NDArray[np.bool_], NDArray[np.int64]]]


def _held_out(
    kind: str, data: Interactions, rng: np.random.Generator, users: int, targets: Collection[str], hold: Hold
) -> HoldoutSplit:
    keep, counts = np.ones(len(data.items), bool), counting(data, targets)
    starts = np.searchsorted(data.users, np.arange(len(data.user_ids) + 1))
    chosen: list[int] = []
    wanted: list[NDArray[np.int64]] = []
    gains: list[NDArray[np.float64]] = []
    for user in rng.permutation(len(data.user_ids)).tolist():
        events = np.arange(starts[user], starts[user + 1])
        liked = events[data.weights[events] > 0]
        items, counted = data.items[liked].astype(np.int64), counts[liked]
        if len(items) < 2 or (items == items[0]).all() or not counted.any():
            continue
        kept, out = hold(items, counted)
        if not kept.any():
            continue
        # Everybody's are held out, though only so many users are asked: what is to come is unknown of all of them.
        keep[liked[~kept]] = False
        if len(chosen) < users:
            chosen.append(user)
            wanted.append(out)
            gains.append(_worth(items[counted], data.weights[liked[counted]], out))
    return slice_of(kind, take(data, keep), chosen, wanted, gains)


def slice_of(
    kind: str,
    train: Interactions,
    users: list[int],
    targets: list[NDArray[np.int64]],
    gains: Sequence[NDArray[np.float64]] = (),
) -> HoldoutSplit:
    """The slice that asks these users (places in `train`), each for their targets."""
    starts = np.searchsorted(train.users, np.arange(len(train.user_ids) + 1))
    events = [np.arange(starts[user], starts[user + 1]) for user in users]
    known = tuple(np.unique(train.items[one[train.weights[one] > 0]]).astype(np.int64) for one in events)
    histories = HistoryBatch.of_users(train, np.array(users, np.int64))
    return HoldoutSplit(kind, train, histories, known, tuple(targets), tuple(gains))


def _items_of(data: Interactions, user: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Items and weights of a user's events."""
    begin, end = np.searchsorted(data.users, [user, user + 1])
    return data.items[begin:end].astype(np.int64), data.weights[begin:end]


def _in_order(items: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each item once, the earliest first."""
    _, first = np.unique(items, return_index=True)
    result: NDArray[np.int64] = items[np.sort(first)]
    return result


def _worth(items: NDArray[np.int64], weights: NDArray[np.float32], wanted: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n,) float64 sum of the weights of the events on each wanted item."""
    distinct, inverse = np.unique(items, return_inverse=True)
    sums: NDArray[np.float64] = np.bincount(inverse, weights=weights).astype(np.float64)
    return sums[np.searchsorted(distinct, wanted)]


def moment_before(data: Interactions, share: float) -> float:
    """The moment before which this share of the events happened; 0 where there are none."""
    return float(np.quantile(data.times, share)) if len(data.times) else 0.0


def with_targets(targets: Collection[str]) -> str:
    """What a slice or split says of the event types that it asks for; "" for any."""
    return f" with {' or '.join(sorted(targets))}" if targets else ""
