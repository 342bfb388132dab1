"""What a user's events say, kept so that each new event changes it at once.

`fold` adds events to a state. The state depends on the set of events alone: neither the order of arrival, nor how they
were split into batches, nor replays change it, and folding all rows into an empty state rebuilds it. Two rules make it
so. Sums decay in closed form (decay.py). Everything else keeps the latest by time, those of one moment by what they are
(`HistoryEntry.place`) or by their key, never by arrival.

Half-lives: the long-term taste forgets an event of type b with half-life min(long_half_life, half_life of b in
behaviours.py); so a view fades sooner than a purchase, and the setting is the ceiling. The short-term taste does the
same with short_half_life. There is one sum for each half-life that occurs, and a taste is their total. Ages count from
the user's own last event that says something of an item, so a taste does not fade while its owner is away. The unit is
days, or events where the store has no time.

An event on an item without features (not in the catalogue) counts in `counts` and `applied_through`, nowhere else. When
the item appears, cleaning lifts the event's flag, the subject's revision grows, and the profile is rebuilt with it.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from es_recsys.event_types import BEHAVIOURS, event_weight
from es_recsys.events.decay import FACETS, Contribution, DecayedSums, ItemFeatures
from es_recsys.events.documents import from_document, to_document
from es_recsys.events.records import UNKNOWN_ITEM, StoredEvent
from es_recsys.events.state import LONG, SHORT, HistoryEntry, ProfileConfig, ProfileState, RecencyKey, current, empty
from es_recsys.types import History, Profile, Taste

__all__ = [
    "ItemFeatures",
    "ProfileConfig",
    "ProfileState",
    "current",
    "empty",
    "fold",
    "from_document",
    "known_types",
    "profile",
    "to_document",
]

_QUERIES = 20
_CHUNK = 2_048
# Below this part of what went in, a sum that likes and dislikes cancel is rounding noise.
_NOISE = 1e-6


def fold(state: ProfileState, rows: Iterable[StoredEvent], features: Mapping[str, ItemFeatures]) -> ProfileState:
    """`state` with the events of `rows` added.

    rows: any order within the call; from call to call they ascend, as the store gives them. Rows at or below
    `applied_through` are replays and change nothing. features: of every item of the catalogue that `rows` name, and of every
    group_id.
    """
    fresh = {row.row: row for row in rows if row.row > state.applied_through}
    if not fresh:
        return state
    counted = [row for row in fresh.values() if row.quarantine in (None, UNKNOWN_ITEM)]
    # What is left out of answers follows from what was done, however little a store makes of it as a sign of taste.
    on_items = [(row, features[row.item_id]) for row in counted if row.item_id is not None and row.item_id in features]
    done = [past for past, _ in _pasts(on_items, {})]
    weighed = _pasts(on_items, state.terms.weights)
    pasts = [past for past, _ in weighed]
    reference = max((past.when for past in pasts), default=state.reference)
    if state.reference is not None and reference is not None:
        reference = max(reference, state.reference)
    return replace(
        state,
        applied_through=max(fresh),
        reference=reference,
        sums=_sums(state, weighed, reference),
        history=tuple(sorted((*state.history, *pasts), key=attrgetter("place"))[-state.terms.history :]),
        known=_known(state.known, done),
        opinions=_opinions(state.opinions, done),
        queries=_queries(state.queries, counted),
        counts=dict(Counter(state.counts) + Counter(row.event_type for row in counted)),
        strength=state.strength + sum(abs(past.weight) for past in pasts),
    )


def profile(state: ProfileState, now: float, known: Iterable[str] | None = None) -> Profile:
    """The state as a search reads it: unit tastes, shares that sum to 1.

    now: epoch seconds, kept as `updated_at`. known: event types whose items count as known; those of behaviours.py
    unless given. A taste is None where dislikes outweigh likes.
    """
    types = known_types() if known is None else frozenset(known)
    newest = state.history[-1].when if state.history else 0.0
    queries = tuple(sorted(state.queries, key=lambda text: state.queries[text]))
    return Profile(
        user_key=state.user_key,
        history=History(
            tuple(past.item_id for past in state.history),
            np.array([past.weight for past in state.history], np.float32),
            np.array([(newest - past.when) / state.terms.unit for past in state.history], np.float64),
            queries,
            tuple(past.event_type for past in state.history),
            newest if state.history and state.terms.timed else math.nan,
        ),
        known=frozenset().union(*(items for name, items in state.known.items() if name in types)),
        disliked=frozenset(item for item, (_, _, sign) in state.opinions.items() if sign < 0),
        tastes=_tastes(state),
        affinities={facet: shares for facet in FACETS if (shares := _shares(state, facet))},
        price=_price(state),
        queries=queries,
        counts=dict(state.counts),
        strength=state.strength,
        applied_through=state.applied_through,
        updated_at=now,
    )


def known_types() -> frozenset[str]:
    """Event types whose items `recommend` leaves out unless told otherwise."""
    return frozenset(name for name, row in BEHAVIOURS.items() if row.known)


def _pasts(
    rows: Iterable[tuple[StoredEvent, ItemFeatures]], weights: Mapping[str, float]
) -> list[tuple[HistoryEntry, ItemFeatures]]:
    """What weighs something, under the name of the product, with the features of the very item."""
    weighed = [(row, its, event_weight(row.event_type, row.value, weights)) for row, its in rows]
    return [
        (HistoryEntry(row.when, row.key, its.group_id or row.item_id or "", row.event_type, weight), its)
        for row, its, weight in weighed
        if weight != 0.0
    ]


def _sums(
    state: ProfileState, weighed: list[tuple[HistoryEntry, ItemFeatures]], reference: float | None
) -> Mapping[tuple[str, float], DecayedSums]:
    if reference is None or not weighed:
        return state.sums
    unit = state.terms.unit
    by = 0.0 if state.reference is None else (reference - state.reference) / unit
    sums = {key: old.moved(by) for key, old in state.sums.items()}
    groups: dict[tuple[str, float], list[Contribution]] = defaultdict(list)
    for past, features in weighed:
        # Ages from the reference keep the digits that epoch seconds would eat.
        it = Contribution(past.weight, (past.when - reference) / unit, features)
        for term in (LONG, SHORT):
            groups[term, state.terms.half_life(term, past.event_type)].append(it)
    for key, group in groups.items():
        total = sums.get(key) or DecayedSums(key[1])
        for start in range(0, len(group), _CHUNK):
            total = total.plus(group[start : start + _CHUNK], 0.0)
        sums[key] = total
    return sums


def _known(known: Mapping[str, frozenset[str]], pasts: Iterable[HistoryEntry]) -> Mapping[str, frozenset[str]]:
    added: dict[str, set[str]] = defaultdict(set)
    for past in pasts:
        if past.weight > 0.0:
            added[past.event_type].add(past.item_id)
    return {**known, **{name: known.get(name, frozenset()) | items for name, items in added.items()}}


def _opinions(
    opinions: Mapping[str, tuple[float, str, int]], pasts: Iterable[HistoryEntry]
) -> Mapping[str, tuple[float, str, int]]:
    """The latest opinion on each item. More than a look is an opinion: it lifts an earlier dislike, a view doesn't."""
    latest = dict(opinions)
    for past in pasts:
        if BEHAVIOURS[past.event_type].weight > 1.0:
            said = (past.when, past.key, 1 if past.weight > 0.0 else -1)
            latest[past.item_id] = max(said, latest.get(past.item_id, said))
    return latest


def _queries(queries: Mapping[str, RecencyKey], rows: Iterable[StoredEvent]) -> Mapping[str, RecencyKey]:
    latest = dict(queries)
    for row in rows:
        text = " ".join((row.query or "").split())
        if row.event_type == "search" and text:
            latest[text] = max((row.when, row.key), latest.get(text, (row.when, row.key)))
    return {text: latest[text] for text in sorted(latest, key=lambda text: latest[text])[-_QUERIES:]}


def _tastes(state: ProfileState) -> dict[str, Taste]:
    names = dict.fromkeys(name for sums in state.sums.values() for name in sums.vectors)
    tastes = {name: Taste(_direction(state, LONG, name), _direction(state, SHORT, name)) for name in names}
    return {name: taste for name, taste in tastes.items() if taste.long is not None or taste.short is not None}


def _direction(state: ProfileState, term: str, name: str) -> NDArray[np.float32] | None:
    """The unit vector of a taste, or None where there is none."""
    parts = [sums for (its_term, _), sums in state.sums.items() if its_term == term]
    vectors = [sums.vectors[name] for sums in parts if name in sums.vectors]
    mass = sum(sums.mass for sums in parts)
    if not vectors or sum(sums.net for sums in parts) <= _NOISE * mass:
        return None
    total: NDArray[np.float64] = np.sum(vectors, axis=0)
    length = float(np.linalg.norm(total))
    return (total / length).astype(np.float32) if length > _NOISE * mass else None


def _shares(state: ProfileState, facet: str) -> dict[str, float]:
    """Value -> share of the long-term weight, largest first; values that are disliked on the whole are left out."""
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
    """Mean and standard deviation of log1p(price) over positive events, decayed."""
    parts = [sums.price for (term, _), sums in state.sums.items() if term == LONG]
    weight, first, second = (sum(part[i] for part in parts) for i in range(3))
    if weight <= 0.0:
        return None
    mean = first / weight
    return mean, max(second / weight - mean * mean, 0.0) ** 0.5
