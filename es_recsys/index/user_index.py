"""The index of users: a vector for each by which similar users are found, and what they like, stored and not indexed.

It is written once a training, in batch. A document's id is the user's key; nothing else in it tells who it is.
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
from es_recsys.index.bulk import bulk_write
from es_recsys.index.bulk_actions import Action
from es_recsys.index.fetch import scan_id_set, scan_ids
from es_recsys.index_metadata import IndexMetadata

__all__ = ["VECTOR", "User", "create", "fill", "remove"]

VECTOR = "vector"
# Up to so many vectors are compared one by one: exact, and some 10 ms for 512 dimensions.
_EXACT = 50_000
_BATCH = 500

User = tuple[str, NDArray[np.float32], Mapping[str, Any]]
"""Key, unit vector (d,), and what else is stored."""


def create(client: Elasticsearch, metadata: IndexMetadata, dims: int, count: int) -> None:
    """Create the empty index of a version's users, for about `count` of them."""
    body = mappings.load("users")
    options = {"type": "flat"} if count <= _EXACT else {"type": "int8_hnsw", "m": 32, "ef_construction": 200}
    field = {"type": "dense_vector", "dims": dims, "index": True, "similarity": "cosine", "index_options": options}
    client.indices.create(index=metadata.users, **{**body, "mappings": {**body["mappings"], "properties": {VECTOR: field}}})


def fill(client: Elasticsearch, metadata: IndexMetadata, users: Iterable[User]) -> int:
    """Write the users that have a profile in this version; -> how many. A user who was erased meanwhile has none.

    Raises IndexStateError where documents are refused.
    """
    client.indices.refresh(index=metadata.profiles)
    actions = (Action(key, {VECTOR: vector, **row}) for key, vector, row in _with_profile(client, metadata, users))
    report = bulk_write(client, actions, index=metadata.users, refresh=True)
    if report.failed:
        raise IndexStateError(f"{report.failed:,} users were refused ({report.failures[0].reason}).", "Train again.")
    client.indices.refresh(index=metadata.profiles)
    profiles = scan_id_set(client, metadata.profiles)
    erased = [key for keys in scan_ids(client, metadata.users) for key in profiles.missing(keys)]
    remove(client, metadata.users, erased)
    return report.stored - len(erased)


def remove(client: Elasticsearch, index: str, keys: Collection[str]) -> None:
    """Remove users, so that no search finds them from then on; an index that doesn't exist has none."""
    if keys and client.indices.exists(index=index):
        bulk_write(client, (Action(key, operation="delete") for key in keys), index=index, refresh=True)


def _with_profile(client: Elasticsearch, metadata: IndexMetadata, users: Iterable[User]) -> Iterator[User]:
    profiles = scan_id_set(client, metadata.profiles)
    stream = iter(users)
    while batch := list(islice(stream, _BATCH)):
        missing = set(profiles.missing([key for key, _, _ in batch]))
        yield from (user for user in batch if user[0] not in missing)
