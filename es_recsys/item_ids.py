"""Ids of items in flat arrays, which are memory-mapped."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

__all__ = ["ItemIds"]

_FEW = 5_000
# Some 150 bytes each.
_RECENT = 200_000


class ItemIds(Sequence[str]):
    """n ids in a fixed order.

    blob (bytes,) uint8 holds their UTF-8 one after the other, offsets (n + 1,) int64 where each begins; hashes (n,)
    uint64 are 64 bits of BLAKE2b, ascending, and positions (n,) int64 the id that each belongs to. Nothing is built when
    the arrays are loaded, so a catalogue of any size opens at once.
    """

    def __init__(
        self, blob: NDArray[np.uint8], offsets: NDArray[np.int64], hashes: NDArray[np.uint64], positions: NDArray[np.int64]
    ):
        self._arrays: dict[str, NDArray[Any]] = {
            "ids_blob": blob,
            "ids_offsets": offsets,
            "ids_hashes": hashes,
            "ids_places": positions,
        }
        # Hashing an id takes longer than everything else, and answers ask for the same ones again and again.
        self._recent: dict[str, int] = {}
        self._recent_ids: dict[int, str] = {}
        self._blob = memoryview(blob.data)
        self._offsets, self._hashes, self._item_idx = offsets, hashes, positions

    @classmethod
    def of(cls, item_ids: Iterable[str]) -> ItemIds:
        """Return ids in the order given; they must differ from each other."""
        encoded = [str(item_id).encode() for item_id in item_ids]
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(one) for one in encoded], out=offsets[1:])
        hashes = _hashes(encoded)
        positions = np.argsort(hashes, kind="stable").astype(np.int64)
        return cls(np.frombuffer(b"".join(encoded), np.uint8), offsets, hashes[positions], positions)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> ItemIds:
        return cls(arrays["ids_blob"], arrays["ids_offsets"], arrays["ids_hashes"], arrays["ids_places"])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `from_arrays` reads back."""
        return dict(self._arrays)

    def find(self, item_ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the item_idx (n,) int64 of each id, -1 for one that is not here."""
        if len(item_ids) > _FEW:
            return self._search(item_ids)
        found = list(map(self._recent.get, item_ids))
        if None in found:
            asked = [item_id for item_id, item_idx in zip(item_ids, found, strict=True) if item_idx is None]
            new = dict(zip(asked, self._search(asked).tolist(), strict=True))
            found = [new[item_id] if item_idx is None else item_idx for item_id, item_idx in zip(item_ids, found, strict=True)]
            self._remember(new)
        return np.array(found, np.int64)

    def _remember(self, new: Mapping[str, int]) -> None:
        if len(self._recent) > _RECENT:
            self._recent, self._recent_ids = {}, {}
        self._recent.update(new)
        self._recent_ids.update((item_idx, item_id) for item_id, item_idx in new.items() if item_idx >= 0)

    def _search(self, item_ids: Sequence[str]) -> NDArray[np.int64]:
        found = np.full(len(item_ids), -1, np.int64)
        if not len(self) or not item_ids:
            return found
        encoded, hashes = _keys(item_ids)
        first = np.minimum(np.searchsorted(self._hashes, hashes), len(self) - 1)
        hit = np.flatnonzero(self._hashes[first] == hashes)
        positions = self._item_idx[first[hit]]
        begin, end = self._offsets[positions].tolist(), self._offsets[positions + 1].tolist()
        blob = self._blob
        same = [blob[b:e] == encoded[i] for i, b, e in zip(hit.tolist(), begin, end, strict=True)]
        found[hit] = np.where(same, positions, -1)
        for i in hit[~np.array(same, bool)].tolist():
            found[i] = self._among_equals(encoded[i], int(first[i]))
        return found

    def take(self, item_idx: NDArray[Any]) -> list[str]:
        """Return the ids of the items at `item_idx`."""
        if len(item_idx) > _FEW:
            return self._decode(item_idx)
        wanted = np.asarray(item_idx).tolist()
        found = list(map(self._recent_ids.get, wanted))
        if None in found:
            asked = [idx for idx, item_id in zip(wanted, found, strict=True) if item_id is None]
            new = dict(zip(asked, self._decode(np.array(asked, np.int64)), strict=True))
            found = [new[idx] if item_id is None else item_id for idx, item_id in zip(wanted, found, strict=True)]
            self._remember({item_id: idx for idx, item_id in new.items() if idx >= 0})
        return found  # type: ignore[return-value]

    def _decode(self, item_idx: NDArray[Any]) -> list[str]:
        begin, end = self._offsets[item_idx].tolist(), self._offsets[np.asarray(item_idx) + 1].tolist()
        return [str(self._blob[b:e], "utf-8") for b, e in zip(begin, end, strict=True)]

    def _among_equals(self, encoded: bytes, at: int) -> int:
        # Two ids may share a hash, so the bytes decide.
        hashed = self._hashes[at]
        while at < len(self) and self._hashes[at] == hashed:
            item_idx = int(self._item_idx[at])
            if self._blob[self._offsets[item_idx] : self._offsets[item_idx + 1]] == encoded:
                return item_idx
            at += 1
        return -1

    def __len__(self) -> int:
        return len(self._item_idx)

    def __iter__(self) -> Iterator[str]:
        return iter(self.take(np.arange(len(self))))

    def __contains__(self, item_id: object) -> bool:
        return isinstance(item_id, str) and bool(self.find([item_id])[0] >= 0)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        return self.take(np.arange(len(self))[[index]])[0]


def _keys(item_ids: Sequence[str]) -> tuple[list[bytes], NDArray[np.uint64]]:
    """Return the ids as bytes, and their hashes."""
    encoded = [item_id.encode("utf-8", "surrogatepass") for item_id in item_ids]
    return encoded, _hashes(encoded)


def _hashes(encoded: Sequence[bytes]) -> NDArray[np.uint64]:
    digest = b"".join([hashlib.blake2b(one, digest_size=8).digest() for one in encoded])
    return np.frombuffer(digest, "<u8").astype(np.uint64, copy=False)
