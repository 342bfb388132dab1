"""Lists in a cell: arrays of JSON, Python, numpy and PostgreSQL, and texts between separators, which the whole column shows."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from es_recsys.errors import InputError
from es_recsys.sources.python_literals import parse_json_or_python
from es_recsys.sources.row_errors import InvalidValue
from es_recsys.sources.separators import parse_separator

__all__ = [
    "LIST_FIELDS",
    "ListFormat",
    "ListFormatInference",
    "parse_array",
    "parse_labels",
    "parse_list_separators",
    "split_cell",
]

LIST_FIELDS = ("categories", "tags")
NO_LIST = "none"
"""Given as a separator: cells of text are one value each."""

_SAMPLE_CELLS = 5_000
_REUSE = 1.3
_PATH_SEPARATORS = {">": re.compile(r"\s*(?:>+|›|»)\s*"), "/": re.compile(r"\s*/\s*")}
_VALUE_SEPARATORS: Mapping[str, re.Pattern[str]] = {
    "|": re.compile(r"\|"),
    # Not that of an HTML entity, and not the comma of a number.
    ";": re.compile(r"(?<!&amp)(?<!&lt)(?<!&gt)(?<!&quot)(?<!&apos)(?<!&nbsp)(?<!&#39);"),
    ",": re.compile(r",(?!\d)|(?<!\d),"),
}
_NAME_KEYS = ("name", "title", "label", "value")


@dataclass(frozen=True, slots=True)
class ListFormat:
    """How the cells of a column hold lists.

    between: what parts values, "" for nothing. path: what parts the levels of a category, outermost first, "" for nothing.
    """

    between: str = ""
    path: str = ""

    def values(self, text: str) -> list[str]:
        """Return the values in a text; those of several paths without repeats."""
        pieces = self._split(text)
        if not self.path:
            return pieces
        pattern = _PATH_SEPARATORS.get(self.path) or re.compile(re.escape(self.path))
        return list(dict.fromkeys(part for piece in pieces for each in pattern.split(piece) if (part := each.strip())))

    def _split(self, text: str) -> list[str]:
        if not self.between:
            return [stripped] if (stripped := text.strip()) else []
        pattern = _VALUE_SEPARATORS.get(self.between) or re.compile(re.escape(self.between))
        return [part for each in pattern.split(text) if (part := each.strip())]


BAR_SEPARATED = ListFormat("|")
DEFAULT_FORMATS: Mapping[str, ListFormat] = {"categories": ListFormat("|", ">"), "tags": BAR_SEPARATED}
"""What is read where nothing is known of the column."""


@dataclass(slots=True)
class ListFormatInference:
    """The different texts in the cells of `categories` or of `tags`, some thousand of them."""

    cells: dict[str, None] = field(default_factory=dict)

    def add(self, value: Any) -> None:
        if isinstance(value, str) and len(self.cells) < _SAMPLE_CELLS and value[:1] not in ("[", "{", "("):
            self.cells.setdefault(value)

    def infer(self, name: str) -> ListFormat:
        """Return the format that the column shows.

        Bars and semicolons part values, and so do commas between tags. A comma in a category parts two where the parts
        come in other cells as well ("Food, Wine" alone is one name); slashes are paths where most cells have them and
        begin alike.
        """
        plain = DEFAULT_FORMATS[name]
        if name == "tags":
            return ListFormat(self._first("|;,") or plain.between)
        arrows = any(_PATH_SEPARATORS[">"].search(cell) for cell in self.cells)
        between = self._first("|;") or ("," if self._reused(",", ">" if arrows else "") else plain.between)
        return ListFormat(between, plain.path if arrows else self._slashes() or plain.path)

    def notes(self, name: str, list_format: ListFormat) -> Iterator[str]:
        """Yield what was inferred, with an example; nothing where no cell is split."""
        split = ((cell, parts) for cell in self.cells if len(parts := list_format.values(cell)) > 1)
        for cell, parts in islice(split, 1):
            signs = [sign for sign in (list_format.between, list_format.path) if sign and any(sign in one for one in self.cells)]
            between = " and ".join(f"`{sign}`" for sign in signs)
            yield f"{name} are read as lists between {between}: {cell[:80]!r} is {parts[:5]}; --list-separator changes it."

    def _first(self, candidates: str) -> str:
        found = (sep for sep in candidates if any(len(ListFormat(sep).values(cell)) > 1 for cell in self.cells))
        return next(found, "")

    def _reused(self, separator: str, path: str) -> bool:
        # By levels, because "Food, Drinks > Tea" and "Food, Drinks > Milk" have one level with a comma, and not two lists.
        levels = {level for cell in self.cells for level in ListFormat("", path).values(cell)}
        cells = [set(ListFormat(separator).values(level)) for level in levels]
        if not any(len(parts) > 1 for parts in cells):
            return False
        counts = Counter(part for parts in cells for part in parts)
        return sum(counts.values()) >= _REUSE * len(counts)

    def _slashes(self) -> str:
        parts = [[part for part in cell.split("/") if part.strip()] for cell in self.cells]
        paths = [path for path in parts if len(path) > 1]
        if not paths:
            return ""
        rooted = all(cell.startswith("/") for cell in self.cells)
        spaced = sum(" / " in cell for cell in self.cells) >= 0.5 * len(self.cells)
        first = {path[0].strip() for path in paths}
        alike = len(paths) >= 0.8 * len(self.cells) and 1.5 * len(first) <= len(paths)
        return "/" if rooted or spaced or alike else ""


def parse_list_separators(texts: str | Iterable[str]) -> dict[str, ListFormat]:
    """Parse `,` to {"": ListFormat(",")}, for categories and tags; `directors=;` to that of one column; `none` is no list.

    Raises InputError for a separator that can't be used, and for a column that is named twice.
    """
    found: dict[str, ListFormat] = {}
    for text in (texts,) if isinstance(texts, str) else texts:
        name, _, separator = text.rpartition("=")
        if name.strip() in found:
            raise InputError(f"--list-separator names {name or 'categories and tags'} twice.", "Keep one of the two.")
        found[name.strip()] = _format_of(separator)
    return found


def _format_of(separator: str) -> ListFormat:
    if separator.strip().lower() == NO_LIST:
        return ListFormat()
    text = parse_separator(separator).text
    return ListFormat(path=text) if text in _PATH_SEPARATORS else ListFormat(text)


def parse_labels(value: Any, name: str, list_format: ListFormat | None = None) -> list[str]:
    """Parse categories or tags from what a file has: a list, an array in a text, or a text in the column's list format.

    Numbers become text, empty ones go, objects give their name; a list of lists is joined without repeats. Raises InvalidValue
    for an object without a name.
    """
    if isinstance(value, str):
        found = parse_array(value)
        if found is None:
            return (list_format or DEFAULT_FORMATS[name]).values(value)
        value = found
    elif isinstance(value, list) and set(map(type, value)) == {str}:
        return [one for each in value if (one := each.strip())]
    if not isinstance(value, list | tuple):
        value = [value]
    names: list[str] = []
    nested = False
    for each in value:
        if isinstance(each, list | tuple):
            nested = True
            names.extend(parse_labels(each, name))
        elif isinstance(each, Mapping):
            names.append(_name_of(each, name))
        elif isinstance(each, str):
            names.append(each.strip())
        elif isinstance(each, int | float) and not isinstance(each, bool) and each == each:
            names.append(str(int(each)) if isinstance(each, float) and each.is_integer() else str(each))
        elif each is not None and each == each:
            raise InvalidValue(name, "is not a list of names")
    names = [one for one in names if one]
    return list(dict.fromkeys(names)) if nested else names


def _name_of(value: Mapping[str, Any], field_name: str) -> str:
    """Return the name of an object such as {"id": 16, "name": "Animation"}. Raises InvalidValue where it has none."""
    for key in _NAME_KEYS:
        if isinstance(name := value.get(key), str):
            return name.strip()
    raise InvalidValue(field_name, "is not a list of names")


def parse_array(text: str) -> list[Any] | None:
    """Parse an array in the notation of JSON, Python, numpy, or PostgreSQL; None for another text."""
    start, end = text[:1], text[-1:]
    if start not in ("[", "{", "("):
        text = text.strip()
        start, end = text[:1], text[-1:]
        if start not in ("[", "{", "("):
            return None
    with suppress(ValueError):
        values = parse_json_or_python(text)
        return values if isinstance(values, list) else [values] if isinstance(values, Mapping) else None
    if start + end in ("[]", "{}"):  # [a, b] as Java prints it, {a,"b c"} as PostgreSQL does
        parts = next(csv.reader([text[1:-1]], skipinitialspace=True), [])
        return [part.strip() for part in parts] if start == "{" or not _is_prose(parts) else None
    return None


def _is_prose(parts: Collection[str]) -> bool:
    """Return whether a text in brackets is no list: "[sic]" has one part, and a sentence long ones."""
    return len(parts) < 2 or any(len(part) > 60 for part in parts)


def split_cell(cell: str, list_format: ListFormat = BAR_SEPARATED) -> str | list[Any]:
    """Return an attribute's CSV cell as one value, or as the list it is: an array, or values in the column's list format."""
    if cell[:1] in ("[", "("):
        found = parse_array(cell)
        if found is None or isinstance(found, Mapping):
            return cell
        if any(isinstance(each, Mapping) for each in found):
            return _names_of_objects(found, cell)
        return found
    if list_format.between and list_format.between in cell:
        return list_format.values(cell)
    return cell


def _names_of_objects(values: list[Any], cell: str) -> str | list[Any]:
    try:
        return [_name_of(each, "") if isinstance(each, Mapping) else each for each in values]
    except InvalidValue:
        return cell
