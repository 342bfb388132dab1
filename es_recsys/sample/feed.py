"""Sample stores of a feed, as of news or posts: items that come and go, sources that readers like, and what was shown to them.

A reader likes some topics and a few authors. A visit shows a page of recent items, half of them by what others click; each is
noticed with a probability that falls with its position, and opened where it pleases:

    utility(item) = 2 topic + 1.2 author + appeal of the item

What is opened may be liked, its author followed; what displeases may be hidden, its author muted. Every item of a page leaves an
impression.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import InputError
from es_recsys.sample.chance import digest, normal, pick, sample, stream
from es_recsys.types import Event, Item

__all__ = ["FEEDS", "Feed", "FeedKind", "feed"]

_PAGE = 12
_DAY, _HOUR = 86_400.0, 3_600.0
_TOPICS = {
    "Politics": "parliament minister election vote budget party treaty senate law reform coalition debate mayor tax border",
    "Sport": "match goal coach league striker final marathon record stadium season transfer medal tennis cup referee",
    "Science": "telescope genome planet vaccine fossil climate laboratory particle brain ocean rocket species quantum cell",
    "Business": "market shares merger bank profit startup factory inflation oil trade wages retailer bond export currency",
    "Culture": "museum novel theatre concert painter festival film opera poet gallery sculpture jazz premiere archive dance",
    "Travel": "island train hotel mountain harbour hiking passport beach desert ferry village lagoon airport temple trail",
    "Food": "recipe bakery chef harvest cheese vineyard soup spice market kitchen orchard bread coffee noodles tasting",
    "Games": "console puzzle studio level tournament arcade quest controller pixel patch strategy card dungeon guild speedrun",
}
_PHRASES = (
    "The {0} and the {1}: what the {2} means",
    "{0}, {1} and {a2}",
    "Why every {0} needs {a1}",
    "After the {0}, a new {1}",
)


@dataclass(frozen=True, slots=True)
class FeedKind:
    """What a feed is like.

    days: how long it has run. lifetime_h: hours until an item expires, 0 for never. half_life_h: age at which it is shown half as
    often. authors: how many there are; are_readers: whether they are readers, too.
    """

    days: int
    lifetime_h: float
    half_life_h: float
    authors: int
    are_readers: bool


FEEDS = {
    "news": FeedKind(days=5, lifetime_h=72.0, half_life_h=8.0, authors=14, are_readers=False),
    "social": FeedKind(days=21, lifetime_h=0.0, half_life_h=24.0, authors=80, are_readers=True),
}


@dataclass(frozen=True, slots=True, eq=False)
class Feed:
    """A feed in memory: items and events, oldest first. preferences: reader -> topic -> how much they like it."""

    items: tuple[Item, ...]
    events: tuple[Event, ...]
    preferences: dict[str, dict[str, float]]

    @property
    def opposites(self) -> tuple[str, str]:
        """Two readers whose favourite topics differ."""
        favourite = {reader: max(liked, key=liked.__getitem__) for reader, liked in self.preferences.items()}
        first = next(iter(favourite))
        return first, next(reader for reader, topic in favourite.items() if topic != favourite[first])


@dataclass(frozen=True, slots=True, eq=False)
class _Catalogue:
    """The items as arrays (n,): topic and author as positions, epoch seconds, how much an item pleases anybody."""

    items: list[Item]
    topic: NDArray[np.int64]
    author: NDArray[np.int64]
    created: NDArray[np.float64]
    expires: NDArray[np.float64]
    appeal: NDArray[np.float64]
    clicks: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "clicks", np.zeros(len(self.items)))


def feed(kind: str, seed: int = 7, items: int = 800, readers: int = 300, end: datetime | None = None) -> Feed:
    """Return the feed of a kind, "news" or "social"; the same arguments give the same one.

    end: the moment of the last events (UTC, now unless given); in its last hour one story is opened by nearly everybody.
    Raises InputError for a kind that there isn't.
    """
    if kind not in FEEDS:
        raise InputError(f"There is no feed {kind!r}.", f"Name one of: {', '.join(FEEDS)}.")
    how, until = FEEDS[kind], (end or datetime.now(UTC)).timestamp()
    ids = [f"u{number + 1:04d}" for number in range(readers)]
    names = [f"{pick(stream(seed, number), list(_TOPICS))} Post {number + 1}" for number in range(how.authors)]
    authors = ids[: how.authors] if how.are_readers else names
    catalogue = _catalogue(seed, how, authors, items, until)
    preferences = {reader: _preferences(stream(seed, "reader", reader)) for reader in ids}
    visits = sorted((moment, reader) for reader in ids for moment in _moments(seed, reader, how, until))
    liked = {reader: sample(stream(seed, "authors", reader), range(len(authors)), 6) for reader in ids}
    events: list[Event] = []
    for moment, reader in visits:
        events += _visit(seed, how, catalogue, authors, reader, preferences[reader], liked[reader], moment)
    return Feed(tuple(catalogue.items), tuple(sorted(events, key=_when)), preferences)


def _when(event: Event) -> datetime:
    return event.timestamp or datetime.fromtimestamp(0, UTC)


def _preferences(rng: np.random.Generator) -> dict[str, float]:
    loved = sample(rng, list(_TOPICS), 2)
    return {topic: 1.0 if topic in loved else -0.6 + 0.6 * rng.random() for topic in _TOPICS}


def _catalogue(seed: int, how: FeedKind, authors: Sequence[str], n: int, until: float) -> _Catalogue:
    rng, topics = stream(seed, "items"), list(_TOPICS)
    beats = [sample(stream(seed, "beat", author), range(len(topics)), 2) for author in authors]
    created = np.sort(until - how.days * _DAY * rng.random(n))
    created[-1] = until - 0.75 * _HOUR
    made, topic, author, appeal = [], [], [], []
    for number in range(n):
        wrote = int(rng.random() * len(authors))
        about = pick(rng, beats[wrote])
        words = sample(rng, _TOPICS[topics[about]].split(), 6)
        articles = {f"a{place}": _with_article(word) for place, word in enumerate(words)}
        title = pick(rng, _PHRASES).format(*words[:3], **articles).capitalize()
        expires = datetime.fromtimestamp(created[number] + how.lifetime_h * _HOUR, UTC) if how.lifetime_h else None
        made.append(
            Item(
                item_id=f"n{number + 1:05d}",
                title=title,
                description=f"{title}. With {words[3]}, {words[4]} and {words[5]}, by {authors[wrote]}.",
                categories=(topics[about],),
                tags=tuple(words[:3]),
                author=authors[wrote],
                created_at=datetime.fromtimestamp(created[number], UTC),
                expires_at=expires,
            )
        )
        topic.append(about)
        author.append(wrote)
        appeal.append(normal(rng, 0.0, 0.4))
    appeal[-1] = 4.0  # the story of the hour
    lifetime = how.lifetime_h * _HOUR or math.inf
    return _Catalogue(made, np.array(topic), np.array(author), created, created + lifetime, np.array(appeal))


def _with_article(word: str) -> str:
    return f"{'an' if word[0] in 'aeio' else 'a'} {word}"


def _moments(seed: int, reader: str, how: FeedKind, until: float) -> list[float]:
    rng = stream(seed, "visits", reader)
    often = 4 + int(12 * rng.random())
    return [until - how.days * _DAY * rng.random() ** 1.3 for _ in range(often)]


def _visit(
    seed: int,
    how: FeedKind,
    catalogue: _Catalogue,
    authors: Sequence[str],
    reader: str,
    preferences: dict[str, float],
    liked: Sequence[int],
    moment: float,
) -> list[Event]:
    rng = stream(seed, "visit", reader, moment)
    there = np.flatnonzero((catalogue.created <= moment) & (moment < catalogue.expires))
    if not len(there):
        return []
    age = (moment - catalogue.created[there]) / (how.half_life_h * _HOUR)
    heat = np.exp2(-age) * (1.0 + np.sqrt(catalogue.clicks[there])) * np.exp(1.2 * rng.random(len(there)))
    shown = there[np.argsort(-heat, kind="stable")[:_PAGE]]
    topics = np.array(list(preferences.values()))
    utility = 2.0 * topics[catalogue.topic[shown]] + 1.2 * np.isin(catalogue.author[shown], liked) + catalogue.appeal[shown]
    events: list[Event] = []

    def note(kind: str, what: str, at: float, **more: Any) -> None:
        key = digest(seed, reader, moment, len(events), size=10)
        when = datetime.fromtimestamp(round(at, 3), UTC)
        events.append(Event(event_id=f"e{key}", event_type=kind, user_id=reader, item_id=what, timestamp=when, **more))

    for rank, item in enumerate(shown.tolist()):
        note("impression", catalogue.items[item].item_id, moment, position=rank + 1)
    at = moment
    for rank, item in enumerate(shown.tolist()):
        draw, pleases = rng.random(), float(utility[rank])
        name, writer = catalogue.items[item].item_id, int(catalogue.author[item])
        if rng.random() < (rank + 1.0) ** -0.4 / (1.0 + math.exp(-2.0 * (pleases - 1.4))):
            at += 20.0 + 60.0 * rng.random()
            note("click", name, at, position=rank + 1)
            catalogue.clicks[item] += 1.0
            if pleases > 2.0 and draw < 0.3:
                note("like", name, at + 5.0)
            if writer in liked and draw < 0.25 and authors[writer] != reader:
                note("follow", authors[writer], at + 6.0)
        elif pleases < -1.2 and draw < 0.01:
            note("hide", name, at + 1.0)
            if draw < 0.003 and writer not in liked:
                note("mute", authors[writer], at + 2.0)
    return events
