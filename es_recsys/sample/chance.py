"""Seeded chance. Only `Generator.random` is drawn: NumPy may change its other distributions from version to version."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from statistics import NormalDist
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["digest", "gumbel", "normal", "pick", "sample", "stream", "weighted"]

T = TypeVar("T")

_STANDARD = NormalDist()


def digest(*parts: object, size: int = 8) -> str:
    """Return the hex digest of `parts`, the same everywhere (`hash` isn't)."""
    return hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=size).hexdigest()


def stream(*parts: object) -> np.random.Generator:
    """Return a stream of its own for a subject: what one subject draws doesn't move what another draws."""
    return np.random.Generator(np.random.PCG64(int(digest(*parts, size=16), 16)))


def pick(rng: np.random.Generator, values: Sequence[T]) -> T:
    """Draw one of `values`, each with the same probability."""
    return values[int(rng.random() * len(values))]


def weighted(rng: np.random.Generator, values: Sequence[T], weights: Sequence[float] | NDArray[np.float64]) -> T:
    """Draw one of `values`, with probability in proportion to its weight (>= 0, not all 0)."""
    edges = np.cumsum(weights)
    idx = int(np.searchsorted(edges, rng.random() * edges[-1], side="right"))
    return values[min(idx, len(values) - 1)]


def sample(rng: np.random.Generator, values: Sequence[T], count: int) -> list[T]:
    """Draw up to `count` different ones, in random order."""
    order = np.argsort(rng.random(len(values)), kind="stable")
    return [values[idx] for idx in order[:count]]


def normal(rng: np.random.Generator, mean: float = 0.0, spread: float = 1.0) -> float:
    """Draw from a normal distribution; spread: its standard deviation."""
    return mean + spread * _STANDARD.inv_cdf(min(max(rng.random(), 1e-12), 1.0 - 1e-12))


def gumbel(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Draw (count,) float64. The argmax of utility / temperature + gumbel is a draw from the softmax."""
    return -np.log(-np.log(np.clip(rng.random(count), 1e-12, 1.0 - 1e-12)))
