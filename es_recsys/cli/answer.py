"""Commands that answer: search, recommend, similar, rank, batch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from es_recsys.cli.common import JsonFlag, open_client, print_json, progress, say, shared_options, with_settings
from es_recsys.counting import counted
from es_recsys.errors import InputError

if TYPE_CHECKING:
    from es_recsys.settings import Settings
    from es_recsys.types import Answer

__all__ = ["batch", "rank", "recommend", "search", "similar"]

User = Annotated[str | None, typer.Option(help="Whose taste counts.")]
Session = Annotated[str | None, typer.Option(help="An anonymous session, whose events count.")]
Number = Annotated[int, typer.Option("--n", help="How many hits.")]
Offset = Annotated[int, typer.Option(help="How many hits to leave out at the top.")]
Filter = Annotated[
    list[str] | None,
    typer.Option(help="field:value, field:a,b, price:10..50, created_at:>2026-01-01, -field:value; may be repeated."),
]
Exclude = Annotated[
    list[str] | None, typer.Option(help="An item_id to leave out, or a group_id: all its variants; may be repeated.")
]
Personalization = Annotated[float | None, typer.Option(help="0 is the same for everybody, 1 fully personal.")]
Diversity = Annotated[float | None, typer.Option(help="0 is by score alone, 1 as varied as can be.")]
Explore = Annotated[float | None, typer.Option(help="How much of the order is left to chance, so that much is tried: 0 to 1.")]
Explain = Annotated[bool, typer.Option("--explain", help="Show why each hit is there.")]
Facets = Annotated[bool, typer.Option("--facets", help="Count the matches by category, brand, tag and price.")]

batch = typer.Typer(no_args_is_help=True, callback=shared_options)


def _show(answer: Answer, as_json: bool, explain: bool) -> None:
    if as_json:
        print_json(answer.to_dict())
        return
    from es_recsys.cli.output import show_answer

    show_answer(answer, explain=explain)


@with_settings
def search(
    settings: Settings,
    query: Annotated[str, typer.Argument(help="What to look for; may be empty with --image.")] = "",
    user: User = None,
    session: Session = None,
    image: Annotated[Path | None, typer.Option(help="A picture to search by.")] = None,
    n: Number = 10,
    offset: Offset = 0,
    filter: Filter = None,
    exclude: Exclude = None,
    personalization: Personalization = None,
    diversity: Diversity = None,
    explore: Explore = None,
    explain: Explain = False,
    facets: Facets = False,
    json: JsonFlag = False,
) -> None:
    """Searches the catalogue, personally where a user or a session is named."""
    with open_client(settings) as client:
        answer = client.search(
            query,
            image=image,
            user_id=user,
            session_id=session,
            n=n,
            offset=offset,
            filter=filter or (),
            exclude=exclude or (),
            personalization=personalization,
            diversity=diversity,
            explore=explore,
            explain=explain,
            facets=facets,
        )
    _show(answer, json, explain)


@with_settings
def recommend(
    settings: Settings,
    user: User = None,
    session: Session = None,
    n: Number = 10,
    offset: Offset = 0,
    filter: Filter = None,
    exclude: Exclude = None,
    personalization: Personalization = None,
    diversity: Diversity = None,
    explore: Explore = None,
    explain: Explain = False,
    json: JsonFlag = False,
) -> None:
    """Recommends items to a user or a session; what is popular and fresh to a stranger."""
    with open_client(settings) as client:
        answer = client.recommend(
            user,
            session_id=session,
            n=n,
            offset=offset,
            filter=filter or (),
            exclude=exclude or (),
            personalization=personalization,
            diversity=diversity,
            explore=explore,
            explain=explain,
        )
    _show(answer, json, explain)


@with_settings
def similar(
    settings: Settings,
    item: Annotated[str, typer.Argument(help="Id of an item.")],
    user: User = None,
    n: Number = 10,
    filter: Filter = None,
    exclude: Exclude = None,
    diversity: Diversity = None,
    explain: Explain = False,
    json: JsonFlag = False,
) -> None:
    """Finds items like one item, by its content and by what its users did."""
    with open_client(settings) as client:
        answer = client.similar_items(
            item, user_id=user, n=n, filter=filter or (), exclude=exclude or (), diversity=diversity, explain=explain
        )
    _show(answer, json, explain)


@with_settings
def rank(
    settings: Settings,
    items: Annotated[list[str], typer.Argument(help="Ids to put in order.")],
    user: User = None,
    session: Session = None,
    exclude: Exclude = None,
    personalization: Personalization = None,
    explain: Explain = False,
    json: JsonFlag = False,
) -> None:
    """Puts given items in the order that suits a user."""
    with open_client(settings) as client:
        answer = client.rank(
            user, items, session_id=session, exclude=exclude or (), personalization=personalization, explain=explain
        )
    _show(answer, json, explain)


def _batch(settings: Settings, kind: str, file: Path, n: int, out: Path | None) -> None:
    from es_recsys.jobs.batch import answer_file

    with open_client(settings) as client, progress(kind) as bar:
        report = answer_file(client.execute_many, kind, file, n=n, out=out, store=settings.index, progress=bar)
    if out is not None:
        say(
            f"{counted(report.answered, 'answer', 'answers')} in {out}"
            + (f", after {report.resumed:,} of a run that was broken off" if report.resumed else "")
            + (f"; {counted(report.failed, 'line', 'lines')} failed, see the error there" if report.failed else "")
        )
    if report.invalid:
        raise InputError(
            f"{counted(report.invalid, 'line is no question and has', 'lines are no question and have')} an error"
            f" in place of an answer: {report.first_error}",
            "Mend them; see docs/guide.md for the forms.",
        )


BatchFile = Annotated[Path, typer.Argument(help="JSONL, one question a line.")]
Out = Annotated[Path | None, typer.Option(help="Where the answers go, a line each; standard output if left out.")]


@batch.command("recommend")
@with_settings
def batch_recommend(settings: Settings, file: BatchFile, n: Number = 10, out: Out = None) -> None:
    """Recommends to the users of a file: {"user_id": ...} or {"user_id": ..., "history": [item_id, ...]} a line."""
    _batch(settings, "recommend", file, n, out)


@batch.command("search")
@with_settings
def batch_search(settings: Settings, file: BatchFile, n: Number = 10, out: Out = None) -> None:
    """Answers the queries of a file: {"query": ..., "user_id"?: ..., "filter"?: [...]} a line."""
    _batch(settings, "search", file, n, out)
