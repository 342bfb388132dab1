"""What items are, as values in a few facets: a brand, a category, a colour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import ItemTable
from es_recsys.models.types import ranges

__all__ = ["ItemAttributes"]

_FACETS = 24
# A facet with more different values than this share of the items that have one names items and is no trait.
_NAMES = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class ItemAttributes:
    """Attributes of n items, as sparse rows.

    Of n items, by rows: starts (n + 1,) int64; codes (m,) int32, one number a value of a facet, at most once an item;
    shares (m,) float32, one over the item's number of values in that facet. facet_of (v,) int16: the facet of each code.
    facets: their names."""

    starts: NDArray[np.int64]
    codes: NDArray[np.int32]
    shares: NDArray[np.float32]
    facet_of: NDArray[np.int16]
    facets: tuple[str, ...]

    @classmethod
    def of(cls, items: ItemTable, item_idx: NDArray[np.int64], n: int) -> Self:
        """Return the attributes of a table whose rows are at `item_idx` of n items.

        A value of one item alone is left out, and so is a facet that
        has nearly a value an item; of many facets the 24 that most items have stay."""
        rows: list[NDArray[Any]] = []
        names: list[str] = []
        n_codes, facet_of = 0, np.zeros(0, np.int16)
        for name, values in _most_common(items):
            owners, codes, n_values = _encode(values)
            if not len(owners):
                continue
            share = 1.0 / np.bincount(owners)[owners]
            rows.append(np.stack([item_idx[owners], codes + n_codes, share]))
            facet_of = np.concatenate([facet_of, np.full(n_values, len(names), np.int16)])
            n_codes += n_values
            names.append(name)
        table = np.concatenate(rows, axis=1) if rows else np.zeros((3, 0))
        table = table[:, np.lexsort((table[1], table[0]))]
        starts = np.concatenate([[0], np.cumsum(np.bincount(table[0].astype(np.int64), minlength=n))])
        return cls(starts, table[1].astype(np.int32), table[2].astype(np.float32), facet_of, tuple(names))

    def at(self, item_idx: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where the values of some items are.

        Returns entries (k,) int64 into `codes`, and the row of `item_idx` that each
        belongs to (k,) int64."""
        entries, lengths = ranges(self.starts, item_idx)
        return entries, np.repeat(np.arange(len(item_idx)), lengths)

    def totals(self, code_weights: NDArray[np.float64], item_idx: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """Return share times weight (k,) float64, summed over the values of each item.

        code_weights: (v,) of each code. item_idx: of the items; None for all.
        """
        if item_idx is not None:
            entries, owners = self.at(item_idx)
            return np.bincount(
                owners, weights=self.shares[entries] * code_weights[self.codes[entries]], minlength=len(item_idx)
            ).astype(np.float64, copy=False)
        sums = np.zeros(len(self.starts) - 1)
        some = np.flatnonzero(np.diff(self.starts))
        if len(some):
            sums[some] = np.add.reduceat(self.shares * code_weights[self.codes], self.starts[some])
        return sums

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays for the artefact; `facets` are kept beside them."""
        return {"starts": self.starts, "codes": self.codes, "shares": self.shares, "facet_of": self.facet_of}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], facets: Sequence[str]) -> Self:
        return cls(arrays["starts"], arrays["codes"], arrays["shares"], arrays["facet_of"], tuple(facets))


def _most_common(items: ItemTable) -> list[tuple[str, Sequence[tuple[str, ...]]]]:
    facets = [(name, values, sum(map(bool, values))) for name, values in _facets(items)]
    kept = sorted((facet for facet in facets if facet[2]), key=lambda facet: (-facet[2], facet[0]))[:_FACETS]
    return [(name, values) for name, values, _ in sorted(kept)]


def _facets(items: ItemTable) -> Iterator[tuple[str, Sequence[tuple[str, ...]]]]:
    yield "category", [one[-1:] for one in items.categories]
    yield "department", [one[:1] if len(one) > 1 else () for one in items.categories]
    yield "brand", [(one,) if one else () for one in items.brands]
    yield from items.attributes.items()


def _encode(values: Sequence[tuple[str, ...]]) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Return owners and codes (k,) of the values that two items or more have, and how many different ones there are."""
    pairs = [(owner, value) for owner, mine in enumerate(values) for value in sorted(set(mine))]
    if not pairs:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), 0
    owners = np.array([owner for owner, _ in pairs], np.int64)
    distinct, codes = np.unique(np.array([value for _, value in pairs], dtype=np.str_), return_inverse=True)
    counts = np.bincount(codes)
    if len(distinct) > _NAMES * len(np.unique(owners)):
        return owners[:0], codes[:0], 0
    shared = counts >= 2
    kept = shared[codes]
    return owners[kept], (np.cumsum(shared) - 1)[codes[kept]], int(shared.sum())
