"""The language of each item, where a store mixes languages, and the fields in which its texts are analysed by that language.

An item is in the language that its attribute `language` names, else in that of its script, where that is one language's alone,
else in the likeliest by title and description. A title of a few words may leave several open: then the item is in all of them. An
item in none that has an analyser is in "standard".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from es_recsys.errors import InputError, MissingExtra
from es_recsys.index.analysis import has_compounds
from es_recsys.index.mappings import BY_LANGUAGE
from es_recsys.languages import ANALYZERS, AUTO, analyzer, mixed_analyzers
from es_recsys.values.nulls import words

__all__ = ["ItemLanguages"]

_NONE = "standard"
_LANGUAGE = "language"
_MAX_LETTERS = 1_000
_MIN_SHARE_OF_SCRIPT = 0.1
_MIN_SHARE = 0.15
_NORWEGIAN = {"nb": "norwegian", "nn": "norwegian"}
# Languages that have no analyser, and in which catalogues are; dialects and others would take titles of a few words.
_OTHERS = words("az be hr is kk ka mk ms pl sk sl sq ta te tl uk ur vi")
# Kana and Hangul before Han, which Japanese and Korean texts have, too.
_SCRIPTS: Mapping[str, re.Pattern[str]] = {
    name: re.compile(f"[{letters}]")
    for name, letters in {
        "cjk": "\u1100-\u11ff\u3041-\u30ff\u31f0-\u31ff\uac00-\ud7a3\uff66-\uff9f",
        "chinese": "\u3400-\u9fff\uf900-\ufaff",
        "thai": "\u0e01-\u0e5b",
        "hebrew": "\u0590-\u05ff",
        "greek": "\u0370-\u03ff\u1f00-\u1fff",
        "armenian": "\u0530-\u058f",
        "hindi": "\u0900-\u097f",
        "bengali": "\u0980-\u09ff",
    }.items()
}


class ItemLanguages:
    """Finds the languages of items, and counts them.

    language: the store's, for instance "auto" or "english,german"; of several that are named, items are in no other. counts:
    items by language, in which those that are in several count for the likeliest. Raises MissingExtra.
    """

    def __init__(self, language: str) -> None:
        self.counts: Counter[str] = Counter()
        self._names = frozenset(mixed_analyzers(language))
        self._any = language.strip().lower() == AUTO
        _identifier()

    def with_fields(self, source: Mapping[str, Any]) -> dict[str, Any]:
        """Return the document of an item with its texts in the fields of its languages."""
        names = self.find(source)
        self.counts[names[0]] += 1
        title = source.get("title", "")
        texts = list(_texts(source))
        parts: dict[str, Mapping[str, Any]] = {"title": dict.fromkeys(names, title) if title else {}}
        parts["all_text"] = dict.fromkeys(names, texts) if texts else {}
        parts["ends"] = parts["heads"] = {name: [title, *_names(source)] for name in names if has_compounds(name)}
        return {**source, BY_LANGUAGE: {part: fields for part, fields in parts.items() if fields}}

    def find(self, source: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the names of the analyses for an item, given as its document, the likeliest first."""
        stated = self._stated(source.get("attributes", {}).get(_LANGUAGE))
        if stated is not None:
            return (stated,)
        prose = f"{source.get('title', '')}\n{source.get('description', '')}"[:_MAX_LETTERS]
        text = prose if any(map(str.isalpha, prose)) else " ".join(_names(source))[:_MAX_LETTERS]
        letters = sum(map(str.isalpha, text))
        if not letters:
            return (_NONE,)
        for name, script in _SCRIPTS.items():
            if len(script.findall(text)) >= _MIN_SHARE_OF_SCRIPT * letters:
                return (name if name in self._names else _NONE,)
        return self._likeliest(text)

    def _stated(self, value: Any) -> str | None:
        if not isinstance(value, str):
            return None
        try:
            name = analyzer(re.split(r"[-_]", value.strip())[0])
        except InputError:
            return None
        return name if name in self._names else _NONE

    def _likeliest(self, text: str) -> tuple[str, ...]:
        shares: Counter[str] = Counter()
        for code, share in _identifier().rank(text):
            name = ANALYZERS.get(code) or _NORWEGIAN.get(code, _NONE)
            if name in self._names or (self._any and code in _OTHERS):
                shares[name] += share
        found = [name for name, share in shares.most_common() if share > _MIN_SHARE * shares.total()]
        # What is looked for as it stands is found in any of them.
        return tuple(name for name in found if name != _NONE or name == found[0]) or (_NONE,)


def _names(source: Mapping[str, Any]) -> Iterator[str]:
    """Yield what `names` has besides the title."""
    for field in ("categories", "tags"):
        yield from source.get(field, ())
    yield from (source[field] for field in ("brand", "author") if field in source)


def _texts(source: Mapping[str, Any]) -> Iterator[str]:
    """Yield what `all_text` has."""
    yield from (source[field] for field in ("title", "description") if field in source)
    yield from _names(source)
    for name, value in source.get("attributes", {}).items():
        if "." not in name:
            yield from (each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str))
    yield from source.get("all_text", ())


@lru_cache(maxsize=1)
def _identifier() -> Any:
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        raise MissingExtra("py3langid", "multilingual") from None
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
