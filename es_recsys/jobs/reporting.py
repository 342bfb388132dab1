"""Makes one page of the results that were kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from es_recsys.errors import InputError
from es_recsys.evaluation.report import page
from es_recsys.evaluation.results import Comparison

__all__ = ["write_report"]


def write_report(files: Sequence[Path], out: Path) -> None:
    """The page of the files' results, in their order. Raises InputError where one can't be read, or `out` written."""
    found = [_read(path) for path in files]
    comparisons = [Comparison.from_dict(one) for one in found if one.get("kind") != "tuning"]
    text = page(comparisons, [one for one in found if one.get("kind") == "tuning"])
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{out} can't be written ({error.strerror}).", "Give a file in a folder that can be written.") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        found = orjson.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror}).", "Give what `evaluate --out` kept.") from error
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path} is no JSON ({error}).", "Give what `evaluate --out` kept.") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} is no result of `es-recsys evaluate`.", "Write one with --out FILE.json.")
    return found
