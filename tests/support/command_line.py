"""Commands as a person types them, run in this process, and the files they are given."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from es_recsys.cli import main
from es_recsys.settings import Settings

__all__ = ["Done", "Run", "environment", "ids_of", "lines_of", "runner", "things"]


@dataclass
class Done:
    """What a command printed, and what it ended with."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Done]


def runner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return what runs a command in this process. It ends the test where the exit code is not `code`."""

    def act(*words: object, code: int = 0) -> Done:
        monkeypatch.setattr(sys, "argv", ["es-recsys", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main()
        ended = caught.value.code
        done = Done(ended if isinstance(ended, int) else 0, *capsys.readouterr())
        assert done.code == code, done
        return done

    return act


def environment(settings: Settings) -> dict[str, str]:
    """The variables that name a store, which has no encoders."""
    return {
        "ES_RECSYS_URL": str(settings.url),
        "ES_RECSYS_INDEX": settings.index,
        "ES_RECSYS_HOME": str(settings.home),
        "ES_RECSYS_CACHE": str(settings.cache),
        "ES_RECSYS_ENCODERS__TEXT": "none",
        "ES_RECSYS_ENCODERS__IMAGE": "none",
    }


def things(*numbers: int) -> list[dict[str, Any]]:
    """Items as rows of a file."""
    return [{"item_id": f"i{n}", "title": f"thing {n}", "price": n} for n in numbers]


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def ids_of(answer: Mapping[str, Any]) -> list[str]:
    """The items of an answer, in its order."""
    return [hit["item_id"] for hit in answer["hits"]]
