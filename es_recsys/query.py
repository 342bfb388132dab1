"""Queries of a store and their answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationInfo, model_validator

from es_recsys import arguments
from es_recsys.errors import InputError
from es_recsys.renamed import current_arguments

__all__ = ["MAX_QUERY_LENGTH", "MAX_RESULTS", "RETURNED_FIELDS", "SEEN", "Answer", "Hit", "Query", "Ranking"]

MAX_RESULTS = 1_000
"""The deepest hit of an answer (offset + n), and how many items can be ranked."""

MAX_QUERY_LENGTH = 4_096
"""Characters of a query."""

SEEN = ("keep", "demote", "exclude")
"""What becomes of items that the user has seen: they stay, come after all others, or are left out."""

RETURNED_FIELDS = (
    "group_id", "title", "brand", "author", "categories", "tags", "price", "currency", "image", "available", "expires_at",
)  # fmt: skip
"""Fields of an item that a hit shows."""


def _read_by(read: Callable[..., Any], argument: str = "", **bounds: float) -> BeforeValidator:
    """Have a function of `arguments` read a field.

    argument: what callers call it, where that is not the field's name.
    """

    def validate(value: Any, info: ValidationInfo) -> Any:
        return read(argument or info.field_name, value, **bounds)

    return BeforeValidator(validate)


_OptionalId = Annotated[str | None, _read_by(arguments.optional_id)]
_Share = Annotated[float | None, _read_by(arguments.optional_number, least=0.0, most=1.0)]
_Seen = Annotated[str | None, _read_by(partial(arguments.optional_choice, choices=SEEN))]
_Dial = Annotated[float | None, _read_by(arguments.optional_number, least=-1.0, most=1.0)]
_Flag = Annotated[bool, _read_by(arguments.flag)]


class Query(BaseModel):
    """Query of a store: a search where it has a text, a picture or a sound, a ranking where it has ids, else a recommendation.

    Ids are texts or whole numbers; where several are wanted one may stand alone. history: item ids, oldest first; then nothing
    stored about the user is used. like: the item that others are to be like. ids: 1 to 1,000 items to rank.
    bought_with: the items that others are bought together with, in one order; relaxed: within a month of each other.
    repeat: what the user buys again, and is due.
    body: a search body of Elasticsearch, which runs on the `source_index` that the store has adopted; its best hits are ordered
    again for the user. Page and filters are the body's own; text then are the words that it stands for, for what learns of them.
    image and audio beside it say what is near, and its query narrows that.
    filter: expressions ("price:10..50") or a mapping (field -> value, list of values, (low, high)).
    personalization: 0 (neutral) to 1 (personal). diversity: 0 (by score) to 1 (most varied). offset + n <= 1,000.
    popularity: -1 (niche) to 1 (mainstream), 0 by score. calibration: 0 (by score) to 1 (categories as in the user's history).
    explore: 0 (nothing is left to chance) to 1, so that near-equal items are tried and learned about.
    seen: what becomes of items that the user has seen, one of SEEN (None: as `search.seen` says); words that name one item change
    nothing about it. A recommendation leaves them out always.
    Raises InputError, FilterError for what can't be used.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: Annotated[str, _read_by(arguments.text, "query")] = ""
    image: Annotated[bytes | None, _read_by(arguments.picture)] = None
    audio: Annotated[bytes | None, _read_by(arguments.sound)] = None
    body: Annotated[Mapping[str, Any] | None, _read_by(arguments.optional_mapping)] = None
    source_index: str | None = None
    user_id: _OptionalId = None
    session_id: _OptionalId = None
    history: Annotated[tuple[str, ...] | None, _read_by(arguments.optional_ids)] = None
    like: Annotated[str | None, _read_by(arguments.optional_id, "item_id")] = None
    ids: Annotated[tuple[str, ...] | None, _read_by(arguments.optional_ids, "item_ids")] = None
    bought_with: Annotated[tuple[str, ...] | None, _read_by(arguments.optional_ids, "item_ids")] = None
    relaxed: _Flag = False
    repeat: _Flag = False
    n: Annotated[int, _read_by(arguments.whole, least=1)] = 10
    offset: Annotated[int, _read_by(arguments.whole, least=0)] = 0
    filter: Annotated[tuple[str, ...] | Mapping[str, Any], _read_by(arguments.filters)] = ()
    exclude: Annotated[frozenset[str], _read_by(arguments.ids)] = frozenset()
    personalization: _Share = None
    diversity: _Share = None
    popularity: _Dial = None
    calibration: _Share = None
    explore: _Share = None
    seen: _Seen = None
    explain: _Flag = False
    facets: _Flag = False

    # Two people who ask the same ask two queries.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @property
    def media(self) -> dict[str, bytes]:
        """The picture and the sound of the query, those that it has: "image", "audio" -> bytes."""
        return {name: value for name, value in (("image", self.image), ("audio", self.audio)) if value is not None}

    @property
    def has_content(self) -> bool:
        """Whether there are words, a picture or a sound, as in a search."""
        return bool(self.text.strip() or self.media)

    @model_validator(mode="before")
    @classmethod
    def _known_arguments(cls, values: dict[str, Any]) -> dict[str, Any]:
        values = current_arguments(values, stacklevel=4)
        for name in values:
            if name not in cls.model_fields:
                raise InputError(f"A Query has no argument {name!r}.", f"It has {', '.join(cls.model_fields)}.")
        return values

    @model_validator(mode="after")
    def _answerable(self) -> Self:
        if self.ids is not None and not 1 <= len(self.ids) <= MAX_RESULTS:
            raise InputError(f"{len(self.ids)} items are to be ranked.", f"Give 1 to {MAX_RESULTS:,} ids.")
        if self.like is not None and (self.text or self.media or self.ids is not None):
            raise InputError(
                "A question for items like one has no words, picture, sound or ids beside it.", "Ask them one by one."
            )
        if self.bought_with is not None and (self.text or self.media or self.ids is not None or self.like is not None):
            raise InputError(
                "A question for what is bought together has no words, picture, sound, ids or item beside it.",
                "Ask them one by one.",
            )
        of_others = (self.text, self.media, self.body, self.ids, self.like, self.bought_with, self.history)
        if self.repeat and any(given not in ("", {}, None) for given in of_others):
            raise InputError("A question for what is bought again names a user alone.", "Leave the rest out.")
        if self.relaxed and self.bought_with is None:
            raise InputError("relaxed is of what is bought together.", "Name the items in bought_with, or leave it out.")
        if self.bought_with is not None and not 1 <= len(self.bought_with) <= MAX_RESULTS:
            raise InputError("There is no item that others are bought together with.", f"Give 1 to {MAX_RESULTS:,} ids.")
        if (self.body is None) != (self.source_index is None):
            raise InputError("A body and the index that it runs on go together.", "Give body and source_index, or neither.")
        of_items = any(given is not None for given in (self.ids, self.like, self.bought_with))
        if self.body is not None and (of_items or self.filter):
            raise InputError("A body has its own filters, and no ids or item.", "Put them into the body.")
        if self.body is not None and (self.offset or self.n != 10 or self.facets):
            raise InputError("A body has a page and counts of its own.", "Write from, size and aggs into the body.")
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
    "below_window" (what moves an item below those that it orders), "title_match" (what moves an item above the others that are
    ordered, as its whole title was asked for); "seen" is what moves one behind all that the user hasn't
    seen; they sum to `score`. because: items of the user's own that explain it. rule: of an answer to what is bought
    together, "count", "support", "confidence" and "lift" of the rule that brought the item (models/association_rules.py).
    source: the item's document. propensity, inclusion_probability: how likely the item was to get its rank, and to be on
    the page; 1 where nothing is left to chance. features: what a learned ranking can read of the item in this answer, as
    the answer log keeps it (empty in an answer from a ready list; its log has them).
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
    rule: Mapping[str, float] = field(default_factory=dict)

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
    lacks. made_at: epoch seconds at which the ready list was made that the answer comes from; None for one that was computed.
    response: of a search by a body, Elasticsearch's own, its hits in the order of the answer and with its scores; unranked: why
    that is Elasticsearch's order, "" where it may be another.
    """

    answer_id: str
    kind: str
    ranking: Ranking
    took_ms: float
    unknown: tuple[str, ...] = ()
    made_at: float | None = None
    response: Mapping[str, Any] | None = None
    unranked: str = ""

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
                    **({"rule": dict(hit.rule)} if hit.rule else {}),
                }
                for hit in self.ranking.hits
            ],
            "facets": {name: dict(counts) for name, counts in self.ranking.facets.items()},
            "suggestion": self.ranking.suggestion,
            "degraded": list(self.ranking.degraded),
            **({"unknown": list(self.unknown)} if self.unknown else {}),
            "took_ms": self.took_ms,
            **({"made_at": self.made_at} if self.made_at is not None else {}),
            **({"unranked": self.unranked} if self.unranked else {}),
        }
