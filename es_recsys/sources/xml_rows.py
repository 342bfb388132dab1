"""Feeds in XML, RSS or Atom: an object for each `item`, `entry` or `product`. Memory is that of one of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from xml.parsers import expat

from es_recsys.sources.input_files import MAX_LINE, NumberedLine
from es_recsys.sources.row_errors import OnRowError, RowError

__all__ = ["xml_rows"]

_ROWS = frozenset({"item", "entry", "product"})

Values = dict[str, Any]


def xml_rows(lines: Iterable[NumberedLine], report: OnRowError, charset: str | None = None) -> Iterator[tuple[int, Values]]:
    """Yield line number and values of each item of a feed.

    Names are without their namespaces (`g:image_link` is `image_link`); an element that comes again makes a list, one with
    elements inside it an object, and one with an `href` alone is that. What isn't XML from some line on goes to `report`, and
    so does a document type: its entities could stand for anything. charset: of the lines, whatever the document says; None for
    what it says.
    """
    reader = _Reader(charset)
    number = 0
    try:
        for number, line in lines:
            if line is None:
                report(RowError(number, "", f"is longer than {MAX_LINE >> 20} MiB", None))
                return
            reader.parser.Parse(line)
            yield from reader.take()
        reader.parser.Parse(b"", True)
    except expat.ExpatError as error:
        report(RowError(error.lineno, "", f"is not XML: {expat.ErrorString(error.code)}", None))
    except _DocumentType:
        report(RowError(number, "", "has a document type, which a feed has no use for", None))


class _DocumentType(Exception):
    """The document defines entities of its own, or may."""


class _Reader:
    """Collects what expat tells of one item at a time."""

    def __init__(self, charset: str | None) -> None:
        self.parser = expat.ParserCreate(charset, namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._refuse
        self._open: list[tuple[str, Values, list[str]]] = []
        self._begun = 0
        self._done: list[tuple[int, Values]] = []

    def take(self) -> list[tuple[int, Values]]:
        """Return the items that are whole, once each."""
        done, self._done = self._done, []
        return done

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        plain = name.rpartition(" ")[2]
        if not self._open:
            if plain not in _ROWS:
                return
            self._begun = self.parser.CurrentLineNumber
        text = [attributes["href"]] if "href" in attributes else []
        self._open.append((plain, {}, text))

    def _end(self, _name: str) -> None:
        if not self._open:
            return
        name, values, texts = self._open.pop()
        if not self._open:
            self._done.append((self._begun, values))
            return
        _add(self._open[-1][1], name, values or "".join(texts).strip())

    def _text(self, text: str) -> None:
        if self._open:
            self._open[-1][2].append(text)

    def _refuse(self, *_: Any) -> None:
        raise _DocumentType


def _add(values: Values, name: str, value: Any) -> None:
    if name not in values:
        values[name] = value
    elif isinstance(values[name], list):
        values[name].append(value)
    else:
        values[name] = [values[name], value]
