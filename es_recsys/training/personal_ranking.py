"""Training of the learned order of personal searches, on the searches that their weights were chosen on.

Served where it is better: on people whose searches its trees did not see, its NDCG@10 is above that of the weighted sum, a paired
test says with p < 0.05 that this is no accident, and hardly a title that is asked for loses the first place.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import MissingExtra
from es_recsys.evaluation.statistics import bootstrap, paired_test
from es_recsys.search.personal_ranking import PERSONAL_SEARCH, WINDOW, titled
from es_recsys.search.ranker import Ranker
from es_recsys.serving.workspace import Workspace
from es_recsys.training.lambdamart import LambdaMARTConfig, count_users, cross_validate, forest
from es_recsys.training.ranking_examples import RankingExamples, ndcg
from es_recsys.training.train_ranking import Outcome, encoder_spaces, read_most, serve_ranking

__all__ = ["train_personal_ranking"]

_FEWEST = 200
_LEVEL = 0.05
_FAR = 1e6  # more than predictions differ
# Of a thousand searches more leaves learn noise. Three times as many trees, each a third as strong, are no better.
_TREES = LambdaMARTConfig(
    trees=100, steps=2, num_leaves=6, max_depth=3, learning_rate=0.1, min_data_in_leaf=300, feature_fraction=0.4, negatives=40
)


def train_personal_ranking(
    work: Workspace, asked: RankingExamples, titles: RankingExamples, may_lose: int, seed: int
) -> Outcome | None:
    """Train it and serve it where it is better; None where there is too little to learn from, or LightGBM is not there.

    asked: searches that people asked, or that were rebuilt. titles: searches for whole titles, of which `may_lose` may lose the
    first place.
    """
    if len(asked) < _FEWEST or count_users(asked) < _TREES.folds:
        return None
    try:
        validated = cross_validate(asked, _TREES, seed, adjust=_titles_first)
        grown = forest(asked, _TREES, validated.trees, seed)
    except MissingExtra:
        return None
    rng = np.random.default_rng(seed)
    before = ndcg(asked, _as_served(asked))
    p = paired_test(validated.values, before, rng, groups=asked.user_keys)
    gain = bootstrap(validated.values - before, rng, groups=asked.user_keys)
    better = gain.mean > 0.0 and p < _LEVEL
    lost = 0
    if better:
        predicted = _titles_first(titles, grown.predict(_aligned(titles, asked.names)))
        lost = _first(titles, _as_served(titles)) - _first(titles, predicted)
    kept = better and lost <= may_lose
    if kept:
        serve_ranking(work, PERSONAL_SEARCH, Ranker(grown, asked.names, WINDOW, encoder_spaces(work)))
    shares = read_most(asked, grown, rng) if kept else {}
    means = (float(before.mean()), float(validated.values.mean()))
    lost = 0 if kept else lost
    return Outcome(PERSONAL_SEARCH, len(asked), *means, gain, p, validated.trees, kept, shares, validated.curve, lost)


def _aligned(examples: RankingExamples, names: tuple[str, ...]) -> NDArray[np.float64]:
    """Return the rows of examples with these features, NaN for those that they lack."""
    column = {name: place for place, name in enumerate(examples.names)}
    unknown = np.full(len(examples.rows), np.nan, np.float32)
    columns = [examples.rows[:, column[name]] if name in column else unknown for name in names]
    return np.stack(columns, axis=1).astype(np.float64)


def _titles_first(examples: RankingExamples, predicted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return predictions (n,) by which the order is the served one: what is asked for by its whole title is first."""
    first = titled(dict(zip(examples.names, examples.rows.T, strict=True)))
    return predicted if first is None else predicted + _FAR * first


def _as_served(examples: RankingExamples) -> NDArray[np.float64]:
    """Return scores (n,) by which the order is that of the weighted sum."""
    return -np.arange(len(examples.rows), dtype=np.float64)


def _first(examples: RankingExamples, scores: NDArray[np.float64]) -> int:
    """Return in how many answers something relevant is first."""
    bounds = zip(examples.starts[:-1].tolist(), examples.starts[1:].tolist(), strict=True)
    return sum(bool(examples.grades[begin + int(np.argmax(scores[begin:end]))] > 0.0) for begin, end in bounds)
