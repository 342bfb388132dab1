"""Search queries with relevant items: judged ones, and ones rebuilt from what users did after they had searched."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from es_recsys.dataset import Interactions
from es_recsys.errors import InputError
from es_recsys.evaluation.queries import EvalQuery, EvalSplit, EventRule, Searches, history_of, query_of, seen_items
from es_recsys.event_types import event_weight
from es_recsys.events.records import StoredEvent
from es_recsys.models.types import take
from es_recsys.query import Query

__all__ = ["WITHIN_S", "event_actor", "judged_queries", "search_outcomes", "searches_by_user"]

# Seconds after a search within which what is done with an item counts as its outcome.
WITHIN_S = 1_800.0


def judged_queries(
    data: Interactions, grades: Mapping[str, Mapping[str, float]], rng: np.random.Generator, queries: int = 2_000
) -> EvalSplit:
    """Return at most `queries` of the judged queries, drawn by `rng`, of no user.

    grades: query -> item id -> grade; queries without a grade above 0 have no relevant item and are left out. Raises InputError
    where none is left.
    """
    usable = sorted(query for query, found in grades.items() if any(grade > 0 for grade in found.values()))
    if not usable:
        raise InputError("No judged query has a grade above 0.", "Give judgments with positive grades.")
    chosen = [usable[i] for i in np.sort(rng.permutation(len(usable))[:queries])]
    chosen_queries = tuple(EvalQuery(Query(text=query), {i: g for i, g in grades[query].items() if g > 0}) for query in chosen)
    return EvalSplit("judged queries", data, chosen_queries)


def search_outcomes(
    data: Interactions,
    events: Iterable[StoredEvent],
    rng: np.random.Generator,
    queries: int = 2_000,
    *,
    within_s: float = WITHIN_S,
) -> EvalSplit:
    """Return each user's last search that led to something, with the items it led to as relevant.

    A query has the history before it, and the items that were clicked, bought or otherwise liked after it and before the next
    search, within `within_s` seconds. An item's grade is the weight of the strongest event on it (event_types.py). Everything of
    the user from the search on is held out.

    events: what is stored, of one user together, in any order. Where events name the search that they follow (query_id),
    that decides. In a store without times the next search alone ends an outcome.
    """
    found: dict[str, tuple[StoredEvent, dict[str, float]]] = {}
    searches: dict[str, list[tuple[float, str]]] = {}
    for actor, own in _by_user(events).items():
        searches[actor] = [(event.time, event.query or "") for event in own if event.event_type == "search"]
        for search, grades in reversed(_outcomes(own, within_s, data.timed)):
            if grades:
                found[actor] = (search, grades)
                break
    cutoffs = {actor: search.time for actor, (search, _) in found.items()}
    row_cutoffs = np.array([cutoffs.get(actor, math.inf) for actor in data.user_ids.tolist()])
    train = take(data, data.times < row_cutoffs[data.users]) if len(data.users) else data
    actors = sorted(found)
    chosen = [actors[i] for i in np.sort(rng.permutation(len(actors))[:queries])]
    asked_queries = tuple(_query(train, actor, *found[actor], searches[actor]) for actor in chosen)
    kind = "each user's last search that was followed by an event on an item"
    return EvalSplit(kind, train, asked_queries, EventRule(cutoffs=cutoffs))


def searches_by_user(events: Iterable[StoredEvent]) -> Searches:
    """Return when each user and anonymous session searched for what."""
    found: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for event in events:
        if event.event_type == "search" and event.query and event.quarantine is None:
            found[event_actor(event)].append((event.time, event.query))
    return {actor: tuple(sorted(own)) for actor, own in found.items()}


def event_actor(event: StoredEvent) -> str:
    """Return the event's user as in `Interactions.user_ids`."""
    return event.user_id if event.user_id is not None else f"session:{event.session_id}"


def _query(
    train: Interactions, actor: str, search: StoredEvent, grades: Mapping[str, float], searches: Sequence[tuple[float, str]]
) -> EvalQuery:
    user = int(np.searchsorted(train.user_ids, actor))
    rows = np.zeros(0, np.int64)
    if user < len(train.user_ids) and train.user_ids[user] == actor:
        begin, end = np.searchsorted(train.users, [user, user + 1])
        rows = np.arange(begin, end)
    past = tuple(text for time, text in searches if time < search.time)
    query = query_of(actor).model_copy(update={"text": search.query or ""})
    at = search.time if train.timed else math.nan
    return EvalQuery(query, grades, actor, history_of(train, rows, past), seen_items(train, rows), at)


def _by_user(events: Iterable[StoredEvent]) -> dict[str, list[StoredEvent]]:
    found: dict[str, list[StoredEvent]] = defaultdict(list)
    for event in events:
        if event.quarantine is None:
            found[event_actor(event)].append(event)
    for own in found.values():
        own.sort(key=lambda event: (event.time, event.row))
    return found


def _outcomes(own: Sequence[StoredEvent], within_s: float, timed: bool) -> list[tuple[StoredEvent, dict[str, float]]]:
    """Return each search of one user with the grades of what followed, oldest first."""
    found: list[tuple[StoredEvent, dict[str, float]]] = []
    named: dict[str, dict[str, float]] = {}
    for event in own:
        if event.event_type == "search" and event.query:
            grades: dict[str, float] = {}
            found.append((event, grades))
            if event.query_id is not None:
                named[event.query_id] = grades
        elif event.item_id is not None:
            weight = event_weight(event.event_type, event.value)
            target = named.get(event.query_id) if event.query_id is not None else _open(found, event, within_s, timed)
            if target is not None and weight > 0:
                target[event.item_id] = max(target.get(event.item_id, 0.0), weight)
    return found


def _open(
    found: Sequence[tuple[StoredEvent, dict[str, float]]], event: StoredEvent, within_s: float, timed: bool
) -> dict[str, float] | None:
    """Return the grades that an event which names no search adds to: of the last search, where it isn't long ago."""
    if not found or (timed and event.time - found[-1][0].time > within_s):
        return None
    return found[-1][1]
