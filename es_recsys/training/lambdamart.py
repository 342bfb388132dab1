"""LambdaMART by LightGBM: trees boosted on the gradients of LambdaRank.

For each pair of candidates of one answer with grades g_i > g_j, the gradient pushes them apart by

    |change of NDCG if the two swapped| / (1 + exp(s_i - s_j))

(Burges, "From RankNet to LambdaRank to LambdaMART: an overview", 2010), for pairs of which one is among the first 20. Where
the grades come from what people did with what they were shown, a bias of each rank is learned beside the trees and left out
of the prediction (unbiased LambdaMART as LightGBM has it, its `position` field; after Hu et al. 2019).

How many trees: cross-validation over answers, all answers of one user being in one fold. A fold's figures are of trees that
have seen none of it, and as many as were best on the other folds, so that they are an honest estimate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import InputError, MissingExtra
from es_recsys.search.forest import Forest
from es_recsys.training.ranking_examples import RankingExamples, ndcg

__all__ = ["LambdaMARTConfig", "Validated", "count_users", "cross_validate", "fit", "forest"]

Step = Callable[[], None]
Adjust = Callable[[RankingExamples, NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class LambdaMARTConfig:
    """Config of the gradient boosted trees.

    trees: the most that are grown, in `steps` steps between which the best number is chosen. num_leaves, max_depth: of each
    tree. learning_rate: shrinkage. min_data_in_leaf: training rows a leaf. feature_fraction, bagging_fraction: parts of the
    features and answers that a tree sees. lambda_l2: regularization of leaves. truncation: only pairs of which an item
    ranks above it count. negatives: candidates an answer that training sees. folds: of the cross-validation.
    """

    trees: int = 300
    steps: int = 3
    num_leaves: int = 31
    max_depth: int = 7
    learning_rate: float = 0.05
    min_data_in_leaf: int = 50
    feature_fraction: float = 0.6
    bagging_fraction: float = 0.8
    lambda_l2: float = 5.0
    truncation: int = 20
    negatives: int = 40
    folds: int = 3


@dataclass(frozen=True, slots=True, eq=False)
class Validated:
    """Outcome of a cross-validation.

    values (q,): NDCG@10 of each answer by trees that didn't see it. trees: the number best over all. curve: number of trees ->
    mean NDCG@10.
    """

    values: NDArray[np.float64]
    trees: int
    curve: dict[int, float]


def fit(examples: RankingExamples, config: LambdaMARTConfig, trees: int, seed: int) -> Any:
    """Return a LightGBM booster with this number of trees, trained on the examples.

    Raises MissingExtra.
    """
    try:
        import lightgbm
    except ImportError as error:
        raise MissingExtra("lightgbm", "train") from error
    rng = np.random.default_rng(seed)
    some = examples if examples.shown else examples.sampled(config.negatives, rng)
    kinds, labels = np.unique(some.grades, return_inverse=True)
    data = lightgbm.Dataset(
        some.rows,
        labels,
        group=np.diff(some.starts),
        feature_name=[f"f{i}" for i in range(len(some.names))],
        position=some.positions - 1 if some.shown else None,
        params={"verbosity": -1, "feature_pre_filter": False},
        free_raw_data=True,
    )
    params = {
        "objective": "lambdarank",
        "lambdarank_truncation_level": config.truncation,
        "label_gain": kinds.tolist(),
        "num_leaves": config.num_leaves,
        "max_depth": config.max_depth,
        "learning_rate": config.learning_rate,
        "min_data_in_leaf": config.min_data_in_leaf,
        "feature_fraction": config.feature_fraction,
        "bagging_fraction": config.bagging_fraction,
        "bagging_freq": 1,
        "bagging_by_query": True,
        "lambda_l2": config.lambda_l2,
        "seed": int(rng.integers(2**31)),
        "deterministic": True,
        "force_row_wise": True,
        # Sums of several threads come in any order, `deterministic` or not: the same seed would grow other trees.
        "num_threads": 1,
        "verbosity": -1,
    }
    return lightgbm.train(params, data, trees)


def cross_validate(
    examples: RankingExamples,
    config: LambdaMARTConfig,
    seed: int,
    step: Step = lambda: None,
    adjust: Adjust = lambda _, predicted: predicted,
) -> Validated:
    """Return how well trees rank answers that they did not see.

    step: called after each fold. adjust: the examples of a fold and their predictions (n,) -> scores that order as what is served
    does. Raises InputError where there are fewer users than folds.
    """
    if count_users(examples) < config.folds:
        raise InputError(
            f"{len(examples)} answers of {count_users(examples)} users are too few: trees are checked on users not seen.",
            f"Collect answers of {config.folds} users or more.",
        )
    folds = _folds(examples, config.folds, seed)
    counts = sorted({max(round(config.trees * (i + 1) / config.steps), 1) for i in range(config.steps)})
    values = np.zeros((len(counts), len(examples)))

    for fold in range(config.folds):
        # One after the other: LightGBM's trainings of several threads share state, so that trees differed or it crashed.
        held = np.flatnonzero(folds == fold)
        theirs = examples.some(held)
        booster = fit(examples.some(np.flatnonzero(folds != fold)), config, counts[-1], seed)
        values[:, held] = [ndcg(theirs, adjust(theirs, booster.predict(theirs.rows, num_iteration=count))) for count in counts]
        step()
    honest = np.zeros(len(examples))
    for fold in range(config.folds):
        best = int(np.argmax(values[:, folds != fold].mean(axis=1)))
        honest[folds == fold] = values[best, folds == fold]
    means = values.mean(axis=1)
    return Validated(honest, counts[int(np.argmax(means))], dict(zip(counts, means.tolist(), strict=True)))


def forest(examples: RankingExamples, config: LambdaMARTConfig, trees: int, seed: int) -> Forest:
    """Return trees grown on all the examples, as a forest that needs no LightGBM."""
    return Forest.from_dump(fit(examples, config, trees, seed).dump_model())


def count_users(examples: RankingExamples) -> int:
    """Return how many users the answers were given to; each answer of nobody counts as one's own."""
    return int(_owners(examples).max(initial=-1)) + 1


def _owners(examples: RankingExamples) -> NDArray[np.int64]:
    labels = [key or f"\0{row}" for row, key in enumerate(examples.user_keys)]
    _, owners = np.unique(np.array(labels, dtype=np.str_), return_inverse=True)
    return np.asarray(owners, np.int64)


def _folds(examples: RankingExamples, number: int, seed: int) -> NDArray[np.int64]:
    """Return the fold (q,) of each answer; all answers of one user are in one."""
    owners = _owners(examples)
    rng = np.random.default_rng(seed)
    drawn = rng.permutation(int(owners.max(initial=-1)) + 1) % number
    return np.asarray(drawn[owners], np.int64)
