"""The fields of an item, from what a file has to what Item takes: texts without markup, prices, times, flags."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from es_recsys.sources.list_cells import LIST_FIELDS, ListFormat, parse_array, parse_labels
from es_recsys.sources.row_errors import InvalidValue, OnInvalidField
from es_recsys.types import AttributeValue, Item
from es_recsys.values import (
    DecimalMarkInference,
    IdFormat,
    IdFormatInference,
    NullWordInference,
    NumberFormat,
    TimeFormat,
    TimeFormatInference,
    html_to_text,
    is_null,
    is_null_label,
    is_null_text,
    parse_bool,
    parse_price,
    parse_time,
)

__all__ = ["ItemFormatInference", "ItemFormats", "clean_attribute", "normalize_fields", "strip_markup"]

_TEXT_FIELDS = ("title", "description", "brand")
_MEDIA_FIELDS = ("image", "audio")
_ID_FIELDS = ("item_id", "group_id")
_CACHED_LENGTH = 200
_URL_KEYS = ("url", "src", "href", "large", "hi_res", "original", "link", "path", "thumb")
"""Where the objects of pictures have the picture, the best first."""


@dataclass(frozen=True)
class ItemFormats:
    """How the values of a catalogue are written, decided from all of its lines.

    ids: of item_id and group_id. words: text field or attribute -> the words that stand for nothing there. notes: what was
    guessed, a line each.
    """

    ids: Mapping[str, IdFormat] = field(default_factory=dict)
    price: NumberFormat = field(default_factory=NumberFormat)
    created_at: TimeFormat = field(default_factory=TimeFormat)
    words: Mapping[str, Collection[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class ItemFormatInference:
    """Looks at the fields and attributes of all lines. Memory is flat.

    day_first: what dates such as 01/02/2021 are, None for what the files show.
    """

    def __init__(self, day_first: bool | None = None) -> None:
        self.ids = {name: IdFormatInference() for name in _ID_FIELDS}
        self.price = DecimalMarkInference()
        self._created = TimeFormatInference(day_first)
        self._words = {name: NullWordInference(named=name != "brand") for name in _TEXT_FIELDS}

    def add(self, fields: Mapping[str, Any], attributes: Mapping[str, Any]) -> None:
        for name, tally in self.ids.items():
            if name in fields and not tally.settled:
                tally.add(fields[name])
        if "price" in fields:
            self.price.add(fields["price"])
        if "created_at" in fields:
            self._created.add(fields["created_at"])
        for name in _TEXT_FIELDS:
            if name in fields:
                self._words[name].add(fields[name])
        for name, value in attributes.items():
            if type(value) is str:
                words = self._words.get(name)
                if words is None:
                    words = self._words[name] = NullWordInference(named=False)
                words.add(value)

    def decide(self) -> ItemFormats:
        words = {name: found for name, tally in self._words.items() if (found := tally.decide())}
        told: Iterable[str | None] = (
            *(tally.note(name) for name, tally in self.ids.items()),
            self.price.note("price"),
            *self._created.notes("created_at"),
            *(
                f"{name}: {' and '.join(sorted(found))} {'stands' if len(found) == 1 else 'stand'} for nothing."
                for name, found in words.items()
                if name in _TEXT_FIELDS
            ),
        )
        return ItemFormats(
            {name: tally.decide() for name, tally in self.ids.items()},
            self.price.decide(),
            self._created.decide(),
            words,
            tuple(note for note in told if note is not None),
        )


def normalize_fields(
    fields: Mapping[str, Any], forms: ItemFormats, lists: Mapping[str, ListFormat], drop: OnInvalidField
) -> dict[str, Any]:
    """The fields as Item takes them, without those that mean nothing and those that can't be read, which `drop` gets.

    lists: how categories and tags are written.

    Raises BadValue for an item_id that can't be used.
    """
    settled: dict[str, Any] = {}
    for name, value in fields.items():
        try:
            read = _labels(name, value, lists.get(name)) if name in LIST_FIELDS else _parse(name, value, forms)
        except ValueError as error:
            if name == "item_id":
                raise InvalidValue(name, str(error)) from None
            drop(name, str(error), value)
            continue
        if name == "price" and read is not None:
            read, currency = read
            if currency is not None and is_null(fields.get("currency")):
                settled["currency"] = currency
        if read is not None:
            settled[name] = read
    if "item_id" not in settled:
        raise InvalidValue("item_id", "is missing")
    return settled


def clean_attribute(value: AttributeValue, words: Collection[str]) -> AttributeValue | None:
    """An attribute of texts without markup, None where it means nothing."""
    if isinstance(value, str):
        return None if is_null_text(value) or (words and value.strip() in words) else _plain_text(value, lines=True)
    return _strip_value(value)


def strip_markup(item: Item) -> Item:
    """The item with HTML in its texts read as the text that it shows; the same item where there is none."""
    found: dict[str, Any] = {
        name: _plain_text(text, lines=name == "description") for name in _TEXT_FIELDS if (text := getattr(item, name))
    }
    for name in LIST_FIELDS:
        found[name] = tuple(_plain_text(each, lines=False) for each in getattr(item, name))
    found["attributes"] = {name: _strip_value(value) for name, value in item.attributes.items()}
    changed = {name: value for name, value in found.items() if value != getattr(item, name)}
    return item.model_copy(update=changed) if changed else item


def _strip_value(value: AttributeValue) -> AttributeValue:
    if isinstance(value, str):
        return _plain_text(value, lines=True)
    if isinstance(value, tuple):
        return tuple(_plain_text(each, lines=True) if isinstance(each, str) else each for each in value)  # type: ignore[return-value]
    return value


def _parse(name: str, value: Any, forms: ItemFormats) -> Any:
    if name in _TEXT_FIELDS:
        return _text(name, value, forms.words.get(name, ()))
    reader = _PARSERS.get(name)
    if reader is not None:
        return reader(value, forms)
    if name in _ID_FIELDS:
        return forms.ids.get(name, IdFormat()).read(value)
    return _text(name, value, forms.words.get(name, ()))


def _price(value: Any, forms: ItemFormats) -> tuple[float, str | None] | None:
    if isinstance(value, dict):
        raise ValueError("is an object; name its part with --columns price=price.NAME")
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    amount, currency = parse_price(value, forms.price)
    if amount is not None and amount < 0:
        raise ValueError("is less than 0")
    return None if amount is None else (amount, currency)


def _labels(name: str, value: Any, notation: ListFormat | None) -> Sequence[str] | None:
    if type(value) is str and len(value) <= _CACHED_LENGTH:
        return _labels_of_text(name, value, notation)
    return [_plain_text(each, lines=False) for each in parse_labels(value, name, notation) if not is_null_label(each)] or None


@lru_cache(maxsize=4_096)
def _labels_of_text(name: str, text: str, notation: ListFormat | None) -> Sequence[str] | None:
    # A catalogue has far fewer categories than items.
    return tuple(_plain_text(each, lines=False) for each in parse_labels(text, name, notation) if not is_null_label(each)) or None


_PARSERS: Mapping[str, Callable[[Any, ItemFormats], Any]] = {
    "price": _price,
    "created_at": lambda value, forms: parse_time(value, forms.created_at),
    "available": lambda value, forms: parse_bool(value),
}


def _text(name: str, value: Any, words: Collection[str]) -> str | None:
    """One text: of a list all texts of a description, the first picture, or the only one."""
    if isinstance(value, str):
        if value.startswith("[") and (parts := parse_array(value)) is not None:
            return _text_of_list(name, parts, words)
        if name in _MEDIA_FIELDS or name == "currency":
            return None if is_null(value) else value.replace("\x00", "").strip()
        if is_null_text(value) or (words and value.strip() in words):
            return None
        return _plain_text(value, lines=name == "description") or None
    if isinstance(value, list | tuple):
        return _text_of_list(name, value, words)
    if isinstance(value, dict) and name in _MEDIA_FIELDS:
        return next((text for key in _URL_KEYS if (text := _text(name, value.get(key), words)) is not None), None)
    if isinstance(value, bool | dict):
        raise ValueError("is not text")
    if is_null(value):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)


def _text_of_list(name: str, values: Iterable[Any], words: Collection[str]) -> str | None:
    texts = (text for each in values if (text := _text(name, each, words)) is not None)
    if name in _MEDIA_FIELDS:
        return next(texts, None)
    found = list(texts)
    if name != "description" and len(found) > 1:
        raise ValueError("is a list, not one text")
    return "\n".join(found) or None


def _plain_text(text: str, *, lines: bool) -> str:
    if "<" not in text and "&" not in text and "\x00" not in text:
        return text
    return html_to_text(text.replace("\x00", "") if "\x00" in text else text, lines=lines)
