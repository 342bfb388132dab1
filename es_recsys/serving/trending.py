"""What is trending now, everywhere or in a user's circle, and whom to follow: counted from the events when it is asked.

Everywhere an item trends by how much more is done with it than usual, in standard deviations of a count:

    (recent - expected) / sqrt(expected + 1)        expected = usual rate * the length of the window

where the usual rate is that of the `_USUAL` windows before. In a circle, whose counts are small, it is by how much was done, each
user's at most once an item. A circle is whom the user follows, where these are users, too, and who took to the same items lately.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from es_recsys.dataset import Profile
from es_recsys.errors import InputError
from es_recsys.event_types import EVENT_TYPES, event_weight
from es_recsys.events.actors import actor_of, user_of
from es_recsys.forward_index import ForwardIndex
from es_recsys.query import Answer, Query
from es_recsys.search.request import RankingPolicy, ScoredIds
from es_recsys.serving.answering import execute
from es_recsys.serving.listed_items import ListedItems
from es_recsys.serving.operations import Flow, RunBlocking
from es_recsys.serving.ranking_policy import ranking_policy
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.user_profiles import user_profile

__all__ = ["AuthorToFollow", "authors_to_follow", "trending"]

_NAME = "trending"
_USUAL = 24
_LAST_ITEMS = 50
_CIRCLE = 200
# Two who share one item of many are no neighbours yet.
_FEWEST_SHARED = 2


class TrendingStore(Protocol):
    """The part of the event store that is counted from."""

    @property
    def timed(self) -> bool: ...
    def done_since(
        self, since: float, actors: Sequence[str] | None = None, limit: int = 100_000
    ) -> list[tuple[str, str, str, float | None, float]]: ...
    def actors_of(self, item_ids: Sequence[str], limit: int = 20_000) -> list[tuple[str, str, str, float | None]]: ...


_Done = Sequence[tuple[str, str, str, float | None, float]]


@dataclass(frozen=True, slots=True)
class AuthorToFollow:
    """An author whom a user might follow. score: over the best one; followers, readers: of the user's circle."""

    author: str
    score: float
    followers: int
    readers: int


def trending(
    snapshot: ServingSnapshot, store: TrendingStore, query: Query, hours: float, now: float, *, circle: bool = False
) -> Flow[Answer]:
    """Answer a query that asks nothing with what is trending.

    What expired, what the user dislikes or has seen, and items of authors whom they mute are left out, as of any recommendation.
    hours: length of the window. circle: only what the user's circle does. Raises InputError where events have no times, or nobody
    is named whose circle it is.
    """
    if not store.timed:
        raise InputError("Events of this store have no times, so nothing is recent.", "Load events with timestamps.")
    if circle and query.user_id is None:
        raise InputError("A circle is somebody's.", "Name the user.")
    window = hours * 3_600.0

    def counted(profile: Profile | None) -> ScoredIds:
        if not circle:
            return _by_surplus(_of_products(snapshot, store.done_since(now - (_USUAL + 1) * window)), now - window)
        around = _circle(store, Profile("") if profile is None else profile, str(query.user_id))
        return _by_people(_of_products(snapshot, store.done_since(now - window, list(around)))) if around else []

    def listing(profile: Profile | None) -> Flow[ListedItems]:
        scores: ScoredIds = yield RunBlocking(lambda: counted(profile))
        return ListedItems(_NAME, dict(scores), {})

    return (yield from execute(snapshot, query, now, _policy(snapshot), listing))


def authors_to_follow(
    snapshot: ServingSnapshot, store: TrendingStore, query: Query, n: int, now: float
) -> Flow[list[AuthorToFollow]]:
    """Return up to n authors whom the user neither follows nor mutes and whom the circle follows and reads, the best first.

    A follower of the circle counts as much as three of its readers, each by how alike they are.
    """
    profile = yield from user_profile(snapshot, query, now)
    forward = snapshot.forward
    if forward is None:
        return []
    found: list[AuthorToFollow] = yield RunBlocking(lambda: _suggested_authors(forward, store, profile, str(query.user_id)))
    return found[:n]


def _suggested_authors(forward: ForwardIndex, store: TrendingStore, profile: Profile, user_id: str) -> list[AuthorToFollow]:
    around = _circle(store, profile, user_id)
    done = store.done_since(0.0, list(around)) if around else []
    followers, readers = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    liked = [(actor, item) for actor, item, kind, value, _ in done if _liking(kind, value) > 0.0]
    authors = forward.authors(forward.rows([item for _, item in liked]))
    for (actor, _), author in zip(liked, authors, strict=True):
        if author is not None:
            readers[author].add(actor)
    for actor, author, kind, value, _ in done:
        if kind == "follow" and value != 0.0:
            followers[author].add(actor)
    known = profile.followed | profile.muted | {user_id}
    scores = {
        author: math.fsum([*(3.0 * around[one] for one in followers[author]), *(around[one] for one in readers[author])])
        for author in {*followers, *readers} - known
    }
    best = sorted(scores.items(), key=lambda each: (-each[1], each[0]))
    return [AuthorToFollow(author, score / best[0][1], len(followers[author]), len(readers[author])) for author, score in best]


def _policy(snapshot: ServingSnapshot) -> RankingPolicy:
    """Return the store's policy without what would move an item from where it was counted to be."""
    policy = ranking_policy(snapshot)
    plain = {"exploration": 0.0, "fusion": "weighted", "max_per_author": 0, "new_authors": 0.0}
    return replace(policy, settings=policy.settings.model_copy(update=plain))


def _of_products(snapshot: ServingSnapshot, done: _Done) -> _Done:
    """Return what was done as done with the products of the items."""
    forward = snapshot.forward
    if snapshot.metadata.variants is None or forward is None:
        return done
    items = list({item for _, item, *_ in done})
    rows = forward.rows(items)
    known = [item for item, row in zip(items, rows.tolist(), strict=True) if row >= 0]
    products = dict(zip(known, forward.products(rows[rows >= 0]), strict=True))
    return [(actor, products.get(item, item), kind, value, time) for actor, item, kind, value, time in done]


def _circle(store: TrendingStore, profile: Profile, user_id: str) -> dict[str, float]:
    """Return actor -> how near they are, from above 0 to 1: whom the user follows, and who took to the same items.

    Likeness is the cosine of the sets of the user's last items that each took to; of theirs only these are looked at.
    """
    me = actor_of(user_id)
    history = zip(profile.history.item_ids, profile.history.weights.tolist(), strict=True)
    mine = list(dict.fromkeys(item for item, weight in reversed(list(history)) if weight > 0.0))[:_LAST_ITEMS]
    shared: dict[str, set[str]] = defaultdict(set)
    for actor, item, kind, value in store.actors_of(mine) if mine else ():
        if actor != me and user_of(actor) is not None and _liking(kind, value) > 0.0:
            shared[actor].add(item)
    near = {actor: len(items) / len(mine) for actor, items in shared.items() if len(items) >= min(_FEWEST_SHARED, len(mine))}
    best = dict(sorted(near.items(), key=lambda each: (-each[1], each[0]))[:_CIRCLE])
    return best | {actor_of(author): 1.0 for author in sorted(profile.followed) if author != user_id}


def _by_people(done: _Done) -> ScoredIds:
    """Return items by how many of the circle took to them, each by the strongest of what they did."""
    strongest: dict[tuple[str, str], float] = {}
    for actor, item, kind, value, _ in done:
        strongest[actor, item] = max(strongest.get((actor, item), 0.0), _liking(kind, value))
    totals: defaultdict[str, float] = defaultdict(float)
    for (_, item), weight in strongest.items():
        totals[item] += math.log1p(weight)
    return _ranked(totals)


def _by_surplus(done: _Done, since: float) -> ScoredIds:
    """Return items by what was done since a time beyond what is usual."""
    recent, before = defaultdict[str, float](float), defaultdict[str, float](float)
    for _, item, kind, value, time in done:
        if (weight := _liking(kind, value)) > 0.0:
            (recent if time >= since else before)[item] += weight
    expected = {item: before[item] / _USUAL for item in recent}
    return _ranked({item: (recent[item] - expected[item]) / math.sqrt(expected[item] + 1.0) for item in recent})


def _liking(event_type: str, value: float | None) -> float:
    return max(event_weight(event_type, value), 0.0) if EVENT_TYPES[event_type].is_opinion else 0.0


def _ranked(scores: dict[str, float]) -> ScoredIds:
    return sorted(((item, float(score)) for item, score in scores.items() if score > 0.0), key=lambda each: (-each[1], each[0]))
