"""Make the forward index of a version from Elasticsearch, and bring it up to what was written since."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from elasticsearch import Elasticsearch

from es_recsys.forward_index import Documents, ForwardIndex, ItemBlock, ItemVectors, concatenate, concatenate_on_disk
from es_recsys.index.fetch import scan, scan_ids
from es_recsys.index.sequence_numbers import hits_since, index_state
from es_recsys.index_metadata import IndexMetadata, IndexState
from es_recsys.private import make_folder
from es_recsys.progress import ProgressCounter
from es_recsys.query import RETURNED_FIELDS
from es_recsys.values.times import epoch_seconds

__all__ = [
    "TooManyChanges",
    "build_forward_index",
    "follow_index",
    "vector_fingerprints",
]

Hits = Sequence[Mapping[str, Any]]

# 16 bits save memory, but it takes long to make them numbers to reckon with.
_MOST_EXACT = 200_000


class TooManyChanges(Exception):
    """More items changed than an overlay may hold."""


def vector_fingerprints(metadata: IndexMetadata) -> dict[str, str]:
    """Return vector field -> fingerprint, as a forward index of the version has them."""
    return {field: vector.fingerprint for field, vector in metadata.vectors.items()}


def build_forward_index(
    client: Elasticsearch, metadata: IndexMetadata, folder: Path, progress: ProgressCounter | None = None
) -> None:
    """Read all items of a version and write its forward index into the folder; memory doesn't grow with vectors.

    The version may be written to meanwhile: `follow_index` makes up for it. Raises ModelError, OSError.
    """
    state = index_state(client, metadata.index)
    # What was written up to there is found from now on.
    client.indices.refresh(index=metadata.index)
    pages = scan(client, metadata.index, vectors=True, fields=_fields(metadata), seq_no=True)
    make_folder(folder.parent)
    scanned = _scanned(client, metadata)
    exact = metadata.vectors if int(client.count(index=metadata.index)["count"]) <= _MOST_EXACT else scanned
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as draft:
        block = concatenate_on_disk(_blocks(pages, metadata, exact, progress), metadata.dims, Path(draft), exact)
        ForwardIndex.of(block, state, vector_fingerprints(metadata), scanned).save(folder)


def follow_index(
    client: Elasticsearch, metadata: IndexMetadata, forward: ForwardIndex, state: IndexState, max_changed: int
) -> ForwardIndex:
    """Return the forward index with what was written and deleted up to `state`, and perhaps a little after.

    state: a later state of the same index. Raises TooManyChanges where more than `max_changed` items would be in its overlay.
    """
    client.indices.refresh(index=metadata.index)
    pages = hits_since(client, metadata.index, forward.state.checkpoints, fields=_fields(metadata), seq_no=True)
    changes = [ItemBlock.empty(metadata.dims, forward.exact)]
    for block in _blocks((_unknown(page, forward) for page in pages), metadata, forward.exact):
        changes.append(block)
        if sum(map(len, changes)) > max_changed:
            raise TooManyChanges
    if len(changes) > 1:
        forward = forward.with_changes(concatenate(changes))
    if forward.changed > max_changed:
        raise TooManyChanges
    if int(client.count(index=metadata.index)["count"]) != len(forward):
        deleted = forward.missing_from(scan_ids(client, metadata.index))
        forward = forward.with_changes(ItemBlock.empty(metadata.dims), deleted)
    return forward.at(state)


def _fields(metadata: IndexMetadata) -> tuple[str, ...]:
    return ("created_at", *RETURNED_FIELDS, *metadata.vectors)


def _unknown(page: Hits, forward: ForwardIndex) -> Hits:
    """Return the hits that the forward index doesn't hold as they are."""
    known = forward.seq_no(forward.rows([hit["_id"] for hit in page])).tolist()
    return [hit for hit, seq_no in zip(page, known, strict=True) if hit["_seq_no"] != seq_no]


def _scanned(client: Elasticsearch, metadata: IndexMetadata) -> frozenset[str]:
    """Return the vector fields that Elasticsearch scans: there every item matches a kNN query, whatever its k."""
    mapping = client.indices.get_mapping(index=metadata.index)[metadata.index]["mappings"]["properties"]
    kinds = {field: mapping.get(field, {}).get("index_options", {}).get("type", "") for field in metadata.vectors}
    return frozenset(field for field, kind in kinds.items() if kind.endswith("flat"))


def _blocks(
    pages: Iterable[Hits], metadata: IndexMetadata, exact: Collection[str], progress: ProgressCounter | None = None
) -> Iterator[ItemBlock]:
    for page in pages:
        if page:
            yield _block(page, metadata.dims, exact)
        if progress is not None:
            progress.advance(len(page))


def _block(page: Hits, dims: Mapping[str, int], exact: Collection[str]) -> ItemBlock:
    sources = [hit["_source"] for hit in page]
    return ItemBlock(
        [hit["_id"] for hit in page],
        [source.get("group_id") for source in sources],
        np.array([epoch_seconds(source.get("created_at")) for source in sources], np.float64),
        np.array([hit["_seq_no"] for hit in page], np.int64),
        {field: _vectors([source.get(field) for source in sources], d, field in exact) for field, d in dims.items()},
        Documents.of([orjson.dumps({name: source[name] for name in RETURNED_FIELDS if name in source}) for source in sources]),
        np.array([epoch_seconds(source.get("expires_at")) for source in sources], np.float64),
        [source.get("author") for source in sources],
    )


def _vectors(found: Sequence[Sequence[float] | None], d: int, exact: bool) -> ItemVectors:
    vectors = np.zeros((len(found), d), np.float32)
    rows = [row for row, vector in enumerate(found) if vector is not None]
    if rows:
        vectors[rows] = np.array([found[row] for row in rows], np.float32)
    return ItemVectors.of(vectors, np.float32 if exact else np.float16)
