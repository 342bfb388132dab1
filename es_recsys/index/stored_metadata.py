"""The metadata of a version, stored in the `_meta` of its mapping: reading, writing, and comparing fingerprints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from elasticsearch import ApiError, Elasticsearch, NotFoundError

from es_recsys.errors import FingerprintMismatch, IndexStateError, StoreNotFound
from es_recsys.index import mappings
from es_recsys.index_metadata import IndexMetadata, VectorMetadata, items_alias, items_index
from es_recsys.vector_fields import VECTOR_FIELDS

__all__ = [
    "check_fingerprints",
    "check_vectors",
    "encoder_fingerprints",
    "error_reason",
    "parse_metadata",
    "read_metadata",
    "read_version",
    "vector_metadata",
    "version_not_found",
    "write_metadata",
]


class _Encoder(Protocol):
    """The part of an encoder that is needed here."""

    @property
    def name(self) -> str: ...
    @property
    def field(self) -> str: ...
    @property
    def dims(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...


def vector_metadata(encoders: Iterable[_Encoder]) -> dict[str, VectorMetadata]:
    """Return the metadata of the fields that these encoders fill."""
    return {
        encoder.field: VectorMetadata(encoder.dims, encoder.fingerprint, encoder.name, VECTOR_FIELDS[encoder.field].similarity)
        for encoder in encoders
    }


def read_metadata(client: Elasticsearch, store: str) -> IndexMetadata:
    """Return the metadata of the live version. Raises StoreNotFound where the store has none."""
    try:
        response = client.indices.get_mapping(index=items_alias(store)).body
    except NotFoundError:
        response = {}
    return parse_metadata(store, response)


def parse_metadata(store: str, response: Mapping[str, Any]) -> IndexMetadata:
    """Return the metadata from the response to `GET <store>-items/_mapping` ({} for a 404), however it was fetched."""
    if not response:
        raise StoreNotFound(f"There is no store {store!r}.", "Load items into it first: es-recsys items load FILE.")
    mapping = response[max(response)]["mappings"]
    if "store" not in mapping.get("_meta", {}):
        raise IndexStateError(
            f"The index behind {items_alias(store)} was not made by es-recsys.", "Choose another name with --index."
        )
    return IndexMetadata.from_dict(mapping["_meta"], mappings.filterable_fields(mapping))


def read_version(client: Elasticsearch, store: str, version: int) -> IndexMetadata:
    """Return the metadata of any version. Raises IndexStateError where it does not exist."""
    try:
        response = client.indices.get_mapping(index=items_index(store, version))
    except NotFoundError:
        raise version_not_found(store, version) from None
    return parse_metadata(store, response.body)


def write_metadata(client: Elasticsearch, metadata: IndexMetadata) -> None:
    """Replace the stored metadata of a version."""
    client.indices.put_mapping(index=metadata.index, meta=metadata.to_dict())


def encoder_fingerprints(metadata: IndexMetadata) -> dict[str, str]:
    """Return the fingerprints of the fields that encoders fill; an item's digest covers them."""
    return {
        name: vector.fingerprint
        for name, vector in metadata.vectors.items()
        if name in VECTOR_FIELDS and VECTOR_FIELDS[name].source == "encoder"
    }


def check_fingerprints(metadata: IndexMetadata, encoders: Iterable[_Encoder]) -> None:
    """Raise FingerprintMismatch where an encoder's vectors may not be compared with the store's.

    A field that only one side has is no mismatch.
    """
    check_vectors(metadata, vector_metadata(encoders))


def check_vectors(metadata: IndexMetadata, given: Mapping[str, VectorMetadata]) -> None:
    """Apply `check_fingerprints` to fields as `vector_metadata` describes them."""
    for name in metadata.vectors.keys() & given.keys():
        old, new = metadata.vectors[name], given[name]
        if (old.fingerprint, old.dims) != (new.fingerprint, new.dims):
            raise FingerprintMismatch(
                f"{name} of {metadata.index} was made by {old.model} ({old.fingerprint[:12]}, {old.dims} dimensions), and "
                f"{new.model} ({new.fingerprint[:12]}, {new.dims}) is set now.",
                f"Set the encoder back to {old.model}, or drop the store and load the items again: "
                "es-recsys index drop --store, es-recsys items load.",
            )


def version_not_found(store: str, version: int) -> IndexStateError:
    """Return the error for a version that does not exist."""
    return IndexStateError(f"{store} has no version {version}.", "See which there are: es-recsys index list.")


def error_reason(error: ApiError) -> str:
    """Return Elasticsearch's own words for an error."""
    body = error.body if isinstance(error.body, dict) else {}
    cause = body.get("error", {})
    return str(cause.get("reason", error.message)) if isinstance(cause, dict) else str(cause)
