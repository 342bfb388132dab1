"""How similar a query and a short text, such as a title, are by words, letters and order, which BM25 does not see."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["Words", "match_text", "numbers_in", "split_words", "value_overlap"]

_WORD = re.compile(r"\w+", re.UNICODE)
_APOSTROPHES = re.compile(r"['’`]")
_MAX_WORDS = 64


@dataclass(frozen=True, slots=True)
class Words:
    """words: lower-cased, without accents and apostrophes, in order; distinct: the same as a set."""

    words: tuple[str, ...]
    distinct: frozenset[str]


@lru_cache(maxsize=65_536)
def split_words(text: str) -> Words:
    """Split a text into its words, 64 at most."""
    plain = text.lower()
    if not plain.isascii():
        plain = "".join(c for c in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(c))
    words = tuple(_WORD.findall(_APOSTROPHES.sub("", plain))[:_MAX_WORDS])
    return Words(words, frozenset(words))


@lru_cache(maxsize=16_384)
def _trigrams(words: tuple[str, ...]) -> frozenset[str]:
    """Return the runs of three letters, a space at each word's begin and end."""
    whole = f" {' '.join(words)} "
    return frozenset(whole[i : i + 3] for i in range(len(whole) - 2))


def match_text(query: Words, text: Words) -> dict[str, float]:
    """Return aspects of similarity, shares from 0 to 1; none where either is empty.

    query_coverage: of the query's words, those in the text; text_coverage: of the text's words, those in the query.
    trigram_query_coverage, trigram_text_coverage: the same of runs of three letters, which forgive spelling. shared_prefix: of
    the text's words, the first ones that the query begins with in that order. longest_run: of the text's words, the longest run
    that the query has, too. equal: 1 where the words are the same. contained: 1 where all of the text's words stand in the query
    in a row. words: the text's number of words. number: 1 where both have a number in common, -1 where both have numbers but
    none in common, else 0.
    """
    if not query.words or not text.words:
        return {}
    common = query.distinct & text.distinct
    query_trigrams, text_trigrams = _trigrams(query.words), _trigrams(text.words)
    trigrams = len(query_trigrams & text_trigrams)
    run = _longest_run(query.words, text.words)
    return {
        "query_coverage": len(common) / len(query.distinct),
        "text_coverage": len(common) / len(text.distinct),
        "trigram_query_coverage": trigrams / len(query_trigrams),
        "trigram_text_coverage": trigrams / len(text_trigrams),
        "shared_prefix": _shared_prefix(query.words, text.words) / len(text.words),
        "longest_run": run / len(text.words),
        "contained": float(run == len(text.words)),
        "equal": float(query.words == text.words),
        "words": float(len(text.words)),
        "number": _number(query.words, text.words),
    }


def value_overlap(query: Words, values: Iterable[str]) -> tuple[float, float]:
    """Return the share of the query's words that the values (names, say) hold together; and 1 where it has a whole value."""
    if not query.words:
        return 0.0, 0.0
    held: set[str] = set()
    whole = 0.0
    for value in values:
        own = split_words(value)
        if query.distinct.isdisjoint(own.distinct):
            continue
        common = query.distinct & own.distinct
        held |= common
        if len(common) == len(own.distinct) and _longest_run(query.words, own.words) == len(own.words):
            whole = 1.0
    return len(held) / len(query.distinct), whole


def numbers_in(query: Words) -> frozenset[float]:
    """Return the whole numbers among the words."""
    return frozenset(float(word) for word in query.words if word.isdecimal() and len(word) <= 9)


def _shared_prefix(query: Sequence[str], text: Sequence[str]) -> int:
    count = 0
    for left, right in zip(query, text, strict=False):
        if left != right:
            break
        count += 1
    return count


def _longest_run(query: Sequence[str], text: Sequence[str]) -> int:
    positions: Mapping[str, list[int]] = _positions(query)
    best = 0
    lengths: dict[int, int] = {}
    for word in text:
        lengths = {at: lengths.get(at - 1, 0) + 1 for at in positions.get(word, ())}
        best = max(best, max(lengths.values(), default=0))
    return best


def _positions(words: Sequence[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for at, word in enumerate(words):
        found.setdefault(word, []).append(at)
    return found


def _number(query: Sequence[str], text: Sequence[str]) -> float:
    asked, own = ({word for word in words if word.isdecimal()} for words in (query, text))
    if not asked or not own:
        return 0.0
    return 1.0 if asked & own else -1.0
