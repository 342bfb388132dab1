"""The documents of a window's hits: read for those alone that a page shows.

A window has many hits, and Elasticsearch's work for one is mostly its document, its stored fields and its highlights. So a body
finds the window by ids and scores alone, and what it wants of the hits comes with a second one, for the page's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from es_recsys.search.query_dsl import IDS_ONLY, Body, Response, hits_of

__all__ = ["WindowDocuments", "collapses_by", "hit_without_field", "window_documents"]

_OF_DOCUMENTS = ("_source", "fields", "docvalue_fields", "stored_fields", "version", "seq_no_primary_term")
# What Elasticsearch makes of a hit by the query that found it, or by its score.
_OF_THE_SEARCH = ("collapse", "explain", "highlight", "script_fields")


@dataclass(frozen=True, slots=True)
class WindowDocuments:
    """How the hits of a window and their documents are read apart.

    search: the body that finds the window. documents: what the page's documents are asked for, None where nothing is.
    id_field: whose doc values are asked for, for the item ids, and kept where the hits have them for another reason.
    """

    search: Mapping[str, Any]
    documents: Mapping[str, Any] | None
    id_field: str
    keeps_id_field: bool = False

    def body_of(self, hits: Sequence[Mapping[str, Any]]) -> Body:
        """Return the body that reads the documents of hits."""
        indices, ids = (sorted(set(each)) for each in zip(*map(_key, hits), strict=True))
        most = len(indices) * len(ids)  # several indices may have a document of one id
        return {**(self.documents or {}), "query": {"ids": {"values": ids}}, "size": most, "track_total_hits": False}

    def merged(self, hits: Sequence[Mapping[str, Any]], response: Response | None) -> list[dict[str, Any] | None]:
        """Return hits as the caller's body would have found them; None for one whose document is gone.

        response: to `body_of` these hits, None where nothing was asked.
        """
        found = {_key(hit): hit for hit in hits_of(response or {})}
        return [self._merged(hit, found.get(_key(hit), {}), missing=response is not None) for hit in hits]

    def _merged(self, hit: Mapping[str, Any], document: Mapping[str, Any], *, missing: bool) -> dict[str, Any] | None:
        if missing and not document:
            return None
        index, document_id = _key(hit)
        own = hit if self.keeps_id_field else hit_without_field(hit, self.id_field)
        fields = {**document.get("fields", {}), **own.get("fields", {})}
        merged = {"_index": index, "_id": document_id, **document, **own}
        return {**merged, "fields": fields} if fields else merged


def window_documents(body: Mapping[str, Any], id_field: str, *, is_ours: bool) -> WindowDocuments:
    """Return how a body's window is read.

    body: that finds the window. id_field: where the item ids are, `_id` or a field with doc values. is_ours: whether it runs on
    the store's own items.
    """
    documents = _documents(body)
    moved = {*_OF_DOCUMENTS, *(("highlight",) if "highlight" in documents else ())}
    search = {name: value for name, value in body.items() if name not in moved} | {"_source": False}
    asked = documents if documents.get("_source") is not False or documents.keys() - {"_source"} else None
    if asked is not None:
        asked |= {name: body[name] for name in ("runtime_mappings", "timeout") if name in body}
    if is_ours and not search.keys() & set(_OF_THE_SEARCH) and not _names(body.get("query"), "inner_hits"):
        return WindowDocuments({**search, **IDS_ONLY}, asked, "item_id")
    if id_field == "_id":
        return WindowDocuments(search, asked, id_field)
    if collapses_by(body, id_field):
        return WindowDocuments(search, asked, id_field, keeps_id_field=True)
    return WindowDocuments({**search, "docvalue_fields": [{"field": id_field}]}, asked, id_field)


def collapses_by(body: Mapping[str, Any], field: str) -> bool:
    """Return whether hits are collapsed by a field, so that each has its value."""
    collapse = body.get("collapse")
    return isinstance(collapse, Mapping) and collapse.get("field") == field


def hit_without_field(hit: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a hit without one of its fields."""
    fields = {key: value for key, value in hit.get("fields", {}).items() if key != name}
    rest = {key: value for key, value in hit.items() if key != "fields"}
    return {**rest, "fields": fields} if fields else rest


def _documents(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a body wants of the documents."""
    found = {name: body[name] for name in _OF_DOCUMENTS if name in body}
    if "script_fields" in body and "stored_fields" not in body:
        found = {"_source": False, **found}  # as Elasticsearch takes it
    highlight = body.get("highlight")
    if isinstance(highlight, Mapping) and "query" in body and "knn" not in body:  # of nearest neighbours it is less plain
        found["highlight"] = {"highlight_query": body["query"], **highlight}
    return found


def _names(clause: Any, name: str) -> bool:
    """Return whether an object somewhere in a clause has a key."""
    if isinstance(clause, list):
        return any(_names(each, name) for each in clause)
    return isinstance(clause, Mapping) and (name in clause or any(_names(each, name) for each in clause.values()))


def _key(hit: Mapping[str, Any]) -> tuple[str, str]:
    return hit["_index"], hit["_id"] if "_id" in hit else hit["fields"]["item_id"][0]
