"""The text query: a weighted sum of clauses, each one way in which an item can match the text.

Every clause is a row of CLAUSES; its boost is tuned under the same name (`IndexMetadata.text_boosts`, `tune search`). The text
fields: `title`, `title.exact` (lower-cased words, not stemmed, no stop words), `title.keyword` (the whole title as one
lower-cased keyword), `all_text` (title, description and every other text, joined), `tags`, `categories`, `brand`,
`description`; `names` (title, categories, tags and brand) as `names.joined`, `names.ends` and `names.heads` (see
`index.analysis`); `codes` (ids and attributes, letters and digits alone) and `item_id`. A field that an index lacks matches
nothing.

Who asks for a category, a brand, a tag, an author or an attribute by its whole name ("drama", "Ursula K. Le Guin") means all that
have it. How often its words stand in a text says little then, so what has the name scores nearly alike, above what merely
mentions it, and what is popular and what the person likes can decide.

A code that was typed or scanned is the most precise query there is. It is any run of the query's words that has a digit and is,
with nothing but letters and digits, all of a code: "a 1234 b", "A-1234/B" and "A1234B" are one. A number of few digits is one
only where nothing else is asked for, and weighs less: in "alien 3" the 3 is no id.

In a store that mixes languages an item has its title and `all_text` in the fields of its own language
(`by_language.title.german`, see `index.item_languages`). A query is asked of each language's field, as that language reads it,
and the best counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import pairwise
from types import MappingProxyType

from es_recsys.search.query_dsl import Clause

__all__ = [
    "ALWAYS_ON",
    "BOOSTS",
    "CLAUSES",
    "CONSTANT",
    "UNTUNED",
    "USUAL",
    "TextMatching",
    "codes",
    "lexical_clauses",
    "lexical_query",
    "match_query",
    "matching_clauses",
]

_TEXTS = 2_000
_WORD = re.compile(r"\w+(?:['’]\w+)*", re.UNICODE)
_MAX_WORDS = 16
_MAX_TITLE_WORDS = 8

_PARTS = re.compile(r"[^\W_]+", re.UNICODE)
_PUNCTUATION = re.compile(r"[\W_]+", re.UNICODE)
_MAX_CODE_WORDS = 5
_MAX_CODE_LENGTH = 64
_MIN_NUMBER_DIGITS = 5
_SHORT_NUMBER_WEIGHT = 0.15
_MIN_CODE_DIGITS = 3
_CHARACTERS = re.compile(r"[\u3041-\u3096\u30a1-\u30fa\u3400-\u9fff\uf900-\ufaff]")
_MIN_PART_DIGITS = 3
_MAX_NAME_LENGTH = 100
_NAMES = ("categories", "brand", "tags", "author")
_MOST_WORDS = "2<67%"


def _match(field: str) -> Callable[[str], Clause]:
    return lambda text: {"match": {field: {"query": text}}}


def _match_by_language(part: str, **options: str | int) -> Callable[[str], Clause]:
    """Match a text in the fields of all languages; Elasticsearch finds those that there are."""
    fields = [f"by_language.{part}.*"]
    return lambda text: {"multi_match": {"query": text, "fields": fields, "type": "best_fields", **options}}


def _pairs(field: str) -> Callable[[str], Clause | None]:
    """Match each two neighbouring words as a phrase: word order counts without asking for the whole query."""

    def clause(text: str) -> Clause | None:
        words = _words(text)
        pairs = [f"{left} {right}" for left, right in pairwise(words)]
        phrases: list[Clause] = [{"match_phrase": {field: {"query": pair}}} for pair in dict.fromkeys(pairs)]
        return {"bool": {"should": phrases}} if phrases else None

    return clause


def _whole_title(text: str) -> Clause | None:
    """Match titles that are the query, or a run of words in it ("alien 3 trailer" holds the whole of "Alien 3")."""
    words = _words(text)
    runs = [" ".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, min(len(words), i + _MAX_TITLE_WORDS) + 1)]
    whole = _lower(text.strip())
    titles = list(dict.fromkeys([whole, *runs]))
    return {"constant_score": {"filter": {"terms": {"title.keyword": titles}}}} if whole else None


def _title_itself(text: str) -> Clause | None:
    """Match titles that are the query and nothing else."""
    whole = _lower(text.strip())
    return {"constant_score": {"filter": {"term": {"title.keyword": whole}}}} if whole else None


def _whole_name(text: str) -> Clause | None:
    """Match items of which the query is a whole category, brand, tag, author or attribute, whatever its case."""
    whole = text.strip()
    if not whole or len(whole) > _MAX_NAME_LENGTH:
        return None
    names: list[Clause] = [{"term": {field: {"value": whole, "case_insensitive": True}}} for field in _NAMES]
    if not any(map(str.isdigit, whole)):  # else it may be a code, which weighs by itself
        names.append({"term": {"codes": whole}})
    return {"constant_score": {"filter": {"bool": {"should": names}}}}


def _typos(text: str, *, mixed: bool = False) -> Clause | None:
    """Match title words within one or two letters of the query's; the first letter must be right.

    A Chinese or Japanese word is too short for that: there a title has all but one of three characters, or six of ten.
    """
    allowed: dict[str, str | int] = {"fuzziness": "AUTO:5,9", "prefix_length": 1, "max_expansions": 20}
    near = _match_by_language("title", **allowed)(text) if mixed else {"match": {"title": {"query": text, **allowed}}}
    if not _CHARACTERS.search(text):
        return near
    most: Clause = {"match": {"title.exact": {"query": text, "minimum_should_match": "2<60%"}}}
    return {"bool": {"should": [near, most]}}


def _every_word(text: str) -> Clause | None:
    """Match titles that have all the words as they stand, so that "the who", which is stop words, finds its title."""
    return {"match": {"title.exact": {"query": text, "operator": "and"}}}


def _codes(text: str) -> Clause | None:
    queries: list[Clause] = [{"term": {"codes": {"value": code, "boost": weight}}} for code, weight in codes(text).items()]
    if whole := text.strip():
        queries.append({"term": {"item_id": {"value": whole, "case_insensitive": True}}})
    return {"dis_max": {"queries": queries}} if queries else None


def _joined(text: str, *, mixed: bool = False) -> Clause | None:
    """Match what the catalogue writes as two or three words and the query as one, or the other way round.

    wifi, Wi-Fi; 256 GB, 256GB; GSR 18V-28, GSR18V28.
    """
    all_text = _MIXED["all_text"] if mixed else CLAUSES["all_text"]
    words = _PARTS.findall(text.lower())[:_MAX_WORDS]
    threes = ("".join(three) for three in zip(words, words[1:], words[2:], strict=False))
    joined = dict.fromkeys([*map("".join, pairwise(words)), *(three for three in threes if any(map(str.isdigit, three)))])
    ways = [_match("names.joined")(text), *([all_text(" ".join(joined))] if joined else [])]
    return {"bool": {"should": ways}} if text.strip() else None


def _ends(text: str, *, mixed: bool = False) -> Clause | None:
    """Match words that end as a word of the query does, and what such a word ends in.

    "Schuhe" finds "Laufschuhe", and "Laufschuhe" "Schuhe zum Laufen".
    """
    if mixed:
        return {"multi_match": {"query": text, "fields": ["by_language.ends.*", "by_language.heads.*"]}}
    return {"dis_max": {"queries": [_match("names.ends")(text), _match("names.heads")(text)]}}


def _parts_of_ids(text: str) -> Clause | None:
    words = [word for word in _words(text) if any(map(str.isdigit, word))]
    parts = [word for word in words if len(word) >= (_MIN_PART_DIGITS if word.isdigit() else 2)]
    return {"match": {"item_id.parts": {"query": " ".join(parts)}}} if parts else None


CLAUSES: Mapping[str, Callable[[str], Clause | None]] = MappingProxyType(
    {
        "title": _match("title"),
        "title.exact": _match("title.exact"),
        "title.pairs": _pairs("title.exact"),
        "title.whole": _whole_title,
        "title.itself": _title_itself,
        "title.typos": _typos,
        "title.all": _every_word,
        "names.itself": _whole_name,
        "codes": _codes,
        "codes.parts": _parts_of_ids,
        "names.joined": _joined,
        "names.ends": _ends,
        "all_text": _match("all_text"),
        "all_text.pairs": _pairs("all_text"),
        "tags": _match("tags.text"),
        "categories": _match("categories.text"),
        "brand": _match("brand.text"),
        "description": _match("description"),
    }
)

_MIXED: Mapping[str, Callable[[str], Clause | None]] = MappingProxyType(
    {
        "title": _match_by_language("title"),
        "title.typos": partial(_typos, mixed=True),
        "names.joined": partial(_joined, mixed=True),
        "names.ends": partial(_ends, mixed=True),
        "all_text": _match_by_language("all_text"),
    }
)
"""Clauses of a store that mixes languages, in place of those of the same names. The others read words as they stand."""

BOOSTS: Mapping[str, float] = MappingProxyType(
    {
        "title": 0.9,
        "title.pairs": 0.5,
        "title.whole": 2.0,
        "title.itself": 20.0,
        "title.typos": 0.05,
        "title.all": 0.05,
        "names.itself": 10.0,
        "codes": 3.0,
        "codes.parts": 0.05,
        "names.joined": 0.3,
        "names.ends": 0.05,
        "all_text": 1.0,
        "tags": 0.3,
    }
)

ALWAYS_ON = frozenset({"title.itself", "title.all", "names.itself", "codes", "codes.parts", "names.joined", "names.ends"})
"""Clauses that keep their boost whatever tuning chose: they match where others don't, which judged queries seldom show."""

CONSTANT = frozenset({"title.whole", "title.itself", "names.itself"})
"""Clauses that score their boost, however many words match."""

UNTUNED = ALWAYS_ON | {"title.typos"}
"""Clauses whose boost judged queries can't tune."""

_IN_ALL_TEXT = frozenset({"title", "names.itself", "all_text.pairs", "tags", "categories", "brand", "description"})
"""Clauses whose items `all_text` finds, too; of a store that mixes languages only the title, which has the same stop words."""


@dataclass(frozen=True, slots=True)
class TextMatching:
    """How a store matches texts.

    tuned: clause name -> boost (>= 0), as tuning chose them; BOOSTS where it is empty. A name that has no row is passed over, so
    that an index tuned by a later version still answers. mixed: whether the store mixes languages.
    """

    tuned: Mapping[str, float] = field(default_factory=dict)
    mixed: bool = False

    @property
    def boosts(self) -> Mapping[str, float]:
        """The boosts that are in force; clauses that are not named have none."""
        return {**(self.tuned or BOOSTS), **{name: BOOSTS[name] for name in ALWAYS_ON}}


USUAL = TextMatching()
"""How a store in one language matches texts until it is tuned."""


def lexical_query(text: str, matching: TextMatching = USUAL) -> Clause:
    """Return the weighted sum of the clauses that have a boost. Not to be altered."""
    return _lexical_query(text, tuple(matching.tuned.items()), matching.mixed)


@lru_cache(_TEXTS)
def _lexical_query(text: str, tuned: tuple[tuple[str, float], ...], mixed: bool) -> Clause:
    matching = TextMatching(dict(tuned), mixed)
    boosts = matching.boosts
    found = [
        {"bool": {"must": [clause], "boost": round(boost, 6)}}
        for name, clause in lexical_clauses(text, matching).items()
        if (boost := boosts.get(name, 0.0)) > 0.0
    ]
    return {"bool": {"should": found}} if found else {"match_none": {}}


def matching_clauses(text: str, matching: TextMatching = USUAL) -> list[Clause]:
    """Return clauses that together find every item that `lexical_query` or `match_query` finds, for counting.

    They are unweighted, and without those whose items another finds.
    """
    boosts = matching.boosts
    all_text = boosts.get("all_text", 0.0) > 0.0
    among = {"title"} if matching.mixed else _IN_ALL_TEXT
    return [
        clause
        for name, clause in lexical_clauses(text, matching).items()
        if boosts.get(name, 0.0) > 0.0 and not (all_text and name in among)
    ] + ([] if all_text else [match_query(text, matching)])


def lexical_clauses(text: str, matching: TextMatching = USUAL) -> dict[str, Clause]:
    """Return clause name -> clause, each by itself."""
    made = {name: (_MIXED.get(name, make) if matching.mixed else make)(text) for name, make in CLAUSES.items()}
    return {name: clause for name, clause in made.items() if clause is not None}


def match_query(text: str, matching: TextMatching = USUAL) -> Clause:
    """Return the clause for what counts as a match: all words of one or two, two thirds of more."""
    if matching.mixed:
        return _match_by_language("all_text", minimum_should_match=_MOST_WORDS)(text)
    return {"match": {"all_text": {"query": text, "minimum_should_match": _MOST_WORDS}}}


def codes(text: str) -> dict[str, float]:
    """Return what of the text may be a code, letters and digits alone -> its weight."""
    words = [word for each in text.split() if (word := _PUNCTUATION.sub("", each))][:_MAX_WORDS]
    found: dict[str, float] = {}
    for i in range(len(words)):
        for j in range(i + 1, min(len(words), i + _MAX_CODE_WORDS) + 1):
            code = "".join(words[i:j])
            weight = _weight_of_code(code, one_word=j == i + 1, whole=j - i == len(words))
            if weight > 0.0:
                found[code] = max(weight, found.get(code, 0.0))
    return found


def _weight_of_code(code: str, *, one_word: bool, whole: bool) -> float:
    """Return 1 for a code that few items have, less for a short number, 0 for no code.

    one_word: whether it was typed in one piece; whole: whether it is the whole query.
    """
    digits = sum(map(str.isdigit, code))
    if not digits or len(code) > _MAX_CODE_LENGTH:
        return 0.0
    if digits == len(code):
        return 1.0 if digits >= _MIN_NUMBER_DIGITS else _SHORT_NUMBER_WEIGHT * whole
    # In "iron man 2 trailer" no one asks for "man 2", but "256 gb" may be asked for anywhere.
    return float(one_word or whole or digits >= _MIN_CODE_DIGITS)


def _words(text: str) -> list[str]:
    return _WORD.findall(_lower(text))[:_MAX_WORDS]


def _lower(text: str) -> str:
    # Python keeps the dot of a Turkish capital İ as a mark of its own, Elasticsearch doesn't.
    return text.lower().replace("i\u0307", "i")
