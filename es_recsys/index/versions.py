"""Versions of a store: each an items index and a profiles index, taken into service together by one change of aliases.

A version whose models search similar users has an index of them besides, which needs no alias: who knows the version knows
its name."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from elasticsearch import ApiError, BadRequestError, ConflictError, Elasticsearch, NotFoundError

from es_recsys.errors import IndexStateError, StoreNotFound
from es_recsys.index import mappings
from es_recsys.index.stored_metadata import (
    check_fingerprints,
    no_version,
    parse_meta,
    read_metadata,
    read_version,
    reason_of,
    vector_metas,
    write_metadata,
)
from es_recsys.index_metadata import IndexMetadata, items_alias, items_index, profiles_alias, profiles_index, users_index

__all__ = [
    "Unfinished",
    "VersionInfo",
    "check_fingerprints",
    "create",
    "drop",
    "drop_store",
    "drop_unfinished",
    "live_version",
    "next_version",
    "parse_meta",
    "previous",
    "read_metadata",
    "read_version",
    "restore_profiles",
    "rollback",
    "swap",
    "unfinished",
    "vector_metas",
    "version_numbers",
    "versions",
    "write_metadata",
]

_NAMES = (items_index, profiles_index, users_index)
_SEARCHES_USERS = "userknn"
_BUILDING = "building"


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """A version as it stands. bytes: on disk, replicas left out. created: epoch seconds."""

    metadata: IndexMetadata
    live: bool
    documents: int
    profiles: int
    bytes: int
    created: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "version": self.metadata.version,
            "live": self.live,
            "documents": self.documents,
            "profiles": self.profiles,
            "bytes": self.bytes,
            "created": self.created,
            "language": self.metadata.language,
            "vectors": {name: vector.model for name, vector in self.metadata.vectors.items()},
            "models": list(self.metadata.models),
        }


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A version that was never taken into service, or of which an index is missing.

    maker: what `create` was told; "" where it isn't known. since: epoch seconds at which it was begun, None where that is not
    known. half: whether its items or its profiles index is missing.
    """

    version: int
    maker: str
    since: float | None
    half: bool


def create(
    client: Elasticsearch,
    metadata: IndexMetadata,
    *,
    count: int,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    live: bool = False,
    maker: str = "",
) -> IndexMetadata:
    """Makes the two empty indices of a version; `meta.version` comes from `next_version`.

    count: about how many items it will hold, which chooses the vectors' index. options: vector field -> `index_options`.
    live: into service at once, for the first version of a store. maker: stands in the version until it is in service, for
    whoever finds it unfinished.
    Raises IndexStateError where the version exists already, or the server lacks the language's analyzer.
    """
    if options:
        metadata = replace(
            metadata, notes={**metadata.notes, "index_options": {name: dict(chosen) for name, chosen in options.items()}}
        )
    begun = replace(metadata, notes={**metadata.notes, _BUILDING: {"maker": maker, "since": time.time()}})
    bodies = {metadata.profiles: mappings.profiles(begun), metadata.index: mappings.items(begun, count, options)}
    made: list[str] = []
    try:
        for index, body in bodies.items():
            client.indices.create(index=index, **body)
            made.append(index)
    except BadRequestError as error:
        for index in made:
            client.indices.delete(index=index, ignore_unavailable=True)
        raise _not_made(metadata, error) from error
    return _first(client, metadata) if live else metadata


def restore_profiles(client: Elasticsearch, metadata: IndexMetadata) -> None:
    """Makes the profiles index of the version in service anew, empty, where it is gone: profiles are made of stored events."""
    if client.indices.exists(index=metadata.profiles):
        return
    try:
        client.indices.create(
            index=metadata.profiles, aliases={profiles_alias(metadata.store): {}}, **mappings.profiles(metadata)
        )
    except BadRequestError:
        # Whoever makes it at the same moment makes the same.
        if not client.indices.exists(index=metadata.profiles):
            raise


def _first(client: Elasticsearch, metadata: IndexMetadata) -> IndexMetadata:
    """Takes the first version of a store into service; of two that come at once the lower one stays."""
    aliases = {metadata.index: items_alias(metadata.store), metadata.profiles: profiles_alias(metadata.store)}
    client.indices.update_aliases(actions=[{"add": {"index": index, "alias": alias}} for index, alias in aliases.items()])
    first = min(_number(metadata.store, index) for index in client.indices.get_alias(name=items_alias(metadata.store)))
    if first == metadata.version:
        write_metadata(client, metadata)
        return metadata
    _delete(client, [name(metadata.store, metadata.version) for name in _NAMES])
    return read_version(client, metadata.store, first)


def next_version(client: Elasticsearch, store: str) -> int:
    """One beyond the highest number in use, 1 for a new store."""
    return max(_indices(client, store), default=0) + 1


def unfinished(client: Elasticsearch, store: str) -> list[Unfinished]:
    """Versions that nobody is served with, and that are not whole; someone may be making one of them this moment."""
    live = live_version(client, store)
    found = []
    for number, metas in sorted(_indices(client, store).items()):
        marks = [mark for metadata in metas.values() if (mark := metadata.get("notes", {}).get(_BUILDING)) is not None]
        half = not {items_index, profiles_index} <= metas.keys()
        if number != live and (half or (items_index in metas and _BUILDING in metas[items_index].get("notes", {}))):
            mark = marks[0] if marks else {}
            found.append(Unfinished(number, mark.get("maker", ""), mark.get("since"), half))
    return found


def drop_unfinished(client: Elasticsearch, store: str, version: int) -> None:
    """Deletes what there is of an unfinished version. Raises IndexStateError for the live one."""
    if version == live_version(client, store):
        raise IndexStateError(f"Version {version} of {store} is live.", "Look at es-recsys index list.")
    _delete(client, [name(store, version) for name in _NAMES])


def _indices(client: Elasticsearch, store: str) -> dict[int, dict[Callable[[str, int], str], dict[str, Any]]]:
    """Number -> what its indices say of themselves, by the function that names them."""
    patterns = {name: name(store, 0).removesuffix("000000") for name in _NAMES}
    found: dict[int, dict[Callable[[str, int], str], dict[str, Any]]] = {}
    answer = client.indices.get(index=",".join(f"{start}*" for start in patterns.values()), features="mappings")
    for index, body in answer.items():
        for name, start in patterns.items():
            if index.startswith(start) and re.fullmatch(r"\d{6,}", index.removeprefix(start)):
                metadata = body.get("mappings", {}).get("_meta", {})
                found.setdefault(int(index.removeprefix(start)), {})[name] = metadata
    return found


def live_version(client: Elasticsearch, store: str) -> int | None:
    """The version in service; None where there is none."""
    try:
        found = client.indices.get_alias(name=items_alias(store))
    except NotFoundError:
        return None
    return max((_number(store, index) for index in found), default=None)


def swap(client: Elasticsearch, store: str, version: int) -> int | None:
    """Takes a version into service, items and profiles in one step that no reader sees half done.

    Returns the version that was live before, which the new one's notes keep for `rollback`.
    Raises IndexStateError where the version is incomplete, or another swap came in between.
    """
    target = read_version(client, store, version)
    if not client.indices.exists(index=target.profiles):
        raise IndexStateError(f"Version {version} of {store} has no profiles index.", "Make the version again: es-recsys train.")
    if _SEARCHES_USERS in target.models and not client.indices.exists(index=target.users):
        raise IndexStateError(f"Version {version} of {store} has no users index.", "Make the version again: es-recsys train.")
    before = live_version(client, store)
    if before == version:
        return before
    target = replace(target, notes={**target.notes, "replaces": before})
    write_metadata(client, target)
    if before is not None:
        _finish(client, read_version(client, store, before))
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
            f"Version {version} of {store} was not taken into service: {reason_of(error)}.",
            "Another version went live meanwhile; look at es-recsys index list and swap again.",
        ) from error
    _finish(client, target)
    return before


def previous(client: Elasticsearch, store: str) -> int:
    """The version that the live one replaced, else the next lower one.

    Raises StoreNotFound without a live version, IndexStateError without one to go back to.
    """
    metadata = read_metadata(client, store)
    left = {one.version for one in unfinished(client, store)}
    numbers = [number for number in version_numbers(client, store) if number not in left]
    replaced = metadata.notes.get("replaces")
    lower = [number for number in numbers if number < metadata.version]
    if replaced not in numbers and not lower:
        raise IndexStateError(
            f"{store} has no version before {metadata.version}.", "Only a version that is still there can serve."
        )
    return int(replaced) if replaced in numbers else max(lower)


def rollback(client: Elasticsearch, store: str) -> int:
    """Puts the version into service that `previous` names, as it is. Returns its number."""
    target = previous(client, store)
    swap(client, store, target)
    return target


def _finish(client: Elasticsearch, metadata: IndexMetadata) -> None:
    """Notes that the version is or was in service. It follows the change of aliases: what is live is no leftover anyway."""
    if _BUILDING in metadata.notes:
        write_metadata(client, replace(metadata, notes={key: value for key, value in metadata.notes.items() if key != _BUILDING}))


def versions(client: Elasticsearch, store: str) -> list[VersionInfo]:
    """All versions, oldest first; the list that `index list` prints."""
    live = live_version(client, store)
    return [_info(client, store, number, number == live) for number in version_numbers(client, store)]


def drop(client: Elasticsearch, store: str, version: int) -> None:
    """Deletes a version. Raises IndexStateError for the live one, and for one that does not exist."""
    if version == live_version(client, store):
        raise IndexStateError(
            f"Version {version} of {store} is live.", "Swap to another first, or drop the whole store: index drop --store."
        )
    if version not in version_numbers(client, store):
        raise no_version(store, version)
    _delete(client, [name(store, version) for name in _NAMES])


def drop_store(client: Elasticsearch, store: str) -> list[int]:
    """Deletes all versions, the live one too, and returns their numbers. Raises StoreNotFound where there is none."""
    numbers = sorted(_indices(client, store))
    if not numbers:
        raise StoreNotFound(f"There is no store {store!r}.", "See its name: es-recsys index list --index NAME.")
    _delete(client, [name(store, number) for number in numbers for name in _NAMES])
    return numbers


def version_numbers(client: Elasticsearch, store: str) -> list[int]:
    """Numbers of the store's items indices, lowest first."""
    found = client.indices.get(index=f"{items_alias(store)}-*", features="aliases")
    return sorted(_number(store, index) for index in found if re.fullmatch(rf"{items_alias(store)}-\d{{6,}}", index))


def _number(store: str, index: str) -> int:
    return int(index.removeprefix(f"{items_alias(store)}-"))


def _info(client: Elasticsearch, store: str, number: int, live: bool) -> VersionInfo:
    index, profiles = items_index(store, number), profiles_index(store, number)
    # A pattern may match nothing: not every version has users, and one that is not finished may have no profiles.
    names = f"{index},{profiles}*,{users_index(store, number)}*"
    stats = client.indices.stats(index=names, metric="docs,store")["indices"]
    settings = client.indices.get_settings(index=index)[index]["settings"]
    return VersionInfo(
        metadata=read_version(client, store, number),
        live=live,
        documents=stats[index]["primaries"]["docs"]["count"],
        profiles=stats.get(profiles, {}).get("primaries", {}).get("docs", {}).get("count", 0),
        bytes=sum(part["primaries"]["store"]["size_in_bytes"] for part in stats.values()),
        created=int(settings["index"]["creation_date"]) / 1000.0,
    )


def _delete(client: Elasticsearch, indices: Collection[str]) -> None:
    client.options(ignore_status=404).indices.delete(index=",".join(indices), ignore_unavailable=True)


def _not_made(metadata: IndexMetadata, error: ApiError) -> IndexStateError:
    reason = reason_of(error)
    if "resource_already_exists" in (error.error or ""):
        return IndexStateError(
            f"Version {metadata.version} of {metadata.store} exists already.", "Someone else makes it; try again."
        )
    if "analyzer" in reason:
        return IndexStateError(
            f"This Elasticsearch has no analyzer for the language {metadata.language!r}: {reason}.",
            'Set the language to "standard", or use a full Elasticsearch.',
        )
    return IndexStateError(f"Version {metadata.version} of {metadata.store} was not made: {reason}.", "Mend that and try again.")
