"""JSON lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from es_recsys.data.faults import Fault, Report
from es_recsys.data.sources import MAX_LINE, Line

__all__ = ["jsonl_rows"]


def jsonl_rows(lines: Iterable[Line], report: Report) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and values of each line that is an object; blank lines are passed over, others go to `report`."""
    for number, line in lines:
        if line is None:
            report(Fault(number, "", f"is longer than {MAX_LINE >> 20} MiB", None))
            continue
        try:
            values = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            if not line.strip():
                continue
            values = _with_nan(line)
            if values is None:
                report(Fault(number, "", _why(line, error), line.rstrip(b"\r\n")))
                continue
        if isinstance(values, dict):
            yield number, values
        else:
            report(Fault(number, "", "is not a JSON object", line.rstrip(b"\r\n")))


def _with_nan(line: bytes) -> Any | None:
    # Many programs write NaN and Infinity, which JSON has not; the fields themselves say what they make of them.
    if b"NaN" not in line and b"Infinity" not in line:
        return None
    try:
        values = json.loads(line)
        orjson.dumps(values)  # refuses what is not Unicode
    except (ValueError, RecursionError, TypeError):
        return None
    return values


def _why(line: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as wrong:
        return f"is not UTF-8 (byte {wrong.start + 1})"
    return f"is not JSON: {error.msg}"
