"""Exact and rough vector search among items in memory, in place of a kNN query."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from es_recsys.forward_index.item_table import ItemTable
from es_recsys.forward_index.overlaid_items import OverlaidItems
from es_recsys.recent_cache import RecentCache
from es_recsys.top_k import top_k
from es_recsys.vector_sketch import OVERSAMPLING, best_of, multiply

__all__ = ["RowsAndScores", "SearchableItems"]

_BLOCK = 10_000
_EXCLUDED_STEP = 64
_LEAST_HIGHEST = 400
# Of an item that was found 8 or 12 bytes are kept.
_SEARCHES, _MOST_KEPT = 3_000, 1_000

RowsAndScores = tuple[NDArray[np.int64], NDArray[np.float32]]
Found = RecentCache[tuple[str, int, bytes], RowsAndScores]


class SearchableItems(OverlaidItems):
    """Items that are searched by their vectors.

    Where the `numbering` of two is the same, so are their rows. `scanned`: the fields that Elasticsearch scans, where every item
    matches a kNN query, whatever its k.
    """

    def __init__(self, base: ItemTable, overlay: ItemTable, gone: NDArray[np.bool_], scanned: Collection[str]):
        super().__init__(base, overlay, gone)
        self.scanned = frozenset(scanned)
        self.numbering = object()
        # Users come back with the same tastes, and words with the same vectors.
        self._found: Found = RecentCache(_SEARCHES)
        self._highest: Found = RecentCache(_SEARCHES)

    def can_search(self, field: str, vector: NDArray[np.float32]) -> bool:
        """Return whether `nearest` can search a field by a vector (d,)."""
        known = field in self.scanned or field in self._base.sketches
        return known and vector.shape == (self.dims[field],)

    def vectors(self, field: str, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors (n, d) of a field; zeros for an item that has none or isn't here. Raises KeyError."""
        found = np.zeros((len(rows), self.dims[field]), np.float32)
        for table, positions, there in self._tables(rows):
            vectors = table.vectors[field]
            found[positions] = vectors.directions[there].astype(np.float32) * vectors.lengths[there, None]
        return found

    def scores(self, field: str, rows: NDArray[np.int64], vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the inner products of the items' vectors with a vector (d,): (n,); with several (k, d): (n, k).

        NaN for an item that has no vector, which no vector search finds, and where the row is -1. Raises KeyError.
        """
        found = np.full((len(rows), *vector.shape[:-1]), np.nan, np.float32)
        for table, positions, there in self._tables(rows):
            vectors = table.vectors[field]
            lengths = vectors.lengths[there]
            directions = vectors.directions[there].astype(np.float32, copy=False)
            # One at a time: BLAS would start threads for so small a matrix product.
            products = np.array([directions @ each for each in np.atleast_2d(vector)]) * lengths
            products[:, lengths == 0.0] = np.nan
            found[positions] = products.T if vector.ndim > 1 else products[0]
        return found

    def all_scores(self, field: str, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the inner products (k, `end`) of several vectors (k, d) with those of all rows.

        -inf for an item that has no vector, and for a row whose item is no longer there. Raises KeyError.
        """
        found = np.empty((len(vectors), self.end), np.float32)
        for table, begin in ((self._base, 0), (self._overlay, len(self._base))):
            own = table.vectors[field]
            for start in range(0, len(table), _BLOCK):
                stop = min(start + _BLOCK, len(table))
                directions = own.directions[start:stop].astype(np.float32, copy=False)
                part = found[:, begin + start : begin + stop]
                np.matmul(vectors, directions.T, out=part)
                part *= own.lengths[start:stop]
                part[:, own.lengths[start:stop] == 0.0] = -np.inf
        if self._altered:
            found[:, self.gone_rows()] = -np.inf
        return found

    def rough_scores(self, field: str, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return about what `all_scores` does: of sketches where there are any.

        Of a field and vectors that it `can_search`. Raises KeyError.
        """
        parts = []
        for table in (self._base, self._overlay):
            own, sketch = table.vectors[field], table.sketches.get(field)
            part = multiply(own.directions, vectors) if sketch is None else sketch.products(vectors)
            part *= own.lengths
            part[:, own.lengths == 0.0] = -np.inf
            parts.append(part)
        found: NDArray[np.float32] = np.concatenate(parts, axis=1) if len(self._overlay) else parts[0]
        if self._altered:
            found[:, self.gone_rows()] = -np.inf
        return found

    def rough_scores_of(self, field: str, rows: NDArray[np.int64], vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the rough scores (n,) of rows, none of them -1, for a vector (d,)."""
        if field not in self._base.sketches:
            return np.nan_to_num(self.scores(field, rows, vector), nan=-np.inf)
        found = np.empty(len(rows), np.float32)
        for table, positions, there in self._tables(rows):
            lengths = table.vectors[field].lengths[there]
            products = table.sketches[field].take(there).products(vector[None])[0] * lengths
            found[positions] = np.where(lengths > 0.0, products, -np.inf)
        return found

    def highest(self, field: str, vectors: NDArray[np.float32], n: int = 0) -> list[RowsAndScores]:
        """Return, for each vector, the rows of at least n and 400 items with the highest rough scores, and these, highest first.

        Fewer where there are no more. Of a field and vectors that it `can_search`. Raises KeyError.
        """
        n = max(n, _LEAST_HIGHEST)
        keys = [(field, n, vector.tobytes()) for vector in vectors]
        found = {key: known for key in keys if (known := self._highest.get(key)) is not None}
        missing = [k for k, key in enumerate(keys) if key not in found]
        if missing:
            for k, scores in zip(missing, self.rough_scores(field, vectors[missing]), strict=True):
                rows = top_k(scores, n)
                rows = rows[np.isfinite(scores[rows])]
                found[keys[k]] = rows.astype(np.int32), scores[rows]
                if n <= _MOST_KEPT:
                    self._highest.store(keys[k], found[keys[k]])
        return [found[key] for key in keys]

    def nearest(self, field: str, vectors: NDArray[np.float32], n: int, exclude: Collection[str] = ()) -> list[dict[str, float]]:
        """Return, for each of k vectors (k, d), the n items with the largest inner products, and these, largest first.

        Of a field and vectors that it `can_search`; where Elasticsearch doesn't scan the field, either, one in twenty of them may
        be missing, most often none. exclude: ids to leave out. Raises KeyError.
        """
        # In steps, so that who leaves out a few more finds what was found before.
        most = n + -(-len(exclude) // _EXCLUDED_STEP) * _EXCLUDED_STEP
        keys = [(field, most, vector.tobytes()) for vector in vectors]
        found = {key: known for key in keys if (known := self._found.get(key)) is not None}
        missing = [k for k, key in enumerate(keys) if key not in found]
        if missing:
            for k, items in zip(missing, self._search(field, vectors[missing], most), strict=True):
                found[keys[k]] = items
                if most <= _MOST_KEPT:
                    self._found.store(keys[k], items)
        return [self._best(*found[key], n, exclude) for key in keys]

    def _search(self, field: str, vectors: NDArray[np.float32], n: int) -> list[RowsAndScores]:
        """Return, for each vector, the rows of the n items with the largest inner products, and these, largest first."""
        if field not in self._base.sketches:
            return [(rows[:n], products[:n]) for rows, products in self.highest(field, vectors, n)]
        found = []
        for (rows, _), vector in zip(self.highest(field, vectors, n * OVERSAMPLING), vectors, strict=True):
            rows = rows[: n * OVERSAMPLING]
            found.append(best_of(rows, self.scores(field, rows, vector), n))
        return found

    def _best(self, rows: NDArray[np.int64], products: NDArray[np.float32], n: int, exclude: Collection[str]) -> dict[str, float]:
        scores = products.tolist()
        ranked = list(zip(self.item_ids(rows), scores, strict=True))
        if len(set(scores)) < len(scores):
            ranked.sort(key=lambda each: (-each[1], each[0]))
        return dict(islice((each for each in ranked if each[0] not in exclude), n))
