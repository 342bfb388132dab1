"""A model is understood from a few files, and the table in the documentation says which."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from es_recsys.models import MODELS

SCRIPT = Path(__file__).parents[2] / "scripts" / "model_files.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("model_files", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("model", sorted(MODELS))
def test_a_model_is_understood_from_a_few_files(script: ModuleType, model: str) -> None:
    found = script.files(model)
    assert 1 <= len(found) <= script.LIMITS.get(model, 4), found
    assert all(path.exists() for path in found)


def test_no_limit_is_wider_than_it_need_be(script: ModuleType) -> None:
    assert {model: len(script.files(model)) for model in script.LIMITS} == script.LIMITS


def test_the_table_in_the_documentation_is_true(script: ModuleType) -> None:
    page = script.PAGE.read_text(encoding="utf-8")
    assert script.written(page) == page, "run `python scripts/model_files.py --write`"
