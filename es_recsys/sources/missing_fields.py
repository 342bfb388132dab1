"""What a catalogue lacks although one of its columns looks like it: titles, prices."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from es_recsys.sources.column_aliases import normalize_name
from es_recsys.sources.option_pairs import quoted

__all__ = ["MissingFieldHints"]

_SAMPLE_ROWS = 1_000
_MAX_COLUMNS = 500
_TITLE_NAMES = ("title", "titel", "titre", "name", "nom", "label", "headline")
_PRICE_NAMES = ("price", "preis", "prix", "precio", "prezzo", "cost", "amount")
_CURRENCY = r"(?:[$€£¥₹₽₩]|[A-Z]{3}|Kč|zł|kr\.?)"
_NUMBER = r"[0-9]+(?:[., '’][0-9]{3})*(?:[.,][0-9]{1,2})?"
_AMOUNT = re.compile(_NUMBER)
_MONEY = re.compile(rf"{_CURRENCY}\s?{_NUMBER}|{_NUMBER}\s?{_CURRENCY}")


class MissingFieldHints:
    """Counts titles and prices of all rows, and keeps what the attributes of the first thousand look like."""

    def __init__(self) -> None:
        self._rows = self._titles = self._prices = 0
        self._examples: dict[str, str] = {}
        self._filled: Counter[str] = Counter()
        self._words: Counter[str] = Counter()
        self._amounts: Counter[str] = Counter()
        self._money: Counter[str] = Counter()

    def add(self, fields: Mapping[str, Any], attributes: Mapping[str, Any]) -> None:
        self._rows += 1
        self._titles += "title" in fields
        self._prices += "price" in fields
        if self._rows <= _SAMPLE_ROWS:
            for name, value in attributes.items():
                if isinstance(value, str | int | float) and not isinstance(value, bool):
                    self._look(name, str(value).strip())

    def notes(self, column: Callable[[str], str], left_out: Collection[str] = ()) -> Iterator[str]:
        """Yield what lacks, and how to say where it is.

        column: name of an attribute -> its name in the files. left_out: fields that nobody wants.
        """
        if "title" not in left_out and not self._titles and (name := self._like_title()) is not None:
            yield self._note("No item has a title", "title", name, column(name))
        if "price" not in left_out and self._prices * 2 < self._rows and (name := self._like_price()) is not None:
            share = f"Only {self._prices:,} of {self._rows:,} items have a price" if self._prices else "No item has a price"
            yield self._note(share, "price", name, column(name))

    def _look(self, name: str, text: str) -> None:
        if not text or (name not in self._filled and len(self._filled) >= _MAX_COLUMNS):
            return
        self._examples.setdefault(name, text[:60])
        self._filled[name] += 1
        self._words[name] += any(letter.isalpha() for letter in text) and "://" not in text and len(text) <= 300
        self._amounts[name] += _AMOUNT.fullmatch(text) is not None
        self._money[name] += _MONEY.fullmatch(text) is not None

    def _like_title(self) -> str | None:
        """Return a column of words, one with a telling name first."""
        worded = [name for name, count in self._filled.items() if self._words[name] >= 0.9 * count]
        named = [name for name in worded if any(word in normalize_name(name) for word in _TITLE_NAMES)]
        return next(iter((*named, *worded)), None)

    def _like_price(self) -> str | None:
        """Return a column of amounts with a telling name, or of amounts with a currency."""
        for name, count in self._filled.items():
            named = any(word in normalize_name(name) for word in _PRICE_NAMES)
            amounts = self._amounts[name] + self._money[name]
            if self._money[name] >= 0.8 * count or (named and amounts >= 0.8 * count):
                return name
        return None

    def _note(self, what: str, field: str, name: str, column: str) -> str:
        return f"{what}. Is it in `{column}` (such as {self._examples[name]!r})? --columns '{field}={quoted(column)}' says so."
