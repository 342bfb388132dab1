"""What stands between the cells of a line: one character, several, or a run of blanks; given, or guessed from the first lines."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from es_recsys.errors import InputError

__all__ = ["BLANKS", "Separator", "guess_separator", "parse_separator", "parse_separator_line", "split_lines"]

BLANKS = "blanks"
"""Name of the separator that is a run of spaces and tabs."""

# The csv module takes one character. A longer separator becomes this one, which no decoded text can hold: of the
# surrogates, decoding with surrogateescape makes only U+DC80 to U+DCFF.
_PLACEHOLDER = "\ud800"
_NAMES = {
    "tab": "\t",
    "\\t": "\t",
    "comma": ",",
    "semicolon": ";",
    "pipe": "|",
    "space": " ",
    "\\s+": BLANKS,
    "whitespace": BLANKS,
    BLANKS: BLANKS,
}
_CANDIDATES = ("|||", "||", "::", ",", "\t", ";", "|", "\x01")
_BARS = ("||", "|||")
_LABELS = {"\t": "a tab", BLANKS: "runs of blanks", " ": "a space", "\x01": "\\x01"}
_BETWEEN_QUOTED = re.compile(r'((?<![^ \t])"(?:[^"]|"")*"(?![^ \t\r\n]))|[ \t]+')
_SEPARATOR_LINE = re.compile(r'"?sep=(?P<separator>[^"\r\n]+)"?[\r\n]*', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Separator:
    """text: as a person writes it, or BLANKS. delimiter: what the csv module gets, after `prepare` has seen each line."""

    text: str

    @property
    def delimiter(self) -> str:
        return self.text if len(self.text) == 1 else _PLACEHOLDER

    @property
    def prepare(self) -> Callable[[str], str] | None:
        """What becomes of a line before the csv module reads it; None for nothing."""
        if len(self.text) == 1:
            return None
        return _join_blanks if self.text == BLANKS else self._replace

    def restore(self, cells: list[str]) -> list[str]:
        """Return the cells as they were in the file: within quotes a separator is text."""
        return [cell.replace(_PLACEHOLDER, self.text) if _PLACEHOLDER in cell else cell for cell in cells]

    def split(self, line: str) -> list[str]:
        """Return the cells of a line in which quotes mean nothing."""
        text = line.rstrip("\r\n")
        return text.split() if self.text == BLANKS else text.split(self.text)

    def __str__(self) -> str:
        return _LABELS.get(self.text, repr(self.text))

    def _replace(self, line: str) -> str:
        return line.replace(self.text, _PLACEHOLDER)


def parse_separator(text: str) -> Separator:
    """Parse a separator: characters, or a name: `tab`, `\\t`, `comma`, `semicolon`, `pipe`, `space`, `blanks`."""
    text = _NAMES.get(text.strip().lower() if len(text) > 1 else text, text)
    if not text or any(character in '"\r\n\0' or "\ud800" <= character <= "\udfff" for character in text):
        raise InputError(
            f"The separator {text!r} can't be used: it is one or more characters other than a quote or a line end.",
            "Give one such as --separator ';', --separator :: or --separator tab.",
        )
    return Separator(text)


def parse_separator_line(line: str) -> Separator | None:
    """Parse a first line `sep=;`, as Excel writes it; None for another line."""
    found = _SEPARATOR_LINE.fullmatch(line)
    return parse_separator(found["separator"]) if found else None


def guess_separator(lines: Sequence[str]) -> Separator:
    """Guess the separator by which the first line has cells and most of the others have as many; a comma where none has.

    Quotes are heeded, so that a comma in a name counts for nothing.
    """
    best, best_key = Separator(","), (-1.0, False, 0)
    for text in _CANDIDATES:
        separator = Separator(text)
        widths = [_width(cells) for cells in split_lines(lines, separator) if cells]
        if not widths or widths[0] < 2 or (text in _BARS and not _only_in_runs(text, lines)):
            continue
        key = (_agreement(widths), len(text) > 1, widths[0])
        if key > best_key:
            best, best_key = separator, key
    return best if best_key[2] else _blanks_or_comma(lines)


def split_lines(lines: Iterable[str], separator: Separator, *, strict: bool = False) -> list[list[str]]:
    """Return the records of some lines; none at all where they can't be read. strict: a quote must stand where quotes belong."""
    prepare = separator.prepare
    prepared = (line if prepare is None else prepare(line) for line in lines)
    try:
        return [separator.restore(cells) for cells in csv.reader(prepared, delimiter=separator.delimiter, strict=strict)]
    except csv.Error:
        return []


def _width(cells: list[str]) -> int:
    width = len(cells)
    while width and not cells[width - 1]:
        width -= 1
    return width


def _agreement(widths: Sequence[int]) -> float:
    # Empty cells at the end are no cells here, so a line may have fewer; tenths, so that noise decides nothing.
    rest = widths[1:]
    return round(sum(1 < width <= widths[0] for width in rest) / len(rest), 1) if rest else 1.0


def _only_in_runs(text: str, lines: Sequence[str]) -> bool:
    """Return whether its character comes only in that number: `a||b` of a table with bars has an empty cell."""
    runs = re.findall(re.escape(text[0]) + "+", "".join(lines))
    return all(len(run) == len(text) for run in runs)


def _blanks_or_comma(lines: Sequence[str]) -> Separator:
    filled = [line for line in lines if line.strip()]
    widths = {len(line.split()) for line in filled}
    quoted = any('"' in line for line in filled)
    return Separator(BLANKS if len(filled) > 1 and len(widths) == 1 and widths.pop() > 1 and not quoted else ",")


def _join_blanks(line: str) -> str:
    text = line.rstrip("\r\n")
    end = line[len(text) :]
    return _BETWEEN_QUOTED.sub(lambda found: found[1] or _PLACEHOLDER, text.strip(" \t")) + end
