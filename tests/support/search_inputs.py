"""The three inputs of a search, made from flat keywords."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, NamedTuple

from es_recsys.search.request import RankingPolicy, Request, UserState

_FIELDS = {each.name: part for part in (Request, UserState, RankingPolicy) for each in fields(part)}


class Inputs(NamedTuple):
    """What every step of a search takes: `plan_retrieval(*inputs)`."""

    request: Request
    user: UserState
    policy: RankingPolicy


def inputs(**values: Any) -> Inputs:
    """Return the inputs, each value in the part that has a field of its name; weights of the metadata are the retrievers'."""
    if "metadata" in values:
        values.setdefault("retriever_weights", values["metadata"].retriever_weights)
    return Inputs(*(part(**_own(part, values)) for part in (Request, UserState, RankingPolicy)))


def changed(given: Inputs, **values: Any) -> Inputs:
    """Return the inputs with other values."""
    if "metadata" in values:
        values.setdefault("retriever_weights", values["metadata"].retriever_weights)
    return Inputs(*(replace(part, **_own(type(part), values)) for part in given))


def _own(part: type, values: dict[str, Any]) -> dict[str, Any]:
    unknown = values.keys() - _FIELDS.keys()
    if unknown:
        raise TypeError(f"unknown: {unknown}")
    return {name: value for name, value in values.items() if _FIELDS[name] is part}
