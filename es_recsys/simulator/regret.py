"""Regret and gain of answers where the truth is known: what one is expected to bring, what the best and a random one would."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from es_recsys.evaluation.statistics import Estimate
from es_recsys.query import Answer, Hit, Query, Ranking
from es_recsys.simulator.click_model import PositionBasedModel
from es_recsys.simulator.environment import Environment, SimulatedNeed
from es_recsys.simulator.estimates import estimate

__all__ = ["RankingSystem", "RegretReport", "item_idx_of", "measure_regret"]

RankingSystem = Callable[[Query], Ranking | Answer]
"""What is under test: a client's `execute`, a model in memory, or an `OracleRanker`."""


@dataclass(frozen=True, slots=True, eq=False)
class RegretReport:
    """One row a need, (n,) float64 each.

    value: what the answer is expected to bring of the goal; best: what the best order would; random_value: what a random order of
    the relevant items would. users: (n,) str, whose need it was.
    """

    value: NDArray[np.float64]
    best: NDArray[np.float64]
    random_value: NDArray[np.float64]
    users: NDArray[np.str_]

    @property
    def regret(self) -> NDArray[np.float64]:
        """Difference `best - value`, (n,) float64: 0 for the best order, negative only by rounding."""
        return self.best - self.value

    @property
    def gain(self) -> NDArray[np.float64]:
        """Share of the possible gain over a random order, (n,) float64: (value - random) / (best - random).

        1 for the best order, 0 for a random one; 1 where every order is the best.
        """
        room = self.best - self.random_value
        return np.where(room > 1e-12, (self.value - self.random_value) / np.maximum(room, 1e-12), 1.0)

    def over(self, other: RegretReport) -> Estimate:
        """Return how much more it brings than another system did on the same needs: the mean of the paired differences."""
        return estimate(self.value - other.value, self.users)

    def mean_regret(self) -> Estimate:
        return estimate(self.regret, self.users)

    def mean_gain(self) -> Estimate:
        return estimate(self.gain, self.users)


def measure_regret(
    environment: Environment,
    system: RankingSystem,
    needs: Iterable[SimulatedNeed],
    click_model: PositionBasedModel | None = None,
    *,
    goal: str = "purchase",
) -> RegretReport:
    """Ask the system each need's query, and measure what the page of `query.n` items is worth.

    Nothing is drawn: these are expectations.

    Raises InputError for a goal that there isn't, and what the system raises.
    """
    click_model = click_model or PositionBasedModel()
    item_idx = {item_id: idx for idx, item_id in enumerate(environment.item_ids)}
    rows: list[tuple[float, float, float]] = []
    users: list[str] = []
    for need in needs:
        n = need.query.n
        examination = click_model.examination(n)
        worth = click_model.conversion_probability(need.utility, goal) * need.relevant
        shown = worth[item_idx_of(system(need.query).hits, item_idx)[:n]]
        best = -np.sort(-worth[need.relevant], kind="stable")[:n]
        random_value = float(worth[need.relevant].mean()) * examination[: len(best)].sum() if len(best) else 0.0
        rows.append((float(examination[: len(shown)] @ shown), float(examination[: len(best)] @ best), random_value))
        users.append(need.user_id)
    value, best_values, random_values = np.array(rows, np.float64).reshape(-1, 3).T
    return RegretReport(value, best_values, random_values, np.array(users, np.str_))


def item_idx_of(hits: Sequence[Hit], item_idx: dict[str, int]) -> NDArray[np.int64]:
    """Return the indices of the items shown, each once; what the environment lacks is left out, as a shop can't sell it."""
    known = [item_idx[hit.item_id] for hit in hits if hit.item_id in item_idx]
    return np.array(list(dict.fromkeys(known)), np.int64)
