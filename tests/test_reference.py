"""The reference names everything that is public, and each thing says what it is."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from typer.main import get_command

import es_recsys
from es_recsys import errors
from es_recsys.cli.app import app
from es_recsys.service import openapi
from es_recsys.service.app import make_app
from es_recsys.service.search_body import Extension
from es_recsys.settings import Settings
from es_recsys.types import Event

ROOT = Path(__file__).parents[1]
PAGES = runpy.run_path(str(ROOT / "scripts" / "reference_pages.py"))
COMMANDS = list(PAGES["walk_commands"](get_command(app), ("es-recsys",)))
SETTINGS = list(PAGES["walk_settings"](Settings))
ERRORS = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("name", es_recsys.__all__)
def test_the_page_of_python_has_every_public_name(name: str) -> None:
    page = (ROOT / "docs/reference/api.md").read_text(encoding="utf-8")
    home = es_recsys._HOME.get(name, "types")
    assert hasattr(es_recsys, name) and f"::: es_recsys.{home}.{name}\n" in page


@pytest.mark.parametrize("kind", [es_recsys.Client, es_recsys.AsyncClient], ids=lambda kind: kind.__name__)
def test_every_public_method_has_a_docstring(kind: type) -> None:
    methods = inspect.getmembers(kind, lambda member: inspect.isfunction(member) or isinstance(member, property))
    assert [name for name, method in methods if not name.startswith("_") and not method.__doc__] == []


def test_every_command_is_on_its_page_and_says_what_it_does() -> None:
    page = PAGES["commands"]()
    told = {" ".join(re.findall(r"[a-z-]+", line)) for line in page.splitlines() if line.startswith("## ")}
    assert told == {" ".join(words.split()) for words in _spoken_commands()}
    assert [path for path, command in COMMANDS if not command.help] == []


def _spoken_commands() -> set[str]:
    """Return the commands as the source registers them, read without Typer's help."""
    found = set()
    for group in app.registered_groups:
        found |= {f"{group.name} {one.name or one.callback.__name__}" for one in group.typer_instance.registered_commands}
    return found | {str(one.name) for one in app.registered_commands}


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[" ".join(path[1:]) for path, _ in COMMANDS])
def test_every_option_says_what_it_is(path: tuple[str, ...], command: Any) -> None:
    lacking = [parameter.name for parameter in command.params if not parameter.help]
    assert lacking == []


@pytest.mark.parametrize(("path", "field"), SETTINGS, ids=[".".join(path) for path, _ in SETTINGS])
def test_every_setting_says_what_it_is(path: tuple[str, ...], field: Any) -> None:
    assert field.description, path
    assert field.description.endswith(".")
    row = next(line for line in PAGES["settings"]().splitlines() if f"`{PAGES['environment_variable'](path)}`" in line)
    assert row.startswith(f"| `{path[-1]}` |")


def test_a_setting_is_read_from_the_variable_that_its_row_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PAGES["environment_variable"](("search", "text_depth")), "17")
    assert Settings().search.text_depth == 17


def test_every_path_of_the_service_says_what_it_does() -> None:
    page, described = PAGES["paths"](), PAGES["openapi"]()["paths"]
    assert len(described) >= 7
    for path, methods in described.items():
        for method, operation in methods.items():
            assert operation.get("description"), f"{method} {path}"
            assert f"## {method.upper()} {path}\n" in page


def test_no_route_of_the_service_is_missing_on_its_page(tmp_path: Path) -> None:
    routes = {
        (method, route.path_format)
        for route in make_app(Settings(home=tmp_path, cache=tmp_path)).routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    told = {tuple(line.split()[1:]) for line in PAGES["paths"]().splitlines() if line.startswith("## ")}
    assert told <= routes
    # A search may come by GET with a body, too, as Elasticsearch takes it; at / a client of Elasticsearch asks what answers.
    twins = {("GET", path) for method, path in told if path.endswith("search")}
    assert routes - told == twins | {("GET", "/"), ("HEAD", "/")}


def test_every_parameter_and_field_of_a_body_is_described() -> None:
    routes = [method for methods in PAGES["openapi"]()["paths"].values() for method in methods.values()]
    told = [one for route in routes for one in route.get("parameters", ())]
    assert [one["name"] for one in told if not one.get("description")] == []
    assert {field.name for field in dataclasses.fields(Extension)} == set(openapi.EXTENSION)
    fields = openapi.EVENTS["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert set(fields) == {*Event.model_fields, "user_token"} - {"order"}  # of sources without time
    assert all(f"`{name}`" in PAGES["paths"]() for name in (*fields, *openapi.RECOMMEND, *openapi.BOUGHT_TOGETHER))


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_has_a_section_on_the_page_of_diagnostics(kind: type[Exception]) -> None:
    assert f"\n### {kind.__name__}\n" in _diagnostics()
    assert f"`{kind.__name__}`" in PAGES["errors"]()


def test_every_check_of_the_doctor_has_a_row_on_the_page_of_diagnostics() -> None:
    rows = {name for line in _diagnostics().splitlines() if line.startswith("| `") for name in re.findall(r"`([a-z ]+)`", line)}
    assert _names_of_checks() - rows == set()
    assert len(_names_of_checks()) > 15


def _names_of_checks() -> set[str]:
    """Return what the doctor calls its checks: the first argument of what makes one, up to a colon."""
    from es_recsys.models.segments import SEGMENTS

    names = set()
    for path in (ROOT / "es_recsys/doctor").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            makes = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            if not makes or node.func.id not in ("Check", "run_check", "check_writable") or not node.args:
                continue
            first = node.args[0]
            if isinstance(first, ast.JoinedStr):
                first = first.values[0]
            if isinstance(first, ast.Constant):
                names.add(str(first.value).split(":")[0])
            elif isinstance(first, ast.Name) and first.id == "SEGMENTS":
                names.add(SEGMENTS)
    return names


def _diagnostics() -> str:
    return (ROOT / "docs/diagnostics.md").read_text(encoding="utf-8")
