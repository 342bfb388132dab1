"""Which values stand for nothing. Databases, pandas, R, spreadsheets and trackers each have a word for it."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

__all__ = ["NULL_WORDS", "NullWordInference", "is_null", "is_null_label", "is_null_text", "stripped", "words"]


def words(text: str) -> frozenset[str]:
    """Return the words between blanks as a set."""
    return frozenset(text.split())


NULL_WORDS = words(
    "null (null) [null] <null> none <none> nan <nan> nat <nat> na n/a n.a. n.a #n/a #na #null! #value! #ref! <na> nil"
    " undefined (undefined) \\n \\\\n (none) (empty) (blank) (missing) - -- --- – — ? . -nan"
) | {"(not set)", "(not provided)", "not set", "(no genres listed)"}
"""In lower case: what means nothing where an id, a number, a time or a flag is wanted."""

# Nobody calls a thing so; only programs write it. Exact spellings: "Nan" is a bread and "Null" a family.
_NULL_TEXTS = words(
    "NULL null (null) (NULL) [NULL] [null] <NULL> <null> nan NaN <NA> NaT <NaT> #N/A #NA #NULL! #VALUE! #REF! N/A n/a"
    " undefined \\N \\\\N - -- --- – —"
) | {"(not set)", "(not provided)", "(no genres listed)"}
_NULL_LABELS = frozenset({"none", "nil"})
_INVISIBLE = "\ufeff\u200b\u2060"
_LONGEST_NULL = max(map(len, NULL_WORDS))
_WHITESPACE = frozenset(letter for code in range(0x3001) if (letter := chr(code)).isspace()) | frozenset(_INVISIBLE)
# Most values are told by their first or last letter.
_FIRST_CHARACTERS = _WHITESPACE | {letter for word in NULL_WORDS for letter in (word[0], word[0].upper())}
_LAST_CHARACTERS = _WHITESPACE | {letter for word in NULL_WORDS for letter in (word[-1], word[-1].upper())}
_FIRST_CHARACTERS_OF_TEXT = _WHITESPACE | {word[0] for word in _NULL_TEXTS}
_LAST_CHARACTERS_OF_TEXT = _WHITESPACE | {word[-1] for word in _NULL_TEXTS}
_NEVER_NULL_TYPES = frozenset({int, bool, dict, list})
_CODE = re.compile("[A-Z]{2}")


def stripped(text: str) -> str:
    """Return the text without blanks at its ends, the invisible ones (a byte order mark, a zero-width space) among them."""
    text = text.strip()
    return text if text.isascii() else text.strip(_INVISIBLE).strip()


def is_null(value: Any) -> bool:
    """Return whether a value means nothing where an id, a number, a time or a flag is wanted.

    That is None, NaN, NaT, a blank text, or one of MISSING_WORDS in any case.
    """
    if isinstance(value, str):
        if value and (value[0] not in _FIRST_CHARACTERS or value[-1] not in _LAST_CHARACTERS):
            return False
        text = stripped(value)
        return not text or (len(text) <= _LONGEST_NULL and text.lower() in NULL_WORDS)
    return _is_null_object(value)


def is_null_text(value: Any) -> bool:
    """Return whether a value means nothing where a text is wanted: as `is_null`, but only for words that no text can be.

    A title may be "None" and a brand "NA"; `NullWordInference` decides those by the whole column.
    """
    if isinstance(value, str):
        if value and (value[0] not in _FIRST_CHARACTERS_OF_TEXT or value[-1] not in _LAST_CHARACTERS_OF_TEXT):
            return False
        text = stripped(value)
        return not text or (len(text) <= _LONGEST_NULL and text in _NULL_TEXTS)
    return _is_null_object(value)


def is_null_label(text: str) -> bool:
    """Return the same as `is_null_text`, for what things are filed under: "None" and "nil" are no category and no tag."""
    return is_null_text(text) or stripped(text).lower() in _NULL_LABELS


def _is_null_object(value: Any) -> bool:
    if value is None:
        return True
    if type(value) in _NEVER_NULL_TYPES:
        return False
    if isinstance(value, float):
        return value != value
    # pandas.NA and pandas.NaT can't be compared; decimal and numpy have a NaN of their own.
    if type(value).__name__ in {"NAType", "NaTType"}:
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError, ArithmeticError):
        return False


class NullWordInference:
    """Counts the words in one column of texts that may stand for nothing or be meant ("None", "NA").

    Such a word means nothing where two lines or more have it; a single one is a text. "NA" is a text in a column of
    codes of two capitals, where it is Namibia. named: whether the texts are what things are called, as titles are; in
    others "None" and "nil" mean nothing even once.
    """

    __slots__ = ("_codes", "_named", "_others", "_words")

    def __init__(self, *, named: bool = True) -> None:
        self._named = named
        self._words: dict[str, int] = {}
        self._codes = self._others = 0

    def add(self, value: Any) -> None:
        if not isinstance(value, str):
            return
        if len(value) == 2 and value != "NA" and _CODE.fullmatch(value):
            self._codes += 1
        elif not is_null(value):
            self._others += 1
        elif not is_null_text(value):
            text = stripped(value)
            self._words[text] = self._words.get(text, 0) + 1

    def infer(self) -> Collection[str]:
        """Return the words that stand for nothing in this column."""
        codes = self._codes > 9 * self._others
        return frozenset(
            word
            for word, count in self._words.items()
            if (count > 1 or (not self._named and word.lower() in _NULL_LABELS)) and not (codes and word == "NA")
        )
