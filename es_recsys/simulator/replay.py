"""Shoppers at work: wishes are drawn, the system is asked, its page is shown, and what they do becomes events.

The events carry the answer's query_id or recommendation_id and the position, so they can be stored as real ones are, and
change what the system answers next. What each shopper does depends on the seed, the shopper and how many pages they
saw before, never on the system: two systems that show the same page see the same clicks, and differences between
systems are measured with common random numbers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.sample.chance import digest, pick, stream
from es_recsys.simulator.conduct import Conduct, Looked
from es_recsys.simulator.judging import System, places_of
from es_recsys.simulator.world import SimulatedNeed, World
from es_recsys.types import Answer, Event

__all__ = ["Feed", "Page", "Shoppers", "draw_wishes", "events_of"]

Feed = Callable[[Sequence[Event]], object]
"""Where events go after each page: a client's `put_events`."""

_STEP_S = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """What was shown and done. shown: (k,) places in the world, from the top; looked: what was done at each position;
    events: the same as events."""

    wish: SimulatedNeed
    answer_id: str
    shown: NDArray[np.int64]
    looked: Looked
    events: tuple[Event, ...]

    def count(self, goal: str) -> int:
        return int(self.looked.done(goal).sum())


def draw_wishes(world: World, seed: int, count: int, *, n: int = 10, start: float | None = None) -> list[SimulatedNeed]:
    """`count` wishes of random users, oldest first, from `start` (epoch seconds; the world's first moment unless given) to
    the end of its period. Their queries ask for `n` items."""
    rng = stream(seed, "wishes")
    begin, end = world.period[0] if start is None else start, world.period[1]
    moments = np.sort(begin + (end - begin) * rng.random(count)).tolist()
    users = world.user_ids
    wishes = [world.wish(pick(rng, users), moment, rng) for moment in moments]
    return [replace(wish, query=replace(wish.query, n=n)) for wish in wishes]


class Shoppers:
    """The people of a world, as they use a system. Remembers what they bought and how many pages they saw.

    feed: gets the events of each page before the next one is asked for.
    """

    def __init__(self, world: World, conduct: Conduct | None = None, *, seed: int = 0, feed: Feed | None = None) -> None:
        self.world = world
        self.conduct = conduct or Conduct()
        self._seed = seed
        self._feed = feed
        self._places = {item_id: place for place, item_id in enumerate(world.item_ids)}
        self._owned: dict[str, set[int]] = defaultdict(set)
        self._pages: Counter[str] = Counter()

    def replay(self, system: System, wishes: Iterable[SimulatedNeed]) -> Iterator[Page]:
        """Each wish is asked and its page gone through, one after the other."""
        for wish in wishes:
            yield self.visit(system, wish)

    def visit(self, system: System, wish: SimulatedNeed) -> Page:
        """One wish asked, one page looked through."""
        answer = system(wish.query)
        return self.show(wish, places_of(answer.hits, self._places), answer.answer_id if isinstance(answer, Answer) else None)

    def show(self, wish: SimulatedNeed, places: NDArray[np.int64], answer_id: str | None = None) -> Page:
        """A page of the items at `places` looked through, however it was made. Nobody buys what they have, or what isn't
        what they asked for."""
        number = self._pages[wish.user_id]
        self._pages[wish.user_id] += 1
        wanted = wish.open.copy()
        wanted[list(self._owned[wish.user_id])] = False
        shown = places[: wish.query.n]
        utility = np.where(wanted, wish.utility, -np.inf)[shown]
        draws = stream(self._seed, "page", wish.user_id, number).random((3, len(wish.utility)))[:, shown]
        looked = self.conduct.look(utility, draws)
        self._owned[wish.user_id].update(shown[looked.bought].tolist())
        answer_id = answer_id or f"a{digest(self._seed, wish.user_id, number)}"
        page = Page(wish, answer_id, shown, looked, ())
        page = replace(page, events=tuple(events_of(page, self.world.item_ids, f"{self._seed}-{number}")))
        if self._feed is not None and page.events:
            self._feed(page.events)
        return page


def events_of(page: Page, item_ids: Sequence[str], number: object = 0) -> Iterator[Event]:
    """What was done on a page, as events: the search where there were words, then each click with what followed it. number:
    tells pages of the same user apart, in the events' ids."""
    wish, moment = page.wish, page.wish.at
    searching = bool(wish.query.text)
    link: dict[str, Any] = {"query_id" if searching else "recommendation_id": page.answer_id}

    def event(kind: str, place: int | None = None, **more: Any) -> Event:
        return Event(
            event_id=f"e{digest(wish.user_id, number, kind, place, size=10)}",
            event_type=kind,
            timestamp=datetime.fromtimestamp(round(moment, 3), UTC),
            user_id=wish.user_id,
            item_id=None if place is None else item_ids[place],
            **link,
            **more,
        )

    if searching:
        yield event("search", query=wish.query.text)
    for position in np.flatnonzero(page.looked.clicked).tolist():
        place = int(page.shown[position])
        for kind, done in (("click", page.looked.clicked), ("cart", page.looked.carted), ("purchase", page.looked.bought)):
            if done[position]:
                moment += _STEP_S
                yield event(kind, place, position=position + 1)
