"""A name of a model that is gone says what to do; a name that never was lists those that are."""

from __future__ import annotations

import pytest

from es_recsys.models import MODELS
from es_recsys.models.removed import REMOVED, without_removed, wrong_model


def test_what_is_gone_has_a_successor_that_is_there() -> None:
    assert not REMOVED.keys() & MODELS.keys()
    assert set(REMOVED.values()) <= MODELS.keys()


@pytest.mark.parametrize("name", REMOVED)
def test_the_error_names_the_successor(name: str) -> None:
    error = wrong_model(name, MODELS)
    assert "gone" in error.what and name in error.what
    assert error.remedy == f"Name {REMOVED[name]} instead."


def test_an_unknown_name_is_told_those_that_are_known() -> None:
    error = wrong_model("nonsense", ("als", "lsa"), "; or none")
    assert error.what == "There is no model 'nonsense'."
    assert error.remedy == "Name some of: als, lsa; or none."


def test_names_of_models_that_are_there_stay_in_their_order() -> None:
    assert without_removed(("covisitation", "bpr", "als")) == ("covisitation", "als")
