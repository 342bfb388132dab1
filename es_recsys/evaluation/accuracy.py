"""Accuracy of ranked lists, query by query, by ir-measures (MacAvaney, Macdonald and Ounis 2022).

nDCG   sum of gain / log2(rank + 1) over the list, over the best sum that is possible (Järvelin and Kekäläinen 2002)
Recall share of the relevant items that are in the list
HR     1 where one of them is (hit rate, Success)
MAP    precision at each relevant item's rank, averaged over the relevant items
MRR    1 / rank of the first relevant item
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import MissingExtra

__all__ = ["ACCURACY", "accuracy"]

# Our name -> the measure's name in ir-measures.
_MEASURES = {"NDCG": "nDCG", "Recall": "R", "HR": "Success", "MAP": "AP", "MRR": "RR"}
ACCURACY = tuple(_MEASURES)


def accuracy(
    lists: Sequence[Sequence[str]],
    grades: Sequence[Mapping[str, float]],
    n: int,
    metrics: Iterable[str] = ACCURACY,
) -> dict[str, NDArray[np.float64]]:
    """Return each metric (n_queries,) float64 in [0, 1] of the first `n` items of each list.

    lists: item ids, best first. grades: item id -> gain > 0 of each query's relevant items; anything above 0 is relevant.
    An empty list gets 0 and counts in the mean. Raises MissingExtra.
    """
    try:
        import ir_measures
    except ImportError as error:
        raise MissingExtra("ir-measures", "evaluation") from error
    measures = {name: getattr(ir_measures, _MEASURES[name]) @ n for name in metrics}
    values = {name: np.zeros(len(lists)) for name in measures}
    names = {measure: name for name, measure in measures.items()}
    for found in ir_measures.iter_calc(list(measures.values()), *_as_runs(lists, grades, n)):
        values[names[found.measure]][int(found.query_id)] = found.value
    return values


def _as_runs(
    lists: Sequence[Sequence[str]], grades: Sequence[Mapping[str, float]], n: int
) -> tuple[dict[str, dict[str, int]], dict[str, dict[str, float]]]:
    """Return the ranked lists (run) and the relevant items (qrels) in the form that ir-measures reads.

    Gains are whole numbers there, and NDCG is the same for any multiple of them.
    """
    scale = _scale(grades)
    qrels: dict[str, dict[str, int]] = {}
    run: dict[str, dict[str, float]] = {}
    for number, (own, right) in enumerate(zip(lists, grades, strict=True)):
        name = str(number)
        qrels[name] = {item: max(round(gain * scale), 1) for item, gain in right.items() if gain > 0}
        first: dict[str, Any] = {}
        for rank, item in enumerate(own[:n]):
            first.setdefault(item, float(n - rank))
        run[name] = first
    return {name: right for name, right in qrels.items() if right}, run


def _scale(grades: Sequence[Mapping[str, float]]) -> float:
    whole = all(float(gain).is_integer() for right in grades for gain in right.values())
    return 1.0 if whole else 10_000.0
