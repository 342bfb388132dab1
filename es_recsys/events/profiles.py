"""Profiles: what a user's events say about their taste, updated with each new event.

`fold` adds events to a state. The state depends on the set of events alone: neither the order of arrival, nor how they
were split into batches, nor replays change it, and folding all rows into an empty state rebuilds it. Two rules make it
so. Sums decay in closed form (decayed_sums.py). Everything else keeps the latest by time, those of one moment by what they are
(`HistoryEntry.sort_key`) or by their key, never by arrival.

Half-lives: the long-term taste forgets an event of type b with half-life min(long_half_life, half_life of b in
event_types.py); so a view fades sooner than a purchase, and the setting is the ceiling. The short-term taste does the
same with short_half_life. There is one sum for each half-life that occurs, and a taste is their total. Ages count from
the user's own last event that says something of an item, so a taste does not fade while its owner is away. The unit is
days, or events where the store has no time.

An event on an item without content (not in the catalogue) counts in `counts` and `applied_through`, nowhere else. When
the item appears, cleaning lifts the event's flag, the actor's revision grows, and the profile is rebuilt with it.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import History, Profile, Taste
from es_recsys.event_types import EVENT_TYPES, event_weight
from es_recsys.events.decayed_sums import FACETS, Contribution, DecayedSums, ItemContent
from es_recsys.events.profile_state import LONG, PASSED_OVER, SHORT, HistoryEntry, ProfileState, RecencyKey, terms_of
from es_recsys.events.records import UNKNOWN_ITEM, StoredEvent

__all__ = ["MAX_PASSED_OVER", "MAX_QUERIES", "build_profile", "fold", "named_item", "sign_of"]

_SEEN_TYPES = frozenset(name for name, row in EVENT_TYPES.items() if row.counts_as_seen)
MAX_QUERIES = 20
"""Texts that a profile remembers of what was searched for."""
MAX_PASSED_OVER = 0.2
"""All that was shown and passed over weighs at most this part of what was done, as what isn't relevant does in Rocchio's feedback
(1971; .15 to .75): who is shown hundreds of items keeps a taste."""
_CHUNK = 2_048
# Below this part of what went in, a sum that likes and dislikes cancel is rounding noise.
_NOISE = 1e-6


def fold(state: ProfileState, rows: Iterable[StoredEvent], content: Mapping[str, ItemContent]) -> ProfileState:
    """Return `state` with the events of `rows` added.

    rows: any order within the call; from call to call they ascend, as the store gives them. Rows at or below
    `applied_through` are replays and change nothing. content: of every item of the catalogue that `rows` name, and of every
    group_id.
    """
    fresh = {row.row: row for row in rows if row.row > state.applied_through}
    if not fresh:
        return state
    counted = [row for row in fresh.values() if row.quarantine in (None, UNKNOWN_ITEM)]
    named = [(row, content[item]) for row in counted if (item := named_item(row)) is not None and item in content]
    on_items = [(row, item) for row, item in named if EVENT_TYPES[row.event_type].is_opinion]
    shown = _entries([(row, item) for row, item in named if EVENT_TYPES[row.event_type].shown], state.config.weights)
    # What answers leave out follows from what was done, however little weight the store gives it as a sign of taste.
    done = [entry for entry, _ in _entries(on_items, {})]
    weighted = _entries(on_items, state.config.weights)
    entries = [entry for entry, _ in weighted]
    reference = max((entry.time for entry, _ in (*weighted, *shown)), default=state.reference)
    if state.reference is not None and reference is not None:
        reference = max(reference, state.reference)
    return replace(
        state,
        applied_through=max(fresh),
        reference=reference,
        sums=_sums(state, [*weighted, *shown], reference),
        history=tuple(sorted((*state.history, *entries), key=lambda entry: entry.sort_key)[-state.config.history :]),
        seen=_seen(state.seen, done),
        explicit_feedback=_explicit_feedback(state.explicit_feedback, done),
        authors=_authors(state.authors, counted),
        queries=_queries(state.queries, counted),
        counts=dict(Counter(state.counts) + Counter(row.event_type for row in counted)),
        strength=state.strength + sum(abs(entry.weight) for entry in entries),
    )


def build_profile(state: ProfileState, now: float, seen_types: Iterable[str] | None = None) -> Profile:
    """Return the state as a search reads it: unit taste vectors, shares that sum to 1.

    now: epoch seconds, kept as `updated_at`. seen_types: event types whose items count as seen; those of event_types.py
    unless given. A taste is None where dislikes outweigh likes.
    """
    types = _SEEN_TYPES if seen_types is None else frozenset(seen_types)
    newest = state.history[-1].time if state.history else 0.0
    queries = tuple(sorted(state.queries, key=lambda text: state.queries[text]))
    return Profile(
        user_key=state.user_key,
        history=History(
            tuple(entry.item_id for entry in state.history),
            np.array([entry.weight for entry in state.history], np.float32),
            np.array([(newest - entry.time) / state.config.unit for entry in state.history], np.float64),
            queries,
            tuple(entry.event_type for entry in state.history),
            newest if state.history and state.config.timed else math.nan,
        ),
        seen=frozenset().union(*(items for name, items in state.seen.items() if name in types)),
        disliked=frozenset(item for item, (_, _, sign) in state.explicit_feedback.items() if sign < 0),
        followed=frozenset(author for author, (_, _, sign) in state.authors.items() if sign > 0),
        muted=frozenset(author for author, (_, _, sign) in state.authors.items() if sign < 0),
        tastes=_tastes(state),
        affinities={facet: shares for facet in FACETS if (shares := _shares(state, facet))},
        price=_price(state),
        queries=queries,
        counts=dict(state.counts),
        strength=state.strength,
        applied_through=state.applied_through,
        updated_at=now,
    )


def named_item(row: StoredEvent) -> str | None:
    """Return the id of the item that an event is on; None for one on an author, or on nothing."""
    return row.item_id if EVENT_TYPES[row.event_type].target == "item" else None


def sign_of(event_type: str, value: float | None) -> int:
    """Return 1 for an event that speaks for what it names, -1 for one against it, else 0."""
    weight = event_weight(event_type, value)
    return (weight > 0.0) - (weight < 0.0)


def _entries(
    rows: Iterable[tuple[StoredEvent, ItemContent]], weights: Mapping[str, float]
) -> list[tuple[HistoryEntry, ItemContent]]:
    """Return the events of a weight other than 0, under the product's id, with the content of the very item."""
    weighted = [(row, item, event_weight(row.event_type, row.value, weights)) for row, item in rows]
    return [
        (HistoryEntry(row.time, row.key, item.group_id or row.item_id or "", row.event_type, weight), item)
        for row, item, weight in weighted
        if weight != 0.0
    ]


def _sums(
    state: ProfileState, weighted: list[tuple[HistoryEntry, ItemContent]], reference: float | None
) -> Mapping[tuple[str, float], DecayedSums]:
    if reference is None or not weighted:
        return state.sums
    unit = state.config.unit
    by = 0.0 if state.reference is None else (reference - state.reference) / unit
    sums = {key: old.decayed(by) for key, old in state.sums.items()}
    groups: dict[tuple[str, float], list[Contribution]] = defaultdict(list)
    for entry, content in weighted:
        # Ages from the reference keep the digits that epoch seconds would eat.
        if EVENT_TYPES[entry.event_type].shown:
            content = ItemContent(vectors=content.vectors)
        contribution = Contribution(entry.weight, (entry.time - reference) / unit, content)
        for term in terms_of(entry.event_type):
            groups[term, state.config.half_life(term, entry.event_type)].append(contribution)
    for key, group in groups.items():
        total = sums.get(key) or DecayedSums(key[1])
        for start in range(0, len(group), _CHUNK):
            total = total.added(group[start : start + _CHUNK], 0.0)
        sums[key] = total
    return sums


def _seen(seen: Mapping[str, frozenset[str]], entries: Iterable[HistoryEntry]) -> Mapping[str, frozenset[str]]:
    added: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if entry.weight > 0.0:
            added[entry.event_type].add(entry.item_id)
    return {**seen, **{name: seen.get(name, frozenset()) | items for name, items in added.items()}}


def _explicit_feedback(
    feedback: Mapping[str, tuple[float, str, int]], entries: Iterable[HistoryEntry]
) -> Mapping[str, tuple[float, str, int]]:
    """Return the latest feedback on each item. More than a view is feedback: it lifts an earlier dislike, a view doesn't."""
    latest = dict(feedback)
    for entry in entries:
        if EVENT_TYPES[entry.event_type].weight > 1.0:
            given = (entry.time, entry.key, 1 if entry.weight > 0.0 else -1)
            latest[entry.item_id] = max(given, latest.get(entry.item_id, given))
    return latest


def _authors(authors: Mapping[str, tuple[float, str, int]], rows: Iterable[StoredEvent]) -> Mapping[str, tuple[float, str, int]]:
    """Return what was last done about each author, however little weight the store gives it."""
    latest = dict(authors)
    for row in rows:
        if row.item_id is not None and EVENT_TYPES[row.event_type].target == "author":
            given = (row.time, row.key, sign_of(row.event_type, row.value))
            latest[row.item_id] = max(given, latest.get(row.item_id, given))
    return latest


def _queries(queries: Mapping[str, RecencyKey], rows: Iterable[StoredEvent]) -> Mapping[str, RecencyKey]:
    latest = dict(queries)
    for row in rows:
        text = " ".join((row.query or "").split())
        if row.event_type == "search" and text:
            latest[text] = max((row.time, row.key), latest.get(text, (row.time, row.key)))
    return {text: latest[text] for text in sorted(latest, key=lambda text: latest[text])[-MAX_QUERIES:]}


def _tastes(state: ProfileState) -> dict[str, Taste]:
    names = dict.fromkeys(name for sums in state.sums.values() for name in sums.vectors)
    tastes = {name: Taste(_direction(state, LONG, name), _direction(state, SHORT, name)) for name in names}
    return {name: taste for name, taste in tastes.items() if taste.long is not None or taste.short is not None}


def _direction(state: ProfileState, term: str, name: str) -> NDArray[np.float32] | None:
    """Return the unit vector of a taste, away from what was passed over, or None where there is none."""
    parts = [sums for (its_term, _), sums in state.sums.items() if its_term == term]
    vectors = [sums.vectors[name] for sums in parts if name in sums.vectors]
    net, mass = sum(sums.net for sums in parts), sum(sums.mass for sums in parts)
    if not vectors or net <= _NOISE * mass:
        return None
    passed_over = [sums for (its_term, _), sums in state.sums.items() if its_term == PASSED_OVER and name in sums.vectors]
    away = sum(sums.mass for sums in passed_over)
    share = min(1.0, MAX_PASSED_OVER * net / away) if away > 0.0 else 0.0
    total: NDArray[np.float64] = np.sum([*vectors, *(share * sums.vectors[name] for sums in passed_over)], axis=0)
    length = float(np.linalg.norm(total))
    return (total / length).astype(np.float32) if length > _NOISE * mass else None


def _shares(state: ProfileState, facet: str) -> dict[str, float]:
    """Return value -> share of the long-term weight, largest first; values that are disliked on the whole are left out."""
    totals: dict[str, float] = defaultdict(float)
    mass = 0.0
    for (term, _), sums in state.sums.items():
        if term == LONG:
            mass += sums.mass
            for value, weight in sums.affinities.get(facet, {}).items():
                totals[value] += weight
    liked = {value: weight for value, weight in totals.items() if weight > _NOISE * mass}
    whole = sum(liked.values())
    return {value: weight / whole for value, weight in sorted(liked.items(), key=lambda pair: (-pair[1], pair[0]))}


def _price(state: ProfileState) -> tuple[float, float] | None:
    """Return mean and standard deviation of log1p(price) over positive events, decayed."""
    parts = [sums.price for (term, _), sums in state.sums.items() if term == LONG]
    weight, first, second = (sum(part[i] for part in parts) for i in range(3))
    if weight <= 0.0:
        return None
    mean = first / weight
    return mean, max(second / weight - mean * mean, 0.0) ** 0.5
