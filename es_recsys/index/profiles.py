"""Stored profiles by key, with the versions that a compare-and-set names, and how far they are folded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch

from es_recsys.errors import EngineError

__all__ = ["Stored", "folded", "forget_folded", "get", "note_folded"]

_FOLDED = "folded"
_BATCH = 100


@dataclass(frozen=True, slots=True)
class Stored:
    """A profile as it stands. source: what was asked of it. version: its `_seq_no` and `_primary_term`."""

    source: Mapping[str, Any]
    version: tuple[int, int]


def get(client: Elasticsearch, index: str, keys: Sequence[str], fields: Sequence[str] | None) -> dict[str, Stored]:
    """key -> profile, as it is this moment; keys without one are left out. fields: only these of the source, all where None.

    Raises EngineError where Elasticsearch could not read one of them.
    """
    found: dict[str, Stored] = {}
    # Whole profiles are large.
    size = _BATCH if fields is None else max(len(keys), 1)
    for start in range(0, len(keys), size):
        asked = list(keys[start : start + size])
        if fields is None:
            docs = client.mget(index=index, ids=asked)["docs"]
        elif fields:
            docs = client.mget(index=index, ids=asked, source_includes=list(fields))["docs"]
        else:
            docs = client.mget(index=index, ids=asked, source=False)["docs"]
        for doc in docs:
            if "error" in doc:
                raise EngineError(f"Profiles could not be read ({doc['error'].get('reason', 'no reason given')}).", "Try again.")
            if doc["found"]:
                found[doc["_id"]] = Stored(doc.get("_source", {}), (doc["_seq_no"], doc["_primary_term"]))
    return found


def folded(client: Elasticsearch, index: str) -> dict[str, Any] | None:
    """What `note_folded` kept; None where nothing was."""
    mark = _meta(client, index).get(_FOLDED)
    return None if mark is None else dict(mark)


def note_folded(client: Elasticsearch, index: str, mark: Mapping[str, Any]) -> None:
    """Keeps with the profiles up to which position of the event store they are folded."""
    client.indices.put_mapping(index=index, meta={**_meta(client, index), _FOLDED: dict(mark)})


def forget_folded(client: Elasticsearch, index: str) -> None:
    """Has the profiles say nothing of what they are folded from, so that the next look folds all of them."""
    kept = {name: value for name, value in _meta(client, index).items() if name != _FOLDED}
    client.indices.put_mapping(index=index, meta=kept)


def _meta(client: Elasticsearch, index: str) -> dict[str, Any]:
    return dict(client.indices.get_mapping(index=index)[index]["mappings"].get("_meta", {}))
