"""What of an item an encoder reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from es_recsys.encoders.base import Content, Encoder
from es_recsys.errors import EncodingError
from es_recsys.types import AttributeValue, Item

__all__ = ["item_content", "item_text"]

_MAX_CHARACTERS = 4_000
"""Models read some hundred tokens; more than this is never seen, and only costs time to cut."""
_MEDIA: Mapping[str, str] = MappingProxyType({"image": "picture", "audio": "sound"})
"""Field of an item that names a file -> what is in it."""
_MAX_VALUES = 10
"""Values of one list that are taken; a long list would push the rest out of the model's sight."""


def item_text(item: Item) -> str | None:
    """Return the item in words for a text model, the most telling first, because models cut at their length.

    Names of attributes, links, numbers (but for years) and dates are left out: they say little to a sentence model.
    None where no words are left.
    """
    parts: list[str] = []
    seen: set[str] = set()
    for part in _text_parts(item):
        words = " ".join(part.split())
        if words and words.casefold() not in seen:
            seen.add(words.casefold())
            parts.append(words)
    text = ""
    for words in parts:
        joint = "" if not text else " " if text.endswith((".", "!", "?", ":", ";", ",")) else ". "
        text += joint + words
    return text[:_MAX_CHARACTERS].rstrip() or None


def _text_parts(item: Item) -> Iterator[str]:
    yield item.title
    yield item.description
    yield ", ".join(item.categories[:_MAX_VALUES])
    yield ", ".join(item.tags[:_MAX_VALUES])
    yield item.brand or ""
    yield item.author or ""
    # By name, because two files may give the columns in two orders, and the same item must give the same text.
    for name in sorted(item.attributes):
        yield _attribute_words(name, item.attributes[name])


def _attribute_words(name: str, value: AttributeValue) -> str:
    if isinstance(value, bool):
        return ""
    if isinstance(value, int) and "year" in name.casefold() and 1000 <= value <= 2999:
        return str(value)
    if isinstance(value, str):
        return value if _has_words(value) else ""
    if isinstance(value, tuple):
        return ", ".join(one for one in value[:_MAX_VALUES] if isinstance(one, str) and _has_words(one))
    return ""


def _has_words(text: str) -> bool:
    return "://" not in text and any(letter.isalpha() for letter in text)


def item_content(encoder: Encoder, item: Item, base: Path) -> Content | None:
    """Return what `encoder` reads of `item`: its text, or the path of its picture or sound; None where it has none.

    base: the folder that paths in the catalogue start from. Raises EncodingError where a path leaves it, is a link to
    the web, or leads nowhere.
    """
    if encoder.content == "text":
        return item_text(item)
    if encoder.content in _MEDIA:
        name: str | None = getattr(item, encoder.content)
        return _file_inside(name, encoder.content, base) if name else None
    raise EncodingError(f'No item has content of the kind "{encoder.content}".', "Name another encoder.")


def _file_inside(name: str, content: str, base: Path) -> Path:
    kind = _MEDIA[content]
    if "://" in name or "\0" in name:
        raise EncodingError(
            f"The {kind} {name[:200]!r} is not a path.",
            f"{kind.capitalize()}s are read from files: fetch it and give its path beside the catalogue's file, or leave {kind}s"
            f" out with --columns {content}=-.",
        )
    try:
        root = base.resolve(strict=True)
        path = (root / name).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        raise EncodingError(f"The {kind} {name[:200]!r} does not exist.", "Paths start from the catalogue's folder.") from None
    if not path.is_relative_to(root) or not path.is_file():
        raise EncodingError(
            f"The {kind} {name[:200]!r} is not a file inside the catalogue's folder.", "Move it there, or mend the path."
        )
    return path
