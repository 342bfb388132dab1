"""The share of popularity in recommendations to known users, chosen on held-out events.

Where people turn to what others have just turned to, as in a feed, models of taste alone may answer worse than what is popular.
So popularity is weighed against their ensemble, and gets a share where that is surely better: each half of the users tests what
the other half chose. The models are those that were trained for the ensemble, which have not learned from what is to be found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from es_recsys.evaluation.holdout_split import HoldoutSplit
from es_recsys.evaluation.statistics import difference_words
from es_recsys.models.base import Model
from es_recsys.models.popularity import Popularity, PopularityConfig
from es_recsys.training.ensemble_candidates import Candidates
from es_recsys.training.ensemble_selection import with_model
from es_recsys.training.halves import MOST_USERS, Halves
from es_recsys.training.model_trials import DEPTH
from es_recsys.training.selection_report import Notes
from es_recsys.training.validation import FEWEST

__all__ = ["popularity_share"]

_SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
# Of the ensemble's NDCG, as for a model that joins it.
_WORTH = 0.005


def popularity_share(
    models: Mapping[str, Model],
    weights: Mapping[str, float],
    part: HoldoutSplit,
    half_lives: PopularityConfig | None,
    notes: Notes,
) -> float:
    """Return the share of popularity beside an ensemble, in [0, 1); 0 where none is surely better by half a percent.

    models: of the weights, trained on `part.train`. part: users who choose. half_lives: of the counts, None for the usual ones.
    """
    part = part.first(MOST_USERS)
    if len(part) < FEWEST:
        return 0.0
    halves = Halves.of(models, weights, part, half_lives)
    gain = halves.gain(weights, lambda choosing: with_model(weights, Popularity.name, _best([choosing], weights)))
    both = [halves.one, halves.other]
    before = _ndcg(both, weights)
    kept = gain.low > 0.0 and gain.mean >= _WORTH * before
    share = _best(both, weights) if kept else 0.0
    told = f"NDCG@{DEPTH} {difference_words(gain)} over {before:.4f} of the models alone, of {len(part):,} users"
    notes.figures["popularity"] = {"gain": gain.to_dict(), "share": share}
    notes.say(f"Popularity: {f'{share:.0%}' if kept else 'no share is surely better'} ({told}).")
    return share


def _best(candidates: Sequence[Candidates], weights: Mapping[str, float]) -> float:
    """Return the share with the highest NDCG, the smallest of those that are as good."""
    return max(_SHARES, key=lambda share: _ndcg(candidates, with_model(weights, Popularity.name, share)))


def _ndcg(candidates: Sequence[Candidates], weights: Mapping[str, float]) -> float:
    return float(np.concatenate([one.each(weights) for one in candidates]).mean())
