"""BSPM: a history is blurred over the graph of items and then sharpened again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from es_recsys.models.neighbours import recency_space
from es_recsys.models.params import from_json
from es_recsys.models.spectral import Filter, Spectral

__all__ = ["BSPM", "BSPMConfig"]


@dataclass(frozen=True, slots=True)
class BSPMConfig:
    """factors: eigenvectors that are filtered one by one, and that the ideal low-pass filter lets through. low_pass: its
    weight beside the linear filter. sharpening: how long the result is sharpened, 0 for GF-CF. half_life,
    half_life_days: see `Neighbours`."""

    factors: int = 448
    low_pass: float = 0.5
    sharpening: float = 1.5
    half_life: float = math.inf
    half_life_days: float = math.inf


class BSPM(Spectral):
    """Choi, Hong, Park and Cho 2023, "Blurring-Sharpening Process Models for Collaborative Filtering", early merge: one step
    of blurring, b = P w + low_pass * D^1/2 V V^T D^-1/2 w, then the heat equation run backwards, ds/dt = -P s from s = b,
    for the time `sharpening` = T, which is

        score = exp(-T P) b

    in the terms of `Spectral`. The paper takes steps of Euler or Runge and Kutta, each with as many passes over all
    interactions; here the k eigenvectors V get exp(-T lambda) exactly, and the rest, whose eigenvalues are at most
    lambda_k, the one factor of the middle, exp(-T lambda_k / 2), so that an answer costs what one of GF-CF costs.
    """

    name: ClassVar[str] = "bspm"
    inference_params: ClassVar[frozenset[str]] = frozenset({"half_life", "half_life_days", "low_pass", "sharpening"})

    def __init__(self, config: BSPMConfig | None = None) -> None:
        self.config = config or BSPMConfig()

    @classmethod
    def search_space(cls, ordered: bool, timed: bool) -> Mapping[str, tuple[Any, ...]]:
        """Setting -> values worth trying."""
        return {
            **recency_space(ordered, timed),
            "sharpening": (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0),
            "low_pass": (0.0, 0.03, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2),
            "factors": (32, 64, 128, 256, 448),
        }

    @classmethod
    def default_config(cls, ordered: bool, timed: bool) -> BSPMConfig:
        """A short memory where order tells."""
        return BSPMConfig(half_life=4.0 if ordered else math.inf)

    def _filter(self, eigenvalues: NDArray[np.float64]) -> Filter:
        low, time = self.config.low_pass, self.config.sharpening
        rest = math.exp(-time * float(eigenvalues[-1]) / 2.0) if len(eigenvalues) else 1.0
        # exp(-T P) = rest I + V diag(surplus) V^T, applied to both terms of b.
        surplus = np.exp(-time * eigenvalues) - rest
        return Filter(rest, low * rest, eigenvalues * surplus, low * surplus)

    @classmethod
    def _from_params(cls, params: Mapping[str, Any]) -> Self:
        return cls(BSPMConfig(**from_json(params)))
