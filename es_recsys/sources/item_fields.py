"""The fields of an item, from what a file has to what Item takes: texts without markup, prices, times, booleans."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from es_recsys.sources.field_formats import FieldFormatInference, FieldFormats
from es_recsys.sources.list_cells import LIST_FIELDS, ListFormat, parse_array, parse_labels
from es_recsys.sources.row_errors import InvalidValue, OnInvalidField
from es_recsys.types import AttributeValue, Item
from es_recsys.values import (
    IdFormat,
    NullWordInference,
    NumberFormat,
    TimeFormat,
    html_to_text,
    is_null,
    is_null_label,
    is_null_text,
    parse_bool,
    parse_number,
    parse_price,
    parse_time,
)

__all__ = ["clean_attribute", "item_format_inference", "normalize_fields", "strip_markup"]

_TEXT_FIELDS = ("title", "description", "brand", "author")
_NAME_FIELDS = ("brand", "author")
_MEDIA_FIELDS = ("image", "audio")
_ID_FIELDS = ("item_id", "group_id")
_CACHED_LENGTH = 200
_URL_KEYS = ("url", "src", "href", "large", "hi_res", "original", "link", "path", "thumb")
"""Where the objects of pictures have the picture, the best first."""
_ID, _NUMBER, _TIME = IdFormat(), NumberFormat(), TimeFormat()


def item_format_inference(day_first: bool | None = None) -> FieldFormatInference:
    """Return the inference of formats for the fields of items."""
    texts = {name: NullWordInference(named=name not in _NAME_FIELDS) for name in _TEXT_FIELDS}
    numbers, times = ("price", "stock"), ("created_at", "expires_at")
    return FieldFormatInference(ids=_ID_FIELDS, numbers=numbers, times=times, texts=texts, day_first=day_first)


def normalize_fields(
    fields: Mapping[str, Any], formats: FieldFormats, lists: Mapping[str, ListFormat], drop: OnInvalidField
) -> dict[str, Any]:
    """Return the fields as Item takes them, without empty ones and those that can't be read, which `drop` gets.

    lists: how categories and tags are written. Raises InvalidValue for an item_id that can't be used.
    """
    normalized: dict[str, Any] = {}
    for name, value in fields.items():
        try:
            parsed = _labels(name, value, lists.get(name)) if name in LIST_FIELDS else _parse(name, value, formats)
        except ValueError as error:
            if name == "item_id":
                raise InvalidValue(name, str(error)) from None
            drop(name, str(error), value)
            continue
        if name == "price" and parsed is not None:
            parsed, currency = parsed
            if currency is not None and is_null(fields.get("currency")):
                normalized["currency"] = currency
        if parsed is not None:
            normalized[name] = parsed
    if "item_id" not in normalized:
        raise InvalidValue("item_id", "is missing")
    return normalized


def clean_attribute(value: AttributeValue, words: Collection[str]) -> AttributeValue | None:
    """Return an attribute of texts without markup, None where it means nothing. words: those that stand for nothing in it."""
    if isinstance(value, str):
        return None if is_null_text(value) or (words and value.strip() in words) else _plain_text(value, lines=True)
    return _strip_value(value)


def strip_markup(item: Item) -> Item:
    """Return the item with HTML in its texts read as the text that it shows; the same item where there is none."""
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


def _parse(name: str, value: Any, formats: FieldFormats) -> Any:
    parser = _PARSERS.get(name)
    if parser is not None:
        return parser(value, formats)
    if name in _ID_FIELDS:
        return formats.ids.get(name, _ID).parse(value)
    return _text(name, value, formats.null_words.get(name, ()))


def _price(value: Any, formats: FieldFormats) -> tuple[float, str | None] | None:
    if isinstance(value, dict):
        raise ValueError("is an object; name its part with --columns price=price.NAME")
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    amount, currency = parse_price(value, formats.numbers.get("price", _NUMBER))
    if amount is not None and amount < 0:
        raise ValueError("is less than 0")
    return None if amount is None else (amount, currency)


def _stock(value: Any, formats: FieldFormats) -> float | None:
    amount = parse_number(value, formats.numbers.get("stock", _NUMBER))
    # What was sold before it came in is a stock below 0 in many systems.
    return None if amount is None else max(amount, 0.0)


def _labels(name: str, value: Any, list_format: ListFormat | None) -> Sequence[str] | None:
    # A catalogue has far fewer categories than items.
    cached = type(value) is str and len(value) <= _CACHED_LENGTH
    return (_cached_labels if cached else _uncached_labels)(name, value, list_format)


def _uncached_labels(name: str, value: Any, list_format: ListFormat | None) -> Sequence[str] | None:
    labels = parse_labels(value, name, list_format)
    return tuple(_plain_text(each, lines=False) for each in labels if not is_null_label(each)) or None


_cached_labels = lru_cache(maxsize=4_096)(_uncached_labels)


_PARSERS: Mapping[str, Callable[[Any, FieldFormats], Any]] = {
    "price": _price,
    "created_at": lambda value, formats: parse_time(value, formats.times.get("created_at", _TIME)),
    "expires_at": lambda value, formats: parse_time(value, formats.times.get("expires_at", _TIME)),
    "stock": lambda value, formats: _stock(value, formats),
    "available": lambda value, formats: parse_bool(value),
}


def _text(name: str, value: Any, words: Collection[str]) -> str | None:
    """Return one text: of a list all texts of a description, the first picture, or the only one."""
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
    if name == "author":
        return ", ".join(found) or None
    if name != "description" and len(found) > 1:
        raise ValueError("is a list, not one text")
    return "\n".join(found) or None


def _plain_text(text: str, *, lines: bool) -> str:
    if "<" not in text and "&" not in text and "\x00" not in text:
        return text
    return html_to_text(text.replace("\x00", "") if "\x00" in text else text, lines=lines)
