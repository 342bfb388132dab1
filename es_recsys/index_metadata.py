"""The metadata of an index version, stored in the `_meta` of its mapping, and the names of a store's indices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from es_recsys.errors import IndexStateError
from es_recsys.languages import is_mixed
from es_recsys.renamed import MODELS, RETRIEVERS, current, current_keys

__all__ = [
    "IndexMetadata",
    "IndexState",
    "VectorMetadata",
    "items_alias",
    "items_index",
    "profiles_alias",
    "profiles_index",
    "users_index",
]


def items_alias(store: str) -> str:
    """Return the alias of a store's live items index."""
    return f"{store}-items"


def items_index(store: str, version: int) -> str:
    """Return the name of the items index of a version."""
    return f"{store}-items-{version:06d}"


def profiles_alias(store: str) -> str:
    """Return the alias of a store's live profiles index."""
    return f"{store}-profiles"


def profiles_index(store: str, version: int) -> str:
    """Return the name of the profiles index of a version."""
    return f"{store}-profiles-{version:06d}"


def users_index(store: str, version: int) -> str:
    """Return the name of the index of users by what they like, for the search of similar ones.

    Only a version with a model that searches them has one.
    """
    return f"{store}-users-{version:06d}"


_FORMAT = 2
# The model for which a version searches its index of users, where its metadata doesn't say whether it does (before 0.2).
_SEARCHED_USERS = "userknn"
# Key of format 1, which said no format -> the key of format 2.
_RENAMED_KEYS = {
    "weights": "retriever_weights",
    "lexical": "text_boosts",
    "ranking": "ranker_fingerprints",
    "behaviours": "event_weights",
}


@dataclass(frozen=True, slots=True)
class VectorMetadata:
    """A vector field of a version.

    fingerprint: identifies weights, pooling and precision of what made the vectors; those of two fingerprints are never mixed.
    """

    dims: int
    fingerprint: str
    model: str
    similarity: str = "cosine"


@dataclass(frozen=True, slots=True)
class IndexMetadata:
    """One index version of a store.

    models: trained models that this version is served with; their artefacts lie in
    `Settings.store_home / "models" / f"{version:06d}"`. retriever_weights: situation -> retriever -> weight, where training or
    tuning chose them. text_boosts: clause of the text query -> boost, where tuning chose them. ranker_fingerprints: situation
    -> fingerprint of the learned ranking that serves it, where one does. event_weights: event type -> weight, where tuning
    chose them. searches_users: whether a model searches the version's index of users. timed: whether the events it was trained
    on have timestamps. key_check: proof of the secret behind the users' keys; empty until profiles are written. notes: what
    jobs remember with a version, by name; JSON values. fields: path of each filterable field -> Elasticsearch type, read from
    the mapping (not stored in `_meta`).
    """

    store: str
    version: int
    language: str = "english"
    vectors: Mapping[str, VectorMetadata] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    retriever_weights: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    text_boosts: Mapping[str, float] = field(default_factory=dict)
    ranker_fingerprints: Mapping[str, str] = field(default_factory=dict)
    event_weights: Mapping[str, float] = field(default_factory=dict)
    searches_users: bool = False
    timed: bool = True
    key_check: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def index(self) -> str:
        """Name of the items index."""
        return items_index(self.store, self.version)

    @property
    def dims(self) -> dict[str, int]:
        """Vector field -> dimensions."""
        return {name: vector.dims for name, vector in self.vectors.items()}

    @property
    def mixes_languages(self) -> bool:
        """Whether items are in several languages, each analysed by its own."""
        return is_mixed(self.language)

    @property
    def variants(self) -> float | None:
        """Mean number of variants of the product of a variant; None where no item has a group_id."""
        found = self.notes.get("variants")
        return None if found is None else float(found)

    @property
    def profiles(self) -> str:
        """Name of the profiles index."""
        return profiles_index(self.store, self.version)

    @property
    def users(self) -> str:
        """Name of the index of users, which only a version with a model that searches them has."""
        return users_index(self.store, self.version)

    def with_notes(self, notes: Mapping[str, Any]) -> IndexMetadata:
        """Return the metadata with these notes beside the others; None removes one."""
        merged = {**self.notes, **notes}
        return replace(self, notes={name: value for name, value in merged.items() if value is not None})

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values for the mapping's `_meta`; `from_dict` reads them back."""
        return {
            "format": _FORMAT,
            "store": self.store,
            "version": self.version,
            "language": self.language,
            "vectors": {
                name: {"dims": v.dims, "fingerprint": v.fingerprint, "model": v.model, "similarity": v.similarity}
                for name, v in self.vectors.items()
            },
            "models": list(self.models),
            "retriever_weights": {situation: dict(weights) for situation, weights in self.retriever_weights.items()},
            "text_boosts": dict(self.text_boosts),
            "ranker_fingerprints": dict(self.ranker_fingerprints),
            "event_weights": dict(self.event_weights),
            "searches_users": self.searches_users,
            "timed": self.timed,
            "key_check": self.key_check,
            "notes": dict(self.notes),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any], fields: Mapping[str, str] | None = None) -> IndexMetadata:
        """Read what `to_dict` of this or an earlier release wrote.

        Raises IndexStateError for the format of a later one.
        """
        if stored.get("format", 1) > _FORMAT:
            raise IndexStateError(
                f"Version {stored['version']} of {stored['store']} was written by a later es-recsys (format {stored['format']} of"
                f" its metadata, and this one reads up to {_FORMAT}).",
                "Upgrade es-recsys.",
            )
        metadata = current_keys(stored, _RENAMED_KEYS)
        weights = metadata["retriever_weights"].items()
        models = tuple(current(name, MODELS) for name in metadata["models"])
        return cls(
            store=metadata["store"],
            version=metadata["version"],
            language=metadata["language"],
            vectors={name: VectorMetadata(**vector) for name, vector in metadata["vectors"].items()},
            models=models,
            retriever_weights={situation: current_keys(table, RETRIEVERS) for situation, table in weights},
            text_boosts=metadata["text_boosts"],
            ranker_fingerprints=metadata.get("ranker_fingerprints", {}),
            event_weights=metadata.get("event_weights", {}),
            searches_users=metadata.get("searches_users", _SEARCHED_USERS in models),
            timed=metadata["timed"],
            key_check=metadata.get("key_check", ""),
            notes=metadata["notes"],
            fields=dict(fields or {}),
        )


@dataclass(frozen=True, slots=True)
class IndexState:
    """Which index it is, and up to which write.

    uuid: differs between an index and another that was later made under its name. checkpoints: shard -> number up to which all
    writes are done.
    """

    index: str
    uuid: str
    checkpoints: Mapping[int, int]

    def writes_since(self, earlier: IndexState) -> int | None:
        """Return how many writes came since an earlier state of the same index; None where it isn't one."""
        same = (self.index, self.uuid, self.checkpoints.keys()) == (earlier.index, earlier.uuid, earlier.checkpoints.keys())
        steps = [number - earlier.checkpoints[shard] for shard, number in self.checkpoints.items()] if same else [-1]
        return None if min(steps, default=0) < 0 else sum(steps)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values; `from_dict` reads them back."""
        checkpoints = {str(shard): number for shard, number in self.checkpoints.items()}
        return {"index": self.index, "uuid": self.uuid, "checkpoints": checkpoints}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> IndexState:
        checkpoints = {int(shard): int(number) for shard, number in stored["checkpoints"].items()}
        return cls(str(stored["index"]), str(stored["uuid"]), checkpoints)
