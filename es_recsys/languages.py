"""Languages: their names, their codes, and which analysis their texts have."""

from __future__ import annotations

from collections.abc import Mapping

from es_recsys.errors import InputError

__all__ = ["ANALYZERS", "AUTO", "analyzer", "is_mixed", "iso_codes", "mixed_analyzers"]

AUTO = "auto"
"""In place of a language: items are in any, and each says or shows in which."""

ANALYZERS: Mapping[str, str] = {
    "ar": "arabic", "hy": "armenian", "eu": "basque", "bn": "bengali", "bg": "bulgarian", "ca": "catalan", "zh": "chinese",
    "cs": "czech", "da": "danish", "nl": "dutch", "en": "english", "et": "estonian", "fi": "finnish", "fr": "french",
    "gl": "galician", "de": "german", "el": "greek", "he": "hebrew", "hi": "hindi", "hu": "hungarian", "id": "indonesian",
    "ga": "irish", "it": "italian", "ja": "cjk", "ko": "cjk", "lv": "latvian", "lt": "lithuanian", "no": "norwegian",
    "fa": "persian", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sr": "serbian", "ckb": "sorani", "es": "spanish",
    "sv": "swedish", "th": "thai", "tr": "turkish",
}  # fmt: skip
"""Code of a language (ISO 639) -> the analysis of its texts (`index.analysis`), most of which have its name."""

_OTHER_NAMES = {"japanese": "cjk", "korean": "cjk", "nb": "norwegian", "nn": "norwegian"}
_CODES_OF_OTHERS = {"brazilian": frozenset({"pt"}), "cjk": frozenset({"zh", "ja", "ko"})}
_NAMES = frozenset(ANALYZERS.values()) | {"brazilian", "standard"}


def analyzer(language: str) -> str:
    """Return the name of the analysis for a language, given as its English name or its code.

    Raises InputError for a language that there is none for; "standard" serves those.
    """
    name = language.strip().lower()
    name = ANALYZERS.get(name) or _OTHER_NAMES.get(name, name)
    if name not in _NAMES:
        raise InputError(
            f"There is no analysis for the language {language!r}.",
            f'Give "standard", which stems nothing, or one of: {", ".join(sorted(_NAMES))}.',
        )
    return name


def is_mixed(language: str) -> bool:
    """Return whether a store's language is several: `AUTO`, or names with commas between them."""
    return language.strip().lower() == AUTO or "," in language


def mixed_analyzers(language: str) -> tuple[str, ...]:
    """Return the names of the analyses that the items of a store may have, where it mixes languages; none where it doesn't.

    Raises InputError as `analyzer` does.
    """
    if not is_mixed(language):
        return ()
    if language.strip().lower() == AUTO:
        return tuple(sorted(set(ANALYZERS.values())))
    return tuple(dict.fromkeys(analyzer(name) for name in language.split(",") if name.strip()))


def iso_codes(language: str) -> frozenset[str]:
    """Return the codes of the languages that an analysis, or a language of another name, is for; none for an unknown one.

    Those of all where several are named.
    """
    if "," in language:
        return frozenset().union(*map(iso_codes, language.split(",")))
    name = language.strip().lower()
    name = ANALYZERS.get(name) or _OTHER_NAMES.get(name, name)
    if name in _CODES_OF_OTHERS:
        return _CODES_OF_OTHERS[name]
    return frozenset(code for code, known in ANALYZERS.items() if known == name)
