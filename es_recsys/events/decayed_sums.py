"""Exponentially decayed sums in closed form: one number for each sum, whatever the number of events behind it.

A sum at reference time T is S(T) = sum_i w_i * 2 ** (-(T - t_i) / h) * x_i, with half-life h. Moving the reference
multiplies it, S(T') = S(T) * 2 ** (-(T' - T) / h), and a late event adds its own decayed share. So the sum depends on
the set of events alone, not on the order in which they came (up to float64 rounding).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import FingerprintMismatch

__all__ = ["FACETS", "Contribution", "DecayedSums", "ItemContent"]

FACETS = ("categories", "brand", "author", "tags")


@dataclass(frozen=True, slots=True, eq=False)
class ItemContent:
    """What a profile takes from an item.

    vectors: field -> (d,) float32, unit length where the field is of unit vectors.
    group_id: what it is a variant of, under which the profile remembers it; None for an item that is none.
    """

    categories: tuple[str, ...] = ()
    brand: str | None = None
    tags: tuple[str, ...] = ()
    price: float | None = None
    vectors: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    group_id: str | None = None
    author: str | None = None

    def values(self, facet: str) -> tuple[str, ...]:
        """Return the item's values of a facet, each once."""
        if facet in ("brand", "author"):
            name = self.brand if facet == "brand" else self.author
            return () if name is None else (name,)
        return tuple(dict.fromkeys(self.categories if facet == "categories" else self.tags))


@dataclass(frozen=True, slots=True, eq=False)
class Contribution:
    """One event's part: signed weight, time (in units of the half-life), and its item's content."""

    weight: float
    time: float
    content: ItemContent


@dataclass(frozen=True, slots=True, eq=False)
class DecayedSums:
    """Sums of one half-life at one reference time.

    net: signed weights. mass: absolute weights. vectors: field -> (d,) float64. affinities: facet -> value -> weight.
    price: weight, weight * x and weight * x**2 with x = log1p(price), of positive events.
    """

    half_life: float
    net: float = 0.0
    mass: float = 0.0
    vectors: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    affinities: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    price: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def decayed(self, by: float) -> DecayedSums:
        """Return the same sums at a reference `by` later (>= 0, in units of the half-life)."""
        if by == 0.0:
            return self
        factor = 2.0 ** (-by / self.half_life)
        return DecayedSums(
            self.half_life,
            self.net * factor,
            self.mass * factor,
            {name: vector * factor for name, vector in self.vectors.items()},
            {facet: {value: x * factor for value, x in shares.items()} for facet, shares in self.affinities.items()},
            (self.price[0] * factor, self.price[1] * factor, self.price[2] * factor),
        )

    def added(self, contributions: Sequence[Contribution], reference: float) -> DecayedSums:
        """Return the sums with more events; `reference` is that of these sums, none of the events is later.

        Raises FingerprintMismatch where an item's vector has another length than those before it.
        """
        times = np.array([it.time for it in contributions], dtype=np.float64)
        weights = np.array([it.weight for it in contributions], dtype=np.float64)
        weights = weights * np.exp2((times - reference) / self.half_life)
        items = [it.content for it in contributions]
        return DecayedSums(
            self.half_life,
            self.net + float(weights.sum()),
            self.mass + float(np.abs(weights).sum()),
            _add_vectors(self.vectors, weights, items),
            {facet: _add_values(self.affinities.get(facet, {}), weights, items, facet) for facet in FACETS},
            _add_prices(self.price, weights, items),
        )


def _add_vectors(
    sums: Mapping[str, NDArray[np.float64]], weights: NDArray[np.float64], items: Sequence[ItemContent]
) -> dict[str, NDArray[np.float64]]:
    added = dict(sums)
    for name in dict.fromkeys(name for item in items for name in item.vectors):
        rows = [i for i, item in enumerate(items) if name in item.vectors]
        lengths = {items[i].vectors[name].shape for i in rows} | ({sums[name].shape} if name in sums else set())
        if len(lengths) > 1:
            raise FingerprintMismatch(
                f"Vectors of {name} have different lengths in one profile.", "Run: es-recsys profiles build"
            )
        matrix = np.stack([items[i].vectors[name] for i in rows]).astype(np.float64)  # (n, d)
        share = weights[rows] @ matrix  # (n,) @ (n, d) -> (d,)
        added[name] = added[name] + share if name in added else share
    return added


def _add_values(
    sums: Mapping[str, float], weights: NDArray[np.float64], items: Iterable[ItemContent], facet: str
) -> dict[str, float]:
    added = dict(sums)
    for weight, item in zip(weights.tolist(), items, strict=True):
        for value in item.values(facet):
            added[value] = added.get(value, 0.0) + weight
    return added


def _add_prices(
    sums: tuple[float, float, float], weights: NDArray[np.float64], items: Iterable[ItemContent]
) -> tuple[float, float, float]:
    pairs = [(w, item.price) for w, item in zip(weights.tolist(), items, strict=True) if w > 0.0 and item.price is not None]
    if not pairs:
        return sums
    weight = np.array([w for w, _ in pairs])
    x = np.log1p(np.array([price for _, price in pairs], dtype=np.float64))
    return sums[0] + float(weight.sum()), sums[1] + float(weight @ x), sums[2] + float(weight @ (x * x))
