"""The commands profile, profiles, segments and erase."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from es_recsys.cli.options import JsonFlag, open_client, open_workspace, shared_options, with_settings
from es_recsys.cli.printing import print_json, say, show_report, table
from es_recsys.cli.progress_bar import progress
from es_recsys.counting import counted

if TYPE_CHECKING:
    from es_recsys.models.segment_profiles import SegmentProfile
    from es_recsys.settings import Settings

__all__ = ["erase", "profile", "profiles", "segments"]

profile = typer.Typer(no_args_is_help=True, callback=shared_options)
profiles = typer.Typer(no_args_is_help=True, callback=shared_options)

_COLUMNS = ["", "label", "users", "share", "categories", "words", "popular items", "days since", "events a day", "spent"]


@profile.command("show")
@with_settings
def profile_show(settings: Settings, user: Annotated[str, typer.Argument(help="User id.")], json: JsonFlag = False) -> None:
    """Show the profile of a user."""
    from es_recsys.cli.output import profile_dict, show_profile
    from es_recsys.jobs.segments import find_segment

    with open_client(settings) as client:
        found = client.get_user_profile(user)
        titles = client.titles(found.history.item_ids[-10:])
        segment = find_segment(client.workspace, found.history)
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


@profiles.command("build")
@with_settings
def profiles_build(
    settings: Settings,
    new_key: Annotated[
        bool,
        typer.Option(
            "--new-key",
            help="Adopt the secret that is set here, where that of the store is lost. Train again afterwards; events of erased"
            " users are no longer refused.",
        ),
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Rebuild all user profiles from the stored events, and finish an interrupted load."""
    from es_recsys.jobs.reset_user_key import reset_user_key
    from es_recsys.serving.refresh import repair_profiles

    with open_workspace(settings) as work, progress("profiles") as bar:
        if new_key:
            reset_user_key(work)
        report = repair_profiles(work, progress=bar)
    show_report(report, json)


@with_settings
def segments(settings: Settings, json: JsonFlag = False) -> None:
    """List user segments: size, typical categories and words, popular items, habits."""
    from es_recsys.jobs.segments import describe_segments

    with open_workspace(settings) as work:
        report = describe_segments(work)
    if json:
        print_json(report.to_dict())
        return
    rows = [_row(one, report.titles) for one in report.segments]
    table(f"Segments of {settings.index}", _COLUMNS, rows, right=("", "users", "share", "days since", "events a day", "spent"))
    for line in report.lines():
        say(line)


def _row(one: SegmentProfile, titles: Mapping[str, str]) -> list[str]:
    popular = "; ".join(titles.get(item, item) for item in one.popular[:3])
    typical = (("recency", 1), ("frequency", 2), ("value", 2))
    figures = [f"{one.typical[name]:,.{digits}f}" if name in one.typical else "" for name, digits in typical]
    marks = [", ".join(one.categories), ", ".join(one.words), popular]
    return [str(one.segment), one.label, f"{one.users:,}", f"{one.share:.0%}", *marks, *figures]
