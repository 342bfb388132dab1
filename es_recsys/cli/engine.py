"""The commands engine start, stop and status."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from es_recsys.cli.options import JsonFlag, shared_options, with_settings
from es_recsys.cli.printing import print_json, say

if TYPE_CHECKING:
    from es_recsys.settings import Settings

__all__ = ["engine"]

engine = typer.Typer(no_args_is_help=True, callback=shared_options)


@engine.command("start")
@with_settings
def start(settings: Settings, json: JsonFlag = False) -> None:
    """Start the embedded Elasticsearch node in the background, if it is not running."""
    from es_recsys.engine import start as run

    node = run(settings)
    if json:
        print_json(asdict(node))
    else:
        say(f"Elasticsearch {node.version} is up at {node.url} (process {node.pid}).")


@engine.command("stop")
@with_settings
def stop(settings: Settings) -> None:
    """Stop the embedded Elasticsearch node."""
    from es_recsys.engine import stop as run

    say("Stopped." if run(settings) else "It was not up.")


@engine.command("status")
@with_settings
def status(settings: Settings, json: JsonFlag = False) -> None:
    """Show whether the embedded node is running, and where. Exits with 3 if it is not."""
    from es_recsys.engine import status as run

    node = run(settings)
    if json:
        print_json({"up": node is not None, **({} if node is None else asdict(node))})
    elif node is None:
        say("The embedded node is not up.")
    else:
        say(f"Elasticsearch {node.version} is up at {node.url} (process {node.pid}, heap {node.heap}); its log is {node.log}.")
    if node is None:
        raise typer.Exit(3)
