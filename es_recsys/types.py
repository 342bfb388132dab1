"""Items and events, as they are written to a store."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from es_recsys.event_types import EVENT_TYPES
from es_recsys.values import is_null_text, parse_bool, parse_id, parse_number, parse_price, parse_time
from es_recsys.values.unicode import nfc, nfc_value

__all__ = ["AttributeValue", "Event", "Item"]

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
    author: who made or published it, whom users follow or mute. stock: pieces left; none left means not `available`.
    expires_at: from then on no answer shows it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    item_id: Identifier
    group_id: OptionalIdentifier = None
    title: Annotated[Text, BeforeValidator(_text_or_empty)] = ""
    description: Annotated[Text, BeforeValidator(_text_or_empty)] = ""
    categories: tuple[Text, ...] = ()
    tags: tuple[Text, ...] = ()
    brand: OptionalText = None
    author: OptionalText = None
    price: Annotated[Annotated[float, Field(ge=0)] | None, BeforeValidator(_price)] = None
    currency: OptionalText = None
    image: Annotated[str | None, BeforeValidator(_text)] = None
    audio: Annotated[str | None, BeforeValidator(_text)] = None
    created_at: OptionalInstant = None
    expires_at: OptionalInstant = None
    stock: Annotated[Annotated[float, Field(ge=0, allow_inf_nan=False)] | None, BeforeValidator(parse_number)] = None
    available: Annotated[bool, BeforeValidator(_available)] = True
    attributes: Annotated[dict[str, AttributeValue], AfterValidator(_composed_attributes)] = Field(default_factory=dict)

    def model_post_init(self, _context: Any) -> None:
        if self.stock == 0:
            object.__setattr__(self, "available", False)

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
