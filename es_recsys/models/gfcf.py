"""GF-CF: graph filtering, the closed form of what linear graph networks learn by gradient."""

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

__all__ = ["GFCF", "GFCFConfig"]


@dataclass(frozen=True, slots=True)
class GFCFConfig:
    """factors: eigenvectors that the ideal low-pass filter lets through. low_pass: its weight beside the linear filter.
    half_life, half_life_days: see `Neighbours`."""

    factors: int = 448
    low_pass: float = 0.25
    half_life: float = math.inf
    half_life_days: float = math.inf


class GFCF(Spectral):
    """Shen et al. 2021, "How Powerful is Graph Convolution for Recommendation?": a linear filter, which is the plain walk
    over the graph, and an ideal low-pass one,

        score = P w  +  low_pass * D^1/2 V V^T D^-1/2 w

    in the terms of `Spectral`.
    """

    name: ClassVar[str] = "gfcf"
    inference_params: ClassVar[frozenset[str]] = frozenset({"half_life", "half_life_days", "low_pass"})

    def __init__(self, config: GFCFConfig | None = None) -> None:
        self.config = config or GFCFConfig()

    @classmethod
    def search_space(cls, ordered: bool, timed: bool) -> Mapping[str, tuple[Any, ...]]:
        """Setting -> values worth trying."""
        return {
            **recency_space(ordered, timed),
            "low_pass": (0.0, 0.05, 0.1, 0.15, 0.25, 0.4, 0.6, 1.0),
            "factors": (32, 64, 128, 256, 448),
        }

    @classmethod
    def default_config(cls, ordered: bool, timed: bool) -> GFCFConfig:
        """A short memory where order tells."""
        return GFCFConfig(half_life=4.0 if ordered else math.inf)

    def _filter(self, eigenvalues: NDArray[np.float64]) -> Filter:
        nothing = np.zeros(len(eigenvalues))
        return Filter(1.0, self.config.low_pass, nothing, nothing)

    @classmethod
    def _from_params(cls, params: Mapping[str, Any]) -> Self:
        return cls(GFCFConfig(**from_json(params)))
