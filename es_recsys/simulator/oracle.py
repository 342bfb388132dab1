"""A ranker that knows the true utilities, all or in part, to compare with."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from es_recsys.errors import InputError
from es_recsys.query import Hit, Query, Ranking
from es_recsys.sample.chance import normal, stream
from es_recsys.simulator.environment import Environment, SimulatedNeed

__all__ = ["OracleRanker"]


class OracleRanker:
    """Ranks for the queries of the given needs, and no other, by utility with normal noise.

    noise: its standard deviation, on the scale of the utilities. With 0 it is the best answer, with more a worse one, in
    the end a random order of what answers the query. The noise depends on the seed and the need's index alone.
    """

    def __init__(self, environment: Environment, needs: Iterable[SimulatedNeed], noise: float = 0.0, seed: int = 0) -> None:
        self._item_ids = environment.item_ids
        # A Query is equal to itself only, so two people who ask the same are told apart.
        self._needs = {need.query: (need_idx, need) for need_idx, need in enumerate(needs)}
        self._noise = noise
        self._seed = seed

    def __call__(self, query: Query) -> Ranking:
        """Rank the items for a need's query. Raises InputError for a query of no need that it was made with."""
        if query not in self._needs:
            raise InputError("An oracle knows only the needs that it was made with.", "Ask with the need's own query.")
        need_idx, need = self._needs[query]
        item_idx = np.flatnonzero(need.relevant)
        seen = need.utility[item_idx]
        if self._noise:
            rng = stream(self._seed, "insider", need_idx)
            seen = seen + self._noise * np.array([normal(rng) for _ in item_idx])
        best = np.argsort(-seen, kind="stable")[query.offset : query.offset + query.n]
        hits = [Hit(self._item_ids[item_idx[i]], float(seen[i]), rank) for rank, i in enumerate(best.tolist(), query.offset + 1)]
        return Ranking(tuple(hits), total=len(item_idx))
