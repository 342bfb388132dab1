"""An item as an Elasticsearch document, and back; the digest that says whether a stored document is up to date."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from es_recsys.errors import InputError
from es_recsys.types import AttributeValue, Item

__all__ = ["Vectors", "check_vector", "content_digest", "document_digest", "from_document", "to_document", "with_vectors"]

Vectors = Mapping[str, NDArray[np.float32] | None]
"""Vector field -> (d,) float32, or None where the item has no such content."""

# Raised when `to_document` writes the same item differently, so that stores written before are brought up to date.
_FORMAT = 1

_TEXTS = ("title", "description")
_LISTS = ("categories", "tags")
_OPTIONAL = ("group_id", "brand", "author", "price", "stock", "currency", "image", "audio")
_TIMES = ("created_at", "expires_at")
# The format that mappings/items.json recognises as a date; a text attribute in exactly this format is one, too.
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_FIRST_YEAR, _LAST_YEAR = 1_500, 2_100
_INT64 = 2**63
_LEAST_CODE = 10_000


def to_document(item: Item, vectors: Vectors | None = None, digest: str | None = None) -> dict[str, Any]:
    """Return the document of an item; vectors stay (d,) float32 arrays, None ones are left out.

    What is empty is left out. `all_text` holds only what Elasticsearch can't copy there by itself: numbers that may be
    years, and the years of date attributes, so that "alien 1979" finds the film; and the texts of attributes with a dot in
    their name, since beside `size` Elasticsearch copies nothing from `size.unit`.
    Raises InputError that names the attribute where a number is NaN or infinite, which JSON can't hold.
    """
    found: dict[str, Any] = {"item_id": item.item_id}
    found.update((name, text) for name in _TEXTS if (text := getattr(item, name)))
    found.update((name, list(values)) for name in _LISTS if (values := getattr(item, name)))
    found.update((name, value) for name in _OPTIONAL if (value := getattr(item, name)) is not None)
    found.update((name, _timestamp(value)) for name in _TIMES if (value := getattr(item, name)) is not None)
    found["available"] = item.available
    if item.attributes:
        # Most attributes are texts, which stay as they are and hold no years.
        others = {name: value for name, value in item.attributes.items() if type(value) is not str}
        found["attributes"] = item.attributes | {name: _json_value(name, value) for name, value in others.items()}
        copied = dict.fromkeys(year for value in others.values() for year in _years(value))
        copied |= dict.fromkeys(text for name, value in item.attributes.items() if "." in name for text in _texts(value))
        if copied:
            found["all_text"] = list(copied)
    return found if vectors is None and digest is None else with_vectors(found, vectors or {}, digest)


def with_vectors(source: Mapping[str, Any], vectors: Vectors, digest: str | None) -> dict[str, Any]:
    """Return a document, as `to_document` gives it, with vectors and digest added."""
    found = dict(source)
    if digest is not None:
        found["content_digest"] = digest
    found.update((name, vector) for name, vector in vectors.items() if vector is not None)
    return found


def from_document(source: Mapping[str, Any]) -> Item:
    """Return the item of a document (`_source`, with or without vectors): the inverse of `to_document`."""
    known = {name: source[name] for name in Item.model_fields if name in source and name != "attributes"}
    attributes = {name: _attribute(value) for name, value in source.get("attributes", {}).items()}
    return Item(**known, attributes=attributes)


def content_digest(item: Item, fingerprints: Mapping[str, str]) -> str:
    """Return the digest, 32 hex digits, of an item's content and each encoder's fingerprint (field -> fingerprint).

    An item whose stored digest is the same needs neither encoding nor writing.
    """
    return document_digest(to_document(item), fingerprints)


def document_digest(source: Mapping[str, Any], fingerprints: Mapping[str, str]) -> str:
    """Return the digest from the item's document without vectors and digest."""
    content = orjson.dumps([_FORMAT, source, dict(fingerprints)], option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def check_vector(field: str, vector: Any, dims: int) -> NDArray[np.float32]:
    """Return the vector as (dims,) float32.

    Raises InputError that names the field where the size is another or a number is NaN, infinite or beyond float32, or
    all are zero: Elasticsearch would refuse the document, or take NaN for null.
    """
    with np.errstate(over="ignore"):
        row: NDArray[np.float32] = np.asarray(vector, dtype=np.float32)
        if row.shape != (dims,):
            raise InputError(f"{field}: a vector of shape {row.shape}, and the index has {dims} dimensions.", _REMEDY)
        # One dot product is enough: NaN and Inf stay in it, only zeros give zero. Huge or tiny numbers are looked at again.
        product = float(np.dot(row, row))
    if not math.isfinite(product) and not bool(np.isfinite(row).all()):
        raise InputError(f"{field}: a vector with NaN or infinite numbers.", _REMEDY)
    if product == 0.0 and not bool(row.any()):
        raise InputError(f"{field}: a vector of zeros, which has no direction.", _REMEDY)
    return row


_REMEDY = "An item without such content has no vector at all (None)."


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _json_value(name: str, value: AttributeValue) -> Any:
    if isinstance(value, datetime):
        return _timestamp(value if value.tzinfo else value.replace(tzinfo=UTC))
    numbers = value if isinstance(value, tuple) else (value,)
    if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
        raise InputError(f"attributes.{name} is not a finite number.", "Leave the attribute out where it is not known.")
    if isinstance(value, tuple):
        return [_json_number(number) for number in value]
    return _json_number(value)


def _json_number(value: Any) -> Any:
    """Return a value as JSON can hold it: whole numbers beyond 64 bits as text."""
    return str(value) if isinstance(value, int) and not -_INT64 <= value < _INT64 else value


def _attribute(value: Any) -> Any:
    if isinstance(value, str) and _DATE.fullmatch(value):
        return datetime.fromisoformat(value)
    return tuple(value) if isinstance(value, list) else value


def _texts(value: AttributeValue) -> list[str]:
    """Return texts, and whole numbers that are long enough to be a code."""
    values = value if isinstance(value, tuple) else (value,)
    return [str(one) for one in values if isinstance(one, str) or (isinstance(one, int) and abs(one) >= _LEAST_CODE)]


def _years(value: AttributeValue) -> list[str]:
    if isinstance(value, datetime):
        return [str(value.year)]
    if isinstance(value, bool | str):
        return []
    numbers = value if isinstance(value, tuple) else (value,)
    return [
        str(int(number))
        for number in numbers
        if isinstance(number, int | float) and _FIRST_YEAR <= number <= _LAST_YEAR and number == int(number)
    ]
