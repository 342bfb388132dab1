"""The commands trending and authors."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from es_recsys.cli.options import JsonFlag, open_client, with_settings
from es_recsys.cli.printing import print_json, say, table

if TYPE_CHECKING:
    from es_recsys.settings import Settings

__all__ = ["authors", "trending"]

Number = Annotated[int, typer.Option("--n", help="How many, 1 to 1,000.")]


@with_settings
def trending(
    settings: Settings,
    user: Annotated[str | None, typer.Option(help="Leave out what this user has seen, dislikes or mutes.")] = None,
    hours: Annotated[float, typer.Option(help="Length of the time that counts as now.")] = 1.0,
    circle: Annotated[
        bool, typer.Option("--circle", help="Only what those do whom the user follows, or who read alike.")
    ] = False,
    n: Number = 10,
    filter: Annotated[list[str] | None, typer.Option(help="Only hits that match: categories:Sport. Repeatable.")] = None,
    json: JsonFlag = False,
) -> None:
    """Show what more is done with now than usual."""
    with open_client(settings) as client:
        answer = client.trending(user, hours=hours, circle=circle, n=n, filter=filter or ())
    if json:
        print_json(answer.to_dict())
        return
    from es_recsys.cli.output import show_answer

    show_answer(answer, explain=False, name="trending")
    if not answer.hits:
        time = "hour" if hours == 1.0 else f"{hours:g} hours"
        say(f"Nothing was done more than usual in the last {time}; --hours takes a longer time.")


@with_settings
def authors(
    settings: Settings,
    user: Annotated[str, typer.Option(help="The user who might follow them.")],
    n: Number = 10,
    json: JsonFlag = False,
) -> None:
    """Show authors whom a user might follow: those whom others follow and read who read alike."""
    with open_client(settings) as client:
        found = client.authors_to_follow(user, n=n)
    if json:
        print_json([asdict(each) for each in found])
        return
    names = ["author", "score", "followers", "readers"]
    rows = [[each.author, f"{each.score:.2f}", str(each.followers), str(each.readers)] for each in found]
    if rows:
        table("by those who read alike", names, rows, right=tuple(names[1:]))
    else:
        say("Nobody yet: too little is known of the user, or of others who read alike.")
