"""What is said of settings that are wrong."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from es_recsys.errors import InputError
from es_recsys.settings import load_settings


@pytest.mark.parametrize(
    ("text", "says", "variable"),
    [
        ("[search]\nfreshness = 3\n", "Did you mean search.freshness_days?", "ES_RECSYS_SEARCH__FRESHNESS"),
        ("[search]\nweather = 3\n", "no setting search.weather.", "ES_RECSYS_SEARCH__WEATHER"),
        ('indx = "shop"\n', "no setting indx. Did you mean index?", "ES_RECSYS_INDX"),
        ('index = "A b"\n', "Setting index: a store's name has lower-case letters", "ES_RECSYS_INDEX"),
        (
            "[profiles]\nlong_half_life = 0\n",
            "Setting profiles.long_half_life: Input should be",
            "ES_RECSYS_PROFILES__LONG_HALF_LIFE",
        ),
    ],
)
def test_a_wrong_setting_is_named_as_it_is_written(tmp_path: Path, text: str, says: str, variable: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        load_settings(file)
    assert says in str(caught.value)
    assert f"in {file}, in {variable} or" in caught.value.remedy


@pytest.mark.parametrize(("variable", "near"), [("INDX", "index"), ("SEARCHH__DEPTH", "search"), ("API_KEYS", "api_key")])
def test_a_misspelt_variable_is_no_silent_default(monkeypatch: pytest.MonkeyPatch, variable: str, near: str) -> None:
    monkeypatch.setenv(f"ES_RECSYS_{variable}", "5")
    with pytest.raises(InputError, match=f"Did you mean {near}\\?"):
        load_settings()


def test_variables_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ES_RECSYS_DATA", "ES_RECSYS_CONFIG", "INDX"):
        monkeypatch.setenv(name, "")
    load_settings()


def test_an_old_argument_is_no_old_name_of_a_setting_that_never_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ES_RECSYS_SEARCH__TIMEOUT", "3")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match=r"no setting search\.timeout\. Did you mean search\.timeout_s\?"):
            load_settings()
