"""Files of a few items, and what they are read as."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from es_recsys.sources import ItemSchema, ReadOptions, RejectedRows, read_items
from es_recsys.types import Item

__all__ = ["fault", "jsonl", "left_out", "one", "read"]


def jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))  # json, which writes NaN
    return path


def read(
    path: Path | list[Path], schema: ItemSchema | None = None, **options: Any
) -> tuple[list[Item], list[tuple[int, str, str]], RejectedRows]:
    with RejectedRows(write=False) as rejected:
        items = list(read_items(path, ReadOptions(**options), schema=schema, rejected=rejected))
    return items, [(bad.line, bad.field, bad.reason) for bad in rejected.first], rejected


def one(tmp_path: Path, **row: Any) -> Item:
    items, bad, _ = read(jsonl(tmp_path / "one.jsonl", [{"item_id": "1", **row}]))
    assert not bad
    return items[0]


def fault(tmp_path: Path, **row: Any) -> tuple[str, str]:
    items, bad, _ = read(jsonl(tmp_path / "one.jsonl", [{"item_id": "1", **row}]))
    assert not items
    return bad[0][1], bad[0][2]


def left_out(tmp_path: Path, **row: Any) -> tuple[Item, str, str]:
    """The item of a line that is used without one field, that field, and why."""
    items, bad, rejected = read(jsonl(tmp_path / "one.jsonl", [{"item_id": "1", **row}]))
    assert not bad
    ((field, reason),) = rejected.fields
    return items[0], field, reason
