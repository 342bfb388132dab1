"""The index of users: of each a vector to be found by, and what they like, stored and not indexed.

Written once a training, in batch. A document's id is the user's key; nothing else in it tells whose it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
from elasticsearch import Elasticsearch
from numpy.typing import NDArray

from es_recsys.errors import IndexStateError
from es_recsys.index import mappings
from es_recsys.index.actions import Action
from es_recsys.index.bulk import bulk
from es_recsys.index.idset import IdSet
from es_recsys.index.read import ids_of
from es_recsys.index_metadata import IndexMetadata

__all__ = ["VECTOR", "create", "erase", "fill"]

VECTOR = "vector"
# Vectors up to here are scanned: exact, and some 10 ms for 512 dimensions.
_SCANNED = 50_000
_BATCH = 500

User = tuple[str, NDArray[np.float32], Mapping[str, Any]]
"""Key, unit vector (d,), and what else is stored."""


def create(client: Elasticsearch, metadata: IndexMetadata, dims: int, count: int) -> None:
    """Makes the empty index of `meta`'s users for about `count` of them."""
    body = mappings.load("users")
    options = {"type": "flat"} if count <= _SCANNED else {"type": "int8_hnsw", "m": 32, "ef_construction": 200}
    field = {"type": "dense_vector", "dims": dims, "index": True, "similarity": "cosine", "index_options": options}
    client.indices.create(index=metadata.users, **{**body, "mappings": {**body["mappings"], "properties": {VECTOR: field}}})


def fill(client: Elasticsearch, metadata: IndexMetadata, users: Iterable[User]) -> int:
    """Writes the users that have a profile in this version; -> how many. Who was erased meanwhile has none.

    Raises IndexStateError where documents are refused.
    """
    client.indices.refresh(index=metadata.profiles)
    actions = (Action(key, {VECTOR: vector, **row}) for key, vector, row in _with_profile(client, metadata, users))
    report = bulk(client, actions, index=metadata.users, refresh=True)
    if report.failed:
        raise IndexStateError(f"{report.failed:,} users were refused ({report.failures[0].reason}).", "Train again.")
    client.indices.refresh(index=metadata.profiles)
    left = IdSet()
    for keys in ids_of(client, metadata.profiles):
        left.update(keys)
    gone = [key for keys in ids_of(client, metadata.users) for key in left.lacks(keys)]
    erase(client, metadata.users, gone)
    return report.stored - len(gone)


def erase(client: Elasticsearch, index: str, keys: Collection[str]) -> None:
    """Removes users so that no search finds them from then on; an index that doesn't exist has none."""
    if keys and client.indices.exists(index=index):
        bulk(client, (Action(key, operation="delete") for key in keys), index=index, refresh=True)


def _with_profile(client: Elasticsearch, metadata: IndexMetadata, users: Iterable[User]) -> Iterator[User]:
    known = IdSet()
    for keys in ids_of(client, metadata.profiles):
        known.update(keys)
    stream = iter(users)
    while batch := list(islice(stream, _BATCH)):
        lacking = set(known.lacks([key for key, _, _ in batch]))
        yield from (user for user in batch if user[0] not in lacking)
