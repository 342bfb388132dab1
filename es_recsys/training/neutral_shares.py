"""The shares of what is popular, what is new and what followed authors made in recommendations, chosen on held-out events.

Where people turn to what others have just turned to, or to what has just come, as in a feed, models of taste alone may answer
worse than a list for all; and where they follow authors, than what these made. So popularity, recency and authors are weighed
against their ensemble, and get shares where that is surely better: each half of the users tests what the other half chose. The
models are those that were trained for the ensemble, which have not learned from what is to be found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

import numpy as np

from es_recsys.evaluation.holdout_split import HoldoutSplit
from es_recsys.evaluation.statistics import difference_words
from es_recsys.models.base import Model
from es_recsys.models.popularity import Popularity
from es_recsys.search.retrievers import AUTHOR
from es_recsys.training.ensemble_candidates import Candidates
from es_recsys.training.ensemble_selection import with_model
from es_recsys.training.halves import MOST_USERS, Halves
from es_recsys.training.model_trials import DEPTH
from es_recsys.training.recency import Recency
from es_recsys.training.selection_report import Notes
from es_recsys.training.validation import FEWEST

__all__ = ["neutral_shares"]

_SHARES = {
    Popularity.name: (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95),
    Recency.name: (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
    AUTHOR: (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7),
}
# Of the ensemble's NDCG, as for a model that joins it.
_WORTH = 0.005


def neutral_shares(
    models: Mapping[str, Model], weights: Mapping[str, float], part: HoldoutSplit, others: Mapping[str, Model], notes: Notes
) -> dict[str, float]:
    """Return popularity, recency, author -> share beside an ensemble, in all below 1.

    It has all of `others` where that is surely better by half a percent, else none. models: of the weights, trained on
    `part.train`. part: users who choose. others: some of popularity, recency and author, by their names.
    """
    part = part.first(MOST_USERS)
    if len(part) < FEWEST or not others:
        return {}
    halves = Halves.of(models, weights, part, others)
    gain = halves.gain(weights, lambda choosing: _mixed(weights, _best([choosing], weights, others)))
    both = [halves.one, halves.other]
    before = _ndcg(both, weights)
    kept = gain.low > 0.0 and gain.mean >= _WORTH * before
    mixed = _mixed(weights, _best(both, weights, others)) if kept else {}
    shares = {name: mixed.get(name, 0.0) for name in others} if kept else {}
    told = f"NDCG@{DEPTH} {difference_words(gain)} over {before:.4f} of the models alone, of {len(part):,} users"
    for name in others:
        notes.figures[name] = {"gain": gain.to_dict(), "share": shares.get(name, 0.0)}
    each = ", ".join(f"{name} {shares.get(name, 0.0):.0%}" for name in others)
    what = "The same for all, and authors" if AUTHOR in others else "The same for all"
    notes.say(f"{what}: {each if kept else 'no share is surely better'} ({told}).")
    return shares


def _best(candidates: Sequence[Candidates], weights: Mapping[str, float], others: Mapping[str, Model]) -> dict[str, float]:
    """Return the shares with the highest NDCG, the smallest of those that are as good.

    What is the same for all is tried in all combinations, authors beside the best of these, and these beside it once more.
    """

    def best(tried: Iterable[dict[str, float]]) -> dict[str, float]:
        return max(tried, key=lambda shares: _ndcg(candidates, _mixed(weights, shares)))

    same = [name for name in others if name != AUTHOR]
    mixes = [dict(zip(same, shares, strict=True)) for shares in product(*(_SHARES[name] for name in same))]
    found = best(mixes)
    if AUTHOR not in others:
        return found
    author = best({**found, AUTHOR: share} for share in _SHARES[AUTHOR])[AUTHOR]
    return best({**mix, AUTHOR: author} for mix in mixes) if author else {**found, AUTHOR: 0.0}


def _mixed(weights: Mapping[str, float], shares: Mapping[str, float]) -> dict[str, float]:
    """Return the weights with the shares beside them; each takes its share of what was there before it."""
    mixed = dict(weights)
    for name, share in shares.items():
        mixed = with_model(mixed, name, share)
    return mixed


def _ndcg(candidates: Sequence[Candidates], weights: Mapping[str, float]) -> float:
    return float(np.concatenate([one.each(weights) for one in candidates]).mean())
