"""User Behavior Insights in two indices: events, and the queries whose words they don't repeat.

The plugins for Elasticsearch and OpenSearch write what was searched for to one index and what was done with it to another; the
two have the query's id in common. A query is a search of whoever the events with its id are of.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from es_recsys.errors import InputError
from es_recsys.index.source_index import SourceIndex
from es_recsys.jobs.row_sources import IndexRows, Mark
from es_recsys.sources.actions import ActionMapping

__all__ = ["UbiRows", "find_queries", "is_ubi_index"]

_ACTOR = ("user_id", "session_id")


def is_ubi_index(rows: IndexRows) -> bool:
    """Return whether an index holds events of UBI."""
    return "action_name" in rows.index.fields.types


def find_queries(events: IndexRows, name: str | None) -> SourceIndex | None:
    """Return the index of the queries that events belong to: of this name, else `ubi_queries` beside `ubi_events`.

    None where none is named and there is none. Raises InputError where the one that is named is missing.
    """
    beside = events.name.replace("events", "queries")
    if name is None and beside == events.name:
        return None
    try:
        return events.index.other(name or beside)
    except InputError:
        if name is not None:
            raise
        return None


class UbiRows:
    """The events of UBI with the words of their queries, and the queries that no event tells of as searches.

    actions: which actions are searches.
    """

    def __init__(self, events: IndexRows, queries: SourceIndex, actions: ActionMapping) -> None:
        self._events, self._queries = events, IndexRows(queries, events.identity)
        self.name, self.identity = events.name, events.identity
        self._actions = actions
        index = events.index
        self._event_query_id, self._query_id = index.fields.code_field("query_id"), queries.fields.code_field("query_id")
        self._action = index.fields.code_field("action_name")
        names = index.terms(self._action) if self._action is not None else []
        self._searches = [name for name in names if actions.event_type(name) == "search"]

    @property
    def fields(self) -> Collection[str]:
        return self._events.fields

    @property
    def item_columns(self) -> Mapping[str, str]:
        return {}

    def resolve(self, columns: Mapping[str, str]) -> dict[str, str]:
        return self._events.resolve(columns)

    def check_since(self, field: str) -> None:
        self._events.check_since(field)
        self._queries.check_since(field)

    def highest(self, field: str) -> Mark | None:
        # A query that is newer than all events is read once more, with whoever will have done something with it.
        return self._events.highest(field)

    def count(self, after: tuple[str, Mark] | None) -> int | None:
        return (self._events.count(after) or 0) + (self._queries.count(after) or 0)

    def read(
        self,
        spool: Callable[[list[dict[str, Any]]], None],
        columns: Mapping[str, str],
        *,
        after: tuple[str, Mark] | None = None,
        overlap_s: float = 0.0,
        only: Sequence[str] | None = None,
    ) -> None:
        self._events.read(lambda rows: spool(self._with_words(rows)), columns, after=after, overlap_s=overlap_s)
        self._queries.read(lambda rows: spool(self._as_searches(rows)), {}, after=after, overlap_s=overlap_s)

    def _with_words(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Give searches without words those of their query."""
        wordless = [row for row in rows if row.get("query_id") and not row.get("user_query") and self._is_search(row)]
        if not wordless or self._query_id is None:
            return rows
        ids = list({str(row["query_id"]) for row in wordless})
        hits = self._queries.index.find(
            {"size": len(ids), **_of_queries(self._query_id, ids), "_source": ["query_id", "user_query"]}
        )
        words = {str(hit["_source"]["query_id"]): hit["_source"].get("user_query") for hit in hits}
        for row in wordless:
            if (text := words.get(str(row["query_id"]))) is not None:
                row["user_query"] = text
        return rows

    def _as_searches(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return queries as searches of whoever did something with them; those that an event tells of are left out."""
        ids = list({str(row["query_id"]) for row in rows if row.get("query_id")})
        told = self._searched(ids)
        actors = self._actors(ids)
        found = []
        for row in rows:
            query_id = str(row.get("query_id") or "")
            if query_id in told or not row.get("user_query"):
                continue
            # An id of its own, so that a query that is read again is no second search.
            own = {"event_id": f"ubi-query:{query_id}"} if query_id else {}
            kept = {name: row[name] for name in ("timestamp", "query_id", "user_query", "client_id", *_ACTOR) if row.get(name)}
            found.append({**kept, **actors.get(query_id, {}), **own})
        return found

    def _searched(self, ids: Sequence[str]) -> set[str]:
        """Return those of the ids that an event of a search has."""
        if not ids or self._event_query_id is None or not self._searches:
            return set()
        return {str(source["query_id"]) for source in self._first_events(ids, {"terms": {self._action: self._searches}})}

    def _actors(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return query id -> the user, and the session, of an event with it."""
        if not ids or self._event_query_id is None or "user_id" not in self._events.index.fields.types:
            return {}
        found = self._first_events(ids, {"exists": {"field": "user_id"}})
        return {str(source["query_id"]): {name: source[name] for name in _ACTOR if source.get(name)} for source in found}

    def _first_events(self, ids: Sequence[str], condition: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Return the sources of one event of each query that has any under the condition."""
        body = {
            "size": len(ids),
            **_of_queries(str(self._event_query_id), ids, condition),
            "collapse": {"field": self._event_query_id},
            "_source": ["query_id", *_ACTOR],
        }
        return [hit["_source"] for hit in self._events.index.find(body)]

    def _is_search(self, row: Mapping[str, Any]) -> bool:
        return row.get("action_name") is not None and self._actions.event_type(row["action_name"]) == "search"


def _of_queries(field: str, ids: Sequence[str], *conditions: Mapping[str, Any]) -> dict[str, Any]:
    return {"query": {"bool": {"filter": [{"terms": {field: list(ids)}}, *conditions]}}}
