"""A query's text, picture and sound as vectors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import FingerprintMismatch, InputError, RecsysError
from es_recsys.query import Query
from es_recsys.serving.operations import EncodeQuery, Flow
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.vector_fields import VECTOR_FIELDS

__all__ = ["model_query_vectors", "query_vectors"]

Vectors = dict[str, NDArray[np.float32]]

_NOTHING_TO_COMPARE = {
    "image": ("This store has no pictures to compare with.", "Load items with pictures and an image encoder."),
    "audio": ("This store has no sounds to compare with.", "Load items with sounds and an audio encoder."),
}


def query_vectors(snapshot: ServingSnapshot, query: Query) -> Flow[tuple[Vectors, tuple[str, ...]]]:
    """Return vector field -> query vector, and the fields whose text encoder failed, which the answer does without.

    Raises FingerprintMismatch, InputError; for a picture or a sound also what its encoder raises.
    """
    contents: list[tuple[str, str | bytes]] = []
    if query.text.strip():
        contents.append(("text", query.text.strip()))
    contents += query.media.items()
    vectors: Vectors = {}
    failed: list[str] = []
    for kind, content in contents:
        for field in snapshot.encoder.fields(snapshot.metadata, kind):
            try:
                vectors[field] = yield EncodeQuery(snapshot.encoder, snapshot.metadata, field, content)
            except (FingerprintMismatch, InputError):
                raise
            except RecsysError:
                if kind != "text":
                    raise
                failed.append(field)
    for kind in query.media:
        if not vectors:
            raise InputError(*_NOTHING_TO_COMPARE[kind])
    return {**vectors, **model_query_vectors(snapshot, query.text, vectors)}, tuple(failed)


def model_query_vectors(snapshot: ServingSnapshot, text: str, vectors: Mapping[str, NDArray[np.float32]]) -> Vectors:
    """Return vector field -> query vector of the models that read text, or what the encoders make of it (`vectors`)."""
    if not text.strip() and not vectors:
        return {}
    readers = [
        model for model in snapshot.models.values() if model.field is not None and VECTOR_FIELDS[model.field].encodes_queries
    ]
    found = {str(model.field): model.query_vector(text, vectors) for model in readers}
    return {field: vector for field, vector in found.items() if vector is not None}
