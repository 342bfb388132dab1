"""The words of a question as one query: a weighted sum of clauses, each a way in which an item can speak to the words.

Every clause is a row of CLAUSES, its boost is tuned under the same name (`StoreMeta.lexical`, `tune search`). The text
fields that it reads: `title`, `title.exact` (lower-cased words, not stemmed, no stop words), `title.keyword` (the whole title
as one lower-cased keyword), `all_text` (title, description and every other text, joined), `tags`, `categories`, `brand`,
`description`. A field that an index lacks matches nothing, so nothing breaks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from types import MappingProxyType

from es_recsys.search.filters import Clause

__all__ = ["BOOSTS", "CLAUSES", "FALLBACKS", "lexical_clauses", "lexical_query", "matching", "reached"]

_WORD = re.compile(r"\w+(?:['’]\w+)*", re.UNICODE)
_MAX_WORDS = 16
_MAX_TITLE_WORDS = 8


def _match(field: str) -> Callable[[str], Clause | None]:
    return lambda text: {"match": {field: {"query": text}}}


def _pairs(field: str) -> Callable[[str], Clause | None]:
    """Each two neighbouring words as a phrase: words in order count, without asking for the whole query."""

    def clause(text: str) -> Clause | None:
        words = _words(text)
        pairs = [f"{left} {right}" for left, right in pairwise(words)]
        phrases: list[Clause] = [{"match_phrase": {field: {"query": pair}}} for pair in dict.fromkeys(pairs)]
        return {"bool": {"should": phrases}} if phrases else None

    return clause


def _whole_title(text: str) -> Clause | None:
    """The title is the query, or a run of words in it ("alien 3 trailer" holds the whole of "Alien 3")."""
    words = _words(text)
    runs = [" ".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, min(len(words), i + _MAX_TITLE_WORDS) + 1)]
    whole = text.strip().lower()
    titles = list(dict.fromkeys([whole, *runs]))
    return {"constant_score": {"filter": {"terms": {"title.keyword": titles}}}} if whole else None


def _typos(text: str) -> Clause | None:
    """Words of the title within one or two letters of those asked for; the first letter must be right."""
    return {"match": {"title": {"query": text, "fuzziness": "AUTO:5,9", "prefix_length": 1, "max_expansions": 20}}}


CLAUSES: Mapping[str, Callable[[str], Clause | None]] = MappingProxyType(
    {
        "title": _match("title"),
        "title.exact": _match("title.exact"),
        "title.pairs": _pairs("title.exact"),
        "title.whole": _whole_title,
        "title.typos": _typos,
        "all_text": _match("all_text"),
        "all_text.pairs": _pairs("all_text"),
        "tags": _match("tags.text"),
        "categories": _match("categories.text"),
        "brand": _match("brand.text"),
        "description": _match("description"),
    }
)

BOOSTS: Mapping[str, float] = MappingProxyType(
    {"title": 0.9, "title.pairs": 0.5, "title.whole": 2.0, "title.typos": 0.05, "all_text": 1.0, "tags": 0.3}
)

FALLBACKS = frozenset({"title.typos"})
"""Clauses with a boost so small that they only decide where no other matches; judged queries can't tune them."""


_IN_ALL_TEXT = frozenset({"title", "all_text.pairs", "tags", "categories", "brand", "description"})
"""Clauses whose items `all_text` finds as well."""


def lexical_query(text: str, boosts: Mapping[str, float] | None = None) -> Clause:
    """Weighted sum of the clauses that have a boost; BOOSTS where none are given.

    boosts: clause name -> boost (>= 0). A name that has no row is passed over, so that an index tuned by a later
    version still answers.
    """
    found = [
        {"bool": {"must": [clause], "boost": round(boost, 6)}}
        for name, clause in lexical_clauses(text).items()
        if (boost := _boost(name, boosts)) > 0.0
    ]
    return {"bool": {"should": found}} if found else {"match_none": {}}


def reached(text: str, boosts: Mapping[str, float] | None = None) -> list[Clause]:
    """Clauses that together find every item that `lexical_query` or `matching` finds, for counting: unweighted, and without
    those whose items another finds."""
    all_text = _boost("all_text", boosts) > 0.0
    return [
        clause
        for name, clause in lexical_clauses(text).items()
        if _boost(name, boosts) > 0.0 and not (all_text and name in _IN_ALL_TEXT)
    ] + ([] if all_text else [matching(text)])


def _boost(name: str, boosts: Mapping[str, float] | None) -> float:
    return (boosts or BOOSTS).get(name, 0.0)


def lexical_clauses(text: str) -> dict[str, Clause]:
    """Each clause by itself, for tuning."""
    made = {name: make(text) for name, make in CLAUSES.items()}
    return {name: clause for name, clause in made.items() if clause is not None}


def matching(text: str) -> Clause:
    """What counts as a match: all words where there are one or two, two thirds of them where there are more."""
    return {"match": {"all_text": {"query": text, "minimum_should_match": "2<67%"}}}


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())[:_MAX_WORDS]
