"""Code blocks of the docs: found on a page, and run as a reader would, all of a page in its order."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from es_recsys import Client

__all__ = ["RUNNABLE", "Block", "Reader", "blocks_of"]

RUNNABLE = ("python", "sh")
_FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """One fenced block of a page. line: of its fence. reason: why it isn't run, None where it is."""

    page: str
    line: int
    language: str
    text: str
    reason: str | None

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: Path, name: str) -> list[Block]:
    """Return the fenced blocks of a page, in their order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(name, text.count("\n", 0, found.start()) + 1, found["language"], found["text"], found["reason"])
        for found in _FENCE.finditer(text)
    ]


@dataclass
class Reader:
    """Runs the blocks of one page in a folder: Python in one namespace, lines of a shell one by one.

    names: words of the docs (the store, indices, addresses) -> what stands for them here. `es-recsys serve` is started and goes
    on until `close`.
    """

    folder: Path
    names: Mapping[str, str]
    namespace: dict[str, Any] = field(default_factory=dict)
    services: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def run(self, block: Block) -> str:
        """Run a block and return what it printed. Raises AssertionError where a command ends with another code than 0."""
        text = self._here(block.text)
        if block.language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(compile(text, block.name, "exec"), self.namespace)
            return printed.getvalue()
        return "".join(self._run_line(line, block) for line in _lines(text))

    def close(self) -> None:
        for service in self.services:
            service.terminate()
        for service in self.services:
            service.wait(60)
        for value in list(self.namespace.values()):
            if isinstance(value, Client):
                value.close()

    def _here(self, text: str) -> str:
        """Return the text with the names of this run."""
        for word, name in self.names.items():
            # "products.csv" is a file, "shop.example.org" a machine: only whole names are meant.
            text = re.sub(rf"(?<![\w./-]){re.escape(word)}(?![\w.]|-[a-z]+\.)", name, text)
        return text

    def _run_line(self, line: str, block: Block) -> str:
        printed = ""
        for words in _commands(shlex.split(line, comments=True)):
            if words[0] == "export":
                given = dict(word.split("=", 1) for word in words[1:])
                os.environ.update({name: value for name, value in given.items() if value != "..."})
            elif words[:2] == ["es-recsys", "serve"]:
                self._serve(words[2:])
            elif words[0] == "es-recsys":
                printed += _command_line(words[1:], block)
            elif words[0] in ("curl", "cat", "head"):
                done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
                assert done.returncode == 0 and '"error"' not in done.stdout, f"{block.name}: {done.stdout}{done.stderr}"
                printed += done.stdout
            else:
                raise AssertionError(f"{block.name}: nobody knows how to run {words[0]!r}; say why not: <!-- not run: ... -->")
        return printed

    def _serve(self, options: Sequence[str]) -> None:
        program = "from es_recsys.cli import main; main()"
        port = self.names["8000"]
        self.services.append(
            subprocess.Popen([sys.executable, "-c", program, "serve", "--port", port, *options], stdout=subprocess.DEVNULL)
        )
        for _ in range(600):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=60):
                return
            assert self.services[-1].poll() is None, "the service ended"
            time.sleep(0.1)
        raise AssertionError("the service does not answer")


def _lines(text: str) -> list[str]:
    """Return the commands of a block of a shell: a line each, those that go on (a backslash, an open quote) joined."""
    found, open_line = [], ""
    for line in text.splitlines():
        open_line = f"{open_line[:-1]} {line}" if open_line.endswith("\\") else f"{open_line}\n{line}" if open_line else line
        if open_line.endswith("\\"):
            continue
        try:
            shlex.split(open_line, comments=True)
        except ValueError:  # a quote that isn't closed yet
            continue
        if shlex.split(open_line, comments=True):
            found.append(open_line)
        open_line = ""
    assert not open_line, f"this does not end: {open_line}"
    return found


def _commands(words: Sequence[str]) -> list[list[str]]:
    """Return the commands that && joins."""
    found: list[list[str]] = [[]]
    for word in words:
        if word == "&&":
            found.append([])
        else:
            found[-1].append(word)
    return found


def _command_line(arguments: list[str], block: Block) -> str:
    from es_recsys.cli.app import app

    if "--from-index" in arguments and "items" in arguments and not {"--columns", "--yes"} & set(arguments):
        arguments = [*arguments, "--yes"]  # what the reader answers to the proposal
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, f"{block.name}: es-recsys {' '.join(arguments)}\n{result.output}"
    return result.output
