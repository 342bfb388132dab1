"""Options that many commands have, those that name a store above all."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from es_recsys.cli.terminal import help_text

if TYPE_CHECKING:
    from es_recsys.client import Client
    from es_recsys.serving.workspace import Workspace
    from es_recsys.settings import Settings

__all__ = ["JsonFlag", "Out", "Seed", "before_command", "open_client", "open_workspace", "shared_options", "with_settings"]

_PANEL = "Global options"

Url = Annotated[str | None, typer.Option(help="Elasticsearch URL (default: the embedded node).", rich_help_panel=_PANEL)]
Index = Annotated[str | None, typer.Option(help="Name of the store (default: shop).", rich_help_panel=_PANEL)]
Config = Annotated[Path | None, typer.Option(help="Settings file (TOML) (default: es_recsys.toml).", rich_help_panel=_PANEL)]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

Seed = Annotated[int, typer.Option(help="Random seed; the same seed gives the same result.")]
Out = Annotated[Path | None, typer.Option(help="Write the result as JSON, for `report`.")]

_SHARED: dict[str, Any] = {"url": Url, "index": Index, "config": Config}


def with_settings(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options --url, --index and --config, and their Settings as its first argument.

    What stands after the command goes before what stands before it (see `shared_options`).
    """

    def command(context: typer.Context, *args: Any, **kwargs: Any) -> Any:
        from es_recsys.settings import load_settings

        after = {name: value for name in _SHARED if (value := kwargs.pop(name, None)) is not None}
        return function(load_settings(**{"config": None, **before_command(context), **after}), *args, **kwargs)

    signature = inspect.signature(function)
    own = list(signature.parameters.values())[1:]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind) for name, kind in _SHARED.items()
    ]
    group = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    hints = get_type_hints(function, include_extras=True, localns={"Settings": Any})
    command.__name__ = function.__name__
    command.__doc__ = help_text(function.__doc__)
    command.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[group, *(p.replace(annotation=hints[p.name]) for p in own), *shared], return_annotation=None
    )
    command.__annotations__ = {"context": typer.Context, **{p.name: hints[p.name] for p in own}, **_SHARED}
    return command


def shared_options(url: Url = None, index: Index = None, config: Config = None) -> None:
    """Give a group of commands --url, --index and --config, as its callback; its commands read them."""


def before_command(context: typer.Context) -> dict[str, Any]:
    """Return the shared options that stand before the command; the nearest to it counts."""
    found: dict[str, Any] = {}
    group = context.parent
    while group is not None:
        found = {name: value for name in _SHARED if (value := group.params.get(name)) is not None} | found
        group = group.parent
    return found


@contextmanager
def open_client(settings: Settings) -> Iterator[Client]:
    """Open a client of the store that `settings` name."""
    from es_recsys.client import Client

    client = Client(settings=settings)
    try:
        yield client
    finally:
        client.close()


@contextmanager
def open_workspace(settings: Settings) -> Iterator[Workspace]:
    """Open the store that `settings` name, for a job."""
    from es_recsys.serving.workspace import Workspace

    with Workspace(settings) as work:
        yield work
