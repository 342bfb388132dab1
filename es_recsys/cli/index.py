"""The commands index list, swap, rebuild and drop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from es_recsys.cli.options import JsonFlag, open_workspace, shared_options, with_settings
from es_recsys.cli.printing import print_json, say, table
from es_recsys.cli.progress_bar import progress

if TYPE_CHECKING:
    from es_recsys.settings import Settings

__all__ = ["index"]

index = typer.Typer(no_args_is_help=True, callback=shared_options)


@index.command("list")
@with_settings
def index_list(settings: Settings, json: JsonFlag = False) -> None:
    """List index versions of a store."""
    from es_recsys.jobs.versions import list_versions

    with open_workspace(settings) as work:
        versions = list_versions(work)
    if json:
        print_json(versions)
        return
    rows = [
        [str(v["version"]), "live" if v["live"] else "", f"{v['documents']:,}", ", ".join(v["vectors"]), ", ".join(v["models"])]
        for v in versions
    ]
    table(
        f"Versions of {settings.index}", ["version", "", "documents", "vectors", "models"], rows, right=("version", "documents")
    )


@index.command("swap")
@with_settings
def index_swap(
    settings: Settings,
    version: Annotated[int | None, typer.Argument(help="Version to serve (default: the one before the live one).")] = None,
) -> None:
    """Serve another index version at once, to roll back or forward."""
    from es_recsys.jobs.versions import swap_version

    with open_workspace(settings) as work:
        live = swap_version(work, version)
    say(f"Version {live} of {settings.index} is live.")


@index.command("rebuild")
@with_settings
def index_rebuild(
    settings: Settings,
    text_encoder: Annotated[
        str | None,
        typer.Option(
            help="Encode the texts of the stored items by this model (default: their vectors are copied); none: no vectors."
        ),
    ] = None,
) -> None:
    """Rebuild the index with the mapping of this release, out of what is stored and without training."""
    from es_recsys.jobs.rebuild_index import rebuild_index

    with open_workspace(settings) as work, progress("items") as bar:
        version = rebuild_index(work, bar, text=text_encoder)
    say(f"Version {version} of {settings.index} is live.")
    if text_encoder is not None:
        say("Weights of words and vectors are those chosen with the encoder before; `tune search` and `train` choose anew.")


@index.command("drop")
@with_settings
def index_drop(
    settings: Settings,
    version: Annotated[int | None, typer.Argument(help="Version to drop; never the live one.")] = None,
    store: Annotated[
        bool, typer.Option("--store", help="Drop the whole store: versions, models and answer log, but not its events.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask for confirmation.")] = False,
) -> None:
    """Drop an index version, or the whole store."""
    from es_recsys.errors import InputError
    from es_recsys.jobs.versions import drop_version
    from es_recsys.serving.workspace import drop_store

    if (version is None) != store:
        raise InputError("Name a version or --store, one of the two.", "See `es-recsys index list`.")
    if not yes:
        typer.confirm(f"Drop {'the store ' + settings.index if store else f'version {version} of {settings.index}'}?", abort=True)
    with open_workspace(settings) as work:
        if version is not None:
            drop_version(work, version)
        else:
            drop_store(work)
    say("Dropped.")
