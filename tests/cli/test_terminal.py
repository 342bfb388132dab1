"""What the commands print: nothing in the data steers the terminal, and help texts show all that is written in them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import click
import pytest
import typer
from typer.testing import CliRunner

from es_recsys.cli import main, printing
from es_recsys.cli.app import app
from es_recsys.cli.terminal import printable, printable_line
from es_recsys.errors import InputError

_STEERING = {
    "colour": "\x1b[31mred\x1b[0m",
    "title of the window": "\x1b]0;owned\x07",
    "link": "\x1b]8;;http://x\x1b\\text\x1b]8;;\x1b\\",
    "one byte": "\x9b31m",
    "turned": "abc\u202egpj.exe",
    "isolated": "\u2066abc\u2069",
    "back": "good\x08\x08\x08\x08bad",
    "carriage": "good\rbad",
    "deleted": "a\x7f",
    "lone": "\ud800",
    "zero": "a\x00b",
}


@pytest.mark.parametrize("text", _STEERING.values(), ids=list(_STEERING))
def test_nothing_steers_the_terminal(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    printing.say(text)
    printing.table("hits", ["title"], [[text]])
    printed = capsys.readouterr().out
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", printed)
    assert "\\x" in printed or "\\u" in printed or text == "good\rbad"


@pytest.mark.parametrize("text", ["Löwe 獅子 🦁 👩‍🚀", "שלום\u200f", "two\nlines\tand a tab", "[red]Sale[/red]"])
def test_texts_stay_as_they_are(text: str) -> None:
    assert printable(text) == text
    assert "\n" not in printable_line(text)


def test_markup_in_titles_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    printing.table("hits", ["title"], [["[red]Sale[/red]"]])
    assert "[red]Sale[/red]" in capsys.readouterr().out


def test_errors_name_odd_columns_harmlessly(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise InputError("It has: \x1b[31mitem_id.", "Rename \x1b]0;x\x07.")

    monkeypatch.setattr("es_recsys.cli.app.app", fail)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "Error: It has: \\x1b[31mitem_id.\nRename \\x1b]0;x\\x07.\n"


def test_the_line_above_a_table_is_not_broken(capsys: pytest.CaptureFixture[str]) -> None:
    printing.table("search: 0 hits of 0, 24 ms", ["", "item", "title", "score"], [])
    assert capsys.readouterr().out.splitlines()[0] == "search: 0 hits of 0, 24 ms"


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(command, click.Group) or hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from _commands(inner, (*path, name))
    else:
        yield path, command


_TREE = dict(_commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", _TREE, ids=" ".join)
def test_help_shows_all_of_the_docstring(path: tuple[str, ...]) -> None:
    command = _TREE[path]
    shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"}).output
    words = " ".join(re.sub(r"[│╭╰─╮╯]", " ", shown).split())
    written = inspect.cleandoc(command.callback.__doc__ or command.help).replace("\\[", "[")
    assert " ".join(written.split()) in words
    for parameter in command.params:
        text = getattr(parameter, "help", None)
        assert not text or " ".join(text.split()).rstrip(".") in words
