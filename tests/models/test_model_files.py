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
    assert 1 <= len(found) <= script.LIMIT, found
    assert all(path.exists() for path in found)


def test_tools_outside_the_models_are_named(script: ModuleType) -> None:
    for model in sorted(MODELS):
        called = set().union(*map(script.imported, script.files(model)))
        beside = {name for name in called if name.startswith("es_recsys.") and not name.startswith(f"{script.PACKAGE}.")}
        # What is left are the terms, and what any code may use.
        names = ("dataset", "errors", "event_types", "item_ids", "renamed", "memory", "blas", "artefact", "top_k")
        plain = {f"es_recsys.{name}" for name in names}
        named = {f"es_recsys.{name.removesuffix('.py').replace('/', '.')}" for name in script.tools(model)}
        assert beside - plain == named, model


def test_the_table_in_the_documentation_is_true(script: ModuleType) -> None:
    page = script.PAGE.read_text(encoding="utf-8")
    assert script.written(page) == page, "run `python scripts/model_files.py --write`"
