"""Run a flow with a read beside its first search."""

from __future__ import annotations

from typing import Any, TypeVar

from es_recsys.serving.operations import Document, Flow, Get, GetAndSearch, MultiSearch, Operation, Search

__all__ = ["run_beside"]

T = TypeVar("T")


def run_beside(read: Get, flow: Flow[T]) -> Flow[tuple[T, Document | None]]:
    """Return what a flow returns, and the document that was read at the time of its first search, or after it has none.

    Raises what both do.
    """
    found: Document | None = None
    is_read = False
    result: Any = None
    error: Exception | None = None
    while True:
        try:
            operation: Operation = flow.send(result) if error is None else flow.throw(error)
        except StopIteration as end:
            if not is_read:
                found = yield read
            return end.value, found
        try:
            if isinstance(operation, MultiSearch | Search) and not is_read:
                found, result = yield GetAndSearch(read, operation)
                is_read = True
            else:
                result = yield operation
            error = None
        except Exception as raised:
            result, error = None, raised
