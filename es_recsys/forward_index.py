"""Forward index: what an answer needs of each item (vectors, age, product, document), by item id, so that it needs no request.

The items as of one moment lie in memory-mapped arrays that processes share (the base); those that changed since lie in memory
(the overlay). An index is never altered: `with_changes` returns another one, which shares the base.
"""

from __future__ import annotations

import tempfile
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from es_recsys import artefact
from es_recsys.errors import ModelError
from es_recsys.index_metadata import IndexState
from es_recsys.item_ids import ItemIds
from es_recsys.private import make_folder
from es_recsys.recent_cache import RecentCache
from es_recsys.top_k import top_k
from es_recsys.vector_sketch import OVERSAMPLING, VectorSketch, best_of, multiply

__all__ = ["Documents", "ForwardIndex", "ItemBlock", "ItemVectors", "concatenate", "concatenate_on_disk"]

_NAME, _LAYOUT = "forward", 2
_DIRECTIONS, _LENGTHS, _GROUPS, _AUTHORS = "directions.", "lengths.", "group_", "author_"
_AXES, _COORDINATES = "axes.", "coordinates."
_BLOCK = 10_000
_EXCLUDED_STEP = 64
_LEAST_HIGHEST = 400
# Numbers of writes for each item, up to which a table of all pays.
_MOST_WRITES = 8
# Of an item that was found 8 or 12 bytes are kept.
_SEARCHES, _MOST_KEPT = 3_000, 1_000

RowsAndScores = tuple[NDArray[np.int64], NDArray[np.float32]]
Found = RecentCache[tuple[str, int, bytes], RowsAndScores]


@dataclass(frozen=True, slots=True, eq=False)
class ItemVectors:
    """The vectors of n items in one field.

    directions: (n, d) float16 or float32, of unit length, so that no vector is too long or too short for 16 bits. lengths: (n,)
    float32, 0 for an item without a vector. Rounding to 16 bits alters the cosine of two vectors by about 1e-5 where d is 384,
    and by less than 5e-4 always.
    """

    directions: NDArray[np.floating[Any]]
    lengths: NDArray[np.float32]

    @classmethod
    def of(cls, vectors: NDArray[np.float32], dtype: type[np.floating[Any]] = np.float16) -> ItemVectors:
        """Round vectors (n, d) float32; a row of zeros is no vector. dtype: of the directions."""
        exact = vectors.astype(np.float64)
        lengths = np.sqrt(np.einsum("nd,nd->n", exact, exact))
        exact /= np.where(lengths > 0.0, lengths, 1.0)[:, None]
        return cls(exact.astype(dtype), lengths.astype(np.float32))

    def take(self, rows: NDArray[np.int64]) -> ItemVectors:
        """Return the vectors of these rows."""
        return ItemVectors(self.directions[rows], self.lengths[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Documents:
    """The documents of n items, as JSON.

    blob: uint8, one behind the other. offsets: (n + 1,) int64, where each begins and the last ends.
    """

    blob: NDArray[np.uint8]
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, documents: Sequence[bytes]) -> Documents:
        """Return these documents."""
        blob = np.frombuffer(b"".join(documents), np.uint8)
        return cls(blob, np.cumsum([0, *map(len, documents)], dtype=np.int64))

    @classmethod
    def joined(cls, blob: NDArray[np.uint8], parts: Sequence[Documents]) -> Documents:
        """Return the documents of several parts, whose blobs stand in `blob` one behind the other."""
        lengths = np.concatenate([np.diff(part.offsets) for part in parts])
        return cls(blob, np.concatenate([[0], np.cumsum(lengths)]))

    def __getitem__(self, row: int) -> bytes:
        return self.blob[self.offsets[row] : self.offsets[row + 1]].tobytes()

    def take(self, rows: NDArray[np.int64]) -> Documents:
        """Return the documents of these rows."""
        return Documents.of([self[row] for row in rows.tolist()])


@dataclass(frozen=True, slots=True, eq=False)
class ItemBlock:
    """Items as columns.

    item_ids: (n,), all different. group_ids: (n,), None for an item that is no variant. created_at: (n,) float64, epoch seconds,
    NaN where it isn't known. seq_no: (n,) int64, Elasticsearch's number of the item's last write. vectors: by field. documents:
    the fields that a hit shows. expires_at: (n,) float64, epoch seconds, NaN for never. authors: (n,), None where none is known.
    Without the last two nothing expires and nobody is known.
    """

    item_ids: Sequence[str]
    group_ids: Sequence[str | None]
    created_at: NDArray[np.float64]
    seq_no: NDArray[np.int64]
    vectors: Mapping[str, ItemVectors]
    documents: Documents
    expires_at: NDArray[np.float64] | None = None
    authors: Sequence[str | None] | None = None

    @classmethod
    def empty(cls, dims: Mapping[str, int], exact: Collection[str] = ()) -> ItemBlock:
        """Return no items. dims: vector field -> d. exact: the fields whose directions have 32 bits."""
        dtypes = {field: np.float32 if field in exact else np.float16 for field in dims}
        vectors = {field: ItemVectors.of(np.zeros((0, d), np.float32), dtypes[field]) for field, d in dims.items()}
        return cls((), (), np.zeros(0), np.zeros(0, np.int64), vectors, Documents.of(()))

    def __len__(self) -> int:
        return len(self.item_ids)

    def take(self, rows: NDArray[np.int64]) -> ItemBlock:
        """Return the items of these rows."""
        return ItemBlock(
            [self.item_ids[row] for row in rows.tolist()],
            [self.group_ids[row] for row in rows.tolist()],
            self.created_at[rows],
            self.seq_no[rows],
            {field: vectors.take(rows) for field, vectors in self.vectors.items()},
            self.documents.take(rows),
            self.all_expires_at[rows],
            [self.all_authors[row] for row in rows.tolist()],
        )

    @property
    def all_expires_at(self) -> NDArray[np.float64]:
        """`expires_at` of all items."""
        return np.full(len(self), np.nan) if self.expires_at is None else self.expires_at

    @property
    def all_authors(self) -> Sequence[str | None]:
        """The authors of all items."""
        return [None] * len(self) if self.authors is None else self.authors


def concatenate(blocks: Sequence[ItemBlock]) -> ItemBlock:
    """Return one block of several, at least one, with the same fields."""
    vectors = {
        field: ItemVectors(
            np.concatenate([block.vectors[field].directions for block in blocks]),
            np.concatenate([block.vectors[field].lengths for block in blocks]),
        )
        for field in blocks[0].vectors
    }
    documents = [block.documents for block in blocks]
    return _joined(blocks, vectors, Documents.joined(np.concatenate([each.blob for each in documents]), documents))


def concatenate_on_disk(
    blocks: Iterable[ItemBlock], dims: Mapping[str, int], folder: Path, exact: Collection[str] = ()
) -> ItemBlock:
    """Do what `concatenate` does, with documents and directions of vectors in files in `folder`: any number takes little memory.

    dims, exact: see `ItemBlock.empty`. Who has the block may read it until the folder is deleted. Raises OSError.
    """
    paths = {field: folder / f"{field}.raw" for field in dims}
    texts = folder / "documents.json"
    small = [ItemBlock.empty(dims, exact)]
    for block in blocks:
        with texts.open("ab") as file:
            block.documents.blob.tofile(file)
        for field, path in paths.items():
            with path.open("ab") as file:
                block.vectors[field].directions.tofile(file)
        # Of what is in the files nothing is kept but its shape.
        none = {name: ItemVectors(vectors.directions[:0], vectors.lengths) for name, vectors in block.vectors.items()}
        small.append(replace(block, vectors=none, documents=Documents(block.documents.blob[:0], block.documents.offsets)))
    n = sum(len(block) for block in small)
    vectors = {}
    for field, d in dims.items():
        lengths = np.concatenate([block.vectors[field].lengths for block in small])
        dtype = small[0].vectors[field].directions.dtype
        stored: NDArray[np.floating[Any]] = np.zeros((0, d), dtype)
        if n:
            stored = np.memmap(paths[field], dtype, "r", shape=(n, d))
        vectors[field] = ItemVectors(stored, lengths)
    blob = np.memmap(texts, np.uint8, "r") if texts.exists() and texts.stat().st_size else np.zeros(0, np.uint8)
    return _joined(small, vectors, Documents.joined(blob, [block.documents for block in small]))


def _joined(blocks: Sequence[ItemBlock], vectors: Mapping[str, ItemVectors], documents: Documents) -> ItemBlock:
    return ItemBlock(
        [item_id for block in blocks for item_id in block.item_ids],
        [group_id for block in blocks for group_id in block.group_ids],
        np.concatenate([block.created_at for block in blocks]),
        np.concatenate([block.seq_no for block in blocks]),
        vectors,
        documents,
        np.concatenate([block.all_expires_at for block in blocks]),
        [author for block in blocks for author in block.all_authors],
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Segment:
    """Items in arrays that can be mapped.

    ids: (n,). groups: the different group_ids. group_idx: (n,) int32, position in `groups`, -1 for an item that is no variant.
    newest: (<= n,) int32, the rows with a `created_at`, newest first, those of one moment by item id. by_seq_no: (n,) int32, the
    rows in the order of their `seq_no`. authors, author_idx: as groups. expiring: (<= n,) int32, the rows with an `expires_at`,
    the first to expire first. row_of_write: the row of each `seq_no`, -1 for none, where these are few. sketches: of
    the directions, by field, where they pay.
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

    @classmethod
    def of(cls, block: ItemBlock, sketches: Mapping[str, VectorSketch]) -> _Segment:
        """Return the items. sketches: of their directions."""
        groups, group_idx = _numbered(block.group_ids)
        authors, author_idx = _numbered(block.all_authors)
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
        )

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> _Segment:
        fields = [name.removeprefix(_LENGTHS) for name in arrays if name.startswith(_LENGTHS)]
        grouping = {name.removeprefix(_GROUPS): array for name, array in arrays.items() if name.startswith(_GROUPS)}
        writing = {name.removeprefix(_AUTHORS): array for name, array in arrays.items() if name.startswith(_AUTHORS)}
        n = len(arrays["created_at"])
        # One that an earlier release wrote has neither.
        authors, author_idx = (ItemIds.from_arrays(writing), writing["idx"]) if writing else _numbered([None] * n)
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
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what `from_arrays` reads back."""
        grouping = {**self.groups.arrays(), "idx": self.group_idx}
        writing = {**self.authors.arrays(), "idx": self.author_idx}
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
            _names(self.authors, self.author_idx[rows]),
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

    def expired(self, now: float, since: float) -> NDArray[np.int64]:
        """Return the rows that expire after `since` and until `now`, epoch seconds."""
        begin, end = (bisect_right(self.expiring, moment, key=lambda row: self.expires_at[row]) for moment in (since, now))
        return self.expiring[begin:end].astype(np.int64)

    def written_by(self, authors: Collection[str]) -> NDArray[np.int64]:
        """Return the rows of the items of authors."""
        known = self.authors.find(list(authors)) if len(self.authors) else np.zeros(0, np.int64)
        return np.flatnonzero(np.isin(self.author_idx, known[known >= 0]))


class ForwardIndex:
    """All items of one index version, by row. Immutable and thread-safe.

    Rows are positions from `rows`, of this object only; -1 stands for an item that isn't here. Where the `numbering` of two is
    the same, so are their rows. `state` says which index it is and up to which write it holds; `fingerprints` (vector field ->
    fingerprint) what made the vectors; `scanned` the fields that Elasticsearch scans, where every item matches a kNN query,
    whatever its k.
    """

    def __init__(
        self,
        base: _Segment,
        overlay: _Segment,
        gone: NDArray[np.bool_],
        state: IndexState,
        fingerprints: Mapping[str, str],
        scanned: Collection[str],
    ):
        # gone: (rows of the base,), of items that were deleted or are in the overlay.
        self._base, self._overlay, self._gone = base, overlay, gone
        self._altered = bool(gone.any()) or len(overlay) > 0
        self._items = len(base) - int(np.count_nonzero(gone)) + len(overlay)
        self.numbering = object()
        # Users come back with the same tastes, and words with the same vectors.
        self._found: Found = RecentCache(_SEARCHES)
        self._highest: Found = RecentCache(_SEARCHES)
        self._newest = base.newest[~gone[base.newest]] if self._altered else base.newest
        self._expired: tuple[bytes, frozenset[str]] = b"", frozenset()
        self._has_variants = len(base.groups) > 0 or len(overlay.groups) > 0
        self.state, self.fingerprints, self.scanned = state, dict(fingerprints), frozenset(scanned)

    @classmethod
    def of(
        cls, block: ItemBlock, state: IndexState, fingerprints: Mapping[str, str], scanned: Collection[str] = ()
    ) -> ForwardIndex:
        """Return an index of these items, whose `seq_no` are at most those of `state` or a little newer.

        scanned: the vector fields that Elasticsearch scans, whose directions have 32 bits.
        """
        return cls._without_changes(_Segment.of(block, _own_sketches(block, scanned)), state, fingerprints, scanned)

    @classmethod
    def _without_changes(
        cls, base: _Segment, state: IndexState, fingerprints: Mapping[str, str], scanned: Collection[str]
    ) -> ForwardIndex:
        dims = {name: vectors.directions.shape[1] for name, vectors in base.vectors.items()}
        nothing = _sketched_like(base, ItemBlock.empty(dims, _exact(base)))
        return cls(base, nothing, np.zeros(len(base), np.bool_), state, fingerprints, scanned)

    @classmethod
    def load(cls, folder: Path) -> ForwardIndex:
        """Open what `save` wrote, memory-mapped. Raises ModelError."""
        found = artefact.load(folder, _NAME)
        if found.layout != _LAYOUT:
            raise ModelError(f"The forward index in {folder} is of another version.", "The next load of items makes it anew.")
        with artefact.described(folder):
            params = found.params
            state, base = IndexState.from_dict(params["state"]), _Segment.from_arrays(found.arrays)
            # Where it doesn't say, only the fields that are scanned have 32 bits.
            return cls._without_changes(base, state, params["fingerprints"], params.get("scanned", _exact(base)))

    def save(self, folder: Path) -> None:
        """Write it with its changes into a folder; a reader sees the whole of it or nothing. Raises ModelError."""
        params = {"state": self.state.to_dict(), "fingerprints": self.fingerprints, "scanned": sorted(self.scanned)}
        if not self._altered:
            artefact.save(folder, _NAME, params, self._base.arrays(), _LAYOUT)
            return
        make_folder(folder.parent)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as draft:
            block = concatenate_on_disk(self.blocks(), self.dims, Path(draft), self.exact)
            base = _Segment.of(block, _own_sketches(block, self.scanned))
            artefact.save(folder, _NAME, params, base.arrays(), _LAYOUT)

    def with_changes(self, written: ItemBlock, deleted: Iterable[str] = (), state: IndexState | None = None) -> ForwardIndex:
        """Return the index with these items in place of those with their ids, and without the deleted ones.

        state: up to which write it holds now.
        """
        gone = self._gone.copy()
        outdated = [*written.item_ids, *deleted]
        rows = self._base.ids.find(outdated)
        gone[rows[rows >= 0]] = True
        kept = np.ones(len(self._overlay), np.bool_)
        rows = self._overlay.ids.find(outdated)
        kept[rows[rows >= 0]] = False
        overlay = concatenate([self._overlay.block(np.flatnonzero(kept)), written])
        return ForwardIndex(
            self._base, _sketched_like(self._base, overlay), gone, state or self.state, self.fingerprints, self.scanned
        )

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

    def at(self, state: IndexState) -> ForwardIndex:
        """Return the same items as of another state, up to which none was written."""
        same = ForwardIndex(self._base, self._overlay, self._gone, state, self.fingerprints, self.scanned)
        same.numbering, same._found, same._highest = self.numbering, self._found, self._highest
        return same

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
        return _exact(self._base)

    def can_search(self, field: str, vector: NDArray[np.float32]) -> bool:
        """Return whether `nearest` can search a field by a vector (d,)."""
        known = field in self.scanned or field in self._base.sketches
        return known and vector.shape == (self.dims[field],)

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
        for segment, positions, there in self._segments(rows):
            for position, item_id in zip(positions.tolist(), segment.ids.take(there), strict=True):
                found[position] = item_id
        return found

    def products(self, rows: NDArray[np.int64]) -> list[str]:
        """Return the products of rows, none of them -1: an item's group_id, or its own id where it is no variant."""
        found = self.item_ids(rows)
        for segment, positions, there in self._segments(rows) if self._has_variants else ():
            for position, group_id in zip(positions.tolist(), segment.group_ids(there), strict=True):
                found[position] = found[position] if group_id is None else group_id
        return found

    def vectors(self, field: str, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors (n, d) of a field; zeros for an item that has none or isn't here. Raises KeyError."""
        found = np.zeros((len(rows), self.dims[field]), np.float32)
        for segment, positions, there in self._segments(rows):
            vectors = segment.vectors[field]
            found[positions] = vectors.directions[there].astype(np.float32) * vectors.lengths[there, None]
        return found

    def scores(self, field: str, rows: NDArray[np.int64], vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the inner products of the items' vectors with a vector (d,): (n,); with several (k, d): (n, k).

        NaN for an item that has no vector, which no vector search finds, and where the row is -1. Raises KeyError.
        """
        found = np.full((len(rows), *vector.shape[:-1]), np.nan, np.float32)
        for segment, positions, there in self._segments(rows):
            vectors = segment.vectors[field]
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
        for segment, begin in ((self._base, 0), (self._overlay, len(self._base))):
            own = segment.vectors[field]
            for start in range(0, len(segment), _BLOCK):
                stop = min(start + _BLOCK, len(segment))
                directions = own.directions[start:stop].astype(np.float32, copy=False)
                part = found[:, begin + start : begin + stop]
                np.matmul(vectors, directions.T, out=part)
                part *= own.lengths[start:stop]
                part[:, own.lengths[start:stop] == 0.0] = -np.inf
        if self._altered:
            found[:, np.flatnonzero(self._gone)] = -np.inf
        return found

    def rough_scores(self, field: str, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return about what `all_scores` does: of sketches where there are any.

        Of a field and vectors that it `can_search`. Raises KeyError.
        """
        parts = []
        for segment in (self._base, self._overlay):
            own, sketch = segment.vectors[field], segment.sketches.get(field)
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
        for segment, positions, there in self._segments(rows):
            lengths = segment.vectors[field].lengths[there]
            products = segment.sketches[field].take(there).products(vector[None])[0] * lengths
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

    def documents(self, rows: NDArray[np.int64]) -> list[dict[str, Any]]:
        """Return the fields that a hit shows of rows, none of them -1."""
        found: list[dict[str, Any]] = [{}] * len(rows)
        for segment, positions, there in self._segments(rows):
            for position, row in zip(positions.tolist(), there.tolist(), strict=True):
                found[position] = orjson.loads(segment.documents[row])
        return found

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

    def all_created_at(self) -> NDArray[np.float64]:
        """Return `created_at` (`end`,) of all rows."""
        return np.concatenate([self._base.created_at, self._overlay.created_at])

    def created_at(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return when the items were made, (n,) epoch seconds; NaN where that isn't known."""
        found = np.full(len(rows), np.nan)
        for segment, positions, there in self._segments(rows):
            found[positions] = segment.created_at[there]
        return found

    def authors(self, rows: NDArray[np.int64]) -> list[str | None]:
        """Return the author (n,) of each row, None where none is known or the row is -1."""
        found: list[str | None] = [None] * len(rows)
        for segment, positions, there in self._segments(rows):
            for position, author in zip(positions.tolist(), _names(segment.authors, segment.author_idx[there]), strict=True):
                found[position] = author
        return found

    def seq_no(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the numbers (n,) of the items' last writes; -1 where the row is."""
        found = np.full(len(rows), -1, np.int64)
        for segment, positions, there in self._segments(rows):
            found[positions] = segment.seq_no[there]
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
        rows = [_around(self._base, self._newest, n, moment), _around(self._overlay, self._overlay.newest, n, moment)]
        found = np.concatenate([rows[0], rows[1] + len(self._base)])
        moments = self.created_at(found)
        # Of one segment and none in the future, they are in order already.
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
        for segment, rows in ((self._base, np.flatnonzero(~self._gone)), (self._overlay, np.arange(len(self._overlay)))):
            for start in range(0, len(rows), size):
                yield segment.block(rows[start : start + size])

    def missing_from(self, pages: Iterable[Sequence[str]]) -> list[str]:
        """Return the ids of the items that are not among those in the pages."""
        there = np.zeros(len(self._base) + len(self._overlay), np.bool_)
        for item_ids in pages:
            rows = self.rows(item_ids)
            there[rows[rows >= 0]] = True
        there[: len(self._base)] |= self._gone
        return self.item_ids(np.flatnonzero(~there))

    def _segments(self, rows: NDArray[np.int64]) -> Iterator[tuple[_Segment, NDArray[np.int64], NDArray[np.int64]]]:
        """Yield each segment with the positions of its rows among `rows`, and where in the segment they are."""
        n = len(self._base)
        positions = np.flatnonzero((rows >= 0) & (rows < n) if self._altered else rows >= 0)
        yield self._base, positions, rows[positions]
        if self._altered:
            positions = np.flatnonzero(rows >= n)
            yield self._overlay, positions, rows[positions] - n


def _exact(segment: _Segment) -> frozenset[str]:
    return frozenset(field for field, each in segment.vectors.items() if each.directions.dtype == np.float32)


def _own_sketches(block: ItemBlock, scanned: Collection[str]) -> dict[str, VectorSketch]:
    """Return the sketches of the fields for which they pay. Elasticsearch's scan is exact, so one in its place is, too."""
    found = {field: VectorSketch.of(each.directions) for field, each in block.vectors.items() if field not in scanned}
    return {field: sketch for field, sketch in found.items() if sketch is not None}


def _sketched_like(base: _Segment, block: ItemBlock) -> _Segment:
    """Return items with sketches along the axes of others."""
    return _Segment.of(block, {f: sketch.of_others(block.vectors[f].directions) for f, sketch in base.sketches.items()})


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


def _around(segment: _Segment, newest: NDArray[np.int32], n: int, moment: float) -> NDArray[np.int64]:
    """Return rows of `newest` before and after the moment, newest first; among them are the n nearest to it."""

    def first_from(moment: float) -> int:
        return bisect_left(newest, -moment, key=lambda row: -segment.created_at[row])

    at = first_from(moment)
    begin = max(at - n, 0)
    positions = np.arange(begin, min(at + n, len(newest)))
    if n and begin:
        # Those of one moment are ordered by id, and of them the first count.
        earlier = first_from(float(segment.created_at[newest[begin]]))
        positions = np.union1d(positions, np.arange(earlier, min(earlier + n, at)))
    return newest[positions].astype(np.int64)
