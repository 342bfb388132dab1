"""Old names are read as the new ones."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from es_recsys.client import AsyncClient, Client
from es_recsys.query import Query
from es_recsys.renamed import current, current_keys, warn_renamed
from es_recsys.settings import load_settings

RENAMED = {"old": "new"}


def test_both_names_are_read_and_the_present_one_counts() -> None:
    assert [current(name, RENAMED) for name in ("old", "new", "other")] == ["new", "new", "other"]
    assert current_keys({"old": 1, "other": 2}, RENAMED) == {"new": 1, "other": 2}
    assert current_keys({"old": 1, "new": 3}, RENAMED) == {"new": 3}


def test_who_types_an_old_name_is_told() -> None:
    def caller() -> None:
        warn_renamed("old", "new")

    with pytest.warns(DeprecationWarning, match=r"old is called new now; the old name goes away with 0\.3"):
        caller()


def test_an_old_argument_is_read_as_the_present_one() -> None:
    with pytest.warns(DeprecationWarning, match="impact is called personalization now") as caught:
        query = Query(text="shoes", impact=0.25)  # type: ignore[call-arg]
    assert query.personalization == 0.25
    assert caught[0].filename == __file__


def test_where_both_names_are_given_the_present_one_counts() -> None:
    with pytest.warns(DeprecationWarning):
        assert Query(impact=0.25, personalization=0.5).personalization == 0.5  # type: ignore[call-arg]


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("method", ["search", "recommend", "rank"])
def test_methods_of_the_clients_read_old_arguments(kind: type, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Query] = []

    async def execute(self: AsyncClient, query: Query) -> None:
        asked.append(query)

    monkeypatch.setattr(Client, "execute", lambda self, query: asked.append(query))
    monkeypatch.setattr(AsyncClient, "execute", execute)
    arguments = ("u", ["a"]) if method == "rank" else ("x",)
    with pytest.warns(DeprecationWarning, match="impact is called personalization now") as caught:
        found = getattr(kind, method)(object.__new__(kind), *arguments, impact=0.5)
    if kind is AsyncClient:
        asyncio.run(found)
    assert [query.personalization for query in asked] == [0.5]
    assert caught[0].filename == __file__


def test_an_old_setting_is_read_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("[search]\nimpact = 0.5\n")
    with pytest.warns(DeprecationWarning, match="impact is called personalization now"):
        assert load_settings(file).search.personalization == 0.5


def test_an_old_table_of_settings_is_read(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("[search.near]\ntext_vector = [0.3, 0.4]\n")
    with pytest.warns(DeprecationWarning, match="near is called min_cosines now"):
        assert load_settings(file).search.min_cosines == {"text_vector": (0.3, 0.4)}


def test_an_old_setting_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ES_RECSYS_SEARCH__IMPACT", "0.25")
    with pytest.warns(DeprecationWarning, match="impact is called personalization now"):
        assert load_settings().search.personalization == 0.25


@pytest.mark.parametrize(
    ("command", "option", "present"),
    [
        (["rank", "a"], ["--impact", "3"], "--personalization"),
        (["rank", "a"], ["--impact=3"], "--personalization"),
        (["evaluate"], ["--legs"], "--retrievers"),
        (["tune", "model", "als"], ["--timeout", "9"], "--budget"),
        (["tune", "weights"], ["--timeout=9"], "--budget"),
    ],
)
def test_an_old_option_is_read_with_a_note(command: list[str], option: list[str], present: str) -> None:
    run = [sys.executable, "-c", "from es_recsys.cli import main; main()", *command]
    broken = [*run, "--config", "/none.toml", *option]
    done = subprocess.run(broken, capture_output=True, text=True, timeout=250, check=False)
    old = option[0].partition("=")[0]
    assert done.returncode == 2
    assert done.stderr.startswith(f"Note: {old} is called {present} now; the old name goes away with 0.3.\nError: The set")
    shown = subprocess.run([*run, "--help"], capture_output=True, text=True, timeout=250, check=False)
    assert present in shown.stdout
    assert old not in shown.stdout


def test_old_methods_of_the_client_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "execute", lambda self, query: query)
    monkeypatch.setattr(Client, "execute_many", lambda self, queries: queries)
    client, query = object.__new__(Client), Query()
    with pytest.warns(DeprecationWarning, match="ask is called execute now") as caught:
        assert client.ask(query) is query
    with pytest.warns(DeprecationWarning, match="ask_all is called execute_many now"):
        assert client.ask_all([query]) == [query]
    assert caught[0].filename == __file__


def test_an_old_command_goes_on_with_a_note() -> None:
    command = [sys.executable, "-c", "from es_recsys.cli import main; main()", "tune"]
    done = subprocess.run(
        [*command, "behaviours", "--config", "/none.toml"], capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 2
    note = "Note: behaviours is called event-weights now; the old name goes away with 0.3."
    assert done.stderr.startswith(f"{note}\nError: The settings file")
    shown = subprocess.run([*command, "--help"], capture_output=True, text=True, timeout=250, check=False).stdout
    assert "event-weights" in shown
    assert "behaviours" not in shown
