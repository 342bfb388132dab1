"""Systems that know the truth, all of it or a part, to rehearse with."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from es_recsys.errors import InputError
from es_recsys.sample.chance import normal, stream
from es_recsys.simulator.environment import Environment, SimulatedNeed
from es_recsys.types import Hit, Query, Ranking

__all__ = ["OracleRanker"]


class OracleRanker:
    """Answers the queries of the given wishes, and no other, in the order of utility seen through normal noise.

    noise: its standard deviation, on the scale of the utilities. With 0 it is the best answer, with more a worse one, in
    the end a random order of what answers the query. What it sees depends on the seed and the wish's place alone.
    """

    def __init__(self, environment: Environment, needs: Iterable[SimulatedNeed], noise: float = 0.0, seed: int = 0) -> None:
        self._item_ids = environment.item_ids
        # A Query is equal to itself only, so two people who ask the same are told apart.
        self._needs = {need.query: (place, need) for place, need in enumerate(needs)}
        self._noise = noise
        self._seed = seed

    def __call__(self, query: Query) -> Ranking:
        """Raises InputError for a query that isn't one of the wishes'."""
        if query not in self._needs:
            raise InputError("An insider knows only the wishes that it was made with.", "Ask with the wish's own query.")
        place, need = self._needs[query]
        item_idx = np.flatnonzero(need.relevant)
        seen = need.utility[item_idx]
        if self._noise:
            rng = stream(self._seed, "insider", place)
            seen = seen + self._noise * np.array([normal(rng) for _ in item_idx])
        best = np.argsort(-seen, kind="stable")[query.offset : query.offset + query.n]
        hits = [Hit(self._item_ids[item_idx[i]], float(seen[i]), rank) for rank, i in enumerate(best.tolist(), query.offset + 1)]
        return Ranking(tuple(hits), total=len(item_idx))
