"""Which fields of an index are the fields of items, proposed from its mapping and a sample of its documents."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from es_recsys.errors import InputError
from es_recsys.sources.attributes import flatten
from es_recsys.sources.column_aliases import ITEM_ALIASES, infer_columns, item_aliases, normalize_name
from es_recsys.sources.option_pairs import quoted
from es_recsys.sources.row_errors import InvalidValue
from es_recsys.sources.row_mapping import ITEM_FIELDS

__all__ = ["ID", "ColumnProposal", "propose_columns", "row_paths", "unknown_path"]

ID = "_id"
"""What a row of an index has its document's id under."""

_LANGUAGES = {
    "english": "en",
    "german": "de",
    "french": "fr",
    "spanish": "es",
    "italian": "it",
    "portuguese": "pt",
    "dutch": "nl",
    "danish": "da",
    "norwegian": "no",
    "swedish": "sv",
    "finnish": "fi",
    "polish": "pl",
    "czech": "cs",
    "russian": "ru",
    "turkish": "tr",
}
_TEXT_PARTS = ("value", "text", "default", "main", "raw")
# What the part of an object is called that is the field itself, the surest first.
_PARTS: Mapping[str, tuple[str, ...]] = {
    "title": _TEXT_PARTS,
    "description": (*_TEXT_PARTS, "long", "html", "short"),
    "categories": ("name", "title", "label", "path", "names", "value"),
    "tags": ("name", "label", "value"),
    "brand": ("name", "label", "title", "value"),
    "price": ("amount", "value", "gross", "current", "price", "sale", "regular", "net", "eur", "usd", "gbp"),
    "image": ("url", "src", "href", "large", "original", "path", "medium", "small", "thumbnail"),
    "audio": ("url", "src", "href", "path"),
    "author": ("name", "label", "value"),
    "stock": ("quantity", "count", "available", "value"),
    "created_at": ("created", "date", "value"),
}
_WITH_LANGUAGE = frozenset({"title", "description", "categories", "brand"})
_SHOWN = 60


@dataclass(frozen=True)
class ColumnProposal:
    """Which field of an index each field of items is read from.

    columns: field -> path. examples: path -> a value. others: paths that become attributes.
    """

    columns: Mapping[str, str]
    examples: Mapping[str, str]
    others: Sequence[str]

    @property
    def option(self) -> str:
        """The proposal as `--columns` takes it."""
        return ",".join(f"{field}={quoted(path)}" for field, path in self.columns.items())

    def lines(self) -> Iterator[str]:
        """Yield the proposal for people."""
        width = max(map(len, self.columns.values()))
        for field, path in self.columns.items():
            yield f"  {field:12} {path:{width}}  {self.examples.get(path, '')}".rstrip()
        if self.others:
            shown = ", ".join(self.others[:10]) + (f" and {len(self.others) - 10:,} more" if len(self.others) > 10 else "")
            yield f"  attributes   {shown}"


def propose_columns(types: Mapping[str, str], sample: Iterable[Mapping[str, Any]], language: str) -> ColumnProposal:
    """Propose a path for each field of items that an index seems to have.

    types: type of each field that has values of its own. sample: rows. language: of the store, which decides between texts in
    several languages. The item_id is the document's.
    """
    filled, examples = _observe(sample)
    paths = list(dict.fromkeys([*filled, *types]))
    paths.sort(key=lambda path: -filled[path])
    columns = {"item_id": ID}
    wanted = [field for field in ITEM_FIELDS if field not in columns]
    flat = {path: normalize_name(path) for path in paths if "." not in path and path != ID}
    exact = {field: field for field in wanted if field in flat}
    left = {path: plain for path, plain in flat.items() if path not in exact}
    found = infer_columns([field for field in wanted if field not in exact], left, item_aliases(flat))
    columns |= exact | dict(found.found)
    for field in wanted:
        if field not in columns and (path := _nested(field, paths, language)) is not None:
            columns[field] = path
    columns = {field: columns[field] for field in ITEM_FIELDS if field in columns}
    taken = set(columns.values())
    return ColumnProposal(columns, examples, [path for path in paths if path not in taken and path != ID])


def row_paths(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a row under their dotted paths; a list of objects gives a list under each."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        with suppress(InvalidValue):  # deeper than anybody reads
            found.update(flatten(name, value))
    return found


def unknown_path(source: str, path: str, names: Collection[str]) -> InputError:
    """Return the error of a column that a source lacks, with those that are most like it."""
    names = sorted(set(names))
    ends: dict[str, list[str]] = {}
    for name in names:
        ends.setdefault(name.rpartition(".")[2].lower(), []).append(name)
    near = difflib.get_close_matches(path, names, n=3, cutoff=0.6)
    near += [name for name in ends.get(path.rpartition(".")[2].lower(), ()) if name not in near]
    meant = f" Did you mean {' or '.join(near[:3])}?" if near else ""
    some = ", ".join(names[:20])
    return InputError(
        f"{source} has no field {path}.{meant}", f"It has {some}{', ...' if len(names) > 20 else ''}. See --columns."
    )


def _observe(sample: Iterable[Mapping[str, Any]]) -> tuple[Counter[str], dict[str, str]]:
    filled: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for row in sample:
        for path, value in row_paths(row).items():
            if value not in (None, "", []):
                filled[path] += 1
                text = " | ".join(map(str, value)) if isinstance(value, list) else str(value)
                examples.setdefault(path, text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")
    return filled, examples


def _nested(field: str, paths: Sequence[str], language: str) -> str | None:
    """Return the path into an object that is a field, the surest of all; None where none is."""
    ranked = [(rank, path) for path in paths if "." in path and (rank := _rank(field, path, language)) is not None]
    return min(ranked, key=lambda each: each[0])[1] if ranked else None


def _rank(field: str, path: str, language: str) -> tuple[int, int] | None:
    """Return how sure it is that a path is a field, the least first; None where it isn't one."""
    *parents, last = map(normalize_name, path.split("."))
    outer = parents[-1]
    if (tier := _tier(field, outer)) is not None and (part := _part(field, last, language)) is not None:
        return tier, part
    if field == "currency" and _tier("price", outer) is not None and last in {"currency", "currencycode", "code"}:
        return 0, 0
    # A whole document in an envelope: product.title.
    named = any(_tier(other, outer) is not None for other in _PARTS)
    tier = _tier(field, last)
    return None if named or tier is None or tier > 1 else (10 + tier, 0)


def _tier(field: str, plain: str) -> int | None:
    tiers = (normalize_name(field), *ITEM_ALIASES.get(field, ()))
    return next((number for number, names in enumerate(tiers) if plain in names.removeprefix("+").split()), None)


def _part(field: str, plain: str, language: str) -> int | None:
    if field in _WITH_LANGUAGE:
        code = _LANGUAGES.get(language, "en")
        if plain == code or (plain.startswith(code) and len(plain) == 4):  # en, enUS
            return 0
        if plain in _LANGUAGES or plain == language:
            return 0 if plain == language else 50
        if plain in _LANGUAGES.values():
            return 40
    parts = _PARTS.get(field, ())
    return 1 + parts.index(plain) if plain in parts else None
