"""Files whose first line is data: how they are told, and the command that reads them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from es_recsys.sources.actions import event_type_of

__all__ = ["looks_like_data", "no_header_command"]

_NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?(?:[eE][+-]?[0-9]+)?")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}.*|[0-9]{9,19}(?:\.[0-9]+)?|[A-Z][a-z]{2} [A-Z][a-z]{2} [0-9].*[0-9]{4}")
_RATING = re.compile(r"-?(?:[0-9]|10)(?:\.[0-9]{1,2})?")
_DETECTED_SEPARATORS = (",", ";", "\t")
_SHELL_QUOTED = {"\x01": "$'\\x01'"}
_ID = re.compile(r"[0-9]+|[\w-]*[0-9][\w-]*")


def looks_like_data(cells: Sequence[str]) -> bool:
    """Return whether a first line holds values rather than names: one of its cells is a number or a time."""
    return any(_NUMBER.fullmatch(cell.strip()) or _TIME.fullmatch(cell.strip()) for cell in cells)


def no_header_command(cells: Sequence[str], events: bool, separator: str | None) -> str:
    """Return the options that read a file with this first line, as far as the values show which column is which."""
    options = ["--no-header"]
    if separator is not None and separator not in _DETECTED_SEPARATORS:
        options.append(f"--separator {_SHELL_QUOTED.get(separator) or shlex.quote(separator)}")
    columns = _event_columns(cells) if events else _item_columns(cells)
    options.append("--columns " + ",".join(f"{field}={column_idx + 1}" for field, column_idx in columns.items()))
    if events and "event_type" not in columns:
        options.append("--constant event_type=" + ("rating" if "value" in columns else "view"))
    return " ".join(options)


def _item_columns(cells: Sequence[str]) -> dict[str, int]:
    words = [column_idx for column_idx, cell in enumerate(cells) if column_idx and re.search(r"[^\W\d_]", cell)]
    return {"item_id": 0} | ({"title": words[0]} if words else {})


def _event_columns(cells: Sequence[str]) -> dict[str, int]:
    """Return field -> column index of events without a header.

    Usual is user, item, rating, time; the time is told by its form, a rating by being small, an action by its name.
    """
    stripped = [cell.strip() for cell in cells]
    times = [column_idx for column_idx, cell in enumerate(stripped) if column_idx and _TIME.fullmatch(cell)]
    ids = [
        column_idx
        for column_idx, cell in enumerate(stripped)
        if column_idx and column_idx not in times[:1] and _ID.fullmatch(cell)
    ]
    columns = {"user_id": 0}
    if ids:
        columns["item_id"] = ids[0]
        after = ids[0] + 1
        ends = after + 1 in times[:1] or (not times and after == len(cells) - 1)
        if after < len(cells) and ends and _RATING.fullmatch(stripped[after]):
            columns["value"] = after
    actions = [column_idx for column_idx, cell in enumerate(stripped) if column_idx and event_type_of(cell)]
    if actions:
        columns["event_type"] = actions[0]
    return columns | ({"timestamp": times[0]} if times else {})
