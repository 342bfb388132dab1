"""Models that are gone: a store may still be served with one, and a person may still name one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from es_recsys.errors import InputError
from es_recsys.models.segments import SEGMENTS

__all__ = ["REMOVED", "recommending", "without_removed", "wrong_model"]

REMOVED: Mapping[str, str] = MappingProxyType(
    {"bpr": "als", "gfcf": "bspm", "itemknn": "covisitation", "rp3beta": "covisitation", "tower": "sasrec"}
)
"""Name of a model that is gone -> the model to train in its place (figures: docs/techniques.md)."""


def without_removed(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names without those of models that are gone."""
    return tuple(name for name in names if name not in REMOVED)


def recommending(names: Iterable[str]) -> tuple[str, ...]:
    """Return those of a version's models that still recommend: segments were once among them."""
    return tuple(name for name in without_removed(names) if name != SEGMENTS)


def wrong_model(name: str, known: Iterable[str], otherwise: str = "") -> InputError:
    """Return the error for the name of a model that there is not, or not any more.

    known: the models that may be named. otherwise: what may be done instead of naming one.
    """
    if name in REMOVED:
        return InputError(f"The model {name!r} is gone: others answer better.", f"Name {REMOVED[name]} instead{otherwise}.")
    return InputError(f"There is no model {name!r}.", f"Name some of: {', '.join(known)}{otherwise}.")
