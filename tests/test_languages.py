from __future__ import annotations

import pytest

from es_recsys.errors import InputError
from es_recsys.languages import analyzer, iso_codes


@pytest.mark.parametrize(
    ("language", "name"),
    [
        ("english", "english"),
        ("ja", "cjk"),
        ("Chinese", "chinese"),
        ("zh", "chinese"),
        ("ko", "cjk"),
        ("de", "german"),
        ("he", "hebrew"),
        ("standard", "standard"),
        ("pt", "portuguese"),
    ],
)
def test_names_and_codes_name_an_analysis(language: str, name: str) -> None:
    assert analyzer(language) == name


def test_an_unknown_language_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="klingon") as error:
        analyzer("klingon")
    assert "standard" in error.value.remedy and "finnish" in error.value.remedy


def test_codes_of_what_an_analysis_is_for() -> None:
    assert iso_codes("german") == iso_codes("de") == {"de"}
    assert iso_codes("cjk") == {"zh", "ja", "ko"}
    assert iso_codes("brazilian") == {"pt"}
    assert iso_codes("standard") == iso_codes("") == frozenset()
