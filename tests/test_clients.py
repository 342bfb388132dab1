"""Both clients have the same methods: the same signatures, and the docstring of the one or a pointer to it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from es_recsys.client import AsyncClient, Client


def methods_of(client: type) -> list[str]:
    return [name for name in dir(client) if not name.startswith("_") and callable(getattr(client, name))]


METHODS = methods_of(Client)


def signature(method: Callable[..., Any]) -> list[tuple[str, Any, Any, Any]]:
    """What a caller gives: name, kind, default and annotation of each parameter."""
    parameters = inspect.signature(method).parameters.values()
    return [(one.name, one.kind, one.default, one.annotation) for one in parameters]


def test_both_have_the_same_methods() -> None:
    public = [{name for name in dir(one) if not name.startswith("_")} for one in (Client, AsyncClient)]
    assert public[0] == public[1]
    assert {"search", "recommend", "similar_items", "rank", "execute", "put_events", "train", "close"} <= set(METHODS)
    assert methods_of(AsyncClient) == METHODS


@pytest.mark.parametrize("name", METHODS)
def test_a_method_takes_and_says_the_same_in_both(name: str) -> None:
    one, other = getattr(Client, name), getattr(AsyncClient, name)
    assert signature(one) == signature(other)
    assert one.__doc__
    assert other.__doc__ in (one.__doc__, f"See `Client.{name}`.")


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"embedded"}))
def test_every_argument_is_spelt_out(name: str) -> None:
    kinds = {kind for _, kind, _, _ in signature(getattr(Client, name))}
    assert not kinds & {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}


def test_both_are_made_the_same_way() -> None:
    assert signature(Client) == signature(AsyncClient)
