"""HTML -> the text that a person would read. What is no HTML stays as it is: "a < b", "<3", "R&D"."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

from es_recsys.values.nulls import words

__all__ = ["html_to_text"]

_BLOCK_TAGS = words(
    "address article aside blockquote body br caption center dd details dialog div dl dt fieldset figcaption figure footer form"
    " h1 h2 h3 h4 h5 h6 head header hr html iframe legend li link main meta nav ol optgroup option p pre section select summary"
    " table tbody td textarea tfoot th thead title tr ul video"
)
_INLINE_TAGS = words(
    "a abbr acronym audio b base bdi bdo big button canvas center cite code col colgroup data del dfn em embed font i img input"
    " ins kbd label map mark meter noscript object param picture progress q rp rt ruby s samp script small source span"
    " strike strong style sub sup svg template time track tt u var wbr"
)
_TAGS = _BLOCK_TAGS | _INLINE_TAGS
_INVISIBLE_TAGS = frozenset({"script", "style", "template", "head", "svg"})
_ONE_LETTER_TAGS = words("a b i p q s u")

_TAG = re.compile(r"</?(?:" + "|".join(sorted(_TAGS)) + r")(?=[\s/>])[^<]*>|<!--|<!\[CDATA\[|<!doctype ", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_LOOKS_LIKE_HTML = re.compile(r"^\s*<[a-z][^<]*>|</(?:p|div|ul|ol|li|table|span|strong|b|h[1-6])>|<br\s*/?>", re.IGNORECASE)
_CDATA = re.compile(r"<!\[CDATA\[|\]\]>", re.IGNORECASE)
_WHITESPACE = re.compile(r"[^\S\n]+")
_LINE_BREAKS = re.compile(r" ?\n[ \n]*")


def html_to_text(text: str, *, lines: bool = True) -> str:
    """Return a text without tags, comments, scripts and styles; entities as the characters that they stand for.

    lines: whether a tag of a block (p, div, li, br, ...) ends a line, else it is a blank. A text without a tag of HTML or an
    entity comes back unchanged; tags that HTML has not are text.
    """
    if "<" not in text:
        if "&" not in text or not _ENTITY.search(text):
            return text
        text = _unescape(text)
        # Some exports escape the whole of their HTML once more.
        return _strip_tags(text, lines) if "<" in text and _TAG.search(text) and _LOOKS_LIKE_HTML.search(text) else text
    if not _TAG.search(text):
        return _unescape(text) if "&" in text else text
    return _strip_tags(text, lines)


def _unescape(text: str) -> str:
    return _ENTITY.sub(lambda found: html.unescape(found[0]), text).replace("\u00a0", " ")


def _strip_tags(text: str, lines: bool) -> str:
    parser = _TextExtractor()
    parser.feed(_CDATA.sub("", text))
    parser.close()
    plain = _LINE_BREAKS.sub("\n", _WHITESPACE.sub(" ", _unescape("".join(parser.parts)))).strip()
    return plain if lines else plain.replace("\n", " ")


class _TextExtractor(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.parts: list[str] = []
        self._hidden: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # "if a<b then c>d" has no tag in it.
        if tag not in _TAGS or (tag in _ONE_LETTER_TAGS and attrs and all(value is None for _, value in attrs)):
            self.handle_data(self.get_starttag_text() or "")
        elif tag in _INVISIBLE_TAGS:
            self._hidden.append(tag)
        elif tag in _BLOCK_TAGS:
            self.handle_data("\n")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _TAGS:
            self.handle_data(self.get_starttag_text() or "")
        elif tag in _BLOCK_TAGS:
            self.handle_data("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._hidden:
            del self._hidden[self._hidden.index(tag) :]
        elif tag in _BLOCK_TAGS:
            self.handle_data("\n")
        elif tag not in _TAGS:
            self.handle_data(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)

    def handle_entityref(self, name: str) -> None:
        self.handle_data(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.handle_data(f"&#{name};")
