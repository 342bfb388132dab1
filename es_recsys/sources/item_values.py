"""The fields of an item, from what a file has to what Item takes: texts without markup, prices, times, flags."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from es_recsys.sources.faults import BadValue, Drop
from es_recsys.sources.lists import LIST_FIELDS, Notation, array_of, names_of
from es_recsys.types import AttributeValue, Item
from es_recsys.values import (
    IdForm,
    IdTally,
    NumberForm,
    NumberTally,
    TimeForm,
    TimeTally,
    WordTally,
    is_blank,
    is_missing,
    is_no_label,
    plain_text,
    read_amount,
    read_flag,
    read_time,
)

__all__ = ["ItemForms", "ItemTallies", "attribute_text", "settle", "without_markup"]

_TEXTS = ("title", "description", "brand")
_PATHS = ("image", "audio")
_IDS = ("item_id", "group_id")
_SHORT = 200
_ADDRESS = ("url", "src", "href", "large", "hi_res", "original", "link", "path", "thumb")
"""Where the objects of pictures have the picture, the best first."""


@dataclass(frozen=True)
class ItemForms:
    """How the values of a catalogue are written, decided from all of its lines.

    ids: of item_id and group_id. words: text field or attribute -> the words that stand for nothing there. notes: what was
    guessed, a line each.
    """

    ids: Mapping[str, IdForm] = field(default_factory=dict)
    price: NumberForm = field(default_factory=NumberForm)
    created_at: TimeForm = field(default_factory=TimeForm)
    words: Mapping[str, Collection[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class ItemTallies:
    """Looks at the fields and attributes of all lines. Memory is flat.

    day_first: what dates such as 01/02/2021 are, None for what the files show.
    """

    def __init__(self, day_first: bool | None = None) -> None:
        self.ids = {name: IdTally() for name in _IDS}
        self.price = NumberTally()
        self._created = TimeTally(day_first)
        self._words = {name: WordTally(named=name != "brand") for name in _TEXTS}

    def add(self, fields: Mapping[str, Any], attributes: Mapping[str, Any]) -> None:
        for name, tally in self.ids.items():
            if name in fields and not tally.settled:
                tally.add(fields[name])
        if "price" in fields:
            self.price.add(fields["price"])
        if "created_at" in fields:
            self._created.add(fields["created_at"])
        for name in _TEXTS:
            if name in fields:
                self._words[name].add(fields[name])
        for name, value in attributes.items():
            if type(value) is str:
                words = self._words.get(name)
                if words is None:
                    words = self._words[name] = WordTally(named=False)
                words.add(value)

    def decide(self) -> ItemForms:
        words = {name: found for name, tally in self._words.items() if (found := tally.decide())}
        told: Iterable[str | None] = (
            *(tally.note(name) for name, tally in self.ids.items()),
            self.price.note("price"),
            *self._created.notes("created_at"),
            *(
                f"{name}: {' and '.join(sorted(found))} {'stands' if len(found) == 1 else 'stand'} for nothing."
                for name, found in words.items()
                if name in _TEXTS
            ),
        )
        return ItemForms(
            {name: tally.decide() for name, tally in self.ids.items()},
            self.price.decide(),
            self._created.decide(),
            words,
            tuple(note for note in told if note is not None),
        )


def settle(fields: Mapping[str, Any], forms: ItemForms, lists: Mapping[str, Notation], drop: Drop) -> dict[str, Any]:
    """The fields as Item takes them, without those that mean nothing and those that can't be read, which `drop` gets.

    lists: how categories and tags are written.

    Raises BadValue for an item_id that can't be used.
    """
    settled: dict[str, Any] = {}
    for name, value in fields.items():
        try:
            read = _names(name, value, lists.get(name)) if name in LIST_FIELDS else _read(name, value, forms)
        except ValueError as error:
            if name == "item_id":
                raise BadValue(name, str(error)) from None
            drop(name, str(error), value)
            continue
        if name == "price" and read is not None:
            read, currency = read
            if currency is not None and is_missing(fields.get("currency")):
                settled["currency"] = currency
        if read is not None:
            settled[name] = read
    if "item_id" not in settled:
        raise BadValue("item_id", "is missing")
    return settled


def attribute_text(value: AttributeValue, words: Collection[str]) -> AttributeValue | None:
    """An attribute of texts without markup, None where it means nothing."""
    if isinstance(value, str):
        return None if is_blank(value) or (words and value.strip() in words) else _plain(value, lines=True)
    return _without_markup(value)


def without_markup(item: Item) -> Item:
    """The item with HTML in its texts read as the text that it shows; the same item where there is none."""
    found: dict[str, Any] = {name: _plain(text, lines=name == "description") for name in _TEXTS if (text := getattr(item, name))}
    for name in LIST_FIELDS:
        found[name] = tuple(_plain(each, lines=False) for each in getattr(item, name))
    found["attributes"] = {name: _without_markup(value) for name, value in item.attributes.items()}
    changed = {name: value for name, value in found.items() if value != getattr(item, name)}
    return item.model_copy(update=changed) if changed else item


def _without_markup(value: AttributeValue) -> AttributeValue:
    if isinstance(value, str):
        return _plain(value, lines=True)
    if isinstance(value, tuple):
        return tuple(_plain(each, lines=True) if isinstance(each, str) else each for each in value)  # type: ignore[return-value]
    return value


def _read(name: str, value: Any, forms: ItemForms) -> Any:
    if name in _TEXTS:
        return _text(name, value, forms.words.get(name, ()))
    reader = _READERS.get(name)
    if reader is not None:
        return reader(value, forms)
    if name in _IDS:
        return forms.ids.get(name, IdForm()).read(value)
    return _text(name, value, forms.words.get(name, ()))


def _price(value: Any, forms: ItemForms) -> tuple[float, str | None] | None:
    if isinstance(value, dict):
        raise ValueError("is an object; name its part with --columns price=price.NAME")
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    amount, currency = read_amount(value, forms.price)
    if amount is not None and amount < 0:
        raise ValueError("is less than 0")
    return None if amount is None else (amount, currency)


def _names(name: str, value: Any, notation: Notation | None) -> Sequence[str] | None:
    if type(value) is str and len(value) <= _SHORT:
        return _names_of_text(name, value, notation)
    return [_plain(each, lines=False) for each in names_of(value, name, notation) if not is_no_label(each)] or None


@lru_cache(maxsize=4_096)
def _names_of_text(name: str, text: str, notation: Notation | None) -> Sequence[str] | None:
    # A catalogue has far fewer categories than items.
    return tuple(_plain(each, lines=False) for each in names_of(text, name, notation) if not is_no_label(each)) or None


_READERS: Mapping[str, Callable[[Any, ItemForms], Any]] = {
    "price": _price,
    "created_at": lambda value, forms: read_time(value, forms.created_at),
    "available": lambda value, forms: read_flag(value),
}


def _text(name: str, value: Any, words: Collection[str]) -> str | None:
    """One text: of a list all texts of a description, the first picture, or the only one."""
    if isinstance(value, str):
        if value.startswith("[") and (parts := array_of(value)) is not None:
            return _of_list(name, parts, words)
        if name in _PATHS or name == "currency":
            return None if is_missing(value) else value.replace("\x00", "").strip()
        if is_blank(value) or (words and value.strip() in words):
            return None
        return _plain(value, lines=name == "description") or None
    if isinstance(value, list | tuple):
        return _of_list(name, value, words)
    if isinstance(value, dict) and name in _PATHS:
        return next((text for key in _ADDRESS if (text := _text(name, value.get(key), words)) is not None), None)
    if isinstance(value, bool | dict):
        raise ValueError("is not text")
    if is_missing(value):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)


def _of_list(name: str, values: Iterable[Any], words: Collection[str]) -> str | None:
    texts = (text for each in values if (text := _text(name, each, words)) is not None)
    if name in _PATHS:
        return next(texts, None)
    found = list(texts)
    if name != "description" and len(found) > 1:
        raise ValueError("is a list, not one text")
    return "\n".join(found) or None


def _plain(text: str, *, lines: bool) -> str:
    if "<" not in text and "&" not in text and "\x00" not in text:
        return text
    return plain_text(text.replace("\x00", "") if "\x00" in text else text, lines=lines)
