"""Shares of the models and of popularity for users of whom one event is known.

What whole histories choose isn't best after a first event: a model that needs several knows little then, and what is popular
tells more. Where events have times, users choose who came after the split in time, so that no model knows them; else those of the
validation, with histories cut to the newest event. Half of them choose for the other half. The models are those that were
trained for the ensemble, which have not learned from what is to be found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from es_recsys.evaluation.holdout_split import HoldoutSplit
from es_recsys.evaluation.statistics import difference_words
from es_recsys.models.base import Model
from es_recsys.models.popularity import Popularity, PopularityConfig
from es_recsys.training.ensemble_selection import select_among
from es_recsys.training.halves import MOST_USERS, Halves
from es_recsys.training.model_trials import DEPTH
from es_recsys.training.selection_report import Notes

__all__ = ["first_event_shares"]

_FEWEST = 100


def first_event_shares(
    models: Mapping[str, Model],
    weights: Mapping[str, float],
    part: HoldoutSplit,
    notes: Notes,
    half_lives: PopularityConfig | None = None,
) -> dict[str, float]:
    """Return model, or popularity -> share for users of whom one event is known, summing to 1.

    Empty where none are surely better than the `weights`, those of whole histories: each half of the users tests what the other
    half chose, and the interval of the gain must lie above 0. models: of the weights, trained on `part.train`. part: users who
    choose, of whose histories the newest event counts. half_lives: of the counts of popularity, None for the usual ones.
    """
    part = part.first(MOST_USERS)
    if len(part) < _FEWEST:
        return {}
    part = replace(part, histories=part.histories.last(1))
    names = tuple({**weights, Popularity.name: 0.0})
    popularity = Popularity(half_lives).fit(part.train, np.random.default_rng(0))
    halves = Halves.of(models, weights, part, {Popularity.name: popularity})
    # Samples of the users would take twenty times as long, for the same verdict.
    gain = halves.gain(weights, lambda choosing: select_among([choosing], names, sure=0).weights)
    told = f"NDCG@{DEPTH} {difference_words(gain)} over those of whole histories, of {len(part):,} users ({part.kind})"
    notes.figures["first_event"] = {"gain": gain.to_dict(), "kept": gain.low > 0.0}
    if not gain.low > 0.0:
        notes.say(f"After a first event no other shares are surely better ({told}).")
        return {}
    found = select_among([halves.one, halves.other], names).weights
    shares = ", ".join(f"{name} {share:.0%}" for name, share in found.items())
    notes.say(f"After a first event: {shares}; {told}.")
    notes.figures["first_event"]["weights"] = dict(found)
    return {name: found.get(name, 0.0) for name in names}
