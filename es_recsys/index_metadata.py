"""What an index version says of itself, kept in its mapping's `_meta`, and the names of a store's indices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from es_recsys.renamed import MODELS, RETRIEVERS, current, current_keys

__all__ = [
    "IndexMetadata",
    "VectorMetadata",
    "items_alias",
    "items_index",
    "profiles_alias",
    "profiles_index",
    "users_index",
]


def items_alias(store: str) -> str:
    return f"{store}-items"


def items_index(store: str, version: int) -> str:
    return f"{store}-items-{version:06d}"


def profiles_alias(store: str) -> str:
    return f"{store}-profiles"


def profiles_index(store: str, version: int) -> str:
    return f"{store}-profiles-{version:06d}"


def users_index(store: str, version: int) -> str:
    """Users by what they like, for the search of similar ones; only a version with a model that searches them has one."""
    return f"{store}-users-{version:06d}"


@dataclass(frozen=True, slots=True)
class VectorMetadata:
    """A vector field as this version has it. `fingerprint` names weights, pooling and precision; vectors of two
    fingerprints are never mixed."""

    dims: int
    fingerprint: str
    model: str
    similarity: str = "cosine"


@dataclass(frozen=True, slots=True)
class IndexMetadata:
    """One index version of a store.

    index: physical name of the items index. models: trained models that this version is served with; their artefacts
    lie in `Settings.store_home / "models" / f"{version:06d}"`. weights: situation -> leg -> weight, where training or
    tuning chose them. lexical: boost of each text field, where tuning chose them. ranking: situation -> fingerprint of the
    learned ranking that serves it, where one does. behaviours: event type -> weight, where tuning chose them. key_check:
    tells another secret than the one behind the users' keys; empty until profiles are written. fields: path of each
    filterable field -> Elasticsearch type, read from the mapping (not kept in `_meta`).
    """

    store: str
    version: int
    language: str = "english"
    vectors: Mapping[str, VectorMetadata] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    weights: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    lexical: Mapping[str, float] = field(default_factory=dict)
    ranking: Mapping[str, str] = field(default_factory=dict)
    event_weights: Mapping[str, float] = field(default_factory=dict)
    timed: bool = True
    key_check: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def index(self) -> str:
        return items_index(self.store, self.version)

    @property
    def dims(self) -> dict[str, int]:
        """Vector field -> dimensions."""
        return {name: vector.dims for name, vector in self.vectors.items()}

    @property
    def variants(self) -> float | None:
        """How many variants the product of a variant has on average; None where no item has a group_id."""
        found = self.notes.get("variants")
        return None if found is None else float(found)

    @property
    def profiles(self) -> str:
        return profiles_index(self.store, self.version)

    @property
    def users(self) -> str:
        return users_index(self.store, self.version)

    def to_dict(self) -> dict[str, Any]:
        """JSON values for the mapping's `_meta`; `from_dict` reads them back."""
        return {
            "store": self.store,
            "version": self.version,
            "language": self.language,
            "vectors": {
                name: {"dims": v.dims, "fingerprint": v.fingerprint, "model": v.model, "similarity": v.similarity}
                for name, v in self.vectors.items()
            },
            "models": list(self.models),
            "weights": {situation: dict(legs) for situation, legs in self.weights.items()},
            "lexical": dict(self.lexical),
            "ranking": dict(self.ranking),
            "behaviours": dict(self.event_weights),
            "timed": self.timed,
            "key_check": self.key_check,
            "notes": dict(self.notes),
        }

    @classmethod
    def from_dict(cls, metadata: Mapping[str, Any], fields: Mapping[str, str] | None = None) -> IndexMetadata:
        return cls(
            store=metadata["store"],
            version=metadata["version"],
            language=metadata["language"],
            vectors={name: VectorMetadata(**v) for name, v in metadata["vectors"].items()},
            models=tuple(current(name, MODELS) for name in metadata["models"]),
            weights={situation: current_keys(own, RETRIEVERS) for situation, own in metadata["weights"].items()},
            lexical=metadata["lexical"],
            ranking=metadata.get("ranking", {}),
            event_weights=metadata.get("behaviours", {}),
            timed=metadata["timed"],
            key_check=metadata.get("key_check", ""),
            notes=metadata["notes"],
            fields=dict(fields or {}),
        )
