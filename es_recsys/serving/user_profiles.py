"""Load or build the profile of the requesting user."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from es_recsys.dataset import Profile
from es_recsys.errors import EngineError, InputError
from es_recsys.events.actors import actor_of
from es_recsys.events.decayed_sums import ItemContent
from es_recsys.events.profile_documents import from_document
from es_recsys.events.profile_state import ProfileConfig, empty_state
from es_recsys.events.profiles import build_profile, fold
from es_recsys.events.records import StoredEvent
from es_recsys.query import Query
from es_recsys.serving.operations import Document, Flow, Get, MultiGet, MultiSearch
from es_recsys.serving.snapshot import ServingSnapshot

__all__ = [
    "CONTENT_FIELDS",
    "fetch_item_content",
    "fetch_profile",
    "item_content",
    "named_items",
    "profile_keys",
    "profile_of_history",
    "profile_of_views",
    "read_item_content",
    "read_profile",
    "stored_content",
    "user_profile",
]

CONTENT_FIELDS = ("group_id", "categories", "brand", "author", "tags", "price")
_MAX_HISTORY = 2_000
_IDS_PER_SEARCH = 500
_MAX_STORED = 20


def profile_keys(snapshot: ServingSnapshot, query: Query) -> tuple[str, ...]:
    """Return the profile keys of a query's actors, the user before the session."""
    actors = []
    if query.user_id is not None:
        actors.append(actor_of(query.user_id))
    if query.session_id is not None:
        actors.append(actor_of(session_id=query.session_id))
    return tuple(map(snapshot.key_of, actors))


def fetch_profile(snapshot: ServingSnapshot, query: Query, keys: Sequence[str]) -> Flow[Document | None]:
    """Return the stored profile that a query is answered with; None where there is none. keys: `profile_keys` of the query.

    A given history replaces what is stored. Where the user has no profile yet, that of the session is taken.
    """
    for key in keys if query.history is None else ():
        found: Document | None = yield Get(snapshot.metadata.profiles, key)
        if found is not None:
            return found
    return None


def read_profile(snapshot: ServingSnapshot, query: Query, stored: Document | None, now: float) -> Flow[Profile | None]:
    """Return the profile that a query is answered with; None where nothing is known. stored: as `fetch_profile` found it."""
    if query.history is not None:
        return (yield from profile_of_history(snapshot, query.history, now))
    if stored is None:
        return None
    return snapshot.users.profile(snapshot.metadata.profiles, stored, partial(_built, now=now))


def user_profile(snapshot: ServingSnapshot, query: Query, now: float) -> Flow[Profile]:
    """Read the profile that a query is answered with; an empty one where nothing is known."""
    stored = yield from fetch_profile(snapshot, query, profile_keys(snapshot, query))
    found = yield from read_profile(snapshot, query, stored, now)
    return Profile("") if found is None else found


def _built(document: Mapping[str, Any], now: float) -> Profile:
    return build_profile(from_document(document), now)


def profile_of_history(snapshot: ServingSnapshot, item_ids: Sequence[str], now: float) -> Flow[Profile]:
    """Build a profile from item ids alone, oldest first.

    Each counts as a view, though what was done with it, and when, is not known. Raises InputError for more than 2,000.
    """
    if len(item_ids) > _MAX_HISTORY:
        raise InputError(f"The history has {len(item_ids):,} items.", f"Give the last {_MAX_HISTORY:,} at most.")
    # Without content there is nothing to read of the items, and models find unknown ids by themselves.
    read = bool(snapshot.content_fields) or snapshot.metadata.variants is not None
    known = (yield from fetch_item_content(snapshot, item_ids)) if read else {}
    if not snapshot.content_fields:
        known = {item_id: known.get(item_id, ItemContent()) for item_id in item_ids}
    return profile_of_views(snapshot, item_ids, known, now)


def profile_of_views(snapshot: ServingSnapshot, item_ids: Sequence[str], known: Mapping[str, ItemContent], now: float) -> Profile:
    """Build the same where the content of the items is at hand."""
    rows = [
        StoredEvent(place + 1, "view", item_id=item_id, order=place, key=f"{place:08d}") for place, item_id in enumerate(item_ids)
    ]
    config = ProfileConfig.of(snapshot.settings.profiles, timed=False)
    made = build_profile(fold(empty_state("", config), rows, known), now)
    return replace(made, history=replace(made.history, event_types=()))


def fetch_item_content(snapshot: ServingSnapshot, item_ids: Iterable[str]) -> Flow[dict[str, ItemContent]]:
    """Fetch what profiles need of items, and of products by group_id; ids that the catalogue lacks are left out."""
    wanted = tuple(dict.fromkeys(item_ids))
    if not wanted:
        return {}
    found = yield MultiGet(snapshot.metadata.index, wanted, (*CONTENT_FIELDS, *snapshot.content_fields))
    known = {item_id: item_content(source, snapshot.content_fields) for item_id, source in found.items()}
    lacking = [item_id for item_id in wanted if item_id not in known]
    if snapshot.metadata.variants is not None and lacking:
        known |= yield from _fetch_group_content(snapshot, lacking)
    return known


def read_item_content(snapshot: ServingSnapshot, item_ids: Iterable[str]) -> Flow[dict[str, ItemContent]]:
    """Return what `fetch_item_content` does, without a request for the items of which the forward index holds all.

    It may be that of a moment before the item's last write.
    """
    wanted = dict.fromkeys(item_ids)
    forward, known = snapshot.forward, {}
    if forward is not None and forward.exact.issuperset(snapshot.content_fields):
        found = ((item_id, stored_content(snapshot, item_id)) for item_id in islice(wanted, _MAX_STORED))
        known = {item_id: content for item_id, content in found if content is not None}
    return known | (yield from fetch_item_content(snapshot, (item_id for item_id in wanted if item_id not in known)))


def stored_content(snapshot: ServingSnapshot, item_id: str) -> ItemContent | None:
    """Return the same of one item from the forward index; None where it is not there."""
    forward = snapshot.forward
    rows = forward.rows([item_id]) if forward is not None else np.array([-1])
    if forward is None or rows[0] < 0:
        return None
    vectors = {name: forward.vectors(name, rows)[0] for name in snapshot.content_fields}
    content = item_content(forward.documents(rows)[0], ())
    return replace(content, vectors={name: vector for name, vector in vectors.items() if vector.any()})


def named_items(snapshot: ServingSnapshot, item_ids: Sequence[str]) -> Flow[dict[str, ItemContent]]:
    """Return the content of items that a caller names, by id. Raises InputError for one that the store lacks."""
    known = {item_id: stored for item_id in item_ids if (stored := stored_content(snapshot, item_id)) is not None}
    missing = tuple(item_id for item_id in item_ids if item_id not in known)
    if missing:
        known |= yield from fetch_item_content(snapshot, missing)
    for item_id in item_ids:
        if item_id not in known:
            raise InputError(f"There is no item {item_id!r} in {snapshot.metadata.store}.", "Give the id of a loaded item.")
    return known


def _fetch_group_content(snapshot: ServingSnapshot, group_ids: Sequence[str]) -> Flow[dict[str, ItemContent]]:
    """Fetch the same of products: the content of their first variant, by id."""
    found: dict[str, ItemContent] = {}
    parts = [list(group_ids[start : start + _IDS_PER_SEARCH]) for start in range(0, len(group_ids), _IDS_PER_SEARCH)]
    bodies = tuple(
        {
            "size": len(part),
            "_source": list(CONTENT_FIELDS),
            "fields": list(snapshot.content_fields),
            "track_total_hits": False,
            "query": {"constant_score": {"filter": {"terms": {"group_id": part}}}},
            "collapse": {"field": "group_id"},
            "sort": [{"item_id": "asc"}],
        }
        for part in parts
    )
    for response in (yield MultiSearch(snapshot.metadata.index, bodies)):
        if "error" in response:
            raise EngineError("The items of a group_id can't be read.", "See what fails: es-recsys doctor.")
        for hit in response["hits"]["hits"]:
            source = {
                **hit["_source"],
                **{name: hit["fields"][name] for name in snapshot.content_fields if name in hit["fields"]},
            }
            found[source["group_id"]] = item_content(source, snapshot.content_fields)
    return found


def item_content(source: Mapping[str, Any], fields: Sequence[str]) -> ItemContent:
    """Return what a profile needs of an item's document."""
    return ItemContent(
        categories=tuple(source.get("categories", ())),
        brand=source.get("brand"),
        author=source.get("author"),
        tags=tuple(source.get("tags", ())),
        price=source.get("price"),
        group_id=source.get("group_id"),
        vectors={name: np.asarray(source[name], np.float32) for name in fields if source.get(name) is not None},
    )
