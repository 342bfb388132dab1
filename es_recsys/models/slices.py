"""NDCG of the items that deep models hold out for themselves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["ndcg"]


def ndcg(lists: list[NDArray[np.int64]], targets: tuple[NDArray[np.int64], ...], n: int) -> NDArray[np.float64]:
    """Return NDCG@n (n_users,) float64 of lists of item indices, best first; all targets count alike."""
    discounts = 1.0 / np.log2(np.arange(2, n + 2))
    found = [np.isin(items[:n], own) @ discounts[: len(items)] for items, own in zip(lists, targets, strict=True)]
    ideal = [discounts[: len(own)].sum() for own in targets]
    result: NDArray[np.float64] = np.array(found, np.float64) / np.array(ideal, np.float64)
    return result
