"""Events of one type held out of all types: what somebody bought must not be told by their having looked at it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import InputError
from es_recsys.models.sequences import take
from es_recsys.models.slices import HoldoutSplit, counting, slice_of
from es_recsys.types import Interactions

__all__ = ["HeldOut", "hold_out"]


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """kind: what was held out, in words. train: the events without every held-out pair of a user and an item. users: places
    of those who are asked; targets: items (places) that they are asked for, an array each."""

    kind: str
    train: Interactions
    users: tuple[int, ...]
    targets: tuple[NDArray[np.int64], ...]

    def __len__(self) -> int:
        return len(self.users)

    def slice(self, weights: NDArray[np.float32] | None = None) -> HoldoutSplit:
        """To be learned from and asked. weights (n,): of the training events, in place of their own; an event that weighs 0
        says nothing, but its item stays out of the answers."""
        plain = slice_of(self.kind, self.train, list(self.users), list(self.targets))
        if weights is None:
            return plain
        weighed = replace(self.train, weights=weights)
        part = slice_of(self.kind, take(weighed, weights != 0), list(self.users), list(self.targets))
        return replace(part, known=plain.known)


def hold_out(data: Interactions, event_type: str, rng: np.random.Generator, users: int, share: float = 0.2) -> HeldOut:
    """Up to `users` random users are asked for items of their events of this type.

    With time: the items of those who have such an event after the moment that the newest `share` of them follow; what
    happened after it, to anybody, is unknown. Without: a random share of each user's items of the type, one at least.
    Everybody's are held out, though only so many are asked.

    Raises InputError where the types are not known, or there is no positive event of this one.
    """
    if data.kinds is None or event_type not in data.event_types:
        raise InputError(f"It is not known which of the events are {event_type}.", "Take the interactions of an event store.")
    of_type = counting(data, (event_type,))
    if not of_type.any():
        raise InputError(f"There are no events of the type {event_type}.", "Name a type that the store has.")
    cell = data.users.astype(np.int64) * len(data.item_ids) + data.items
    if data.timed:
        moment = float(np.quantile(data.times[of_type], 1.0 - share))
        before = data.times < moment
        # An item that was had before is no news.
        out = np.setdiff1d(cell[of_type & ~before], cell[of_type & before])
        keep = before & ~np.isin(cell, out)
        kind = f"{event_type} events after a split in time"
    else:
        out = _scattered(np.unique(cell[of_type]), len(data.item_ids), rng, share)
        keep = ~np.isin(cell, out)
        kind = f"a random {share:.0%} of each user's items with a {event_type} event"
    train = take(data, keep)
    return _asked(kind, train, out, rng, users)


def _scattered(cells: NDArray[np.int64], n_items: int, rng: np.random.Generator, share: float) -> NDArray[np.int64]:
    """Of each user's cells a random share."""
    order = np.lexsort((rng.random(len(cells)), cells // n_items))
    shuffled = cells[order]
    _, first, counts = np.unique(shuffled // n_items, return_index=True, return_counts=True)
    wanted = np.maximum(1, np.round(share * counts)).astype(np.int64)
    rank = np.arange(len(shuffled)) - np.repeat(first, counts)
    return np.sort(shuffled[rank < np.repeat(wanted, counts)])


def _asked(kind: str, train: Interactions, out: NDArray[np.int64], rng: np.random.Generator, users: int) -> HeldOut:
    """Those with something left to know them by."""
    owner, item = np.divmod(out, len(train.item_ids))
    known = np.unique(train.users[train.weights > 0])
    chosen = rng.permutation(np.intersect1d(owner, known))[:users].tolist()
    starts, ends = np.searchsorted(owner, chosen), np.searchsorted(owner, chosen, side="right")
    targets = tuple(item[begin:end] for begin, end in zip(starts.tolist(), ends.tolist(), strict=True))
    return HeldOut(kind, train, tuple(chosen), targets)
