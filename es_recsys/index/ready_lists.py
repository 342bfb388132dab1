"""Ready lists in the profiles index: a field of the profiles' documents (see `serving.ready_lists`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch

from es_recsys.errors import WriteError
from es_recsys.index import mappings
from es_recsys.index.bulk import bulk_write
from es_recsys.index.bulk_actions import Action, EncodedAction
from es_recsys.index.dead_letters import WriteFailure

__all__ = ["READY_LIST", "ReadyListCounts", "count_ready_lists", "map_ready_lists", "write_ready_lists"]

READY_LIST = "ready_list"
"""The field of a profile's document that holds the list."""


@dataclass(frozen=True, slots=True)
class ReadyListCounts:
    """stored: users with a list. usable: those whose list has the fingerprint and is young enough."""

    stored: int
    usable: int


def map_ready_lists(client: Elasticsearch, index: str) -> None:
    """Give a profiles index of an earlier release the fields by which lists are counted."""
    field = mappings.load("profiles")["mappings"]["properties"][READY_LIST]
    client.indices.put_mapping(index=index, properties={READY_LIST: field})


def write_ready_lists(
    client: Elasticsearch, index: str, lists: Iterable[tuple[str, tuple[int, int], Mapping[str, Any]]]
) -> frozenset[str]:
    """Store lists with profiles that are still what they were made from; return the keys of those that are not.

    lists: (key of the profile, its `_seq_no` and `_primary_term`, list). Raises WriteError where one is refused, IndexStateError.
    """
    failures = _WriteFailures()
    actions = (Action(key, {READY_LIST: document}, operation="update", precondition=version) for key, version, document in lists)
    bulk_write(client, actions, index=index, dead_letters=failures, refresh=True)
    if failures.refused is not None:
        raise WriteError(f"Ready lists were not stored ({failures.refused.reason}).", "Mend that, then run the same again.")
    return frozenset(failures.changed)


def count_ready_lists(client: Elasticsearch, index: str, fingerprint: str, since: float) -> ReadyListCounts:
    """Return how many lists there are. since: epoch seconds; usable are those made later."""
    made = f"{READY_LIST}.made_at"
    usable = [{"range": {made: {"gt": since}}}, {"term": {f"{READY_LIST}.fingerprint": fingerprint}}]
    stored, young = (
        int(client.count(index=index, query={"bool": {"filter": clauses}})["count"])
        for clauses in ([{"exists": {"field": made}}], usable)
    )
    return ReadyListCounts(stored, young)


class _WriteFailures:
    """Keys of profiles that changed or went away meanwhile, and the first list that was refused otherwise."""

    def __init__(self) -> None:
        self.changed: list[str] = []
        self.refused: WriteFailure | None = None

    def add(self, failure: WriteFailure, action: Action | EncodedAction) -> None:
        if failure.status in (404, 409):
            self.changed.append(failure.id)
        else:
            self.refused = self.refused or failure
