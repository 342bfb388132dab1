"""--url, --index and --config stand before a command as well as after it."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from es_recsys import settings
from es_recsys.cli import main
from es_recsys.errors import InputError

COMMANDS = [
    "search shoes",
    "items load x.csv",
    "train",
    "tune search --judgments x.tsv",
    "index list",
    "segments",
    "engine status",
]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the settings were asked for; no command goes further."""
    found: list[dict[str, Any]] = []

    def load(config: Any = None, **arguments: Any) -> None:
        given = {"config": None if config is None else str(config), **arguments}
        found.append({name: value for name, value in given.items() if value is not None})
        raise InputError("Seen.")

    monkeypatch.setattr(settings, "load_settings", load)
    return found


def run(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.setattr(sys, "argv", ["es-recsys", *line.split()])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_before_and_after_are_one(monkeypatch: pytest.MonkeyPatch, asked: list[dict[str, Any]], command: str) -> None:
    options = "--index shoes --url http://127.0.0.1:1 --config c.toml"
    given = {"index": "shoes", "url": "http://127.0.0.1:1", "config": "c.toml"}
    run(monkeypatch, f"{command} {options}")
    run(monkeypatch, f"{options} {command}")
    head, _, rest = command.partition(" ")
    lines = 2
    if head in ("items", "tune", "index", "engine"):
        run(monkeypatch, f"{head} {options} {rest}")
        lines = 3
    assert asked == [given] * lines


def test_the_nearest_to_the_command_counts(monkeypatch: pytest.MonkeyPatch, asked: list[dict[str, Any]]) -> None:
    run(monkeypatch, "--index a items --index b load x.csv --index c")
    run(monkeypatch, "--index a items --index b load x.csv")
    run(monkeypatch, "--url http://127.0.0.1:1 --index a items load x.csv --index c")
    run(monkeypatch, "items load x.csv")
    assert asked == [{"index": "c"}, {"index": "b"}, {"url": "http://127.0.0.1:1", "index": "c"}, {}]


def test_the_demo_reads_the_address_before_it(monkeypatch: pytest.MonkeyPatch, asked: list[dict[str, Any]]) -> None:
    run(monkeypatch, "--url http://127.0.0.1:1 demo")
    assert asked[0]["url"] == "http://127.0.0.1:1"
