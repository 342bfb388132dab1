"""Commands for the embedded Elasticsearch: start, stop, status."""

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
    """Starts the embedded node where it is not up; it goes on after this command."""
    from es_recsys import engine

    node = engine.start(settings)
    if json:
        print_json(asdict(node))
    else:
        say(f"Elasticsearch {node.version} is up at {node.url} (process {node.pid}).")


@app.command("stop")
@with_settings
def stop(settings: Settings) -> None:
    """Ends the embedded node."""
    from es_recsys import engine

    say("Stopped." if engine.stop(settings) else "It was not up.")


@app.command("status")
@with_settings
def status(settings: Settings, json: JsonFlag = False) -> None:
    """Says whether the embedded node is up, and where. Ends with 3 where it is not."""
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
