"""What a version says of itself, kept in its mapping."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

from elasticsearch import ApiError, BadRequestError, Elasticsearch, NotFoundError

from es_recsys.errors import FingerprintMismatch, IndexStateError, StoreNotFound
from es_recsys.index import mappings
from es_recsys.index_metadata import IndexMetadata, VectorMetadata, items_alias, items_index
from es_recsys.vector_fields import VECTOR_FIELDS

__all__ = [
    "add_fields",
    "add_vectors",
    "check_fingerprints",
    "check_vectors",
    "grow",
    "no_version",
    "parse_meta",
    "read_metadata",
    "read_version",
    "reason_of",
    "vector_metas",
    "write_metadata",
]


class _Encodes(Protocol):
    """The part of an encoder that counts here."""

    @property
    def name(self) -> str: ...
    @property
    def field(self) -> str: ...
    @property
    def dims(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...


def vector_metas(encoders: Iterable[_Encodes]) -> dict[str, VectorMetadata]:
    """What an index says of the fields that these encoders fill."""
    return {
        encoder.field: VectorMetadata(encoder.dims, encoder.fingerprint, encoder.name, VECTOR_FIELDS[encoder.field].similarity)
        for encoder in encoders
    }


def read_metadata(client: Elasticsearch, store: str) -> IndexMetadata:
    """The version in service, as its index tells it.

    Raises StoreNotFound where the store has none.
    """
    try:
        answer = client.indices.get_mapping(index=items_alias(store))
    except NotFoundError:
        answer = None
    return parse_meta(store, answer.body if answer is not None else {})


def parse_meta(store: str, answer: Mapping[str, Any]) -> IndexMetadata:
    """The same from the answer to `GET <store>-items/_mapping` ({} for a 404), however it was fetched."""
    if not answer:
        raise StoreNotFound(f"There is no store {store!r}.", "Load items into it first: es-recsys items load FILE.")
    mapping = answer[max(answer)]["mappings"]
    if "store" not in mapping.get("_meta", {}):
        raise IndexStateError(
            f"The index behind {items_alias(store)} was not made by es-recsys.", "Choose another name with --index."
        )
    return IndexMetadata.from_dict(mapping["_meta"], mappings.field_types(mapping))


def read_version(client: Elasticsearch, store: str, version: int) -> IndexMetadata:
    """Any version, in service or not. Raises IndexStateError where it does not exist."""
    try:
        answer = client.indices.get_mapping(index=items_index(store, version))
    except NotFoundError:
        raise no_version(store, version) from None
    return parse_meta(store, answer.body)


def write_metadata(client: Elasticsearch, metadata: IndexMetadata) -> None:
    """Replaces what the version says of itself."""
    client.indices.put_mapping(index=metadata.index, meta=metadata.to_dict())


def check_fingerprints(metadata: IndexMetadata, encoders: Iterable[_Encodes]) -> None:
    """Raises FingerprintMismatch where an encoder's vectors may not be compared with the store's.

    A field that only one side has is no mismatch.
    """
    check_vectors(metadata, vector_metas(encoders))


def check_vectors(metadata: IndexMetadata, given: Mapping[str, VectorMetadata]) -> None:
    """The same for fields as `vector_metas` describes them."""
    for name in metadata.vectors.keys() & given.keys():
        old, new = metadata.vectors[name], given[name]
        if (old.fingerprint, old.dims) != (new.fingerprint, new.dims):
            raise FingerprintMismatch(
                f"{name} of {metadata.index} was made by {old.model} ({old.fingerprint[:12]}, {old.dims} dimensions), and "
                f"{new.model} ({new.fingerprint[:12]}, {new.dims}) is set now.",
                f"Set the encoder back to {old.model}, or drop the store and load the items again: "
                "es-recsys index drop --store, es-recsys items load.",
            )


def grow(client: Elasticsearch, metadata: IndexMetadata, count: int) -> None:
    """Gives vector fields that were made for few items a graph, once there are many.

    Documents written from now on get it, older ones as Elasticsearch merges its segments; until then they are scanned.
    """
    mapping = client.indices.get_mapping(index=metadata.index)[metadata.index]["mappings"]["properties"]
    chosen = metadata.notes.get("index_options", {})
    due = {name: mappings.vector_mapping(name, vector, count) for name, vector in metadata.vectors.items() if name not in chosen}
    grown = {
        name: body
        for name, body in due.items()
        if mapping[name]["index_options"]["type"] == "flat" and body["index_options"]["type"] != "flat"
    }
    if grown:
        client.indices.put_mapping(index=metadata.index, properties=grown)


def add_vectors(
    client: Elasticsearch, metadata: IndexMetadata, vectors: Mapping[str, VectorMetadata], count: int
) -> IndexMetadata:
    """Gives a version vector fields that it does not have yet; its documents lack them until they are written again."""
    new = replace(metadata, vectors={**metadata.vectors, **vectors})
    properties = {name: mappings.vector_mapping(name, vector, count) for name, vector in vectors.items()}
    client.indices.put_mapping(index=metadata.index, properties=properties, meta=new.to_dict())
    return new


def add_fields(client: Elasticsearch, metadata: IndexMetadata) -> IndexMetadata:
    """Gives a version that was made by an earlier release what it can have of this one without being made anew: filterable
    fields of an item that it lacks, and attributes that take values of any type. What is stored is not touched."""
    body = mappings.items(metadata, 0)
    mapping = _mapping(client, metadata)
    there, properties = mapping["properties"], body["mappings"]["properties"]
    known = mappings.field_types(mapping)
    # A field with an analyzer that the index has not comes with the next version.
    for path in mappings.field_types({"properties": properties}):
        if path in properties and path not in known:
            with suppress(BadRequestError):
                client.indices.put_mapping(index=metadata.index, properties={path: mappings.fitting(properties[path], there)})
    opened = {name: mappings.opened(old) for name, old in there["attributes"].get("properties", {}).items()}
    changed = {name: new for name, new in opened.items() if new != there["attributes"]["properties"][name]}
    if changed:
        client.indices.put_settings(index=metadata.index, settings={"mapping": body["settings"]["mapping"]})
        client.indices.put_mapping(index=metadata.index, properties={"attributes": {"properties": changed}})
    mapping = _mapping(client, metadata)
    templates = mappings.fitting(body["mappings"]["dynamic_templates"], mapping["properties"])
    if mapping.get("dynamic_templates") != templates:
        with suppress(BadRequestError):
            client.indices.put_mapping(index=metadata.index, dynamic_templates=templates)
    return replace(metadata, fields=mappings.field_types(mapping))


def _mapping(client: Elasticsearch, metadata: IndexMetadata) -> dict[str, Any]:
    found: dict[str, Any] = client.indices.get_mapping(index=metadata.index)[metadata.index]["mappings"]
    return found


def no_version(store: str, version: int) -> IndexStateError:
    return IndexStateError(f"{store} has no version {version}.", "See which there are: es-recsys index list.")


def reason_of(error: ApiError) -> str:
    body = error.body if isinstance(error.body, dict) else {}
    cause = body.get("error", {})
    return str(cause.get("reason", error.message)) if isinstance(cause, dict) else str(cause)
