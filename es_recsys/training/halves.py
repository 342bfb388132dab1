"""Other shares of an ensemble and of what is the same for all, tested: each half of the users tests what the other half chose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from es_recsys.evaluation.holdout_split import HoldoutSplit
from es_recsys.evaluation.statistics import Estimate, bootstrap
from es_recsys.models.base import Model
from es_recsys.training.ensemble_candidates import Candidates
from es_recsys.training.ensemble_selection import SURE

__all__ = ["MOST_USERS", "Halves"]

MOST_USERS = 2 * SURE
"""Users who choose, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Halves:
    """The candidates of two halves of some users, by the models of an ensemble and by others."""

    one: Candidates
    other: Candidates

    @classmethod
    def of(
        cls, models: Mapping[str, Model], weights: Mapping[str, float], part: HoldoutSplit, others: Mapping[str, Model]
    ) -> Self:
        """Return the halves of a holdout split.

        models: of the weights, trained on `part.train`. others: what is to get a share beside them.
        """
        known = {**{name: models[name] for name in weights}, **others}
        middle = len(part) // 2
        return cls(Candidates.of(known, part.between(0, middle)), Candidates.of(known, part.between(middle, len(part))))

    def gain(self, weights: Mapping[str, float], choose: Callable[[Candidates], Mapping[str, float]]) -> Estimate:
        """Return the gain in NDCG@20 over the weights, of shares that the users who test them did not choose."""
        gains = [
            tested.each(choose(choosing)) - tested.each(weights)
            for choosing, tested in ((self.one, self.other), (self.other, self.one))
        ]
        return bootstrap(np.concatenate(gains), np.random.default_rng(0))
