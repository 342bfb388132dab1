"""Who asks: profiles read, made from a bare history, and brought up to date."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from es_recsys.behaviour.profiles import ItemFeatures, current, empty, fold, from_document, profile
from es_recsys.behaviour.records import StoredEvent
from es_recsys.behaviour.state import ProfileState, Terms
from es_recsys.behaviour.subjects import subject_key, subject_of
from es_recsys.errors import InputError
from es_recsys.flows.effects import Fetch, Flow, Get
from es_recsys.flows.view import View
from es_recsys.types import Profile, Query

__all__ = ["FEATURES", "features", "features_of", "of_history", "of_views", "read_profile", "who"]

FEATURES = ("categories", "brand", "tags", "price")
_LONGEST_HISTORY = 2_000


def who(view: View, query: Query) -> tuple[str, ...]:
    """Keys of the subjects of a query, the user before the session."""
    subjects = []
    if query.user_id is not None:
        subjects.append(subject_of(query.user_id))
    if query.session_id is not None:
        subjects.append(subject_of(session_id=query.session_id))
    return tuple(subject_key(subject, view.secret) for subject in subjects)


def read_profile(view: View, query: Query, now: float) -> Flow[Profile | None]:
    """The profile that a query is answered with; None where nothing is known.

    A given history stands for all that is stored. A user nothing is known of yet is known by the session.
    """
    if query.history is not None:
        return (yield from of_history(view, query.history, now))
    for key in who(view, query):
        found = yield Get(view.meta.profiles, key)
        if found is not None:
            return profile(from_document(found.source), now)
    return None


def of_history(view: View, item_ids: Sequence[str], now: float) -> Flow[Profile]:
    """The profile of somebody of whom only these items are known, oldest first: each weighs as a view, though what was done
    with it, and when, is not known."""
    if len(item_ids) > _LONGEST_HISTORY:
        raise InputError(f"The history has {len(item_ids):,} items.", f"Give the last {_LONGEST_HISTORY:,} at most.")
    # Without content there is nothing to read of the items, and models find unknown ids by themselves.
    known = (yield from features(view, item_ids)) if view.content_fields else {i: ItemFeatures() for i in item_ids}
    return of_views(view, item_ids, known, now)


def of_views(view: View, item_ids: Sequence[str], known: Mapping[str, ItemFeatures], now: float) -> Profile:
    """The same where the items' features are known."""
    rows = [
        StoredEvent(place + 1, "view", item_id=item_id, order=place, key=f"{place:08d}") for place, item_id in enumerate(item_ids)
    ]
    terms = Terms.of(view.settings.profiles, timed=False)
    made = profile(fold(empty("", terms), rows, known), now)
    return replace(made, history=replace(made.history, kinds=()))


def features(view: View, item_ids: Iterable[str]) -> Flow[dict[str, ItemFeatures]]:
    """What profiles take from items; items that the catalogue lacks are left out."""
    wanted = tuple(dict.fromkeys(item_ids))
    if not wanted:
        return {}
    found = yield Fetch(view.meta.index, wanted, (*FEATURES, *view.content_fields))
    return {item_id: features_of(source, view.content_fields) for item_id, source in found.items()}


def features_of(source: Mapping[str, Any], fields: Sequence[str]) -> ItemFeatures:
    """What a profile takes from a document."""
    return ItemFeatures(
        categories=tuple(source.get("categories", ())),
        brand=source.get("brand"),
        tags=tuple(source.get("tags", ())),
        price=source.get("price"),
        vectors={name: np.asarray(source[name], np.float32) for name in fields if source.get(name) is not None},
    )


def resumed(source: Mapping[str, Any] | None, key: str, terms: Terms, revision: int) -> ProfileState:
    """The stored state where it can be gone on with, else an empty one."""
    if source is None:
        return empty(key, terms, revision)
    return current(from_document(source), terms, revision)
