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

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import InputError, MissingExtra
from es_recsys.search.forest import Forest
from es_recsys.training.ranking_examples import Examples, ndcg

__all__ = ["Trees", "Validated", "askers", "cross_validate", "fit", "forest"]

Step = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Trees:
    """Config of the gradient boosted trees.

    trees: the most that are grown, in `steps` steps between which the best number is chosen. leaves, depth: of each tree. rate:
    shrinkage. least: training rows a leaf. columns, share: parts of the features and answers that a tree sees. negatives:
    candidates an answer that training sees. folds: of the cross-validation.
    """

    trees: int = 300
    steps: int = 3
    leaves: int = 31
    depth: int = 7
    rate: float = 0.05
    least: int = 50
    columns: float = 0.6
    share: float = 0.8
    l2: float = 5.0
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


def fit(examples: Examples, config: Trees, trees: int, seed: int) -> Any:
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
        "num_leaves": config.leaves,
        "max_depth": config.depth,
        "learning_rate": config.rate,
        "min_data_in_leaf": config.least,
        "feature_fraction": config.columns,
        "bagging_fraction": config.share,
        "bagging_freq": 1,
        "bagging_by_query": True,
        "lambda_l2": config.l2,
        "seed": int(rng.integers(2**31)),
        "deterministic": True,
        "force_row_wise": True,
        # Sums of several threads come in any order, `deterministic` or not: the same seed would grow other trees.
        "num_threads": 1,
        "verbosity": -1,
    }
    return lightgbm.train(params, data, trees)


def cross_validate(examples: Examples, config: Trees, seed: int, step: Step = lambda: None) -> Validated:
    """Return how well trees rank answers that they did not see.

    step: called after each fold. Raises InputError where there are fewer users than folds.
    """
    if askers(examples) < config.folds:
        raise InputError(
            f"{len(examples)} answers of {askers(examples)} askers are too few: trees are tried on askers that they did not see.",
            f"Collect answers of {config.folds} askers or more.",
        )
    folds = _folds(examples, config.folds, seed)
    counts = sorted({max(round(config.trees * (i + 1) / config.steps), 1) for i in range(config.steps)})
    values = np.zeros((len(counts), len(examples)))

    def measure(fold: int) -> tuple[NDArray[np.int64], list[NDArray[np.float64]]]:
        held = np.flatnonzero(folds == fold)
        booster = fit(examples.some(np.flatnonzero(folds != fold)), config, counts[-1], seed)
        theirs = examples.some(held)
        return held, [ndcg(theirs, booster.predict(theirs.rows, num_iteration=count)) for count in counts]

    with ThreadPoolExecutor(min(config.folds, os.cpu_count() or 1)) as pool:
        for held, found in pool.map(measure, range(config.folds)):
            values[:, held] = found
            step()
    honest = np.zeros(len(examples))
    for fold in range(config.folds):
        best = int(np.argmax(values[:, folds != fold].mean(axis=1)))
        honest[folds == fold] = values[best, folds == fold]
    means = values.mean(axis=1)
    return Validated(honest, counts[int(np.argmax(means))], dict(zip(counts, means.tolist(), strict=True)))


def forest(examples: Examples, config: Trees, trees: int, seed: int) -> Forest:
    """Return trees grown on all the examples, as a forest that needs no LightGBM."""
    return Forest.from_dump(fit(examples, config, trees, seed).dump_model())


def askers(examples: Examples) -> int:
    """Return how many users the answers were given to; each answer of nobody counts as one's own."""
    return int(_owners(examples).max(initial=-1)) + 1


def _owners(examples: Examples) -> NDArray[np.int64]:
    labels = [who or f"\0{row}" for row, who in enumerate(examples.who)]
    _, owners = np.unique(np.array(labels, dtype=np.str_), return_inverse=True)
    return np.asarray(owners, np.int64)


def _folds(examples: Examples, number: int, seed: int) -> NDArray[np.int64]:
    """Return the fold (q,) of each answer; all answers of one user are in one."""
    owners = _owners(examples)
    rng = np.random.default_rng(seed)
    drawn = rng.permutation(int(owners.max(initial=-1)) + 1) % number
    return np.asarray(drawn[owners], np.int64)
