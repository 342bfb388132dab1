"""How the texts of a store are cut into words: the analysers of an items index, by language.

- `content` reads running text: the language's own stop words and stemmer, and each word with an accent also without it, so
  that "cafe" finds "café" and "café" still finds it first. `content_search` reads questions; it is another one where the
  two sides differ (below).
- `words` are lower-cased and folded, not stemmed, with stop words. `parts` are those of an id, cut at every mark.
- `joined` has each two and three neighbouring words as one ("Wi-Fi" is "wifi", "GSR 18V-28" is "gsr18v28"), `joined_search`
  single ones.
- `ends`, in languages of compounds, has the ends of words that leave a word before them, so that "Schuhe" finds "Laufschuhe"
  and "rot" doesn't find "Brot". `ends_search` has what is asked for, stemmed and not. The other way round, with the ends of what
  is asked for, "Laufschuhe" finds "Schuhe zum Laufen".
- the normalizers `title` and `code` make one keyword of a whole value; a code has letters and digits alone.

A store that mixes languages has `content` and `ends` of each, under its name (`content_german`), for the fields of the items in
it (`index.item_languages`); all else has the analysers of no language in particular.

Arabic is brought to one spelling of its letters. Elasticsearch has no analyser for Hebrew: points are left out, final letters are
as within words, and what hangs at the end of a word ("נעליים") and at its beginning ("והנעל") is taken off as long as three
letters are left. Thai has no blanks between words. Where the server's Java can't find them (the embedded node's can't), each
three neighbouring letters are a token. Chinese is brought to simplified characters where the package opencc is installed. Emoji
are tokens, without what says how they look (variation selectors, skin tones).

Nordic å, ä, ö, æ, ø and Estonian õ, ä, ö, ü are letters of their own: typed without them a word finds both spellings, typed
with them only that one. So documents are folded there and questions are not. In Chinese and Japanese documents have single
characters besides pairs, questions pairs where there are any.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

__all__ = ["analysis", "has_compounds", "mixed_analysis", "simplified_characters"]

Filters = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Language:
    """A language's chain of filters, as Elasticsearch's reference gives it for the analyser of its name.

    lower: what comes up to lower case. normal: what comes between the stop words and the stemmer. stemmer: "" for none.
    stopwords: "" for none. own_letters: whether accents make other letters. compounds: whether words grow together. characters:
    char filters, beside that for symbols. endings: filters in place of a stemmer.
    """

    stemmer: str = ""
    stopwords: str = ""
    lower: Filters = ("lowercase",)
    normal: Filters = ()
    own_letters: bool = False
    compounds: bool = False
    characters: Filters = ()
    endings: Filters = ()


def _plain(name: str, stemmer: str = "", **more: Any) -> Language:
    return Language(stemmer or name, f"_{name}_", **more)


_LANGUAGES: Mapping[str, Language] = {
    "arabic": _plain("arabic", lower=("lowercase", "decimal_digit"), normal=("arabic_normalization",)),
    "basque": _plain("basque"),
    "brazilian": _plain("brazilian"),
    "catalan": _plain("catalan", lower=("catalan_elision", "lowercase")),
    "czech": _plain("czech"),
    "danish": _plain("danish", own_letters=True, compounds=True),
    "dutch": _plain("dutch", normal=("dutch_override",), compounds=True),
    "english": _plain("english", lower=("possessive_english", "lowercase")),
    "estonian": _plain("estonian", own_letters=True, compounds=True),
    "finnish": _plain("finnish", own_letters=True, compounds=True),
    "french": _plain("french", "light_french", lower=("french_elision", "lowercase")),
    "galician": _plain("galician"),
    "german": _plain("german", "light_german", normal=("german_normalization",), compounds=True),
    "hebrew": Language(characters=("hebrew_letters",), endings=("hebrew_endings", "hebrew_beginnings")),
    "hungarian": _plain("hungarian", compounds=True),
    "indonesian": _plain("indonesian"),
    "irish": _plain("irish", lower=("irish_hyphenation", "irish_elision", "irish_lowercase")),
    "italian": _plain("italian", "light_italian", lower=("italian_elision", "lowercase")),
    "latvian": _plain("latvian"),
    "lithuanian": _plain("lithuanian"),
    "norwegian": _plain("norwegian", own_letters=True, compounds=True),
    "portuguese": _plain("portuguese", "light_portuguese"),
    "romanian": _plain("romanian"),
    "russian": _plain("russian"),
    "spanish": _plain("spanish", "light_spanish"),
    "standard": Language(),
    "swedish": _plain("swedish", own_letters=True, compounds=True),
    "turkish": _plain("turkish", lower=("apostrophe", "turkish_lowercase")),
}
"""Languages whose script has accents or compounds; the others keep Elasticsearch's analyser, which folds their script."""

_ELISION = {
    "catalan": "d l m n s t",
    "french": "l m t qu n s j d c jusqu quoiqu lorsqu puisqu",
    "irish": "d m b",
    "italian": "c l all dall dell nell sull coll pell gl agl dagl degl negl sugl un m t s v d",
}

_FILTERS: Mapping[str, Mapping[str, Any]] = {
    **{
        f"{name}_elision": {"type": "elision", "articles": articles.split(), "articles_case": True}
        for name, articles in _ELISION.items()
    },
    "possessive_english": {"type": "stemmer", "language": "possessive_english"},
    "dutch_override": {
        "type": "stemmer_override",
        "rules": ["fiets=>fiets", "bromfiets=>bromfiets", "ei=>eier", "kind=>kinder"],
    },
    "irish_hyphenation": {"type": "stop", "stopwords": ["h", "n", "t"], "ignore_case": True},
    "irish_lowercase": {"type": "lowercase", "language": "irish"},
    "turkish_lowercase": {"type": "lowercase", "language": "turkish"},
    "folded_too": {"type": "asciifolding", "preserve_original": True},
    "no_apostrophes": {"type": "pattern_replace", "pattern": "['’]", "replacement": ""},
    "runs": {"type": "shingle", "min_shingle_size": 2, "max_shingle_size": 3, "token_separator": "", "output_unigrams": False},
    "six_letters": {"type": "length", "min": 6},
    "without_three": {"type": "pattern_replace", "pattern": "^.{3}", "replacement": ""},
    "ends_of_three": {"type": "edge_ngram", "side": "back", "min_gram": 3, "max_gram": 20},
    "cjk_pairs_and_characters": {"type": "cjk_bigram", "output_unigrams": True},
    # Endings before beginnings: what may be taken off at the front hangs on the letters that are left.
    "hebrew_endings": {"type": "pattern_replace", "pattern": "(?<=.{3})(ייה|יימ|יות|ימ|ות|ה|ת|י)$", "replacement": ""},
    "hebrew_beginnings": {"type": "pattern_replace", "pattern": "^[והבכלמש]+(?=.{3})", "replacement": ""},
}

_CHAR_FILTERS: Mapping[str, Mapping[str, Any]] = {
    # What would be lost as punctuation although it tells two things apart.
    "symbols": {
        "type": "mapping",
        "mappings": [
            *(f"{c}++ => {c}plusplus" for c in "cC"),
            *(f"{c}# => {c}sharp" for c in "cCfF"),
            *("＋ => +", "＃ => #", "ё => е", "Ё => Е"),
            # Elasticsearch's words don't end at a low line.
            "_ => \\u0020",
            # How an emoji looks is no part of what it says.
            *(f"{look} => " for look in "\ufe0e\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"),
        ],
    },
    "hebrew_letters": {
        "type": "mapping",
        "mappings": [
            *("ך => כ", "ם => מ", "ן => נ", "ף => פ", "ץ => צ", "׳ => '", "־ => \\u0020"),
            *(f"{chr(point)} => " for point in (*range(0x0591, 0x05BE), 0x05BF, 0x05C1, 0x05C2, 0x05C4, 0x05C5, 0x05C7)),
        ],
    },
    "marks_to_blanks": {"type": "pattern_replace", "pattern": "[^\\p{L}\\p{N}]+", "replacement": " "},
    "whole_number": {"type": "pattern_replace", "pattern": "^(\\d+)\\.0+$", "replacement": "$1"},
    "letters_and_digits": {"type": "pattern_replace", "pattern": "[^\\p{L}\\p{N}]+", "replacement": ""},
}

_NORMALIZERS: Mapping[str, Mapping[str, Any]] = {
    "title": {"type": "custom", "filter": ["cjk_width", "lowercase", "asciifolding"]},
    "code": {
        "type": "custom",
        "char_filter": ["whole_number", "letters_and_digits"],
        "filter": ["cjk_width", "lowercase", "asciifolding"],
    },
}


_THAI = "\\u0E01-\\u0E3A\\u0E40-\\u0E4E"
_OTHER_LETTERS = f"[\\p{{L}}\\p{{N}}\\p{{M}}&&[^{_THAI}]]"
_TOKENIZERS: Mapping[str, Mapping[str, Any]] = {
    # At each place of a text what begins there: three Thai letters, all of a shorter word, or a word in other letters.
    "thai_grams": {
        "type": "pattern",
        "group": 1,
        "pattern": f"(?=([{_THAI}]{{3}}|(?<![{_THAI}])[{_THAI}]{{1,2}}(?![{_THAI}])|(?<!{_OTHER_LETTERS}){_OTHER_LETTERS}+))",
    }
}


_BY_LANGUAGE = frozenset({"content_stop", "content_stemmer"})
_OF_EACH_LANGUAGE = frozenset({"content", "content_search", "ends", "ends_search"})


@lru_cache(maxsize=1)
def simplified_characters() -> tuple[str, ...]:
    """Return rules that bring Chinese characters to their simplified forms; none where the package opencc isn't installed."""
    try:
        from opencc import OpenCC
    except ImportError:
        return ()
    converter = OpenCC("t2s")
    pairs = ((character, converter.convert(character)) for character in map(chr, range(0x4E00, 0xA000)))
    return tuple(f"{character} => {simple}" for character, simple in pairs if simple != character)


def analysis(name: str, *, thai_words: bool = True) -> dict[str, Any]:
    """Return `analysis` of an items index's settings, for an analyser's name that `languages.analyzer` gives.

    thai_words: whether the server finds words in Thai.
    """
    language = _LANGUAGES.get(name, Language())
    own: dict[str, Any] = {}
    stop, stemmer = Filters(), Filters()
    if language.stopwords:
        own["content_stop"], stop = {"type": "stop", "stopwords": language.stopwords}, ("content_stop",)
    if language.stemmer:
        own["content_stemmer"], stemmer = {"type": "stemmer", "language": language.stemmer}, ("content_stemmer",)
    stemmer += language.endings
    lower = ("cjk_width", *language.lower)
    spelling = language.normal if name == "arabic" else ()
    plain = (*lower, *stop, *language.normal)
    folded = (*plain, "folded_too", *stemmer, "remove_duplicates")
    fold = () if language.own_letters else ("asciifolding",)
    joined = (*lower, "no_apostrophes", *language.normal, *fold)
    analyzers = {
        "content": _custom(folded),
        "content_search": _custom((*plain, *stemmer) if language.own_letters else folded),
        "words": _custom((*lower, *spelling, "folded_too", "remove_duplicates")),
        "words_search": _custom(lower if language.own_letters else (*lower, *spelling, "folded_too", "remove_duplicates")),
        "joined": _custom((*joined, "runs", *stemmer)),
        "joined_search": _custom((*joined, *stemmer)),
    }
    analyzers["parts"] = {**analyzers["words"], "char_filter": ["marks_to_blanks"]}
    if language.compounds:
        both = (*plain, *fold, "keyword_repeat", *stemmer, "remove_duplicates")
        analyzers["ends"] = _custom((*both, "six_letters", "without_three", "ends_of_three", "remove_duplicates"))
        analyzers["ends_search"] = _custom(both)
    characters: dict[str, Mapping[str, Any]] = dict(_CHAR_FILTERS)
    chinese = simplified_characters() if name == "chinese" else ()
    if chinese:
        characters["simplified"] = {"type": "mapping", "mappings": list(chinese)}
    if name in ("cjk", "chinese"):
        own["content_stop"] = {"type": "stop", "stopwords": "_english_"}
        for each, bigrams in (("content", "cjk_pairs_and_characters"), ("content_search", "cjk_bigram")):
            analyzers[each] = _custom(("cjk_width", "lowercase", bigrams, "content_stop", "folded_too"))
        chain = ("cjk_width", "lowercase", "no_apostrophes", "cjk_bigram", "asciifolding")
        analyzers |= {"joined": _custom((*chain, "runs")), "joined_search": _custom(chain)}
    elif name == "thai" and not thai_words:
        analyzers["content"] = {**_custom(("cjk_width", "lowercase", "decimal_digit", "asciifolding")), "tokenizer": "thai_grams"}
        analyzers["content_search"] = analyzers["content"]
    elif name not in _LANGUAGES:
        analyzers["content"] = analyzers["content_search"] = {"type": name}
    first = ("simplified",) if chinese else language.characters
    analyzers = {each: {**body, **_with_characters(body, first)} for each, body in analyzers.items()}
    normalizers = {each: {**body, **_with_characters(body, first)} for each, body in _NORMALIZERS.items()}
    used = {filter_ for each in analyzers.values() for filter_ in each.get("filter", ())}
    return {
        "char_filter": characters,
        "filter": {**{each: body for each, body in _FILTERS.items() if each in used}, **own},
        "analyzer": analyzers,
        "normalizer": normalizers,
        **({"tokenizer": dict(_TOKENIZERS)} if name == "thai" and not thai_words else {}),
    }


def mixed_analysis(names: Iterable[str], *, thai_words: bool = True) -> dict[str, Any]:
    """Return `analysis` for a store whose items are in several languages: what no language is known for, and each one's own.

    names: of analyses. An analyser of a language has its name at the end, as in `content_german` and `ends_search_german`.
    """
    found = analysis("standard")
    for name in ("standard", *names):
        own = analysis(name, thai_words=thai_words)
        filters = {each: f"{each}_{name}" if each in _BY_LANGUAGE else each for each in own["filter"]}
        for each, body in own["analyzer"].items():
            if each in _OF_EACH_LANGUAGE:
                chain = {"filter": [filters.get(part, part) for part in body["filter"]]} if "filter" in body else {}
                found["analyzer"][f"{each}_{name}"] = {**body, **chain}
        found["filter"] |= {filters[each]: body for each, body in own["filter"].items()}
        for kind in ("char_filter", "tokenizer"):
            found[kind] = {**found.get(kind, {}), **own.get(kind, {})}
    return found


def has_compounds(name: str) -> bool:
    """Return whether an analysis has `ends`."""
    return name in _LANGUAGES and _LANGUAGES[name].compounds


def _with_characters(body: Mapping[str, Any], first: Filters) -> dict[str, Any]:
    """Return what has the language's own char filters before the others; an analyser of Elasticsearch's takes none."""
    return {"char_filter": [*first, *body.get("char_filter", ())]} if first and body["type"] == "custom" else {}


def _custom(filters: Filters) -> dict[str, Any]:
    return {"type": "custom", "tokenizer": "standard", "char_filter": ["symbols"], "filter": list(filters)}
