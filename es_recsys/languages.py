"""Languages: their names, their codes, and which analysis their texts have."""

from __future__ import annotations

from collections.abc import Mapping

from es_recsys.errors import InputError

__all__ = ["ANALYZERS", "analyzer", "iso_codes"]

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


def iso_codes(language: str) -> frozenset[str]:
    """Return the codes of the languages that an analysis, or a language of another name, is for; none for an unknown one."""
    name = language.strip().lower()
    name = ANALYZERS.get(name) or _OTHER_NAMES.get(name, name)
    if name in _CODES_OF_OTHERS:
        return _CODES_OF_OTHERS[name]
    return frozenset(code for code, known in ANALYZERS.items() if known == name)
