"""Names that changed, with their old spellings.

The old ones are read until 0.3: what a person typed with a warning, what is stored without a word.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

__all__ = [
    "ARGUMENTS",
    "COMMANDS",
    "FEATURE_ASPECTS",
    "MODELS",
    "RETRIEVERS",
    "RenamedWarning",
    "accepts_old_arguments",
    "current",
    "current_arguments",
    "current_feature",
    "current_keys",
    "current_models",
    "spellings",
    "warn_renamed",
]

P = ParamSpec("P")
T = TypeVar("T")

ARGUMENTS: Mapping[str, str] = {
    "impact": "personalization",
    "legs": "retrievers",
    "log_signals": "log_features",
    "timeout": "budget",
    "near": "min_cosines",
}
"""Old name of an argument, an option of the command line or a setting -> its name."""

COMMANDS: Mapping[str, str] = {"behaviours": "event-weights"}
"""Old name of a command of the command line -> its name."""

MODELS: Mapping[str, str] = {"transitions": "covisitation"}
"""Old name of a model -> its name."""

RETRIEVERS: Mapping[str, str] = {**MODELS, "popular": "popularity", "fresh": "recency"}
"""Old name of a retriever, as weights and `parts` have it -> its name."""


FEATURE_ASPECTS: Mapping[str, str] = {
    "covered": "query_coverage",
    "said": "query_coverage",
    "letters_covered": "trigram_query_coverage",
    "letters_asked": "trigram_text_coverage",
    "leading": "shared_prefix",
    "run": "longest_run",
    "whole": "contained",
    "same": "equal",
}
"""Old name of what a feature says of its part -> its name; "asked" was two (see `current_feature`)."""


class RenamedWarning(DeprecationWarning):
    """Warning of a name that goes away; the command line shows it as a note."""


def current(name: str, renamed: Mapping[str, str]) -> str:
    """Return the present name of something, whichever was given."""
    return renamed.get(name, name)


def current_feature(name: str) -> str:
    """Return the present name of a feature of a learned ranking ("part/aspect")."""
    part, slash, aspect = name.rpartition("/")
    if not slash:
        return name
    if aspect == "asked":
        return f"{part}/{'text_coverage' if part == 'title' else 'in_query'}"
    return f"{current(part, RETRIEVERS)}/{current(aspect, FEATURE_ASPECTS)}"


def spellings(name: str, renamed: Mapping[str, str]) -> tuple[str, ...]:
    """Return the name and the old ones that it had."""
    return (name, *(old for old, new in renamed.items() if new == name))


def current_keys(values: Mapping[str, T], renamed: Mapping[str, str]) -> dict[str, T]:
    """Return the mapping under present names; where both are there, the present one counts."""
    old = {renamed[name]: value for name, value in values.items() if name in renamed}
    return {**old, **{name: value for name, value in values.items() if name not in renamed}}


def current_arguments(values: Mapping[str, T], *, stacklevel: int = 3) -> dict[str, T]:
    """Return what a person gave under present names, with a warning for each old one."""
    for name in values:
        if name in ARGUMENTS:
            warn_renamed(name, ARGUMENTS[name], stacklevel=stacklevel + 1)
    return current_keys(values, ARGUMENTS)


def current_models(names: Iterable[str], *, stacklevel: int = 3) -> tuple[str, ...]:
    """Return the models that a person named under present names, with a warning for each old one."""
    given = tuple(names)
    for name in given:
        if name in MODELS:
            warn_renamed(name, MODELS[name], stacklevel=stacklevel + 1)
    return tuple(current(name, MODELS) for name in given)


def accepts_old_arguments(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function so that old names of keyword arguments are read as the present ones, with a warning."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> T:
        return function(*args, **current_arguments(kwargs))

    return call


def warn_renamed(old: str, new: str, *, stacklevel: int = 3) -> None:
    """Warn the caller of the caller that a name goes away."""
    warnings.warn(f"{old} is called {new} now; the old name goes away with 0.3.", RenamedWarning, stacklevel=stacklevel)
