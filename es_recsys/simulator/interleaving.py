"""Two systems on one page: whose items are clicked more says which is better, with far fewer people than an A/B test.

Team draft (Radlinski, Kurup and Joachims 2008, "How does clickthrough data reflect retrieval quality?", CIKM): in each
round a coin says who picks first; each picks its best item that is not on the page yet, and the page's items belong to
the team that picked them. A page is won by the team with more credit. The preference for A,

    (pages won by A + pages tied / 2) / pages - 1 / 2,

is estimated without bias from any number of pages: its expectation is 0 where the two are the same, as the coin alone
then says whose each item is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from es_recsys.evaluation.statistics import Estimate
from es_recsys.sample.chance import stream
from es_recsys.simulator.environment import SimulatedNeed
from es_recsys.simulator.estimates import estimate
from es_recsys.simulator.regret import RankingSystem, item_idx_of
from es_recsys.simulator.user_simulator import UserSimulator

__all__ = ["InterleavingResult", "interleave", "team_draft"]


@dataclass(frozen=True, slots=True)
class InterleavingResult:
    """The result of an interleaving.

    won, lost, tied: pages, as A sees them. margin: preference for A, -1/2..1/2, with its interval by users.
    """

    won: int
    lost: int
    tied: int
    margin: Estimate


def team_draft(
    a: NDArray[np.int64], b: NDArray[np.int64], n: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return a page of up to `n` different items from two rankings, and whether each is A's (True) or B's."""
    queues = (a.tolist(), b.tolist())
    at = [0, 0]
    page: list[int] = []
    mine: list[bool] = []
    chosen: set[int] = set()

    def pick_of(team: int) -> None:
        queue = queues[team]
        while at[team] < len(queue) and queue[at[team]] in chosen:
            at[team] += 1
        if at[team] < len(queue) and len(page) < n:
            chosen.add(queue[at[team]])
            page.append(queue[at[team]])
            mine.append(team == 0)

    while len(page) < n:
        before = len(page)
        first = int(rng.random() < 0.5)
        pick_of(first)
        pick_of(1 - first)
        if len(page) == before:
            break
    return np.array(page, np.int64), np.array(mine, bool)


def interleave(
    simulator: UserSimulator,
    a: RankingSystem,
    b: RankingSystem,
    needs: Iterable[SimulatedNeed],
    *,
    goal: str = "click",
    seed: int = 0,
) -> InterleavingResult:
    """Ask both systems for each need, show one page of both, and count whose items reach the goal."""
    item_idx = {item_id: idx for idx, item_id in enumerate(simulator.environment.item_ids)}
    rng = stream(seed, "coin")
    margins: list[float] = []
    users: list[str] = []
    for need in needs:
        ranked = [item_idx_of(system(need.query).hits, item_idx) for system in (a, b)]
        page, mine = team_draft(ranked[0], ranked[1], need.query.n, rng)
        done = simulator.show(need, page).outcome.done(goal)
        margins.append(float(np.sign(int(done[mine].sum()) - int(done[~mine].sum()))))
        users.append(need.user_id)
    margin = np.array(margins, np.float64)
    return InterleavingResult(
        int((margin > 0).sum()),
        int((margin < 0).sum()),
        int((margin == 0).sum()),
        estimate(margin / 2.0, np.array(users, np.str_)),
    )
