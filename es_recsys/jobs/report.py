"""Makes one HTML page of saved results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from es_recsys.errors import InputError
from es_recsys.evaluation.logged import LoggedReport
from es_recsys.evaluation.report import page
from es_recsys.evaluation.results import Comparison

__all__ = ["write_report"]

_REMEDY = "Give a file that `evaluate` or `tune` wrote with --out."
_HISTORY, _TRIAL = {"model", "metric", "trials"}, {"number", "value", "seconds", "settings"}


def write_report(files: Sequence[Path], out: Path) -> None:
    """Write the page of the files' results, in their order.

    files: what --out of `evaluate`, `tune model` and `tune weights` saved. Raises InputError where one can't be read, or `out`
    can't be written.
    """
    comparisons: list[Comparison] = []
    logged: list[LoggedReport] = []
    tunings: list[Mapping[str, Any]] = []
    for path in files:
        found = _read(path)
        kind = found.get("kind")
        if kind == "logged":
            logged.append(LoggedReport.from_dict(found))
        elif kind == "impressions":
            raise InputError(f"{path} has metrics by impression, of which there is no page.", "Leave it out; read it as JSON.")
        elif kind in ("tuning", "weights"):
            tunings += _histories(found)
        else:
            comparisons.append(Comparison.from_dict(found))
    text = page(comparisons, tunings, logged)
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{out} can't be written ({error.strerror}).", "Give a file in a folder that can be written.") from error


def _histories(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the trials that `tune model` or `tune weights` saved. Raises InputError for another file."""
    try:
        histories = [one["history"] for one in found["situations"].values()] if found["kind"] == "weights" else [found]
        whole = all(one.keys() >= _HISTORY and all(row.keys() >= _TRIAL for row in one["trials"]) for one in histories)
    except (KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise InputError("This is no result of `es-recsys tune`.", "Write one with --out FILE.json.")
    return histories


def _read(path: Path) -> dict[str, Any]:
    try:
        found = orjson.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror}).", _REMEDY) from error
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path} is not JSON ({error}).", _REMEDY) from error
    if not isinstance(found, dict):
        raise InputError(f"{path} is no result of `es-recsys evaluate` or `tune`.", "Write one with --out FILE.json.")
    return found
