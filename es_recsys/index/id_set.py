"""A set of ids in 8 bytes each, so that whole catalogues fit into memory."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["IdSet"]


class IdSet:
    """A set of ids, kept as 64-bit hashes.

    Among ten million ids, one that was never added passes for a member with a chance of about one in 10^12: where a missing
    id means deletion, a mistake keeps one item too many.
    """

    def __init__(self, item_ids: Iterable[str] = ()) -> None:
        self._added = array("Q", map(_hash, item_ids))
        self._sorted: NDArray[np.uint64] | None = None

    def __len__(self) -> int:
        """Return how many different ids were added."""
        return len(self._hashes())

    def update(self, item_ids: Iterable[str]) -> None:
        self._added.extend(map(_hash, item_ids))
        self._sorted = None

    def missing(self, item_ids: Sequence[str]) -> list[str]:
        """Return those of `item_ids` that were not added, in their order."""
        found = np.isin(np.fromiter(map(_hash, item_ids), np.uint64, len(item_ids)), self._hashes())
        return [item_id for item_id, there in zip(item_ids, found.tolist(), strict=True) if not there]

    def coverage_of(self, other: IdSet) -> float:
        """Return the share of another set's ids that are in this one; 1 where the other is empty."""
        theirs = other._hashes()
        return float(np.isin(theirs, self._hashes()).mean()) if len(theirs) else 1.0

    def to_array(self) -> NDArray[np.uint64]:
        """Return the hashes (n,), from which `from_array` makes the set again."""
        return self._hashes()

    @classmethod
    def from_array(cls, hashes: NDArray[np.uint64]) -> IdSet:
        ids = cls()
        ids._added.frombytes(np.ascontiguousarray(hashes, np.uint64).tobytes())
        return ids

    def _hashes(self) -> NDArray[np.uint64]:
        if self._sorted is None:
            self._sorted = np.unique(np.frombuffer(self._added, np.uint64)) if self._added else np.zeros(0, np.uint64)
        return self._sorted


def _hash(item_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(item_id.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
