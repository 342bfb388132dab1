"""Options of the form KEY=VALUE,KEY=VALUE, as --columns, --constant and --actions have them: one grammar for all.

A key or value that holds a comma, an equals sign or a quote stands in double quotes; a quote in it is doubled or has a backslash
before it. Single quotes around a whole key or value are taken off, too: some shells leave them. A part without an equals sign
belongs to the value before it, so a comma within a value may go without quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from es_recsys.errors import InputError

__all__ = ["parse_pairs", "quoted"]

_QUOTED = r'"(?:""|\\"|[^"])*"'
_PART = re.compile(rf"(?:{_QUOTED}|[^,])+", re.DOTALL)
_AT_FIRST = re.compile(rf"\s*(?P<key>{_QUOTED}|[^=]*?)\s*=\s*(?P<value>{_QUOTED}|.*?)\s*", re.DOTALL)
_AT_LAST = re.compile(rf"\s*(?P<key>{_QUOTED}|.*?)\s*=\s*(?P<value>{_QUOTED}|[^=]*?)\s*", re.DOTALL)


def parse_pairs(
    texts: str | Iterable[str], option: str, form: str, example: str, *, one: bool = False, at_last: bool = False
) -> Iterator[tuple[str, str]]:
    """Yield key and value of each pair in some texts.

    option, form, example: the option's name, its form and a good use, for the message of an error. one: a text is one pair,
    whatever commas it has. at_last: an unquoted key may hold equals signs and an unquoted value may not; else the other way
    round.

    Raises InputError for a part that is no pair.
    """
    pattern = _AT_LAST if at_last else _AT_FIRST
    for text in (texts,) if isinstance(texts, str) else texts:
        for part in (text,) if one else _parts(text):
            found = pattern.fullmatch(part)
            key, value = (_unquoted(found["key"]), _unquoted(found["value"])) if found else ("", "")
            if not key or not value:
                raise InputError(f"{option} {part.strip()!r} is not {form}.", f"Write {option} {example}.")
            yield key, value


def quoted(text: str) -> str:
    """Return a key or value as `parse_pairs` reads it."""
    needs_quotes = re.search('[,="]', text) or (len(text) > 1 and text[0] == text[-1] == "'")
    return '"' + text.replace('"', '""') + '"' if needs_quotes else text


def _parts(text: str) -> Iterator[str]:
    parts: list[str] = []
    for part in filter(str.strip, _PART.findall(text)):
        if parts and "=" not in part:
            parts[-1] += "," + part
        else:
            parts.append(part)
    yield from parts


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] == '"':
        return re.sub(r'""|\\"', '"', text[1:-1])
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == "'" else text
