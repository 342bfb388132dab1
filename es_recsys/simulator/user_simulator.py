"""Simulated users: needs are drawn, the system is asked, its page is shown, and what users do becomes events.

The events carry the answer's query_id or recommendation_id and the position, so they can be stored as real ones are, and
change what the system answers next. What each user does depends on the seed, the user and how many pages they
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

from es_recsys.query import Answer
from es_recsys.sample.chance import digest, pick, stream
from es_recsys.simulator.click_model import PageOutcome, PositionBasedModel
from es_recsys.simulator.environment import Environment, SimulatedNeed
from es_recsys.simulator.regret import RankingSystem, item_idx_of
from es_recsys.types import Event

__all__ = ["EventSink", "SimulatedPage", "UserSimulator", "page_events", "sample_needs"]

EventSink = Callable[[Sequence[Event]], object]
"""Where events go after each page: a client's `put_events`."""

_STEP_S = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedPage:
    """One page that a simulated user saw, and what they did.

    shown: (k,) item_idx in the environment, from the top; outcome: what was done at each position; events: the same as events.
    """

    need: SimulatedNeed
    answer_id: str
    shown: NDArray[np.int64]
    outcome: PageOutcome
    events: tuple[Event, ...]

    def count(self, goal: str) -> int:
        return int(self.outcome.done(goal).sum())


def sample_needs(
    environment: Environment, seed: int, count: int, *, n: int = 10, start: float | None = None
) -> list[SimulatedNeed]:
    """Draw `count` needs of random users, oldest first.

    start: epoch seconds, the environment's first moment unless given; they go on to the end of its period. n: how many items
    their queries ask for.
    """
    rng = stream(seed, "wishes")
    begin, end = environment.period[0] if start is None else start, environment.period[1]
    moments = np.sort(begin + (end - begin) * rng.random(count)).tolist()
    users = environment.user_ids
    needs = [environment.need(pick(rng, users), moment, rng) for moment in moments]
    return [replace(need, query=need.query.model_copy(update={"n": n})) for need in needs]


class UserSimulator:
    """The users of an environment, as they use a system. Remembers what they bought and how many pages they saw.

    event_sink: gets the events of each page before the next one is asked for.
    """

    def __init__(
        self,
        environment: Environment,
        click_model: PositionBasedModel | None = None,
        *,
        seed: int = 0,
        event_sink: EventSink | None = None,
    ) -> None:
        self.environment = environment
        self.click_model = click_model or PositionBasedModel()
        self._seed = seed
        self._event_sink = event_sink
        self._item_idx = {item_id: idx for idx, item_id in enumerate(environment.item_ids)}
        self._owned: dict[str, set[int]] = defaultdict(set)
        self._pages: Counter[str] = Counter()

    def replay(self, system: RankingSystem, needs: Iterable[SimulatedNeed]) -> Iterator[SimulatedPage]:
        """Ask for each need and go through its page, one after the other."""
        for need in needs:
            yield self.visit(system, need)

    def visit(self, system: RankingSystem, need: SimulatedNeed) -> SimulatedPage:
        """Ask for one need and go through its page."""
        answer = system(need.query)
        return self.show(need, item_idx_of(answer.hits, self._item_idx), answer.answer_id if isinstance(answer, Answer) else None)

    def show(self, need: SimulatedNeed, item_idx: NDArray[np.int64], answer_id: str | None = None) -> SimulatedPage:
        """Go through a page of the items at `item_idx`, however it was made.

        Nobody buys what they have, or what isn't what they asked for.
        """
        number = self._pages[need.user_id]
        self._pages[need.user_id] += 1
        wanted = need.relevant.copy()
        wanted[list(self._owned[need.user_id])] = False
        shown = item_idx[: need.query.n]
        utility = np.where(wanted, need.utility, -np.inf)[shown]
        uniforms = stream(self._seed, "page", need.user_id, number).random((3, len(need.utility)))[:, shown]
        outcome = self.click_model.simulate(utility, uniforms)
        self._owned[need.user_id].update(shown[outcome.purchased].tolist())
        answer_id = answer_id or f"a{digest(self._seed, need.user_id, number)}"
        page = SimulatedPage(need, answer_id, shown, outcome, ())
        page = replace(page, events=tuple(page_events(page, self.environment.item_ids, f"{self._seed}-{number}")))
        if self._event_sink is not None and page.events:
            self._event_sink(page.events)
        return page


def page_events(page: SimulatedPage, item_ids: Sequence[str], number: object = 0) -> Iterator[Event]:
    """Yield what was done on a page, as events: the search where there were words, then each click with what followed it.

    number: tells pages of the same user apart, in the events' ids.
    """
    need, moment = page.need, page.need.timestamp
    searching = bool(need.query.text)
    link: dict[str, Any] = {"query_id" if searching else "recommendation_id": page.answer_id}

    def event(event_type: str, item_idx: int | None = None, **more: Any) -> Event:
        return Event(
            event_id=f"e{digest(need.user_id, number, event_type, item_idx, size=10)}",
            event_type=event_type,
            timestamp=datetime.fromtimestamp(round(moment, 3), UTC),
            user_id=need.user_id,
            item_id=None if item_idx is None else item_ids[item_idx],
            **link,
            **more,
        )

    if searching:
        yield event("search", query=need.query.text)
    for position in np.flatnonzero(page.outcome.clicked).tolist():
        item_idx = int(page.shown[position])
        for event_type, done in (
            ("click", page.outcome.clicked),
            ("cart", page.outcome.added_to_cart),
            ("purchase", page.outcome.purchased),
        ):
            if done[position]:
                moment += _STEP_S
                yield event(event_type, item_idx, position=position + 1)
