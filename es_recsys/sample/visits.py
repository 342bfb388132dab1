"""A shopper's visits to the shop, and the events that they leave.

A visit has one or more pages: a search, or a shelf of one kind. Items are noticed with a probability that falls with their
position (1 / sqrt), clicked where they stand out from the page by utility, looked at for longer the better they please;
then at most one of those looked at is bought, by the softmax of tastes.py. People decide by taste, the page by the shop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.sample.chance import digest, gumbel, normal, pick, stream, weighted
from es_recsys.sample.kinds import Kind, kinds, kinds_by_leaf
from es_recsys.sample.queries import SampleQuery, draw_query
from es_recsys.sample.shop import PAGE, Shop
from es_recsys.sample.tastes import NOTHING, TEMPERATURE, Shopper
from es_recsys.types import Event

__all__ = ["visits"]

_DAY = 86_400.0
_CLICKS = 5  # a page, at most
_PLEASED, _PUT_OFF = 3.6, 0.0  # utility from which people like and share, and below which they dislike
_NOTICE = 1.0 / np.sqrt(np.arange(1, PAGE + 1))
_HOURS = (1, 0.5, 0.3, 0.2, 0.3, 0.8, 2, 3, 4, 4, 4, 4.5, 5.5, 5, 4, 4, 4.5, 5.5, 7, 8.5, 9.5, 9, 6, 3)


@dataclass(slots=True)
class _Walk:
    """State of one shopper on the way through the period."""

    seed: int
    shopper: Shopper
    shop: Shop
    rng: np.random.Generator
    ends: tuple[NDArray[np.float64], NDArray[np.float64]]
    now: float = 0.0
    session_id: str = ""
    events: list[Event] = field(default_factory=list)
    owned: set[int] = field(default_factory=set)
    bought: Kind | None = None
    late: list[tuple[float, int, float]] = field(default_factory=list)

    def note(self, event_type: str, item: int | None = None, **more: Any) -> None:
        """Record one event, at `now`; `more` are other fields of Event."""
        self.events.append(
            Event(
                event_id=f"e{digest(self.seed, self.shopper.user_id, len(self.events), size=10)}",
                event_type=event_type,
                timestamp=datetime.fromtimestamp(round(self.now, 3), UTC),
                user_id=self.shopper.user_id,
                session_id=self.session_id,
                item_id=None if item is None else self.shop.item_ids[item],
                **more,
            )
        )

    def utility(self) -> NDArray[np.float64]:
        """Return (n,) float64: how the shopper likes each item now."""
        part = self.shopper.part(self.now)
        return (1.0 - part) * self.ends[0] + part * self.ends[1]

    def wait(self, middle: float) -> None:
        """Let some seconds pass, half of the time more than `middle`; never more than ten minutes."""
        self.now += min(middle * math.exp(normal(self.rng, 0.0, 0.7)), 600.0)


def visits(seed: int, shopper: Shopper, shop: Shop) -> list[Event]:
    """Return all events of a shopper, oldest first. The same seed and shopper give the same events, whoever else there is."""
    rng = stream(seed, "visits", shopper.user_id)
    # Utility goes in a straight line from the first moment to the last, as the kinds do.
    ends = shopper.utilities(shop.traits, shopper.start), shopper.utilities(shop.traits, shopper.end)
    walk = _Walk(seed, shopper, shop, rng, ends)
    for count, start in enumerate(_starts(seed, shopper, rng)):
        if start < walk.now + 1_900.0:
            continue
        walk.now = start
        walk.session_id = f"s{digest(seed, shopper.user_id, 'session', count)}"
        _visit(walk)
    return [event for event in walk.events if event.timestamp is not None and event.timestamp.timestamp() < shopper.end]


def _starts(seed: int, shopper: Shopper, rng: np.random.Generator) -> list[float]:
    """Return moments at which visits begin: more at weekends, most in the evening."""
    days = (shopper.end - shopper.start) / _DAY
    first = math.floor(shopper.start / _DAY)
    dates = [first + day for day in range(math.ceil(days) + 1)]
    weights = [1.35 if (date + 3) % 7 >= 5 else 1.0 for date in dates]
    starts = []
    for _ in range(max(1, round(shopper.visits * days / 60.0))):
        start = _DAY * weighted(rng, dates, weights) + 3_600.0 * (weighted(rng, range(24), _HOURS) + rng.random())
        # A moment outside the period is moved into its first or last day, at the same hour.
        while start < shopper.start:
            start += _DAY
        while start > shopper.end - 3_600.0:
            start -= _DAY
        starts.append(start)
    return sorted(starts)


def _visit(walk: _Walk) -> None:
    looked: dict[int, float] = {}
    _rate(walk)
    for _ in range(1 + int(-math.log(1.0 - walk.rng.random()) * 1.1)):
        utility = walk.utility()
        for item in _page(walk, utility):
            looked[item] = float(utility[item])
        walk.wait(25.0)
    _decide(walk, {item: value for item, value in looked.items() if item not in walk.owned})


def _page(walk: _Walk, utility: NDArray[np.float64]) -> list[int]:
    """Walk through a search or a shelf, and return the items opened from it."""
    kind = _intent(walk)
    searching = walk.rng.random() < 0.62
    asked = draw_query(kind, walk.shopper, walk.rng) if searching else SampleQuery("", kind.leaf, {})
    query_id = f"q{digest(walk.session_id, len(walk.events))}"
    if searching:
        walk.note("search", query=asked.text, query_id=query_id)
        walk.wait(6.0)
    shown = walk.shop.listing(asked.scope, asked.wants, walk.now, walk.rng)
    opened = _opened(utility[shown], walk.rng)
    for position in opened:
        item = int(shown[position])
        if searching:
            walk.note("click", item, query_id=query_id, position=position + 1)
        else:
            walk.note("view", item)
        _look(walk, item, float(utility[item]))
    return [int(shown[position]) for position in opened]


def _intent(walk: _Walk) -> Kind:
    """Return the kind that the shopper is after: what goes with the last purchase, a favourite, or anything."""
    draw = walk.rng.random()
    if walk.bought is not None and draw < 0.35:
        fitting = [leaf for leaf in walk.bought.goes_with if walk.shopper.kinds.get(leaf, 0.0) >= 0.0]
        if fitting:
            return kinds_by_leaf()[pick(walk.rng, fitting)]
    if draw > 0.93:
        return pick(walk.rng, kinds())
    preferences = {leaf: liking for leaf, liking in walk.shopper.kinds_at(walk.now).items() if liking > 0.0}
    return kinds_by_leaf()[weighted(walk.rng, tuple(preferences), [liking**2 for liking in preferences.values()])]


def _opened(utility: NDArray[np.float64], rng: np.random.Generator) -> list[int]:
    """Return positions (from 0) of the items that are opened, from the top down."""
    if not utility.size:
        return []
    stands_out = 1.0 / (1.0 + np.exp(-1.6 * (utility - utility.mean() - 0.5)))
    opened = np.flatnonzero(rng.random(utility.size) < _NOTICE[: utility.size] * stands_out)
    return [int(position) for position in opened[:_CLICKS]]


def _look(walk: _Walk, item: int, utility: float) -> None:
    before = walk.now
    walk.wait(8.0 * math.exp(0.35 * min(max(utility, -2.0), 5.0)))
    if walk.rng.random() < 0.4:
        walk.note("dwell", item, value=round(walk.now - before, 1))
    draw = walk.rng.random()
    if utility > _PLEASED and draw < 0.12:
        walk.note("like", item)
    elif utility > _PLEASED and draw < 0.15:
        walk.note("share", item)
    elif utility < _PUT_OFF and draw < 0.2:
        walk.note("dislike", item)
    walk.wait(5.0)


def _decide(walk: _Walk, looked: dict[int, float]) -> None:
    """Buy one of the items looked at, or nothing: a draw from the softmax."""
    utility = np.array([*looked.values(), NOTHING])
    choice = int(np.argmax(utility / TEMPERATURE + gumbel(walk.rng, utility.size)))
    draw = walk.rng.random()
    if choice == len(looked):
        if looked and draw < 0.12:
            # Wanted, put into the cart, and left there.
            walk.note("cart", max(looked, key=looked.__getitem__), value=1.0)
        return
    item = list(looked)[choice]
    quantity = 2.0 if draw < 0.08 else 1.0
    walk.note("cart", item, value=quantity)
    walk.wait(70.0)
    walk.note("purchase", item, value=quantity)
    walk.owned.add(item)
    walk.bought = kinds_by_leaf()[walk.shop.traits.names["kind"][walk.shop.traits.codes["kind"][item]]]
    if walk.rng.random() < 0.5:
        walk.late.append((walk.now + (2.0 + 6.0 * walk.rng.random()) * _DAY, item, looked[item]))


def _rate(walk: _Walk) -> None:
    """Rate what has arrived since the last visit."""
    due, walk.late = [row for row in walk.late if row[0] <= walk.now], [row for row in walk.late if row[0] > walk.now]
    for _, item, utility in due:
        stars = 3.7 + 0.5 * (utility - NOTHING) + normal(walk.rng, 0.0, 0.7)
        walk.note("rating", item, value=float(min(max(round(stars), 1), 5)))
        walk.wait(15.0)
