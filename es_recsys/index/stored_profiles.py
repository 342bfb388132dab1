"""Stored profiles by key, with the sequence numbers that a compare-and-set names, and how far they are folded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch

from es_recsys.errors import EngineError

__all__ = ["StoredProfile", "clear_fold_checkpoint", "fetch_profiles", "read_fold_checkpoint", "write_fold_checkpoint"]

_CHECKPOINT = "folded"
_BATCH = 100


@dataclass(frozen=True, slots=True)
class StoredProfile:
    """A profile as it is stored. source: the fields that were asked for. seq_no: its `_seq_no` and `_primary_term`."""

    source: Mapping[str, Any]
    seq_no: tuple[int, int]


def fetch_profiles(
    client: Elasticsearch, index: str, keys: Sequence[str], fields: Sequence[str] | None
) -> dict[str, StoredProfile]:
    """Return key -> profile as it is this moment; keys without one are left out.

    fields: only these of the source, all where None. Raises EngineError where Elasticsearch could not read one of them.
    """
    found: dict[str, StoredProfile] = {}
    # Whole profiles are large.
    size = _BATCH if fields is None else max(len(keys), 1)
    source: bool | list[str] = True if fields is None else list(fields) or False
    for start in range(0, len(keys), size):
        batch = list(keys[start : start + size])
        for doc in client.mget(index=index, ids=batch, source=source)["docs"]:
            if "error" in doc:
                raise EngineError(f"Profiles could not be read ({doc['error'].get('reason', 'no reason given')}).", "Try again.")
            if doc["found"]:
                found[doc["_id"]] = StoredProfile(doc.get("_source", {}), (doc["_seq_no"], doc["_primary_term"]))
    return found


def read_fold_checkpoint(client: Elasticsearch, index: str) -> dict[str, Any] | None:
    """Return what `write_fold_checkpoint` stored; None where nothing is."""
    checkpoint = _meta(client, index).get(_CHECKPOINT)
    return None if checkpoint is None else dict(checkpoint)


def write_fold_checkpoint(client: Elasticsearch, index: str, checkpoint: Mapping[str, Any]) -> None:
    """Store with the profiles up to which position of the event store they are folded."""
    client.indices.put_mapping(index=index, meta={**_meta(client, index), _CHECKPOINT: dict(checkpoint)})


def clear_fold_checkpoint(client: Elasticsearch, index: str) -> None:
    """Remove the checkpoint, so that the next pass folds all profiles."""
    kept = {name: value for name, value in _meta(client, index).items() if name != _CHECKPOINT}
    client.indices.put_mapping(index=index, meta=kept)


def _meta(client: Elasticsearch, index: str) -> dict[str, Any]:
    return dict(client.indices.get_mapping(index=index)[index]["mappings"].get("_meta", {}))
