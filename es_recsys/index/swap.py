"""Making another version live: one change of aliases, refused where another process made one in between."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from elasticsearch import BadRequestError, ConflictError, Elasticsearch, NotFoundError

from es_recsys.errors import IndexStateError
from es_recsys.index.stored_metadata import error_reason, read_metadata, read_version, write_metadata
from es_recsys.index.versions import BUILDING, live_version, unfinished_versions, version_numbers
from es_recsys.index_metadata import IndexMetadata, items_alias, items_index, profiles_alias, profiles_index

__all__ = ["previous_version", "swap"]


def swap(client: Elasticsearch, store: str, version: int) -> int | None:
    """Make a version live, items and profiles by one change of aliases that no reader sees half done.

    Returns the version that was live before, which the new one's notes keep for `previous_version`.
    Raises IndexStateError where the version is incomplete, or another swap came in between.
    """
    target = read_version(client, store, version)
    if not client.indices.exists(index=target.profiles):
        raise IndexStateError(f"Version {version} of {store} has no profiles index.", "Make the version again: es-recsys train.")
    if target.searches_users and not client.indices.exists(index=target.users):
        raise IndexStateError(f"Version {version} of {store} has no users index.", "Make the version again: es-recsys train.")
    before = live_version(client, store)
    if before == version:
        return before
    target = replace(target, notes={**target.notes, "replaces": before})
    write_metadata(client, target)
    if before is not None:
        _note_live(client, read_version(client, store, before))
    actions: list[dict[str, Any]] = []
    for alias, name in ((items_alias(store), items_index), (profiles_alias(store), profiles_index)):
        if before is not None:
            # `must_exist` makes it a compare-and-set: the whole change fails where the alias has moved.
            actions.append({"remove": {"index": name(store, before), "alias": alias, "must_exist": True}})
        actions.append({"add": {"index": name(store, version), "alias": alias}})
    try:
        client.indices.update_aliases(actions=actions)
    except (NotFoundError, BadRequestError, ConflictError) as error:
        raise IndexStateError(
            f"Version {version} of {store} was not taken into service: {error_reason(error)}.",
            "Another version went live meanwhile; look at es-recsys index list and swap again.",
        ) from error
    _note_live(client, target)
    return before


def previous_version(client: Elasticsearch, store: str) -> int:
    """Return the version that the live one replaced, else the next lower one.

    Raises StoreNotFound without a live version, IndexStateError without one to go back to.
    """
    metadata = read_metadata(client, store)
    unfinished = {one.version for one in unfinished_versions(client, store)}
    numbers = [number for number in version_numbers(client, store) if number not in unfinished]
    replaced = metadata.notes.get("replaces")
    lower = [number for number in numbers if number < metadata.version]
    if replaced not in numbers and not lower:
        raise IndexStateError(
            f"{store} has no version before {metadata.version}.", "Only a version that is still there can serve."
        )
    return int(replaced) if replaced in numbers else max(lower)


def _note_live(client: Elasticsearch, metadata: IndexMetadata) -> None:
    """Note that the version is or was live. This follows the change of aliases: what is live is not unfinished anyway."""
    if BUILDING in metadata.notes:
        write_metadata(client, metadata.with_notes({BUILDING: None}))
