"""How good an answer is where the truth is known: what it is expected to bring, what the best would, what chance would."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from es_recsys.simulator.conduct import Conduct
from es_recsys.simulator.estimates import Estimate, estimate
from es_recsys.simulator.world import SimulatedNeed, World
from es_recsys.types import Answer, Hit, Query, Ranking

__all__ = ["Judged", "System", "judge", "places_of"]

System = Callable[[Query], Ranking | Answer]
"""What is under test: a client's `ask`, a model in memory, or an `Insider` that knows the truth."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One row a wish, (n,) float64 each: what the answer is expected to bring of the goal, what the best order would, and
    what a random order of the items that are wanted would. users: (n,) str, whose wish it was."""

    value: NDArray[np.float64]
    best: NDArray[np.float64]
    chance: NDArray[np.float64]
    users: NDArray[np.str_]

    @property
    def regret(self) -> NDArray[np.float64]:
        """best - value, (n,) float64: 0 for the best order, never below but for rounding."""
        return self.best - self.value

    @property
    def gain(self) -> NDArray[np.float64]:
        """(value - chance) / (best - chance), (n,) float64: 1 for the best order, 0 for a random one; 1 where every order
        is the best."""
        room = self.best - self.chance
        return np.where(room > 1e-12, (self.value - self.chance) / np.maximum(room, 1e-12), 1.0)

    def over(self, other: Judged) -> Estimate:
        """How much more it brings than another system did on the same wishes: the mean of the paired differences."""
        return estimate(self.value - other.value, self.users)

    def mean_regret(self) -> Estimate:
        return estimate(self.regret, self.users)

    def mean_gain(self) -> Estimate:
        return estimate(self.gain, self.users)


def judge(
    world: World, system: System, wishes: Iterable[SimulatedNeed], conduct: Conduct | None = None, *, goal: str = "purchase"
) -> Judged:
    """Asks the system each wish's query, and says what the page of `query.n` items is worth. Nothing is drawn: these are
    expectations.

    Raises InputError for a goal that there isn't, and what the system raises.
    """
    conduct = conduct or Conduct()
    places = {item_id: place for place, item_id in enumerate(world.item_ids)}
    rows: list[tuple[float, float, float]] = []
    users: list[str] = []
    for wish in wishes:
        n = wish.query.n
        examined = conduct.examined(n)
        worth = conduct.worth(wish.utility, goal) * wish.open
        shown = worth[places_of(system(wish.query).hits, places)[:n]]
        best = -np.sort(-worth[wish.open], kind="stable")[:n]
        chance = float(worth[wish.open].mean()) * examined[: len(best)].sum() if len(best) else 0.0
        rows.append((float(examined[: len(shown)] @ shown), float(examined[: len(best)] @ best), chance))
        users.append(wish.user_id)
    value, top, chances = np.array(rows, np.float64).reshape(-1, 3).T
    return Judged(value, top, chances, np.array(users, np.str_))


def places_of(hits: Sequence[Hit], places: dict[str, int]) -> NDArray[np.int64]:
    """Places in the world of the items shown, each once; what the world hasn't is left out, as a shop can't sell it."""
    known = [places[hit.item_id] for hit in hits if hit.item_id in places]
    return np.array(list(dict.fromkeys(known)), np.int64)
