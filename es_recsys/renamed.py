"""Names that changed. The old spellings are read until 0.3: what a person typed with a warning, what is stored without a word."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TypeVar

__all__ = ["MODELS", "RETRIEVERS", "current", "current_keys", "warn_renamed"]

T = TypeVar("T")

MODELS: Mapping[str, str] = {}
"""Old name of a model -> its name."""

RETRIEVERS: Mapping[str, str] = {**MODELS}
"""Old name of a retriever, as weights and `parts` have it -> its name."""


def current(name: str, renamed: Mapping[str, str]) -> str:
    """Return the present name of something, whichever was given."""
    return renamed.get(name, name)


def current_keys(values: Mapping[str, T], renamed: Mapping[str, str]) -> dict[str, T]:
    """Return the mapping under present names; where both are there, the present one counts."""
    old = {renamed[name]: value for name, value in values.items() if name in renamed}
    return {**old, **{name: value for name, value in values.items() if name not in renamed}}


def warn_renamed(old: str, new: str, *, stacklevel: int = 3) -> None:
    """Warn the caller of the caller that a name goes away."""
    warnings.warn(f"{old} is called {new} now; the old name goes away with 0.3.", DeprecationWarning, stacklevel=stacklevel)
