"""The commands doctor, profile, erase and index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from es_recsys.cli.common import (
    JsonFlag,
    open_client,
    open_workspace,
    print_json,
    progress,
    say,
    shared_options,
    table,
    with_settings,
)
from es_recsys.counting import counted

if TYPE_CHECKING:
    from es_recsys.settings import Settings

__all__ = ["doctor", "erase", "index", "profile"]

profile = typer.Typer(no_args_is_help=True, callback=shared_options)
index = typer.Typer(no_args_is_help=True, callback=shared_options)


@with_settings
def doctor(settings: Settings, json: JsonFlag = False) -> None:
    """Check the set-up and say how to fix problems. Exits with 3 if there are any."""
    from es_recsys.doctor import diagnose

    found = list(diagnose(settings))
    if json:
        print_json([{"name": c.name, "ok": c.ok, "what": c.what, "remedy": c.remedy} for c in found])
    else:
        for check in found:
            say(f"{'ok  ' if check.ok else 'FAIL'} {check.name}: {check.what}")
            if not check.ok and check.remedy:
                say(f"     {check.remedy}")
    if not all(check.ok for check in found):
        raise typer.Exit(3)


@profile.command("show")
@with_settings
def profile_show(settings: Settings, user: Annotated[str, typer.Argument(help="User id.")], json: JsonFlag = False) -> None:
    """Show the profile of a user."""
    from es_recsys.cli.output import profile_dict, show_profile
    from es_recsys.jobs.segments import segment_of

    with open_client(settings) as client:
        found = client.get_user_profile(user)
        titles = client.titles(found.history.item_ids[-10:])
        segment = segment_of(client.workspace, found.history)
    if json:
        own = None if segment is None else {"segment": segment[0].segment, "label": segment[0].label, "membership": segment[1]}
        print_json({**profile_dict(found), "segment": own})
        return
    show_profile(found, titles)
    if segment is not None:
        say(f"segment: {segment[0].segment}, {segment[0].label} ({segment[1]:.0%})")


@with_settings
def erase(
    settings: Settings,
    user: Annotated[str, typer.Argument(help="User id.")],
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask for confirmation.")] = False,
) -> None:
    """Erase a user: events, profile and logged answers. Events of the user that are loaded again are refused."""
    if not yes:
        typer.confirm("Erase all that is stored of this user?", abort=True)
    with open_client(settings) as client:
        report = client.delete_user(user)
    say(
        f"Erased: {counted(report.events, 'event', 'events')}, {counted(report.profiles, 'profile', 'profiles')},"
        f" {counted(report.answers, 'logged answer', 'logged answers')}."
    )


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
def index_rebuild(settings: Settings) -> None:
    """Rebuild the index with the mapping of this release, without training or encoding."""
    from es_recsys.jobs.rebuild_index import rebuild_index

    with open_workspace(settings) as work, progress("items") as bar:
        version = rebuild_index(work, bar)
    say(f"Version {version} of {settings.index} is live.")


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
    from es_recsys.serving.stores import drop_store

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
