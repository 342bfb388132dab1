"""The items of a table with those that changed since in place of theirs, by row."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from es_recsys.forward_index.item_blocks import ItemBlock
from es_recsys.forward_index.item_table import ItemTable

__all__ = ["OverlaidItems"]

_BLOCK = 10_000


class OverlaidItems:
    """The items of a table (the base) and those that changed since (the overlay). Immutable and thread-safe.

    Rows are positions from `rows`, of this object only: those of the base, then those of the overlay. -1 stands for an item that
    isn't here.
    """

    def __init__(self, base: ItemTable, overlay: ItemTable, gone: NDArray[np.bool_]):
        # gone: (rows of the base,), of items that were deleted or are in the overlay.
        self._base, self._overlay, self._gone = base, overlay, gone
        self._altered = bool(gone.any()) or len(overlay) > 0
        self._items = len(base) - int(np.count_nonzero(gone)) + len(overlay)
        self._newest = base.newest[~gone[base.newest]] if self._altered else base.newest
        self._expired: tuple[bytes, frozenset[str]] = b"", frozenset()
        self._has_variants = len(base.groups) > 0 or len(overlay.groups) > 0

    def __len__(self) -> int:
        """Return the number of items."""
        return self._items

    @property
    def end(self) -> int:
        """The first number that is no row: rows are from 0 on, and some have no item any more."""
        return len(self._base) + len(self._overlay)

    def gone_rows(self) -> NDArray[np.int64]:
        """Return the rows that have no item any more."""
        return np.flatnonzero(self._gone) if self._altered else np.zeros(0, np.int64)

    @property
    def changed(self) -> int:
        """Number of items in the overlay, which takes memory."""
        return len(self._overlay)

    @property
    def dims(self) -> dict[str, int]:
        """Vector field -> dimensions d."""
        return {field: vectors.directions.shape[1] for field, vectors in self._base.vectors.items()}

    @property
    def exact(self) -> frozenset[str]:
        """The vector fields whose directions have 32 bits."""
        return self._base.exact

    def rows(self, item_ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the row (n,) of each item, -1 for one that isn't here: ask Elasticsearch for it."""
        rows = self._base.ids.find(item_ids)
        if not self._altered:
            return rows
        known = np.flatnonzero(rows >= 0)
        rows[known[self._gone[rows[known]]]] = -1
        changed = self._overlay.ids.find(item_ids)
        return np.where(changed >= 0, changed + len(self._base), rows)

    def item_ids(self, rows: NDArray[np.int64]) -> list[str]:
        """Return the ids of rows, none of them -1."""
        if not self._altered:
            return self._base.ids.take(rows)
        found = [""] * len(rows)
        for table, positions, there in self._tables(rows):
            for position, item_id in zip(positions.tolist(), table.ids.take(there), strict=True):
                found[position] = item_id
        return found

    def products(self, rows: NDArray[np.int64]) -> list[str]:
        """Return the products of rows, none of them -1: an item's group_id, or its own id where it is no variant."""
        found = self.item_ids(rows)
        for table, positions, there in self._tables(rows) if self._has_variants else ():
            for position, group_id in zip(positions.tolist(), table.group_ids(there), strict=True):
                found[position] = found[position] if group_id is None else group_id
        return found

    def documents(self, rows: NDArray[np.int64]) -> list[dict[str, Any]]:
        """Return the fields that a hit shows of rows, none of them -1."""
        found: list[dict[str, Any]] = [{}] * len(rows)
        for table, positions, there in self._tables(rows):
            for position, row in zip(positions.tolist(), there.tolist(), strict=True):
                found[position] = orjson.loads(table.documents[row])
        return found

    def all_created_at(self) -> NDArray[np.float64]:
        """Return `created_at` (`end`,) of all rows."""
        return np.concatenate([self._base.created_at, self._overlay.created_at])

    def created_at(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return when the items were made, (n,) epoch seconds; NaN where that isn't known."""
        found = np.full(len(rows), np.nan)
        for table, positions, there in self._tables(rows):
            found[positions] = table.created_at[there]
        return found

    def authors(self, rows: NDArray[np.int64]) -> list[str | None]:
        """Return the author (n,) of each row, None where none is known or the row is -1."""
        found: list[str | None] = [None] * len(rows)
        for table, positions, there in self._tables(rows):
            for position, author in zip(positions.tolist(), table.author_names(there), strict=True):
                found[position] = author
        return found

    def seq_no(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the numbers (n,) of the items' last writes; -1 where the row is."""
        found = np.full(len(rows), -1, np.int64)
        for table, positions, there in self._tables(rows):
            found[positions] = table.seq_no[there]
        return found

    def rows_of_writes(self, seq_no: Sequence[int]) -> NDArray[np.int64]:
        """Return the row (n,) of the item that each write wrote last, -1 where it isn't known here.

        For an index with one shard: in others several writes have one number.
        """
        numbers = np.asarray(seq_no, np.int64)
        rows = self._base.written(numbers).astype(np.int64)
        if self._altered:
            rows[(rows >= 0) & self._gone[rows]] = -1
            changed = self._overlay.written(numbers)
            rows = np.where(changed >= 0, changed + len(self._base), rows)
        return rows

    def written_items(self, seq_no: Sequence[int]) -> list[str | None]:
        """Return the id of the item that each write wrote, also before a newer one; None where it isn't known here.

        For an index with one shard: in others several writes have one number.
        """
        numbers = np.asarray(seq_no, np.int64)
        rows = self._base.written(numbers)
        found: list[str | None] = list(self._base.ids.take(np.maximum(rows, 0))) if len(self._base) else [None] * len(rows)
        for position in np.flatnonzero(rows < 0).tolist():
            found[position] = None
        if self._altered:
            changed = self._overlay.written(numbers)
            positions = np.flatnonzero(changed >= 0)
            for position, item_id in zip(positions.tolist(), self._overlay.ids.take(changed[positions]), strict=True):
                found[position] = item_id
        return found

    def newest(self, n: int, now: float | None = None) -> list[str]:
        """Return the ids of the n items with the newest `created_at`, newest first, those of one moment by id.

        now: epoch seconds; then those whose `created_at` is nearest to it, nearest first. Items without one are left out.
        """
        moment = np.inf if now is None else now
        rows = [self._base.around(self._newest, n, moment), self._overlay.around(self._overlay.newest, n, moment)]
        found = np.concatenate([rows[0], rows[1] + len(self._base)])
        moments = self.created_at(found)
        # Of one table and none in the future, they are in order already.
        if not len(rows[1]) and not (moments > moment).any():
            return self.item_ids(found[:n])
        distances = -moments if now is None else np.abs(moments - now)
        return [item_id for _, item_id in sorted(zip(distances.tolist(), self.item_ids(found), strict=True))[:n]]

    def first(self, n: int, exclude: Collection[str] = ()) -> list[str]:
        """Return the ids of n items, the same ones each time. exclude: ids to leave out."""
        most = n + len(exclude)
        rows = np.flatnonzero(~self._gone[: most + np.count_nonzero(self._gone)])[:most]
        rows = np.concatenate([rows, np.arange(min(most - len(rows), len(self._overlay))) + len(self._base)])
        return [item_id for item_id in self.item_ids(rows) if item_id not in exclude][:n]

    def blocks(self, size: int = _BLOCK) -> Iterator[ItemBlock]:
        """Yield all items, `size` at a time."""
        for table, rows in ((self._base, np.flatnonzero(~self._gone)), (self._overlay, np.arange(len(self._overlay)))):
            for start in range(0, len(rows), size):
                yield table.block(rows[start : start + size])

    def missing_from(self, pages: Iterable[Sequence[str]]) -> list[str]:
        """Return the ids of the items that are not among those in the pages."""
        there = np.zeros(len(self._base) + len(self._overlay), np.bool_)
        for item_ids in pages:
            rows = self.rows(item_ids)
            there[rows[rows >= 0]] = True
        there[: len(self._base)] |= self._gone
        return self.item_ids(np.flatnonzero(~there))

    def expired(self, now: float, since: float = -np.inf, most: float = np.inf) -> frozenset[str] | None:
        """Return the ids of the items that expire after `since` and until `now`, epoch seconds; None for more than `most`."""
        rows = self._there([self._base.expired(now, since), self._overlay.expired(now, since)])
        if len(rows) > most:
            return None
        # Those of one moment are those of the next, most often.
        key = rows.tobytes()
        if self._expired[0] != key:
            self._expired = key, frozenset(self.item_ids(rows))
        return self._expired[1]

    def written_by(self, authors: Collection[str], most: float = np.inf) -> frozenset[str] | None:
        """Return the ids of the items of authors; None for more than `most`."""
        rows = self._there([self._base.written_by(authors), self._overlay.written_by(authors)])
        return None if len(rows) > most else frozenset(self.item_ids(rows))

    def _there(self, rows: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
        """Return rows of the base, those that are still there, and of the overlay as rows of both."""
        return np.concatenate([rows[0][~self._gone[rows[0]]], rows[1] + len(self._base)])

    def _tables(self, rows: NDArray[np.int64]) -> Iterator[tuple[ItemTable, NDArray[np.int64], NDArray[np.int64]]]:
        """Yield each table with the positions of its rows among `rows`, and where in the table they are."""
        n = len(self._base)
        positions = np.flatnonzero((rows >= 0) & (rows < n) if self._altered else rows >= 0)
        yield self._base, positions, rows[positions]
        if self._altered:
            positions = np.flatnonzero(rows >= n)
            yield self._overlay, positions, rows[positions] - n
