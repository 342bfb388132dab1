"""Changes to the mapping of a version that is there: more vector fields, HNSW graphs, the fields of a newer release."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from elasticsearch import BadRequestError, Elasticsearch

from es_recsys.index import mappings
from es_recsys.index_metadata import IndexMetadata, VectorMetadata

__all__ = ["add_fields", "add_vectors", "switch_to_hnsw"]


def switch_to_hnsw(client: Elasticsearch, metadata: IndexMetadata, count: int) -> None:
    """Give vector fields that were created for few items an HNSW graph, once there are many.

    Documents written from now on get it, older ones as Elasticsearch merges its segments; until then they are scanned.
    """
    mapping = client.indices.get_mapping(index=metadata.index)[metadata.index]["mappings"]["properties"]
    chosen = metadata.notes.get("index_options", {})
    wanted = {
        name: mappings.vector_mapping(name, vector, count) for name, vector in metadata.vectors.items() if name not in chosen
    }
    grown = {
        name: body
        for name, body in wanted.items()
        if mapping[name]["index_options"]["type"] == "flat" and body["index_options"]["type"] != "flat"
    }
    if grown:
        client.indices.put_mapping(index=metadata.index, properties=grown)


def add_vectors(
    client: Elasticsearch, metadata: IndexMetadata, vectors: Mapping[str, VectorMetadata], count: int
) -> IndexMetadata:
    """Add vector fields to a version; its documents lack them until they are written again."""
    new = replace(metadata, vectors={**metadata.vectors, **vectors})
    properties = {name: mappings.vector_mapping(name, vector, count) for name, vector in vectors.items()}
    client.indices.put_mapping(index=metadata.index, properties=properties, meta=new.to_dict())
    return new


def add_fields(client: Elasticsearch, metadata: IndexMetadata) -> IndexMetadata:
    """Bring the mapping of a version up to this release, as far as that goes without reindexing.

    Added are filterable fields of an item that it lacks, and attributes take values of any type. What is stored is not touched.
    """
    body = mappings.items_body(metadata, 0)
    mapping = _mapping(client, metadata)
    there, properties = mapping["properties"], body["mappings"]["properties"]
    known = mappings.filterable_fields(mapping)
    # A field with an analyzer that the index has not comes with the next version.
    for path in mappings.filterable_fields({"properties": properties}):
        if path in properties and path not in known:
            with suppress(BadRequestError):
                client.indices.put_mapping(
                    index=metadata.index, properties={path: mappings.without_missing_targets(properties[path], there)}
                )
    accepting = {name: mappings.with_any_type(old) for name, old in there["attributes"].get("properties", {}).items()}
    changed = {name: new for name, new in accepting.items() if new != there["attributes"]["properties"][name]}
    if changed:
        client.indices.put_settings(index=metadata.index, settings={"mapping": body["settings"]["mapping"]})
        client.indices.put_mapping(index=metadata.index, properties={"attributes": {"properties": changed}})
    mapping = _mapping(client, metadata)
    templates = mappings.without_missing_targets(body["mappings"]["dynamic_templates"], mapping["properties"])
    if mapping.get("dynamic_templates") != templates:
        with suppress(BadRequestError):
            client.indices.put_mapping(index=metadata.index, dynamic_templates=templates)
    return replace(metadata, fields=mappings.filterable_fields(mapping))


def _mapping(client: Elasticsearch, metadata: IndexMetadata) -> dict[str, Any]:
    found: dict[str, Any] = client.indices.get_mapping(index=metadata.index)[metadata.index]["mappings"]
    return found
