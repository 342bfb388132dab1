"""The actions of a bulk request, and their bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import orjson

from es_recsys.errors import InputError
from es_recsys.index.documents import check_vector

__all__ = ["Action", "EncodedAction", "encode_action"]

Operation = Literal["index", "create", "update", "delete"]


@dataclass(frozen=True, slots=True, eq=False)
class Action:
    """One write or deletion of a document. The id decides what is overwritten, so sending an action twice changes nothing.

    operation: "index" writes the whole document, "create" only where the id is new, "update" changes the fields in
    `document`, "delete" removes. Values of `document` are JSON values or numpy arrays.
    problem: why it can't be sent; it then goes straight to the dead letter queue.
    precondition: `_seq_no` and `_primary_term` that the document must still have, or "absent" where there must be none; else
    it is refused with status 409, also where it is this very action that was carried out and its response lost.
    """

    id: str
    document: Mapping[str, Any] | None = None
    operation: Operation = "index"
    problem: str | None = None
    precondition: tuple[int, int] | Literal["absent"] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class EncodedAction:
    """An action ready to send: `header` and `body` end with a newline; `body` is empty for a deletion."""

    id: str
    operation: Operation
    header: bytes
    body: bytes

    @property
    def size(self) -> int:
        return len(self.header) + len(self.body)


_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE


def encode_action(action: Action, dims: Mapping[str, int]) -> EncodedAction:
    """Return the action as NDJSON. dims: vector field -> dimensions; those fields are checked before they are sent.

    Raises InputError that names the field, where a vector is not usable or a value can't be written as JSON.
    """
    if action.problem is not None:
        raise InputError(action.problem)
    document: Mapping[str, Any] = action.document or {}
    for field in dims.keys() & document.keys():
        document = {**document, field: _contiguous(field, document[field], dims[field])}
    try:
        header = orjson.dumps({action.operation: {"_id": action.id, **_precondition(action)}}, option=_OPTIONS)
        if action.operation == "delete":
            return EncodedAction(action.id, action.operation, header, b"")
        content = {"doc": document} if action.operation == "update" else document
        return EncodedAction(action.id, action.operation, header, orjson.dumps(content, option=_OPTIONS))
    except TypeError as error:
        raise InputError(f"The document can't be written as JSON: {error}.", "Mend the value.") from None


def _precondition(action: Action) -> dict[str, Any]:
    if action.precondition is None:
        return {}
    if action.precondition == "absent":
        return {"op_type": "create"}
    return {"if_seq_no": action.precondition[0], "if_primary_term": action.precondition[1]}


def _contiguous(field: str, vector: Any, dims: int) -> Any:
    # The JSON writer takes only C-contiguous arrays; a column of a matrix is not.
    return np.ascontiguousarray(check_vector(field, vector, dims))
