"""How far a source was read: the highest value of a field among its rows, kept with what was made of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from es_recsys.jobs.row_sources import Mark, RowSource

__all__ = ["NOTE", "mark_key", "stored_mark", "with_mark"]

NOTE = "sources"
"""What marks are kept under, in the notes of a version of items and in the progress of a store of events."""


def mark_key(source: RowSource, field: str, read_as: Mapping[str, Any]) -> str:
    """Return what names a reading: of another query, or with other columns, nothing was read before."""
    digest = hashlib.blake2b(orjson.dumps(read_as, option=orjson.OPT_SORT_KEYS, default=str), digest_size=6).hexdigest()
    return f"{source.identity} {field} {digest}"


def stored_mark(kept: Mapping[str, Any], key: str) -> Mark | None:
    """Return the mark of a reading; None where there was none."""
    found: Mark | None = kept.get(NOTE, {}).get(key)
    return found


def with_mark(kept: Mapping[str, Any], key: str, mark: Mark) -> dict[str, Any]:
    """Return what is to be kept in place of `kept`'s marks. Another reading of the same source by the same field is forgotten."""
    begin = key.rpartition(" ")[0]
    others = {name: value for name, value in kept.get(NOTE, {}).items() if name.rpartition(" ")[0] != begin}
    return {NOTE: {**others, key: mark}}
