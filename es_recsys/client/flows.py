"""The flows of the methods of both clients that answer no query, and the check of a query."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from es_recsys import arguments
from es_recsys.answer_methods import Id, Ids, make_query
from es_recsys.dataset import Profile
from es_recsys.errors import InputError
from es_recsys.query import Answer, Query
from es_recsys.serving.operations import Flow, MultiGet
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.trending import AuthorToFollow, authors_to_follow, trending
from es_recsys.serving.user_profiles import user_profile
from es_recsys.serving.workspace import Workspace

__all__ = ["MakeFlow", "checked_query", "reads_profile", "reads_titles", "suggests_authors", "trends"]

T = TypeVar("T")
MakeFlow = Callable[[ServingSnapshot], Flow[T]]


def checked_query(query: Query) -> Query:
    """Return what is a query, else raise InputError."""
    if not isinstance(query, Query):
        raise InputError(f"A question is a Query, not a {type(query).__name__}.", "Make one: Query(text=...).")
    return query


def trends(work: Workspace, hours: float, circle: bool, **given: Any) -> MakeFlow[Answer]:
    """Return what makes the flow of `trending`. Raises InputError."""
    query = make_query(**given)
    length = arguments.optional_number("hours", hours, least=1e-3, most=24.0 * 366) or 1.0
    in_circle = arguments.flag("circle", circle)
    return lambda snapshot: trending(snapshot, work.events, query, length, time.time(), circle=in_circle)


def suggests_authors(work: Workspace, user_id: Id, n: int) -> MakeFlow[list[AuthorToFollow]]:
    """Return what makes the flow of `authors_to_follow`. Raises InputError."""
    query = make_query(user_id=arguments.one_id("user_id", user_id), n=n)
    return lambda snapshot: authors_to_follow(snapshot, work.events, query, query.n, time.time())


def reads_profile(user_id: Id) -> MakeFlow[Profile]:
    """Return what makes the flow of `get_user_profile`. Raises InputError."""
    query = Query(user_id=arguments.one_id("user_id", user_id))
    return lambda snapshot: user_profile(snapshot, query, time.time())


def reads_titles(item_ids: Ids) -> MakeFlow[dict[str, str]]:
    """Return what makes the flow of `titles`. Raises InputError."""
    wanted = tuple(dict.fromkeys(arguments.ids("item_ids", item_ids)))

    def flow(snapshot: ServingSnapshot) -> Flow[dict[str, str]]:
        found = (yield MultiGet(snapshot.metadata.index, wanted, ("title",))) if wanted else {}
        return {item_id: source.get("title") or item_id for item_id, source in found.items()}

    return flow
