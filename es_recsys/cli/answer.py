"""The commands search, recommend, similar, bought-together, rank and batch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from es_recsys.cli.options import JsonFlag, open_client, shared_options, with_settings
from es_recsys.cli.printing import print_json, say
from es_recsys.cli.progress_bar import progress
from es_recsys.cli.sources import parse_json_object
from es_recsys.counting import counted
from es_recsys.errors import InputError

if TYPE_CHECKING:
    from es_recsys.client import Client
    from es_recsys.jobs.batch import BatchReport
    from es_recsys.jobs.ready_lists import ReadyListReport
    from es_recsys.query import Answer
    from es_recsys.settings import Settings

__all__ = ["batch", "bought_together", "rank", "recommend", "search", "similar"]

User = Annotated[str | None, typer.Option(help="Personalise for this user.")]
Session = Annotated[str | None, typer.Option(help="Personalise for this anonymous session.")]
Number = Annotated[int, typer.Option("--n", help="Number of hits, 1 to 1,000.")]
Offset = Annotated[int, typer.Option(help="Skip this many hits; with --n 1,000 at most.")]
Filter = Annotated[
    list[str] | None,
    typer.Option(
        help="Only hits that match: brand:Acme, tags:a,b, price:10..50, created_at:>2026-01-01, -brand:Acme. Repeatable."
    ),
]
Exclude = Annotated[list[str] | None, typer.Option(help="Leave out an item, or all variants of a group_id. Repeatable.")]
Personalization = Annotated[
    float | None, typer.Option(help="From 0 (the same for everybody) to 1 (fully personal) (default: 1).")
]
Diversity = Annotated[float | None, typer.Option(help="From 0 (by score) to 1 (most varied) (default: 0).")]
Popularity = Annotated[
    float | None, typer.Option(help="From -1 (what few know) to 1 (what most like); 0 is by score (default: 0).")
]
Calibration = Annotated[
    float | None, typer.Option(help="From 0 (by score) to 1 (a page's categories as in the user's history) (default: 0).")
]
Explore = Annotated[
    float | None,
    typer.Option(help="From 0 to 1: how far items with similar scores swap places by chance, to learn about them (default: 0)."),
]
Seen = Annotated[
    str | None,
    typer.Option(help="Items that the user has seen: keep them, demote them behind all others, or exclude them (default: keep)."),
]
Explain = Annotated[bool, typer.Option("--explain", help="Show the parts of each score and the reasons for a hit.")]
Facets = Annotated[bool, typer.Option("--facets", help="Count matches by category, brand, tag and price.")]

batch = typer.Typer(no_args_is_help=True, callback=shared_options)


def _show(answer: Answer, as_json: bool, explain: bool) -> None:
    if as_json:
        print_json(answer.to_dict())
        return
    from es_recsys.cli.output import show_answer

    show_answer(answer, explain=explain)
    if answer.unranked:
        say(f"The order is Elasticsearch's own: {answer.unranked}.")


def _is_unknown(client: Client, user: str | None, session: str | None) -> bool:
    """Return whether a user is named, and no session, of whom no events are stored."""
    return user is not None and session is None and not client.get_user_profile(user).counts


@with_settings
def search(
    settings: Settings,
    query: Annotated[str, typer.Argument(help="Words to search for; optional with --image or --audio.")] = "",
    user: User = None,
    session: Session = None,
    image: Annotated[Path | None, typer.Option(help="Search by a picture.")] = None,
    audio: Annotated[Path | None, typer.Option(help="Search by a sound.")] = None,
    body: Annotated[
        str | None,
        typer.Option(help="Search body of your own (JSON) for --source-index, in place of words; narrows what a picture finds."),
    ] = None,
    source_index: Annotated[str | None, typer.Option(help="Index that the store has adopted, on which --body runs.")] = None,
    n: Number = 10,
    offset: Offset = 0,
    filter: Filter = None,
    exclude: Exclude = None,
    personalization: Personalization = None,
    diversity: Diversity = None,
    popularity: Popularity = None,
    calibration: Calibration = None,
    explore: Explore = None,
    seen: Seen = None,
    explain: Explain = False,
    facets: Facets = False,
    json: JsonFlag = False,
) -> None:
    """Search the catalogue, personalised for a user or a session."""
    with open_client(settings) as client:
        answer = client.search(
            query,
            image=image,
            audio=audio,
            body=None if body is None else parse_json_object("--body", body),
            source_index=source_index,
            user_id=user,
            session_id=session,
            n=n,
            offset=offset,
            filter=filter or (),
            exclude=exclude or (),
            personalization=personalization,
            diversity=diversity,
            popularity=popularity,
            calibration=calibration,
            explore=explore,
            seen=seen,
            explain=explain,
            facets=facets,
        )
        unknown = not json and _is_unknown(client, user, session)
    _show(answer, json, explain)
    if unknown:
        say("No events of this user are stored: this is the answer for everybody.")


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
    popularity: Popularity = None,
    calibration: Calibration = None,
    explore: Explore = None,
    repeat: Annotated[
        bool, typer.Option("--repeat", help="What the user has bought and buys again, and when it is due.")
    ] = False,
    explain: Explain = False,
    json: JsonFlag = False,
) -> None:
    """Recommend items to a user or a session; to others what is popular and new."""
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
            popularity=popularity,
            calibration=calibration,
            explore=explore,
            repeat=repeat,
            explain=explain,
        )
        unknown = not json and _is_unknown(client, user, session)
    _show(answer, json, explain)
    if unknown:
        say("No events of this user are stored" + ("." if repeat else ": these are popular and new."))
    elif repeat and not (answer.hits or json):
        say("Nothing is known that this user buys again.")


@with_settings
def similar(
    settings: Settings,
    item: Annotated[str, typer.Argument(help="Item id.")],
    user: User = None,
    n: Number = 10,
    filter: Filter = None,
    exclude: Exclude = None,
    diversity: Diversity = None,
    popularity: Popularity = None,
    seen: Seen = None,
    explain: Explain = False,
    json: JsonFlag = False,
) -> None:
    """Find items similar to an item, by content and by behaviour."""
    with open_client(settings) as client:
        answer = client.similar_items(
            item,
            user_id=user,
            n=n,
            filter=filter or (),
            exclude=exclude or (),
            diversity=diversity,
            popularity=popularity,
            seen=seen,
            explain=explain,
        )
    _show(answer, json, explain)


@with_settings
def bought_together(
    settings: Settings,
    items: Annotated[list[str], typer.Argument(help="Item id, or several, such as those of a cart.")],
    relaxed: Annotated[bool, typer.Option("--relaxed", help="Count also what one user bought within 30 days.")] = False,
    user: User = None,
    n: Number = 10,
    offset: Offset = 0,
    filter: Filter = None,
    exclude: Exclude = None,
    seen: Seen = None,
    explain: Explain = False,
    json: JsonFlag = False,
) -> None:
    """Find what is bought together with an item, with support, confidence and lift."""
    with open_client(settings) as client:
        answer = client.bought_together(
            items,
            relaxed=relaxed,
            user_id=user,
            n=n,
            offset=offset,
            filter=filter or (),
            exclude=exclude or (),
            seen=seen,
            explain=explain,
        )
    _show(answer, json, explain)
    if not (answer.hits or json):
        say(
            "Too few orders have it with another item."
            + ("" if relaxed else " --relaxed counts also what one user bought within 30 days.")
        )


@with_settings
def rank(
    settings: Settings,
    items: Annotated[list[str], typer.Argument(help="Item ids to rank.")],
    user: User = None,
    session: Session = None,
    exclude: Exclude = None,
    personalization: Personalization = None,
    seen: Seen = None,
    explain: Explain = False,
    json: JsonFlag = False,
) -> None:
    """Rank the given items for a user."""
    with open_client(settings) as client:
        answer = client.rank(
            user,
            items,
            session_id=session,
            exclude=exclude or (),
            personalization=personalization,
            seen=seen,
            explain=explain,
        )
    _show(answer, json, explain)


def _batch(settings: Settings, kind: str, file: Path, n: int, out: Path | None, **dials: float | None) -> None:
    from es_recsys.jobs.batch import answer_file

    with open_client(settings) as client, progress(kind) as bar:
        report = answer_file(client.execute_many, kind, file, n=n, out=out, store=settings.index, progress=bar, dials=dials)
    _tell(report, out)


def _store_ready_lists(settings: Settings, file: Path | None, n: int, out: Path | None) -> None:
    from es_recsys.jobs.batch import answer_file, answer_requests
    from es_recsys.jobs.batch_requests import read_requests
    from es_recsys.jobs.ready_lists import ReadyListWriter, store_ready_lists
    from es_recsys.serving.ready_lists import READY_HITS

    if n > READY_HITS:
        raise InputError(f"--n is {n}, and ready lists have {READY_HITS} hits.", f"Give {READY_HITS} at most.")
    if file is None and out is not None:
        raise InputError("--out has no file of users.", "Name one, or leave --out away.")
    with open_client(settings) as client, progress("recommend") as bar:
        if file is None:
            _tell_ready_lists(store_ready_lists(client.workspace, progress=bar))
            return
        writer = ReadyListWriter(client.workspace)
        if out is None:
            report = answer_requests(writer.execute_many, read_requests(file, "recommend", n), bar)
        else:
            report = answer_file(writer.execute_many, "recommend", file, n=n, out=out, store=settings.index, progress=bar)
    _tell_ready_lists(writer.report)
    _tell(report, out)


def _tell_ready_lists(report: ReadyListReport) -> None:
    missing = {
        "of whom nothing is stored": report.unknown,
        "of whom a part of the answer failed": report.degraded,
        "whose events came faster": report.changed,
        f"with an error ({report.first_error})": report.failed,
    }
    said = "".join(f"; {counted(count, 'user', 'users')} {why}" for why, count in missing.items() if count)
    say(f"{counted(report.stored, 'ready list', 'ready lists')} stored{said}")


def _tell(report: BatchReport, out: Path | None) -> None:
    if out is not None:
        say(
            f"{counted(report.answered, 'answer', 'answers')} in {out}"
            + (f", after {report.resumed:,} of a run that was broken off" if report.resumed else "")
            + (f"; {counted(report.failed, 'line', 'lines')} failed, see the error there" if report.failed else "")
        )
    if report.invalid:
        raise InputError(
            f"{counted(report.invalid, 'line is no request and has', 'lines are no request and have')} an error"
            f" in place of an answer: {report.first_error}",
            "Mend them; see docs/guide.md for the forms.",
        )


BatchFile = Annotated[Path, typer.Argument(help="JSONL, one request a line.")]
UsersFile = Annotated[Path | None, typer.Argument(help="JSONL, one request a line; with --to-index optional: all users.")]
ToIndex = Annotated[
    bool,
    typer.Option("--to-index", help="Store ready lists, which `recommend` serves until a user's next event; print no answers."),
]
Out = Annotated[Path | None, typer.Option(help="Write answers here, one a line (default: standard output).")]


@batch.command("recommend")
@with_settings
def batch_recommend(
    settings: Settings,
    file: UsersFile = None,
    n: Number = 10,
    popularity: Popularity = None,
    calibration: Calibration = None,
    out: Out = None,
    to_index: ToIndex = False,
) -> None:
    """Recommend items to each user of a file.

    Lines: {"user_id": ...} or {"user_id": ..., "history": [item_id, ...]}.
    """
    if to_index and (popularity is not None or calibration is not None):
        raise InputError(
            "Ready lists are those of the store's settings.", "Set search.popularity and search.calibration in its settings file."
        )
    if to_index:
        _store_ready_lists(settings, file, n, out)
    elif file is None:
        raise InputError("There is no file of users.", "Name one; with --to-index alone all users get a ready list.")
    else:
        _batch(settings, "recommend", file, n, out, popularity=popularity, calibration=calibration)


@batch.command("search")
@with_settings
def batch_search(
    settings: Settings,
    file: BatchFile,
    n: Number = 10,
    popularity: Popularity = None,
    calibration: Calibration = None,
    out: Out = None,
) -> None:
    """Execute each search of a file.

    Lines: {"query": ..., "user_id"?: ..., "filter"?: [...], "seen"?: ...}; in place of the words or beside them the path of an
    "image" or of an "audio", from the folder of the file.
    """
    _batch(settings, "search", file, n, out, popularity=popularity, calibration=calibration)
