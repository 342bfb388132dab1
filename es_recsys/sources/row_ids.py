"""Which rows of a catalogue belong together: hashes of their ids, and the last row of each id that comes again.

Indices of rows count from 0 over all files. A hash of 0 stands for a row without such an id; no id is likely to have it.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.values import IdFormat, parse_id

__all__ = ["NO_ROWS", "IdHashes", "LastRows", "last_rows_of_groups", "last_rows_of_repeated"]

_AS_NUMBER = IdFormat(numbers=True)


@dataclass(frozen=True, slots=True, eq=False)
class LastRows:
    """The last row of each of some ids. hashes (n,) int64 ascending; last (n,) int64, indices of rows."""

    hashes: NDArray[np.int64]
    last: NDArray[np.int64]

    def of(self, name: str) -> int | None:
        """Return the index of the id's last row; None for an id that is not among them."""
        wanted = hash(name)
        found = int(np.searchsorted(self.hashes, wanted))
        return int(self.last[found]) if found < len(self.hashes) and self.hashes[found] == wanted else None

    def __len__(self) -> int:
        return len(self.hashes)


NO_ROWS = LastRows(np.zeros(0, np.int64), np.zeros(0, np.int64))


class IdHashes:
    """A hash of each row's id, as its text and as the number that it may be: which it is, is known at the end."""

    def __init__(self) -> None:
        self._texts = array("q")
        self._numbers: array[int] | None = None  # only from the first id on that has two readings

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, value: Any) -> None:
        """Keep the hash of the next row's id."""
        try:
            text = parse_id(value)
        except ValueError:
            text = None
        # Only 17.0 and 1.7E+1 have another reading.
        several = text is not None and text[0].isdigit() and not text.isdigit() and _AS_NUMBER.parse(text) != text
        if self._numbers is None and several:
            self._numbers = array("q", self._texts)
        if self._numbers is not None:
            self._numbers.append(0 if text is None else hash(_AS_NUMBER.parse(text)))
        self._texts.append(0 if text is None else hash(text))

    def skip_to(self, length: int) -> None:
        """Fill up to `length` rows: those that came before have no such id."""
        for hashes in (self._texts, self._numbers):
            if hashes is not None:
                hashes.extend([0] * (length - len(hashes)))

    def in_format(self, id_format: IdFormat) -> NDArray[np.int64]:
        """Return the hashes (n,) int64 of the ids as the format reads them."""
        hashes = self._numbers if id_format.numbers and self._numbers is not None else self._texts
        return np.frombuffer(hashes, np.int64) if hashes else np.zeros(0, np.int64)


def last_rows_of_repeated(hashes: NDArray[np.int64]) -> dict[int, int]:
    """Return hash -> index of its last row, for the hashes (n,) int64 that come more than once."""
    order = np.argsort(hashes, kind="stable")
    ranked = hashes[order]
    same = ranked[1:] == ranked[:-1]
    last = np.append(~same, True)[: len(ranked)]
    repeated = last & np.insert(same, 0, False)[: len(ranked)] & (ranked != 0)
    return dict(zip(ranked[repeated].tolist(), order[repeated].tolist(), strict=True))


def last_rows_of_groups(items: NDArray[np.int64], groups: NDArray[np.int64]) -> LastRows:
    """Return the last row of each group.

    items (n,), groups (m <= n,) int64: hashes of each row's ids; rows after m have no group.

    A row without a group whose own id is the group of others is of that group: the product that they are variants of.
    """
    if not len(groups):
        return NO_ROWS
    groups = np.pad(groups, (0, len(items) - len(groups)))
    known = np.unique(groups[groups != 0])
    parents = (groups == 0) & np.isin(items, known)
    owners = np.where(parents, items, groups)
    hashes, back = np.unique(owners[::-1], return_index=True)
    named = hashes != 0
    return LastRows(hashes[named], len(owners) - 1 - back[named])
