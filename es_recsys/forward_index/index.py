"""All items of one index version, made, loaded, saved and brought up to date."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from es_recsys import artefact
from es_recsys.errors import ModelError
from es_recsys.forward_index.item_blocks import ItemBlock, concatenate, concatenate_on_disk
from es_recsys.forward_index.item_table import ItemTable
from es_recsys.forward_index.vector_search import SearchableItems
from es_recsys.index_metadata import IndexState
from es_recsys.private import make_folder
from es_recsys.vector_sketch import VectorSketch

__all__ = ["ForwardIndex"]

_NAME, _LAYOUT = "forward", 2


class ForwardIndex(SearchableItems):
    """All items of one index version, by row. Immutable and thread-safe.

    `state` says which index it is and up to which write it holds; `fingerprints` (vector field -> fingerprint) what made the
    vectors.
    """

    def __init__(
        self,
        base: ItemTable,
        overlay: ItemTable,
        gone: NDArray[np.bool_],
        state: IndexState,
        fingerprints: Mapping[str, str],
        scanned: Collection[str],
    ):
        super().__init__(base, overlay, gone, scanned)
        self.state, self.fingerprints = state, dict(fingerprints)

    @classmethod
    def of(
        cls, block: ItemBlock, state: IndexState, fingerprints: Mapping[str, str], scanned: Collection[str] = ()
    ) -> ForwardIndex:
        """Return an index of these items, whose `seq_no` are at most those of `state` or a little newer.

        scanned: the vector fields that Elasticsearch scans, whose directions have 32 bits.
        """
        return cls._without_changes(ItemTable.of(block, _own_sketches(block, scanned)), state, fingerprints, scanned)

    @classmethod
    def _without_changes(
        cls, base: ItemTable, state: IndexState, fingerprints: Mapping[str, str], scanned: Collection[str]
    ) -> ForwardIndex:
        dims = {name: vectors.directions.shape[1] for name, vectors in base.vectors.items()}
        nothing = ItemTable.like(base, ItemBlock.empty(dims, base.exact))
        return cls(base, nothing, np.zeros(len(base), np.bool_), state, fingerprints, scanned)

    @classmethod
    def load(cls, folder: Path) -> ForwardIndex:
        """Open what `save` wrote, memory-mapped. Raises ModelError."""
        found = artefact.load(folder, _NAME)
        if found.layout != _LAYOUT:
            raise ModelError(f"The forward index in {folder} is of another version.", "The next load of items makes it anew.")
        with artefact.described(folder):
            params = found.params
            state, base = IndexState.from_dict(params["state"]), ItemTable.from_arrays(found.arrays)
            # Where it doesn't say, only the fields that are scanned have 32 bits.
            return cls._without_changes(base, state, params["fingerprints"], params.get("scanned", base.exact))

    def save(self, folder: Path) -> None:
        """Write it with its changes into a folder; a reader sees the whole of it or nothing. Raises ModelError."""
        params = {"state": self.state.to_dict(), "fingerprints": self.fingerprints, "scanned": sorted(self.scanned)}
        if not self._altered:
            artefact.save(folder, _NAME, params, self._base.arrays(), _LAYOUT)
            return
        make_folder(folder.parent)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as draft:
            block = concatenate_on_disk(self.blocks(), self.dims, Path(draft), self.exact)
            base = ItemTable.of(block, _own_sketches(block, self.scanned))
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
            self._base, ItemTable.like(self._base, overlay), gone, state or self.state, self.fingerprints, self.scanned
        )

    def at(self, state: IndexState) -> ForwardIndex:
        """Return the same items as of another state, up to which none was written."""
        same = ForwardIndex(self._base, self._overlay, self._gone, state, self.fingerprints, self.scanned)
        same.numbering, same._found, same._highest = self.numbering, self._found, self._highest
        return same


def _own_sketches(block: ItemBlock, scanned: Collection[str]) -> dict[str, VectorSketch]:
    """Return the sketches of the fields for which they pay. Elasticsearch's scan is exact, so one in its place is, too."""
    found = {field: VectorSketch.of(each.directions) for field, each in block.vectors.items() if field not in scanned}
    return {field: sketch for field, sketch in found.items() if sketch is not None}
