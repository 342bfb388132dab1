"""Items in arrays that are memory-mapped, with what finds their rows: by id, by the write, by age, by expiry, by author."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.forward_index.item_blocks import Documents, ItemBlock, ItemVectors
from es_recsys.item_ids import ItemIds
from es_recsys.vector_sketch import VectorSketch

__all__ = ["ItemTable"]

_DIRECTIONS, _LENGTHS, _GROUPS, _AUTHORS = "directions.", "lengths.", "group_", "author_"
_AXES, _COORDINATES = "axes.", "coordinates."
# Numbers of writes for each item, up to which a table of all pays.
_MOST_WRITES = 8


@dataclass(frozen=True, slots=True, eq=False)
class ItemTable:
    """Items in arrays that can be mapped.

    ids: (n,). groups: the different group_ids. group_idx: (n,) int32, position in `groups`, -1 for an item that is no variant.
    newest: (<= n,) int32, the rows with a `created_at`, newest first, those of one moment by item id. by_seq_no: (n,) int32, the
    rows in the order of their `seq_no`. authors, author_idx: as groups. author_rows: (<= n,) int32, the rows with an author, in
    the order of `authors`; author_begins: (authors + 1,) int64, where in it those of each begin, and the last end. expiring:
    (<= n,) int32, the rows with an `expires_at`, the first to expire first. row_of_write: the row of each `seq_no`, -1 for none,
    where these are few. sketches: of the directions, by field, where they pay.
    """

    ids: ItemIds
    groups: ItemIds
    group_idx: NDArray[np.int32]
    created_at: NDArray[np.float64]
    seq_no: NDArray[np.int64]
    newest: NDArray[np.int32]
    by_seq_no: NDArray[np.int32]
    row_of_write: NDArray[np.int32] | None
    vectors: Mapping[str, ItemVectors]
    documents: Documents
    sketches: Mapping[str, VectorSketch]
    expires_at: NDArray[np.float64]
    expiring: NDArray[np.int32]
    authors: ItemIds
    author_idx: NDArray[np.int32]
    author_rows: NDArray[np.int32]
    author_begins: NDArray[np.int64]

    @classmethod
    def of(cls, block: ItemBlock, sketches: Mapping[str, VectorSketch]) -> ItemTable:
        """Return the items. sketches: of their directions."""
        groups, group_idx = _numbered(block.group_ids)
        authors, author_idx = _numbered(block.all_authors)
        rows_of_authors = _rows_by(author_idx, len(authors))
        dated = np.flatnonzero(~np.isnan(block.created_at)).tolist()
        by_id = np.array(sorted(dated, key=block.item_ids.__getitem__), np.int64)
        newest = by_id[np.argsort(-block.created_at[by_id], kind="stable")]
        return cls(
            ItemIds.of(block.item_ids),
            groups,
            group_idx,
            block.created_at,
            block.seq_no,
            newest.astype(np.int32),
            _ascending(block.seq_no),
            _row_of_write(block.seq_no),
            block.vectors,
            block.documents,
            sketches,
            block.all_expires_at,
            _expiring(block.all_expires_at),
            authors,
            author_idx,
            *rows_of_authors,
        )

    @classmethod
    def like(cls, other: ItemTable, block: ItemBlock) -> ItemTable:
        """Return items with sketches along the axes of another table's."""
        return cls.of(block, {f: sketch.of_others(block.vectors[f].directions) for f, sketch in other.sketches.items()})

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> ItemTable:
        fields = [name.removeprefix(_LENGTHS) for name in arrays if name.startswith(_LENGTHS)]
        grouping = {name.removeprefix(_GROUPS): array for name, array in arrays.items() if name.startswith(_GROUPS)}
        writing = {name.removeprefix(_AUTHORS): array for name, array in arrays.items() if name.startswith(_AUTHORS)}
        n = len(arrays["created_at"])
        # One that an earlier release wrote lacks some of them.
        authors, author_idx = (ItemIds.from_arrays(writing), writing["idx"]) if writing else _numbered([None] * n)
        rows_of_authors = (writing["rows"], writing["begins"]) if "rows" in writing else _rows_by(author_idx, len(authors))
        expires_at = arrays["expires_at"] if "expires_at" in arrays else np.full(n, np.nan)
        return cls(
            ItemIds.from_arrays(arrays),
            ItemIds.from_arrays(grouping),
            grouping["idx"],
            arrays["created_at"],
            arrays["seq_no"],
            arrays["newest"],
            arrays["by_seq_no"] if "by_seq_no" in arrays else _ascending(arrays["seq_no"]),
            _row_of_write(arrays["seq_no"]),
            {field: ItemVectors(arrays[_DIRECTIONS + field], arrays[_LENGTHS + field]) for field in fields},
            Documents(arrays["documents"], arrays["document_offsets"]),
            {
                field: VectorSketch(arrays[_AXES + field], arrays[_COORDINATES + field])
                for field in fields
                if _AXES + field in arrays
            },
            expires_at,
            _expiring(expires_at),
            authors,
            author_idx,
            *rows_of_authors,
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `from_arrays` reads back."""
        grouping = {**self.groups.arrays(), "idx": self.group_idx}
        writing = {**self.authors.arrays(), "idx": self.author_idx, "rows": self.author_rows, "begins": self.author_begins}
        return {
            **self.ids.arrays(),
            **{_GROUPS + name: array for name, array in grouping.items()},
            **{_AUTHORS + name: array for name, array in writing.items()},
            "expires_at": self.expires_at,
            "created_at": self.created_at,
            "seq_no": self.seq_no,
            "newest": self.newest,
            "by_seq_no": self.by_seq_no,
            **{_DIRECTIONS + field: vectors.directions for field, vectors in self.vectors.items()},
            **{_LENGTHS + field: vectors.lengths for field, vectors in self.vectors.items()},
            **{_AXES + field: sketch.axes for field, sketch in self.sketches.items()},
            **{_COORDINATES + field: sketch.coordinates for field, sketch in self.sketches.items()},
            "documents": self.documents.blob,
            "document_offsets": self.documents.offsets,
        }

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def exact(self) -> frozenset[str]:
        """The vector fields whose directions have 32 bits."""
        return frozenset(field for field, each in self.vectors.items() if each.directions.dtype == np.float32)

    def block(self, rows: NDArray[np.int64]) -> ItemBlock:
        """Return the items of these rows."""
        return ItemBlock(
            self.ids.take(rows),
            self.group_ids(rows),
            self.created_at[rows],
            self.seq_no[rows],
            {field: vectors.take(rows) for field, vectors in self.vectors.items()},
            self.documents.take(rows),
            self.expires_at[rows],
            self.author_names(rows),
        )

    def written(self, seq_no: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the rows (m,) that these writes wrote, -1 for those of none."""
        if not len(self):
            return np.full(len(seq_no), -1, np.int64)
        if self.row_of_write is not None:
            known = (seq_no >= 0) & (seq_no < len(self.row_of_write))
            return np.where(known, self.row_of_write[np.where(known, seq_no, 0)], -1).astype(np.int64)
        rows = self.by_seq_no[np.minimum(np.searchsorted(self.seq_no, seq_no, sorter=self.by_seq_no), len(self) - 1)]
        return np.where(self.seq_no[rows] == seq_no, rows, -1).astype(np.int64)

    def group_ids(self, rows: NDArray[np.int64]) -> list[str | None]:
        """Return the group_id of each row, None where the item is no variant."""
        return _names(self.groups, self.group_idx[rows])

    def author_names(self, rows: NDArray[np.int64]) -> list[str | None]:
        """Return the author of each row, None where none is known."""
        return _names(self.authors, self.author_idx[rows])

    def expired(self, now: float, since: float) -> NDArray[np.int64]:
        """Return the rows that expire after `since` and until `now`, epoch seconds."""
        begin, end = (bisect_right(self.expiring, moment, key=lambda row: self.expires_at[row]) for moment in (since, now))
        return self.expiring[begin:end].astype(np.int64)

    def written_by(self, authors: Collection[str]) -> NDArray[np.int64]:
        """Return the rows of the items of authors."""
        known = self.authors.find(list(authors)) if len(self.authors) else np.zeros(0, np.int64)
        known = np.unique(known[known >= 0])
        ends = zip(self.author_begins[known].tolist(), self.author_begins[known + 1].tolist(), strict=True)
        return np.concatenate([np.zeros(0, np.int64), *(self.author_rows[begin:end] for begin, end in ends)])

    def around(self, newest: NDArray[np.int32], n: int, moment: float) -> NDArray[np.int64]:
        """Return rows of `newest` before and after the moment, newest first; among them are the n nearest to it."""

        def first_from(moment: float) -> int:
            return bisect_left(newest, -moment, key=lambda row: -self.created_at[row])

        at = first_from(moment)
        begin = max(at - n, 0)
        positions = np.arange(begin, min(at + n, len(newest)))
        if n and begin:
            # Those of one moment are ordered by id, and of them the first count.
            earlier = first_from(float(self.created_at[newest[begin]]))
            positions = np.union1d(positions, np.arange(earlier, min(earlier + n, at)))
        return newest[positions].astype(np.int64)


def _numbered(names: Sequence[str | None]) -> tuple[ItemIds, NDArray[np.int32]]:
    """Return the different names, and the position (n,) of each of all, -1 for none."""
    known = [name for name in names if name is not None]
    numbered, idx = ItemIds.of(dict.fromkeys(known)), np.full(len(names), -1, np.int32)
    idx[[row for row, name in enumerate(names) if name is not None]] = numbered.find(known)
    return numbered, idx


def _names(numbered: ItemIds, idx: NDArray[np.int32]) -> list[str | None]:
    if not len(numbered):
        return [None] * len(idx)
    return [name if at >= 0 else None for name, at in zip(numbered.take(idx), idx.tolist(), strict=True)]


def _rows_by(idx: NDArray[np.int32], n: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the rows with an idx, which are below n, in its order, and (n + 1,) where those of each begin and the last end."""
    rows = np.flatnonzero(idx >= 0)
    rows = rows[np.argsort(idx[rows], kind="stable")]
    return rows.astype(np.int32), np.concatenate([[0], np.cumsum(np.bincount(idx[rows], minlength=n))]).astype(np.int64)


def _expiring(expires_at: NDArray[np.float64]) -> NDArray[np.int32]:
    rows = np.flatnonzero(~np.isnan(expires_at))
    return rows[np.argsort(expires_at[rows], kind="stable")].astype(np.int32)


def _ascending(values: NDArray[np.int64]) -> NDArray[np.int32]:
    return np.argsort(values, kind="stable").astype(np.int32)


def _row_of_write(seq_no: NDArray[np.int64]) -> NDArray[np.int32] | None:
    """Return the row of each number of a write, -1 for none; None where the numbers are many more than the items."""
    writes = int(seq_no.max(initial=-1)) + 1
    if writes > _MOST_WRITES * len(seq_no) or seq_no.min(initial=0) < 0:
        return None
    found = np.full(writes, -1, np.int32)
    found[seq_no] = np.arange(len(seq_no), dtype=np.int32)
    return found
