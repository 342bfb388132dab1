"""Digests of what a score or a training depends on: trials and checkpoints of other data are none of this one's."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import Interactions

__all__ = ["array_digest", "data_digest"]


def data_digest(data: Interactions, *more: object) -> str:
    """Return a digest, 32 hex digits, of the events, and of the `repr` of whatever else a score depends on.

    The events' weights are no part of it: they follow from types, values and the weights of the types.
    """
    digest = hashlib.blake2b(repr(more).encode(), digest_size=16)
    for column in (data.users, data.items, data.times, data.type_idx, data.values):
        digest.update(b"" if column is None else column.tobytes())
    for ids in (data.user_ids, data.item_ids):
        digest.update("\0".join(ids.tolist()).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def array_digest(*arrays: NDArray[Any]) -> str:
    """Return a digest, 32 hex digits, of the values of these arrays."""
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
