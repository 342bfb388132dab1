"""The dead letter queue of bulk writes: documents that were not stored, with the reason, so that they can be sent again."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import orjson

from es_recsys.index.bulk_actions import Action, EncodedAction
from es_recsys.private import make_folder, private_opener

__all__ = ["DeadLetterFile", "DeadLetterQueue", "WriteFailure"]


@dataclass(frozen=True, slots=True)
class WriteFailure:
    """Why a document was not stored.

    status: HTTP status of the document, 0 where it was refused before it was sent or Elasticsearch did not answer. type:
    Elasticsearch's name of the error.
    """

    id: str
    operation: str
    status: int
    type: str
    reason: str


class DeadLetterQueue(Protocol):
    """Where documents go that were not stored; safe to use from several threads."""

    def add(self, failure: WriteFailure, action: Action | EncodedAction) -> None: ...


class DeadLetterFile:
    """A JSONL file of `{"id", "operation", "status", "type", "reason", "document"}`, made at the first failure.

    Lines are appended and flushed one by one, so that an interrupted run loses none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self._lock = threading.Lock()

    def add(self, failure: WriteFailure, action: Action | EncodedAction) -> None:
        line = _line(failure, action)
        with self._lock:
            make_folder(self.path.parent)
            with open(self.path, "ab", opener=private_opener) as file:
                file.write(line)
            self.count += 1


def _line(failure: WriteFailure, action: Action | EncodedAction) -> bytes:
    head: dict[str, Any] = {
        "id": failure.id,
        "operation": failure.operation,
        "status": failure.status,
        "type": failure.type,
        "reason": failure.reason,
    }
    if isinstance(action, EncodedAction):
        document = orjson.Fragment(action.body.rstrip(b"\n") or b"null")
        return orjson.dumps({**head, "document": document}, option=orjson.OPT_APPEND_NEWLINE)
    # It could not be written as JSON, for NaN, lone surrogates or numbers beyond 64 bits; here all of it is readable.
    return json.dumps({**head, "document": _readable(action.document)}).encode() + b"\n"


def _readable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _readable(part) for name, part in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _readable(value.tolist())
    if isinstance(value, list | tuple):
        return [_readable(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | None) else str(value)
