"""Answers the questions of a file into a file, many at a time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from es_recsys.data import read_rows
from es_recsys.errors import InputError, RecsysError
from es_recsys.types import Answer, Query

if TYPE_CHECKING:
    from collections.abc import Iterable

    from es_recsys.data import Row

__all__ = ["BatchReport", "answer_file"]

Ask = Callable[["Iterable[Query]"], "Iterator[Answer | RecsysError]"]
Progress = Callable[[float, float | None], None]


@dataclass(frozen=True, slots=True)
class BatchReport:
    """How many questions were answered, and how many lines hold an error in place of hits."""

    answered: int
    failed: int


def answer_file(
    ask: Ask, kind: str, file: Path, *, n: int, out: Path | None = None, progress: Progress | None = None
) -> BatchReport:
    """Answers each line of `file` in its order: {"user_id", "history"?} for "recommend", {"query", "user_id"?, "filter"?}
    for "search". A question that can't be answered has "error" and no hits; a line that is no question stops at once.

    Memory is flat. The output appears under its name when it is whole. Raises InputError that names the line.
    """
    asked: list[dict[str, Any]] = []
    read = _recommendation if kind == "recommend" else _search

    def questions() -> Iterator[Query]:
        for row in read_rows(file):
            echo, query = read(row, n)
            asked.append(echo)
            yield query

    answered = failed = 0
    with _output(out) as lines:
        for found in ask(questions()):
            echo = asked.pop(0)
            if isinstance(found, RecsysError):
                failed += 1
                line = {**echo, "hits": [], "error": str(found)}
            else:
                answered += 1
                line = {**echo, "hits": [{"item_id": hit.item_id, "score": hit.score} for hit in found.hits]}
            lines.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
            if progress is not None:
                progress(answered + failed, None)
    return BatchReport(answered, failed)


def _recommendation(row: Row, n: int) -> tuple[dict[str, Any], Query]:
    values = row.values
    user, history = _text(row, "user_id"), values.get("history")
    if user is None and history is None:
        raise _bad(row, "user_id", "is missing, and history too")
    if history is not None and not (isinstance(history, list) and all(isinstance(i, str | int) for i in history)):
        raise _bad(row, "history", "is not a list of item ids")
    past = None if history is None else tuple(str(item_id) for item_id in history)
    return {"user_id": values.get("user_id")}, Query(user_id=user, history=past, n=n)


def _search(row: Row, n: int) -> tuple[dict[str, Any], Query]:
    values = row.values
    text, filters = values.get("query"), values.get("filter") or []
    if not isinstance(text, str):
        raise _bad(row, "query", "is missing" if text is None else "is not a text")
    if isinstance(filters, str):
        filters = [filters]
    if not (isinstance(filters, list) and all(isinstance(one, str) for one in filters)):
        raise _bad(row, "filter", "is not a list of expressions")
    echo: dict[str, Any] = {"query": text}
    if values.get("user_id") is not None:
        echo["user_id"] = values["user_id"]
    return echo, Query(text=text, user_id=_text(row, "user_id"), filter=filters, n=n)


def _text(row: Row, name: str) -> str | None:
    value = row.values.get(name)
    if value is None:
        return None
    if not isinstance(value, str | int):
        raise _bad(row, name, "is not an id")
    return str(value)


def _bad(row: Row, field: str, reason: str) -> InputError:
    return InputError(f"{row.file} line {row.line}, {field}: {reason}.", "Mend that line; see docs/guide.md for the forms.")


@contextmanager
def _output(path: Path | None) -> Iterator[BinaryIO]:
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    draft = path.with_name(f".{path.name}.part")
    try:
        lines = draft.open("wb")
    except OSError as error:
        raise InputError(
            f"{path} can't be written ({error.strerror}).", "Give a file in a folder that can be written."
        ) from error
    try:
        with lines:
            yield lines
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
