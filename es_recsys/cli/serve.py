"""The commands serve and keys."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from es_recsys.cli.options import JsonFlag, shared_options, with_settings
from es_recsys.cli.printing import print_json, say
from es_recsys.errors import MissingExtra

if TYPE_CHECKING:
    from es_recsys.settings import Settings

__all__ = ["keys", "serve"]

keys = typer.Typer(no_args_is_help=True, callback=shared_options)


@with_settings
def serve(
    settings: Settings,
    host: Annotated[str, typer.Option(help="Address to listen on; another than this machine's own needs keys.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 takes a free one.")] = 8_000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that answer.")] = 1,
) -> None:
    """Serve Elasticsearch's _search and _msearch, personal where the body names a user, and take events. Ends with Ctrl-C."""
    try:
        from es_recsys.service.server import bind
        from es_recsys.service.server import serve as run
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "fastapi", "service") from error
    listening = bind(settings, host, port)
    shown = f"[{host}]" if ":" in host else host
    say(f"Serving the store {settings.index} at http://{shown}:{listening.getsockname()[1]}; Ctrl-C ends it.")
    sys.stdout.flush()
    run(settings, listening, workers)


@keys.command("create")
@with_settings
def create(
    settings: Settings,
    scope: Annotated[str, typer.Option(help="public, read, write or admin.")] = "read",
    name: Annotated[str, typer.Option(help="What the key is for.")] = "",
    json: JsonFlag = False,
) -> None:
    """Make a key for the service and print it; it is shown only now."""
    from es_recsys.service.api_keys import ApiKeys

    key, text = ApiKeys(settings).create(scope, name)
    if json:
        print_json({"key_id": key.key_id, "scope": key.scope, "key": text})
    else:
        say(f"{text}\nSend it in the header X-API-Key. Its id is {key.key_id}, its scope {key.scope}; it isn't shown again.")


@keys.command("list")
@with_settings
def list_keys(settings: Settings, json: JsonFlag = False) -> None:
    """List the keys of the service."""
    from es_recsys.service.api_keys import ApiKeys

    found = ApiKeys(settings).all()
    if json:
        print_json([{"key_id": key.key_id, "scope": key.scope, "name": key.name, "created_at": key.created_at} for key in found])
        return
    for key in found:
        say(f"{key.key_id}  {key.scope:6}  {datetime.fromtimestamp(key.created_at, UTC):%Y-%m-%d %H:%M}  {key.name}".rstrip())
    if not found:
        say("There are no keys; the service answers this machine only.")


@keys.command("revoke")
@with_settings
def revoke(settings: Settings, key_id: Annotated[str, typer.Argument(help="Id of the key, as `keys list` shows it.")]) -> None:
    """Revoke a key; a service that is running refuses it from now on."""
    from es_recsys.service.api_keys import ApiKeys

    ApiKeys(settings).revoke(key_id)
    say(f"Revoked {key_id}.")
