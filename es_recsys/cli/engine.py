"""The commands engine start, stop and status."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from es_recsys.cli.common import JsonFlag, print_json, say, shared_options, with_settings

if TYPE_CHECKING:
    from es_recsys.settings import Settings

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, callback=shared_options)


@app.command("start")
@with_settings
def start(settings: Settings, json: JsonFlag = False) -> None:
    """Start the embedded Elasticsearch node in the background, if it is not running."""
    from es_recsys import engine

    node = engine.start(settings)
    if json:
        print_json(asdict(node))
    else:
        say(f"Elasticsearch {node.version} is up at {node.url} (process {node.pid}).")


@app.command("stop")
@with_settings
def stop(settings: Settings) -> None:
    """Stop the embedded Elasticsearch node."""
    from es_recsys import engine

    say("Stopped." if engine.stop(settings) else "It was not up.")


@app.command("status")
@with_settings
def status(settings: Settings, json: JsonFlag = False) -> None:
    """Show whether the embedded node is running, and where. Exits with 3 if it is not."""
    from es_recsys import engine

    node = engine.status(settings)
    if json:
        print_json({"up": node is not None, **({} if node is None else asdict(node))})
    elif node is None:
        say("The embedded node is not up.")
    else:
        say(f"Elasticsearch {node.version} is up at {node.url} (process {node.pid}, heap {node.heap}); its log is {node.log}.")
    if node is None:
        raise typer.Exit(3)
