"""Settings as JSON values: JSON has no infinity, so what never halves is null."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["from_json", "to_json"]


def to_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with None for an infinite one."""
    return {name: None if value == math.inf else value for name, value in values.items()}


def from_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """What `to_json` was given: a half-life of None is infinite."""
    return {name: math.inf if value is None and name.startswith("half_life") else value for name, value in values.items()}
