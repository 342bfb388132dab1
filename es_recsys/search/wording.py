"""How the words of a question and those of a short text, such as a title, resemble each other: letters and order, which an
index of words does not tell."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["Wording", "compare", "numbers", "said", "wording"]

_WORD = re.compile(r"\w+", re.UNICODE)
_APOSTROPHES = re.compile(r"['’`]")
_MOST_WORDS = 64


@dataclass(frozen=True, slots=True)
class Wording:
    """words: lower-cased, without accents and apostrophes, in order; distinct: the same as a set."""

    words: tuple[str, ...]
    distinct: frozenset[str]


@lru_cache(maxsize=65_536)
def wording(text: str) -> Wording:
    """The words of a text, 64 at most."""
    plain = text.lower()
    if not plain.isascii():
        plain = "".join(c for c in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(c))
    words = tuple(_WORD.findall(_APOSTROPHES.sub("", plain))[:_MOST_WORDS])
    return Wording(words, frozenset(words))


@lru_cache(maxsize=16_384)
def _grams(words: tuple[str, ...]) -> frozenset[str]:
    """Runs of three letters, a space at each word's begin and end."""
    whole = f" {' '.join(words)} "
    return frozenset(whole[i : i + 3] for i in range(len(whole) - 2))


def compare(question: Wording, text: Wording) -> dict[str, float]:
    """Shares from 0 to 1.

    covered: of the question's words, those in the text; asked: of the text's words, those in the question. letters_covered,
    letters_asked: the same of runs of three letters, which forgive spelling. leading: of the text's words, the first ones
    that the question begins with in that order. run: of the text's words, the longest run that the question has, too. same: 1
    where the words are the same. whole: 1 where all of the text's words stand in the question in a row. words: the text's
    number of words. number: 1 where a number of the text is asked for, -1 where both have numbers but no common one, else 0.
    """
    if not question.words or not text.words:
        return {}
    common = question.distinct & text.distinct
    asked, own = _grams(question.words), _grams(text.words)
    letters = len(asked & own)
    run = _longest_run(question.words, text.words)
    return {
        "covered": len(common) / len(question.distinct),
        "asked": len(common) / len(text.distinct),
        "letters_covered": letters / len(asked),
        "letters_asked": letters / len(own),
        "leading": _leading(question.words, text.words) / len(text.words),
        "run": run / len(text.words),
        "whole": float(run == len(text.words)),
        "same": float(question.words == text.words),
        "words": float(len(text.words)),
        "number": _number(question.words, text.words),
    }


def said(question: Wording, values: Iterable[str]) -> tuple[float, float]:
    """Of the question's words, the share that the values (names, say) hold together; and 1 where a whole value is asked for."""
    if not question.words:
        return 0.0, 0.0
    held: set[str] = set()
    whole = 0.0
    for value in values:
        own = wording(value)
        if question.distinct.isdisjoint(own.distinct):
            continue
        common = question.distinct & own.distinct
        held |= common
        if len(common) == len(own.distinct) and _longest_run(question.words, own.words) == len(own.words):
            whole = 1.0
    return len(held) / len(question.distinct), whole


def numbers(question: Wording) -> frozenset[float]:
    """The whole numbers that are asked for."""
    return frozenset(float(word) for word in question.words if word.isdecimal() and len(word) <= 9)


def _leading(question: Sequence[str], text: Sequence[str]) -> int:
    count = 0
    for left, right in zip(question, text, strict=False):
        if left != right:
            break
        count += 1
    return count


def _longest_run(question: Sequence[str], text: Sequence[str]) -> int:
    places: Mapping[str, list[int]] = _places(question)
    best = 0
    lengths: dict[int, int] = {}
    for word in text:
        lengths = {at: lengths.get(at - 1, 0) + 1 for at in places.get(word, ())}
        best = max(best, max(lengths.values(), default=0))
    return best


def _places(words: Sequence[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for at, word in enumerate(words):
        found.setdefault(word, []).append(at)
    return found


def _number(question: Sequence[str], text: Sequence[str]) -> float:
    asked, own = ({word for word in words if word.isdecimal()} for words in (question, text))
    if not asked or not own:
        return 0.0
    return 1.0 if asked & own else -1.0
