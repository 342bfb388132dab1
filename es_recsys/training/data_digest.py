"""Digests of what a score depends on: trials on other data are trials of something else."""

from __future__ import annotations

import hashlib

from es_recsys.dataset import Interactions
from es_recsys.index.fetch import scan
from es_recsys.index_metadata import IndexMetadata
from es_recsys.serving.workspace import Workspace

__all__ = ["content_digest", "data_digest"]


def data_digest(data: Interactions, *more: object) -> str:
    """Return a digest of the events and whatever else a score depends on."""
    found = hashlib.blake2b(repr(more).encode(), digest_size=16)
    for column in (data.users, data.items, data.times, data.type_idx, data.values):
        found.update(b"" if column is None else column.tobytes())
    for names in (data.user_ids, data.item_ids):
        found.update("\0".join(names.tolist()).encode("utf-8", "surrogatepass"))
    return found.hexdigest()


def content_digest(work: Workspace, metadata: IndexMetadata) -> str:
    """Return a digest of a version's items and of what encoders made of them, whatever order they lie in."""
    total = 0
    for hits in scan(work.es, metadata.index, fields=("content_digest",), size=10_000):
        for hit in hits:
            line = f"{hit['_id']}\0{hit.get('_source', {}).get('content_digest')}".encode("utf-8", "surrogatepass")
            total += int.from_bytes(hashlib.blake2b(line, digest_size=16).digest())
    return f"{total % 2**128:032x}"
