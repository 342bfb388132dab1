"""Versions of a store: each an items index and a profiles index, made live together by one change of aliases.

A version whose models search similar users has an index of them besides, which needs no alias: who knows the version knows
its name.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from elasticsearch import ApiError, BadRequestError, Elasticsearch, NotFoundError

from es_recsys.errors import IndexStateError, StoreNotFound
from es_recsys.index import mappings
from es_recsys.index.stored_metadata import error_reason, read_version, version_not_found, write_metadata
from es_recsys.index_metadata import IndexMetadata, items_alias, items_index, profiles_alias, profiles_index, users_index
from es_recsys.languages import analyzer, mixed_analyzers

__all__ = [
    "BUILDING",
    "UnfinishedVersion",
    "VersionInfo",
    "create",
    "create_missing_profiles_index",
    "drop",
    "drop_store",
    "drop_unfinished",
    "list_versions",
    "live_version",
    "next_version",
    "unfinished_versions",
    "version_numbers",
]

_NAMES = (items_index, profiles_index, users_index)

BUILDING = "building"
"""Key in the notes of a version that is not live yet: who makes it, and since when."""


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """What `index list` shows of a version. bytes: on disk, replicas left out. created: epoch seconds."""

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
class UnfinishedVersion:
    """A version that never went live, or of which an index is missing.

    owner: who makes it, as `create` was told; "" where it isn't known. started_at: epoch seconds, None where it isn't known.
    incomplete: whether its items or its profiles index is missing.
    """

    version: int
    owner: str
    started_at: float | None
    incomplete: bool


def create(
    client: Elasticsearch,
    metadata: IndexMetadata,
    *,
    count: int,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    live: bool = False,
    owner: str = "",
) -> IndexMetadata:
    """Create the two empty indices of a version; `metadata.version` comes from `next_version`.

    count: about how many items it will hold, which chooses the vectors' index. options: vector field -> `index_options`.
    live: make it live at once, for the first version of a store. owner: is noted until it is live, for whoever finds it
    unfinished.
    Raises IndexStateError where the version exists already, or the server lacks the language's analyzer.
    """
    if options:
        metadata = replace(
            metadata, notes={**metadata.notes, "index_options": {name: dict(chosen) for name, chosen in options.items()}}
        )
    begun = replace(metadata, notes={**metadata.notes, BUILDING: {"maker": owner, "since": time.time()}})
    analyzers = mixed_analyzers(metadata.language) or (analyzer(metadata.language),)
    thai_words = "thai" not in analyzers or _finds_thai_words(client)
    items = mappings.items_body(begun, count, options, thai_words=thai_words)
    bodies = {metadata.profiles: mappings.profiles_body(begun), metadata.index: items}
    made: list[str] = []
    try:
        for index, body in bodies.items():
            client.indices.create(index=index, **body)
            made.append(index)
    except BadRequestError as error:
        for index in made:
            client.indices.delete(index=index, ignore_unavailable=True)
        raise _not_created(metadata, error) from error
    return _first(client, metadata) if live else metadata


def create_missing_profiles_index(client: Elasticsearch, metadata: IndexMetadata) -> None:
    """Create the profiles index of the live version, empty, where it is gone: profiles can be rebuilt from stored events."""
    if client.indices.exists(index=metadata.profiles):
        return
    try:
        client.indices.create(
            index=metadata.profiles, aliases={profiles_alias(metadata.store): {}}, **mappings.profiles_body(metadata)
        )
    except BadRequestError:
        # Another process that creates it at the same moment creates the same.
        if not client.indices.exists(index=metadata.profiles):
            raise


def _first(client: Elasticsearch, metadata: IndexMetadata) -> IndexMetadata:
    """Make the first version of a store live; of two that come at once the lower one stays."""
    aliases = {metadata.index: items_alias(metadata.store), metadata.profiles: profiles_alias(metadata.store)}
    client.indices.update_aliases(actions=[{"add": {"index": index, "alias": alias}} for index, alias in aliases.items()])
    first = min(_number(metadata.store, index) for index in client.indices.get_alias(name=items_alias(metadata.store)))
    if first == metadata.version:
        write_metadata(client, metadata)
        return metadata
    _delete(client, [name(metadata.store, metadata.version) for name in _NAMES])
    return read_version(client, metadata.store, first)


def next_version(client: Elasticsearch, store: str) -> int:
    """Return one more than the highest number in use, 1 for a new store."""
    return max(_indices(client, store), default=0) + 1


def unfinished_versions(client: Elasticsearch, store: str) -> list[UnfinishedVersion]:
    """Return the versions that are not whole or never went live; someone may be making one of them this moment."""
    live = live_version(client, store)
    found = []
    for number, metas in sorted(_indices(client, store).items()):
        building = [note for meta in metas.values() if (note := meta.get("notes", {}).get(BUILDING)) is not None]
        incomplete = not {items_index, profiles_index} <= metas.keys()
        if number != live and (incomplete or BUILDING in metas[items_index].get("notes", {})):
            note = building[0] if building else {}
            found.append(UnfinishedVersion(number, note.get("maker", ""), note.get("since"), incomplete))
    return found


def drop_unfinished(client: Elasticsearch, store: str, version: int) -> None:
    """Delete what there is of an unfinished version. Raises IndexStateError for the live one."""
    if version == live_version(client, store):
        raise IndexStateError(f"Version {version} of {store} is live.", "Look at es-recsys index list.")
    _delete(client, [name(store, version) for name in _NAMES])


def _indices(client: Elasticsearch, store: str) -> dict[int, dict[Callable[[str, int], str], dict[str, Any]]]:
    """Return version number -> `_meta` of its indices, by the function that names them."""
    patterns = {name: name(store, 0).removesuffix("000000") for name in _NAMES}
    found: dict[int, dict[Callable[[str, int], str], dict[str, Any]]] = {}
    response = client.indices.get(index=",".join(f"{start}*" for start in patterns.values()), features="mappings")
    for index, body in response.items():
        for name, start in patterns.items():
            if index.startswith(start) and re.fullmatch(r"\d{6,}", index.removeprefix(start)):
                metadata = body.get("mappings", {}).get("_meta", {})
                found.setdefault(int(index.removeprefix(start)), {})[name] = metadata
    return found


def live_version(client: Elasticsearch, store: str) -> int | None:
    """Return the number of the live version; None where there is none."""
    try:
        found = client.indices.get_alias(name=items_alias(store))
    except NotFoundError:
        return None
    return max((_number(store, index) for index in found), default=None)


def list_versions(client: Elasticsearch, store: str) -> list[VersionInfo]:
    """Return all versions, oldest first; the list that `index list` prints."""
    live = live_version(client, store)
    return [_info(client, store, number, number == live) for number in version_numbers(client, store)]


def drop(client: Elasticsearch, store: str, version: int) -> None:
    """Delete a version. Raises IndexStateError for the live one, and for one that does not exist."""
    if version == live_version(client, store):
        raise IndexStateError(
            f"Version {version} of {store} is live.", "Swap to another first, or drop the whole store: index drop --store."
        )
    if version not in version_numbers(client, store):
        raise version_not_found(store, version)
    _delete(client, [name(store, version) for name in _NAMES])


def drop_store(client: Elasticsearch, store: str) -> list[int]:
    """Delete all versions, the live one too, and return their numbers. Raises StoreNotFound where there is none."""
    numbers = sorted(_indices(client, store))
    if not numbers:
        raise StoreNotFound(f"There is no store {store!r}.", "See its name: es-recsys index list --index NAME.")
    _delete(client, [name(store, number) for number in numbers for name in _NAMES])
    return numbers


def version_numbers(client: Elasticsearch, store: str) -> list[int]:
    """Return the numbers of the store's items indices, lowest first."""
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


def _finds_thai_words(client: Elasticsearch) -> bool:
    """Return whether the server's Java finds words in Thai; without, an index with that analyzer can't be made."""
    try:
        client.indices.analyze(analyzer="thai", text="\u0e44\u0e17\u0e22")
    except BadRequestError:
        return False
    return True


def _not_created(metadata: IndexMetadata, error: ApiError) -> IndexStateError:
    reason = error_reason(error)
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
