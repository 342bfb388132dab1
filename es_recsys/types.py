"""The terms of the package: Item, Event, Query, Profile, Hit, Answer, and the arrays that models read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from es_recsys import arguments
from es_recsys.errors import InputError
from es_recsys.event_types import EVENT_TYPES
from es_recsys.renamed import current_arguments
from es_recsys.values import is_null_text, parse_bool, parse_id, parse_number, parse_price, parse_time
from es_recsys.values.unicode import nfc, nfc_value

__all__ = [
    "MAX_QUERY_LENGTH",
    "MAX_RESULTS",
    "Answer",
    "AttributeValue",
    "Event",
    "History",
    "Hit",
    "Interactions",
    "Item",
    "ItemTable",
    "Profile",
    "Query",
    "Ranking",
    "Taste",
]

AttributeValue = str | bool | int | float | datetime | tuple[str, ...] | tuple[int | float, ...]


_LARGEST = 2**63 - 1


def _identifier(value: str) -> str:
    try:
        size = len(value) if value.isascii() else len(value.encode())
    except UnicodeEncodeError:
        raise ValueError("is not valid Unicode text") from None
    if not 1 <= size <= 512:
        raise ValueError(f"an id has 1 to 512 bytes of UTF-8, not {size}")
    if "\x00" in value:
        raise ValueError("holds a NUL character")
    return value


def _required_id(value: Any) -> str:
    text = parse_id(value)
    if text is None:
        raise ValueError("is missing")
    return text


def _text(value: Any) -> Any:
    """Return the text of a cell.

    A number is a text too (the film "1917"); a NUL is left out, and what stands for nothing is None.
    """
    if isinstance(value, str):
        return value.replace("\x00", "") if "\x00" in value else value
    if isinstance(value, int | float) and not isinstance(value, bool) and value == value:
        return str(value)
    return None if is_null_text(value) else value


def _text_or_empty(value: Any) -> Any:
    text = _text(value)
    return "" if text is None else text


def _available(value: Any) -> bool:
    flag = parse_bool(value)
    return True if flag is None else flag


def _price(value: Any) -> float | None:
    return parse_price(value)[0]


def _composed_attributes(attributes: dict[str, AttributeValue]) -> dict[str, AttributeValue]:
    for name, value in attributes.items():
        if not name.isascii() or (isinstance(value, str) and not value.isascii()) or isinstance(value, tuple):
            return {nfc(each): nfc_value(one) for each, one in attributes.items()}
    return attributes


def _event_type(value: str) -> str:
    if value not in EVENT_TYPES:
        raise ValueError(f"unknown event type; known are {', '.join(EVENT_TYPES)}")
    return value


_Id = Annotated[str, AfterValidator(_identifier)]
Identifier = Annotated[_Id, BeforeValidator(_required_id)]
OptionalIdentifier = Annotated[_Id | None, BeforeValidator(parse_id)]
Text = Annotated[str, AfterValidator(nfc)]
OptionalText = Annotated[Text | None, BeforeValidator(_text)]
OptionalInstant = Annotated[datetime | None, BeforeValidator(parse_time)]
OptionalNumber = Annotated[float | None, BeforeValidator(parse_number)]


class Item(BaseModel):
    """Item of a catalogue.

    `categories` has the outermost first; `attributes` holds every other column.
    group_id: what the variants of one product have in common; an answer shows one of them, and an event on this id counts
    for all of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    item_id: Identifier
    group_id: OptionalIdentifier = None
    title: Annotated[Text, BeforeValidator(_text_or_empty)] = ""
    description: Annotated[Text, BeforeValidator(_text_or_empty)] = ""
    categories: tuple[Text, ...] = ()
    tags: tuple[Text, ...] = ()
    brand: OptionalText = None
    price: Annotated[Annotated[float, Field(ge=0)] | None, BeforeValidator(_price)] = None
    currency: OptionalText = None
    image: Annotated[str | None, BeforeValidator(_text)] = None
    audio: Annotated[str | None, BeforeValidator(_text)] = None
    created_at: OptionalInstant = None
    available: Annotated[bool, BeforeValidator(_available)] = True
    attributes: Annotated[dict[str, AttributeValue], AfterValidator(_composed_attributes)] = Field(default_factory=dict)

    @property
    def product_id(self) -> str:
        """The group_id, or the item_id of an item without one: the id that behaviour counts for."""
        return self.group_id or self.item_id


class Event(BaseModel):
    """Something that a user or an anonymous session did.

    timestamp: aware UTC; None means the time of receipt, or, where `order` is set, that the source has no time.
    order: index in the user's own sequence of a source without time (`--no-timestamps`), from 0, oldest first.
    position: rank at which the item was shown (from 1). value: quantity, rating or seconds, as event_types.py says.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    event_type: Annotated[str, AfterValidator(_event_type)]
    timestamp: OptionalInstant = None
    user_id: OptionalIdentifier = None
    session_id: OptionalIdentifier = None
    item_id: OptionalIdentifier = None
    query: Annotated[Annotated[str, Field(max_length=4_096)] | None, BeforeValidator(_text)] = None
    value: OptionalNumber = None
    event_id: OptionalIdentifier = None
    position: Annotated[Annotated[int, Field(ge=0, le=_LARGEST)] | None, BeforeValidator(parse_number)] = None
    query_id: OptionalIdentifier = None
    recommendation_id: OptionalIdentifier = None
    order: Annotated[int, Field(ge=0, le=_LARGEST)] | None = None

    def model_post_init(self, _context: Any) -> None:
        if self.user_id is None and self.session_id is None:
            raise ValueError("an event needs a user_id or a session_id")
        if self.item_id is None and self.query is None:
            raise ValueError("an event needs an item_id, or a query where it is a search")


@dataclass(frozen=True, slots=True, eq=False)
class Interactions:
    """Clean user-item events, as the models read them; sorted by user, then oldest first.

    Variants of a product are one item, named by their group_id.

    user_ids (n_users,) and item_ids (n_items,) str; users, items (n,) int32 index into them; weights (n,) float32,
    signed (event_types.py); times (n,) float64, epoch seconds, or the index in the user's sequence where `timed` is
    False.

    kinds (n,) int8 index into event_types: what each event was; values (n,) float32: what it was worth by itself
    (quantity, rating, seconds; event_types.py), NaN for none. Both None where only the weights are known.
    """

    user_ids: NDArray[np.str_]
    item_ids: NDArray[np.str_]
    users: NDArray[np.int32]
    items: NDArray[np.int32]
    weights: NDArray[np.float32]
    times: NDArray[np.float64]
    timed: bool = True
    kinds: NDArray[np.int8] | None = None
    event_types: tuple[str, ...] = ()
    values: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ItemTable:
    """Content and attributes of n items, what is known of them besides behaviour, as the models read it; a row an item.

    item_ids (n,) str; texts: title, description and the like, "" for none; titles; categories: outermost first; brands,
    "" for none; prices (n,) float64, NaN for none; created (n,) float64 epoch seconds, NaN for none; vectors: field ->
    (n, d) float32 unit rows, a row of zeros where the item has none; attributes: "tags" and each attribute made of words ->
    the item's values, () for none.
    """

    item_ids: NDArray[np.str_]
    texts: Sequence[str]
    titles: Sequence[str]
    categories: Sequence[tuple[str, ...]]
    brands: Sequence[str]
    prices: NDArray[np.float64]
    created: NDArray[np.float64]
    vectors: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    attributes: Mapping[str, Sequence[tuple[str, ...]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Events of one user, oldest first, as models read them.

    item_ids; weights (n,) float32, signed; ages (n,) float64: days before the newest (in events where there is no time).
    queries: what the user searched for, oldest first. kinds: the event type of each, () where they are not known. newest: epoch
    seconds of the newest event, NaN where it is not known or there is no time.
    """

    item_ids: tuple[str, ...] = ()
    weights: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    ages: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0, np.float64))
    queries: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    newest: float = math.nan

    @classmethod
    def of(cls, item_ids: Sequence[str]) -> History:
        """Return a history of views without time, oldest first."""
        n = len(item_ids)
        return cls(tuple(item_ids), np.ones(n, np.float32), np.arange(n - 1, -1, -1, dtype=np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class Taste:
    """Long- and short-term taste in one vector space: unit vectors (d,) float32, or None where nothing is known."""

    long: NDArray[np.float32] | None
    short: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """Profile of a user: what is known of them by their events.

    seen, disliked: ids of items. affinities: "categories", "brand", "tags" -> value -> share (sums to 1 a field). price: mean and
    spread of log1p(price). counts: events by type. strength: sum of absolute event weights. applied_through: the last row of the
    event store that is in it. updated_at: epoch seconds.
    """

    user_key: str
    history: History = field(default_factory=History)
    seen: frozenset[str] = frozenset()
    disliked: frozenset[str] = frozenset()
    tastes: Mapping[str, Taste] = field(default_factory=dict)
    affinities: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    price: tuple[float, float] | None = None
    queries: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    strength: float = 0.0
    applied_through: int = 0
    updated_at: float = 0.0


MAX_RESULTS = 1_000
"""The deepest hit of an answer (offset + n), and how many items can be ranked."""

MAX_QUERY_LENGTH = 4_096
"""Characters of a query."""


def _read_by(read: Callable[..., Any], argument: str = "", **bounds: float) -> BeforeValidator:
    """Have a function of `arguments` read a field.

    argument: what callers call it, where that is not the field's name.
    """

    def validate(value: Any, info: ValidationInfo) -> Any:
        return read(argument or info.field_name, value, **bounds)

    return BeforeValidator(validate)


_OptionalId = Annotated[str | None, _read_by(arguments.optional_id)]
_Share = Annotated[float | None, _read_by(arguments.optional_number, least=0.0, most=1.0)]
_Flag = Annotated[bool, _read_by(arguments.flag)]


class Query(BaseModel):
    """Query of a store: a search where it has a text or a picture, a ranking where it has ids, else a recommendation.

    Ids are texts or whole numbers; where several are wanted one may stand alone. history: item ids, oldest first; then nothing
    stored about the user is used. like: the item that others are to be like. ids: 1 to 1,000 items to rank.
    filter: expressions ("price:10..50") or a mapping (field -> value, list of values, (low, high)).
    personalization: 0 (neutral) to 1 (personal). diversity: 0 (by score) to 1 (most varied). offset + n <= 1,000.
    explore: 0 (nothing is left to chance) to 1, so that near-equal items are tried and learned about.
    Raises InputError, FilterError for what can't be used.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: Annotated[str, _read_by(arguments.text, "query")] = ""
    image: Annotated[bytes | None, _read_by(arguments.picture)] = None
    user_id: _OptionalId = None
    session_id: _OptionalId = None
    history: Annotated[tuple[str, ...] | None, _read_by(arguments.optional_ids)] = None
    like: Annotated[str | None, _read_by(arguments.optional_id, "item_id")] = None
    ids: Annotated[tuple[str, ...] | None, _read_by(arguments.optional_ids, "item_ids")] = None
    n: Annotated[int, _read_by(arguments.whole, least=1)] = 10
    offset: Annotated[int, _read_by(arguments.whole, least=0)] = 0
    filter: Annotated[tuple[str, ...] | Mapping[str, Any], _read_by(arguments.filters)] = ()
    exclude: Annotated[frozenset[str], _read_by(arguments.ids)] = frozenset()
    personalization: _Share = None
    diversity: _Share = None
    explore: _Share = None
    explain: _Flag = False
    facets: _Flag = False

    # Two people who ask the same ask two queries.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @model_validator(mode="before")
    @classmethod
    def _known_arguments(cls, values: dict[str, Any]) -> dict[str, Any]:
        values = current_arguments(values, stacklevel=4)
        for name in values:
            if name not in cls.model_fields:
                raise InputError(f"A query has no {name}.", f"It has {', '.join(cls.model_fields)}.")
        return values

    @model_validator(mode="after")
    def _answerable(self) -> Self:
        if self.ids is not None and not 1 <= len(self.ids) <= MAX_RESULTS:
            raise InputError(f"{len(self.ids)} items are to be ranked.", f"Give 1 to {MAX_RESULTS:,} ids.")
        if self.like is not None and (self.text or self.image is not None or self.ids is not None):
            raise InputError("A question for items like one has no words, picture or ids beside it.", "Ask them one by one.")
        if self.offset + self.n > MAX_RESULTS:
            raise InputError(
                f"offset {self.offset} and n {self.n} ask beyond the first {MAX_RESULTS:,} hits.",
                f"Keep offset + n at most {MAX_RESULTS:,}; narrow the answer with a filter instead.",
            )
        if len(self.text.strip()) > MAX_QUERY_LENGTH:
            raise InputError(f"The query has {len(self.text.strip()):,} characters.", f"Give at most {MAX_QUERY_LENGTH:,}.")
        return self


@dataclass(frozen=True, slots=True)
class Hit:
    """One item of an answer.

    parts: retriever -> its contribution to the score; with a learned ranking also a field, "base" (what every item has) or
    "beyond" (what moves an item below those that it orders); they sum to `score`. because: items of the user's own that
    explain it. source: the item's document. propensity, inclusion_probability: how likely the item was to get its rank, and
    to be on the page; 1 where nothing is left to chance. features: what a learned ranking can read of the item in this
    answer, as the answer log keeps it.
    """

    item_id: str
    score: float
    rank: int
    parts: Mapping[str, float] = field(default_factory=dict)
    title: str = ""
    because: tuple[str, ...] = ()
    source: Mapping[str, Any] = field(default_factory=dict)
    propensity: float = 1.0
    inclusion_probability: float = 1.0
    features: Mapping[str, float] = field(default_factory=dict)

    @property
    def group_id(self) -> str | None:
        """Id of the product that the item is a variant of; None for an item that is no variant."""
        return self.source.get("group_id")

    @property
    def product_id(self) -> str:
        """The group_id, or the item_id of an item without one: the id that behaviour counts for."""
        return self.group_id or self.item_id


@dataclass(frozen=True, slots=True)
class Ranking:
    """Hits, best first.

    total: how many items all pages show, None where they are not counted. degraded: what failed. facets: field -> value ->
    count. suggestion: the query in the catalogue's own words, where its words found nothing and others are near.
    """

    hits: tuple[Hit, ...] = ()
    total: int | None = None
    degraded: tuple[str, ...] = ()
    facets: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    suggestion: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A ranking as the caller gets it.

    answer_id: the query_id or recommendation_id that later events echo. unknown: ids that were to be ranked and that the store
    lacks.
    """

    answer_id: str
    kind: str
    ranking: Ranking
    took_ms: float
    unknown: tuple[str, ...] = ()

    @property
    def hits(self) -> tuple[Hit, ...]:
        return self.ranking.hits

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as JSON values."""
        name = "query_id" if self.kind == "search" else "recommendation_id"
        return {
            name: self.answer_id,
            "total": self.ranking.total,
            "hits": [
                {
                    "item_id": hit.item_id,
                    **({} if hit.group_id is None else {"group_id": hit.group_id}),
                    "title": hit.title,
                    "score": hit.score,
                    "rank": hit.rank,
                    "parts": dict(hit.parts),
                    "because": list(hit.because),
                }
                for hit in self.ranking.hits
            ],
            "facets": {name: dict(counts) for name, counts in self.ranking.facets.items()},
            "suggestion": self.ranking.suggestion,
            "degraded": list(self.ranking.degraded),
            **({"unknown": list(self.unknown)} if self.unknown else {}),
            "took_ms": self.took_ms,
        }
