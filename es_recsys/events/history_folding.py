"""Profiles of many actors at once, from columns of all their events: what folding each of them by itself gives.

`fold` takes an object an event, which is right for the few events of one actor. Here the events of some hundred actors are
sorted, grouped and summed together; sums of vectors are a product of a sparse and a dense matrix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from es_recsys.errors import FingerprintMismatch
from es_recsys.event_types import EVENT_TYPES
from es_recsys.events.decayed_sums import FACETS, DecayedSums, ItemContent
from es_recsys.events.event_arrays import EventArrays
from es_recsys.events.profile_state import LONG, PASSED_OVER, SHORT, HistoryEntry, ProfileConfig, ProfileState, terms_of
from es_recsys.events.profiles import MAX_QUERIES

__all__ = ["HistoryFolding"]

_TYPES = list(EVENT_TYPES)
_IS_FEEDBACK = np.array([row.weight > 1.0 for row in EVENT_TYPES.values()])
_IS_OPINION = np.array([row.is_opinion for row in EVENT_TYPES.values()])
_IS_SHOWN = np.array([row.shown for row in EVENT_TYPES.values()])
_ON_AUTHOR = np.array([row.target == "author" for row in EVENT_TYPES.values()])
_SEARCH = _TYPES.index("search")
_IN_TERM = {term: np.array([term in terms_of(name) for name in _TYPES]) for term in (LONG, SHORT, PASSED_OVER)}

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class _Events:
    """Events of some actors as arrays (n,), those of an actor together. actor: position of the actor in the batch.

    product: rank of the product's id among those of the batch, item: position among the batch's items; -1 where the event counts
    in no taste. name: position of what it names among the store's items. weight: in the store's weights; base_weight: in those of
    event_types.py.
    """

    actor: _Ints
    row: _Ints
    kind: _Ints
    time: _Floats
    key: NDArray[np.uint64]
    query: _Ints
    counts: NDArray[np.bool_]
    item: _Ints
    product: _Ints
    name: _Ints
    weight: _Floats
    base_weight: _Floats

    def where(self, chosen: NDArray[Any]) -> _Events:
        return _Events(*(getattr(self, name)[chosen] for name in self.__slots__))


class HistoryFolding:
    """Folds the whole histories of a store's actors. events: those of all actors; config: what profiles are folded under."""

    def __init__(self, events: EventArrays, config: ProfileConfig) -> None:
        self._config, self._items = config, events.items
        self._codes = {actor: code for code, actor in enumerate(events.actors)}
        self._queries = [" ".join((query or "").split()) for query in events.queries]
        kinds = np.array([_TYPES.index(event_type) for event_type, _ in events.readings], np.int64)
        weights = events.weights(config.weights)
        self._whole = events.since is None
        self._counting = events.counts
        self._known_values: dict[tuple[str, ItemContent], tuple[str, ...]] = {}
        self._columns: dict[str, NDArray[Any]] = {
            "actor": events.actor,
            "row": events.row,
            "kind": kinds[events.reading],
            "time": events.time,
            "key": events.key,
            "query": events.query,
            "item": events.item,
            "counts": events.counts | events.unknown,
            "weight": weights,
            "base_weight": events.weights() if config.weights else weights,
        }
        self._starts = np.searchsorted(events.actor, np.arange(len(events.actors) + 1))
        self._last = np.maximum.reduceat(events.row, self._starts[:-1]) if len(events.row) else events.row

    def __contains__(self, actor: str) -> bool:
        return actor in self._codes

    @property
    def all_actors(self) -> list[str] | None:
        """Return all actors of the store, in order; None where only some are here."""
        return sorted(self._codes) if self._whole else None

    def last_rows(self, actors: Sequence[str]) -> dict[str, int]:
        """Return actor -> its highest row."""
        return {actor: int(self._last[self._codes[actor]]) for actor in actors}

    def item_ids(self, actors: Sequence[str], *, counting: bool = False) -> list[str]:
        """Return the items that the actors' events name, each once. counting: only those of events that are not set aside."""
        places = self._places(actors)
        places = places[~_ON_AUTHOR[self._columns["kind"][places]]]
        codes = np.unique(self._columns["item"][places[self._counting[places]] if counting else places])
        return [item for code in codes.tolist() if (item := self._items[code]) is not None]

    def fold(
        self, actors: Sequence[str], keys: Sequence[str], revisions: Sequence[int], content: Mapping[str, ItemContent]
    ) -> list[ProfileState]:
        """Return the profiles of actors that the frame has. keys, revisions: of each of them; content: as `fold` has it."""
        places = self._places(actors)
        counts = np.array([self._starts[self._codes[actor] + 1] - self._starts[self._codes[actor]] for actor in actors])
        events, items, products = self._events(places, np.repeat(np.arange(len(actors)), counts), content)
        counted = events.where(events.counts)
        on_items = counted.where((counted.item >= 0) & _IS_OPINION[counted.kind])
        done, entries = on_items.where(on_items.base_weight != 0.0), on_items.where(on_items.weight != 0.0)
        summed = counted.where((counted.item >= 0) & (_IS_OPINION | _IS_SHOWN)[counted.kind] & (counted.weight != 0.0))
        n = len(actors)
        reference = np.full(n, -np.inf)
        np.maximum.at(reference, summed.actor, summed.time)
        histories = _histories(entries, products, n, self._config.history)
        seen = _seen(done, products, n)
        feedback = _feedback(done, products, n)
        authors = _authors(counted.where(_ON_AUTHOR[counted.kind]), self._items, n)
        queries = _searches(counted, self._queries, n)
        types = np.bincount(counted.actor * len(_TYPES) + counted.kind, minlength=n * len(_TYPES)).reshape(n, -1).tolist()
        strength = np.bincount(entries.actor, np.abs(entries.weight), minlength=n).tolist()
        values = {facet: [self._values(facet, item) for item in items] for facet in FACETS}
        sums = _sums(summed, reference, items, values, n, self._config)
        applied = np.zeros(n, np.int64)
        np.maximum.at(applied, events.actor, events.row)
        return [
            ProfileState(
                user_key=keys[i],
                config=self._config,
                revision=revisions[i],
                applied_through=int(applied[i]),
                reference=None if reference[i] == -np.inf else float(reference[i]),
                sums=sums[i],
                history=histories[i],
                seen=seen[i],
                explicit_feedback=feedback[i],
                authors=authors[i],
                queries=queries[i],
                counts={name: count for name, count in zip(_TYPES, types[i], strict=True) if count},
                strength=strength[i],
            )
            for i in range(n)
        ]

    def _values(self, facet: str, item: ItemContent) -> tuple[str, ...]:
        found = self._known_values.get((facet, item))
        if found is None:
            found = self._known_values[facet, item] = item.values(facet)
        return found

    def _places(self, actors: Sequence[str]) -> _Ints:
        codes = [self._codes[actor] for actor in actors]
        return np.concatenate([np.zeros(0, np.int64), *(np.arange(self._starts[c], self._starts[c + 1]) for c in codes)])

    def _events(
        self, places: _Ints, actor: _Ints, content: Mapping[str, ItemContent]
    ) -> tuple[_Events, list[ItemContent], list[str]]:
        """Return the events, the items that they are on, and the ids of products in their order."""
        columns = {name: column[places] for name, column in self._columns.items()}
        columns["name"] = columns.pop("item")
        codes, which = np.unique(columns["name"], return_inverse=True)
        names = [self._items[code] for code in codes.tolist()]
        found = [None if name is None else content.get(name) for name in names]
        ids = [None if item is None else item.group_id or name for name, item in zip(names, found, strict=True)]
        products = sorted({product for product in ids if product is not None})
        ranks = {product: rank for rank, product in enumerate(products)}
        known = np.cumsum([item is not None for item in found]) - 1
        item = np.array([number if it is not None else -1 for number, it in zip(known.tolist(), found, strict=True)], np.int64)
        product = np.array([-1 if it is None else ranks[it] for it in ids], np.int64)
        columns["actor"] = actor
        events = _Events(**columns, item=item[which], product=product[which])
        return events, [it for it in found if it is not None], products


def _cut(actor: _Ints, n: int) -> list[int]:
    """Return where each actor's events begin, and where the last one's end. actor: ascending."""
    return [int(start) for start in np.searchsorted(actor, np.arange(n + 1))]


def _texts(keys: NDArray[np.uint64]) -> list[str]:
    return [f"{key:016x}" for key in keys.tolist()]


def _histories(entries: _Events, products: list[str], n: int, longest: int) -> list[tuple[HistoryEntry, ...]]:
    order = np.lexsort((entries.key, entries.weight, entries.product, entries.kind, entries.time, entries.actor))
    starts = np.array(_cut(entries.actor[order], n))
    begins = np.maximum(starts[:-1], starts[1:] - longest)
    kept = entries.where(order[np.concatenate([np.zeros(0, np.int64), *map(np.arange, begins, starts[1:])])])
    lines = list(
        map(
            HistoryEntry,
            kept.time.tolist(),
            _texts(kept.key),
            [products[rank] for rank in kept.product.tolist()],
            [_TYPES[kind] for kind in kept.kind.tolist()],
            kept.weight.tolist(),
        )
    )
    cut = _cut(kept.actor, n)
    return [tuple(lines[cut[i] : cut[i + 1]]) for i in range(n)]


def _seen(done: _Events, products: list[str], n: int) -> list[dict[str, frozenset[str]]]:
    liked = done.where(done.base_weight > 0.0)
    size = max(len(products), 1)
    groups, which = np.divmod(np.unique((liked.actor * len(_TYPES) + liked.kind) * size + liked.product), size)
    names = [products[rank] for rank in which.tolist()]
    seen: list[dict[str, frozenset[str]]] = [{} for _ in range(n)]
    found, starts = np.unique(groups, return_index=True)
    for group, (start, end) in zip(found.tolist(), pairwise([*starts.tolist(), len(names)]), strict=True):
        actor, kind = divmod(group, len(_TYPES))
        seen[actor][_TYPES[kind]] = frozenset(names[start:end])
    return seen


def _feedback(done: _Events, products: list[str], n: int) -> list[dict[str, tuple[float, str, int]]]:
    given = done.where(_IS_FEEDBACK[done.kind])
    return _latest(given, given.product, products, n)


def _authors(given: _Events, names: Sequence[str | None], n: int) -> list[dict[str, tuple[float, str, int]]]:
    named = np.array([name is not None for name in names], np.bool_)
    given = given.where(named[given.name])
    return _latest(given, given.name, [name or "" for name in names], n)


def _latest(given: _Events, what: _Ints, names: Sequence[str], n: int) -> list[dict[str, tuple[float, str, int]]]:
    """Return of each actor the name of `what` -> (time, key, sign) of the last of the events."""
    sign = np.sign(given.base_weight).astype(np.int64)
    order = np.lexsort((sign, given.key, given.time, what, given.actor))
    actor, ordered = given.actor[order], what[order]
    last = np.ones(len(order), np.bool_)
    last[:-1] = (actor[1:] != actor[:-1]) | (ordered[1:] != ordered[:-1])
    latest, which, signs = given.where(order[last]), ordered[last].tolist(), sign[order[last]].tolist()
    found: list[dict[str, tuple[float, str, int]]] = [{} for _ in range(n)]
    lines = zip(latest.actor.tolist(), which, latest.time.tolist(), _texts(latest.key), signs, strict=True)
    for whose, place, time, key, direction in lines:
        found[whose][names[place]] = (time, key, direction)
    return found


def _searches(counted: _Events, texts: list[str], n: int) -> list[dict[str, tuple[float, str]]]:
    searches = counted.where(counted.kind == _SEARCH)
    searches = searches.where(np.lexsort((searches.key, searches.time, searches.actor)))
    found: list[dict[str, tuple[float, str]]] = [{} for _ in range(n)]
    lines = zip(searches.actor.tolist(), searches.query.tolist(), searches.time.tolist(), _texts(searches.key), strict=True)
    for whose, query, time, key in lines:
        if texts[query]:
            found[whose].pop(texts[query], None)
            found[whose][texts[query]] = (time, key)
    return [dict(list(latest.items())[-MAX_QUERIES:]) for latest in found]


def _sums(
    entries: _Events,
    reference: _Floats,
    items: list[ItemContent],
    values: Mapping[str, list[tuple[str, ...]]],
    n: int,
    config: ProfileConfig,
) -> list[dict[tuple[str, float], DecayedSums]]:
    """Return of each actor the sums of each term and half-life that occurs. values: of each facet, those of each item."""
    names = {term: [(term, config.half_life(term, name)) for name in _TYPES] for term in _IN_TERM}
    groups = list(dict.fromkeys(name for some in names.values() for name in some))
    parts = []
    for term, belongs in _IN_TERM.items():
        mine = entries.where(belongs[entries.kind])
        group_of = np.array([groups.index(name) for name in names[term]])
        half_life = np.array([half_life for _, half_life in names[term]])
        age = (mine.time - reference[mine.actor]) / config.unit
        weights = mine.weight * np.exp2(age / half_life[mine.kind])
        parts.append((weights, mine.actor * len(groups) + group_of[mine.kind], mine.item))
    weight, where, item = (np.concatenate([part[i] for part in parts]) for i in range(3))
    size = n * len(groups)
    occurs = np.flatnonzero(np.bincount(where, minlength=size))
    net, mass = np.bincount(where, weight, minlength=size), np.bincount(where, np.abs(weight), minlength=size)
    shares = sparse.csr_array((weight, (where, item)), shape=(size, len(items)))
    vectors = {name: _vector_sums(name, shares, items) for name in dict.fromkeys(name for it in items for name in it.vectors)}
    affinities = {facet: _value_sums(shares, of_items) for facet, of_items in values.items()}
    prices = _price_sums(where, weight, item, items, size)
    sums: list[dict[tuple[str, float], DecayedSums]] = [{} for _ in range(n)]
    for place in occurs.tolist():
        actor, group = divmod(place, len(groups))
        sums[actor][groups[group]] = DecayedSums(
            groups[group][1],
            float(net[place]),
            float(mass[place]),
            {name: total[place] for name, (total, has) in vectors.items() if has[place]},
            {facet: {} if groups[group][0] == PASSED_OVER else found[place] for facet, found in affinities.items()},
            (prices[0][place], prices[1][place], prices[2][place]),
        )
    return sums


def _vector_sums(name: str, shares: sparse.csr_array, items: list[ItemContent]) -> tuple[_Floats, NDArray[np.bool_]]:
    """Return (groups, d) sums of the items' vectors, and (groups,) whether an item of the group has one."""
    with_it = np.array([name in item.vectors for item in items])
    found = [item.vectors[name] for item in items if name in item.vectors]
    if len({vector.shape for vector in found}) > 1:
        raise FingerprintMismatch(f"Vectors of {name} have different lengths.", "Run: es-recsys profiles build")
    part = shares[:, np.flatnonzero(with_it)]
    return part @ np.stack(found).astype(np.float64), np.diff(part.indptr) > 0


def _value_sums(shares: sparse.csr_array, values: list[tuple[str, ...]]) -> list[dict[str, float]]:
    """Return of each group value -> summed weight."""
    codes: dict[str, int] = {}
    pairs = [(row, codes.setdefault(value, len(codes))) for row, some in enumerate(values) for value in some]
    rows, columns = (np.array([pair[i] for pair in pairs], np.int64) for i in range(2))
    having = sparse.csr_array((np.ones(len(pairs)), (rows, columns)), shape=(len(values), len(codes)))
    # A product leaves zeros out. The imaginary parts count, so that a value whose weights cancel stays.
    counting = sparse.csr_array((shares.data + 1j, shares.indices, shares.indptr), shape=shares.shape)
    total = sparse.csr_array(counting @ having)
    names, indices, weights, cut = list(codes), total.indices.tolist(), total.data.real.tolist(), total.indptr.tolist()
    return [
        {names[code]: weight for code, weight in zip(indices[start:end], weights[start:end], strict=True)}
        for start, end in pairwise(cut)
    ]


def _price_sums(where: _Ints, weight: _Floats, item: _Ints, items: list[ItemContent], size: int) -> list[list[float]]:
    """Return the sums of weight, weight * x and weight * x**2, x = log1p(price), of positive events, of each group."""
    prices = np.array([np.nan if it.price is None else it.price for it in items], np.float64)
    x = np.log1p(prices)[item]
    positive = (weight > 0.0) & ~np.isnan(x)
    where, weight, x = where[positive], weight[positive], x[positive]
    return [np.bincount(where, weight * x**power, minlength=size).tolist() for power in range(3)]
