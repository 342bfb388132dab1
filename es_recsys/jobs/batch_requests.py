"""Reads the requests of a batch: one a line, and an error in the place of each line that is none."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from es_recsys.errors import InputError
from es_recsys.query import Query
from es_recsys.sources import Row, read_rows
from es_recsys.sources.rejected_rows import RejectedRows

__all__ = ["BatchRequest", "read_requests"]


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """One line of a batch's input. echo: what the output repeats of it. query: None for an invalid line, which has an `error`."""

    echo: dict[str, Any]
    query: Query | None = None
    error: str = ""


_MEDIA = ("image", "audio")
"""Keys of a search whose values are paths; they start from the folder of the requests."""


def read_requests(file: Path, kind: str, n: int, given: Mapping[str, float] = MappingProxyType({})) -> Iterator[BatchRequest]:
    """Yield each line of `file` in order. Raises InputError for the file.

    kind: "recommend" or "search"; n: hits wanted. given: further arguments of each query.
    """
    unreadable: deque[BatchRequest] = deque()
    parse = _recommend_request if kind == "recommend" else _search_request
    for row in read_rows(file, rejected=_UnreadableLines(unreadable)):
        while unreadable:
            yield unreadable.popleft()
        yield parse(row, {"n": n, **given})
    yield from unreadable


class _UnreadableLines(RejectedRows):
    """Rejected lines that are queued as invalid requests, so that each keeps its place in the order."""

    def __init__(self, queue: deque[BatchRequest]) -> None:
        super().__init__(write=False)
        self._queue = queue

    def add(self, file: Path, line: int, field: str, reason: str, raw: Any) -> None:
        self._queue.append(BatchRequest({}, error=f"{file} line {line}: {reason}."))


def _recommend_request(row: Row, given: Mapping[str, float]) -> BatchRequest:
    values = row.values
    echo = {"user_id": values.get("user_id")}
    user_id, history = values.get("user_id"), values.get("history")
    if user_id is None and history is None:
        return _invalid(row, echo, "user_id is missing, and history too")
    return _validated(row, echo, user_id=user_id, history=history, **given)


def _search_request(row: Row, given: Mapping[str, float]) -> BatchRequest:
    values = row.values
    text, user_id = values.get("query"), values.get("user_id")
    named = {kind: values[kind] for kind in _MEDIA if values.get(kind)}
    if text is None and named:
        text = ""
    echo = {"query": text, **named} | ({} if user_id is None else {"user_id": user_id})
    if not isinstance(text, str):
        return _invalid(row, echo, f"query {'is missing' if text is None else 'is not a text'}")
    fields = {"filter": values.get("filter") or (), "seen": values.get("seen")}
    media = {kind: row.file.parent / str(path) for kind, path in named.items()}
    return _validated(row, echo, text=text, user_id=user_id, **fields, **media, **given)


def _validated(row: Row, echo: dict[str, Any], **fields: Any) -> BatchRequest:
    try:
        return BatchRequest(echo, Query(**fields))
    except InputError as error:
        return _invalid(row, echo, error.what.rstrip("."))


def _invalid(row: Row, echo: dict[str, Any], reason: str) -> BatchRequest:
    return BatchRequest(echo, error=f"{row.file} line {row.line}, {reason}.")
