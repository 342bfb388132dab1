"""Items as columns, in memory or with the larger ones in files: what is written into a forward index."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Documents", "ItemBlock", "ItemVectors", "concatenate", "concatenate_on_disk"]


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
