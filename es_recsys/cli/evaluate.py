"""Commands that measure: evaluate, report, and tuning by trials."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from es_recsys.cli.common import JsonFlag, open_workspace, print_json, progress, say, show_report, with_settings

if TYPE_CHECKING:
    from es_recsys.settings import Settings

__all__ = ["evaluate", "report", "tune_model", "tune_weights"]

Out = Annotated[Path | None, typer.Option(help="Keep the result as JSON, for `report`.")]
Number = Annotated[int, typer.Option("--n", min=1, max=1_000, help="Length of the answers.")]
Seed = Annotated[int, typer.Option(help="Same seed, same data: same result.")]


@with_settings
def evaluate(
    settings: Settings,
    models: Annotated[list[str] | None, typer.Argument(help="Models to compare; all of them without names.")] = None,
    split: Annotated[
        str,
        typer.Option(
            help="last: the last new item of each user. last-two: the same, with the item before it left out of training, too, as"
            " papers have it. time: what follows a moment. user: users that no training saw. random: a part of each user's items."
            " search: what followed each user's last search."
        ),
    ] = "last",
    judgments: Annotated[Path | None, typer.Option(help="Ask the queries of this file: query, item_id, grade.")] = None,
    columns: Annotated[str, typer.Option(help="Our names for the columns of --judgments: item_id=doc_id.")] = "",
    target: Annotated[
        list[str] | None, typer.Option(help="Event type that makes an item a right answer (purchase); may be repeated.")
    ] = None,
    served: Annotated[
        bool, typer.Option("--served/--no-served", help="Also through Elasticsearch, in a store that is dropped at the end.")
    ] = True,
    legs: Annotated[bool, typer.Option("--legs", help="Served also with each leg alone.")] = False,
    logged: Annotated[
        bool, typer.Option("--logged", help="Instead: what other orders of the logged pages would have brought (IPS, SNIPS).")
    ] = False,
    users: Annotated[int, typer.Option(min=1, help="How many questions, at most.")] = 1_000,
    n: Number = 10,
    budget: Annotated[float, typer.Option(min=1, help="Seconds for the trainings in memory.")] = 600.0,
    seed: Seed = 7,
    out: Out = None,
    json: JsonFlag = False,
) -> None:
    """Compares techniques on events that are held out: models in memory, their blend, and the served path."""
    from es_recsys.cli.comparison import show_comparison
    from es_recsys.jobs.evaluate import Options
    from es_recsys.jobs.evaluate import evaluate as run
    from es_recsys.sources import parse_columns

    if logged:
        _logged(settings, target or [], out, json)
        return
    options = Options(
        names=tuple(models or ()),
        split=split,
        judgments=judgments,
        columns=parse_columns(columns),
        targets=tuple(target or ()),
        served=served,
        legs=legs,
        users=users,
        n=n,
        budget=budget,
        seed=seed,
    )
    with open_workspace(settings) as work, progress("evaluate") as bar:
        found = run(work, options, progress=bar)
    if out is not None:
        write_json(out, found.to_dict())
    if json:
        print_json(found.to_dict())
        return
    show_comparison(found)
    if out is not None:
        say(f"Kept in {out}; `es-recsys report {out}` makes a page of it.")


def _logged(settings: Settings, target: list[str], out: Path | None, json: bool) -> None:
    from es_recsys.jobs.evaluate_log import evaluate_log

    with open_workspace(settings) as work:
        found = evaluate_log(work, event_types=target)
    if out is not None:
        write_json(out, found.to_dict())
    show_report(found, json)


def report(
    files: Annotated[list[Path], typer.Argument(help="What --out of `evaluate`, `tune model` and `tune weights` kept.")],
    out: Annotated[Path, typer.Option(help="The page.")] = Path("report.html"),
) -> None:
    """Makes one self-contained HTML page of results: tables, quality against cost, slices, learning curves, tuning."""
    from es_recsys.jobs.report import write_report

    write_report(files, out)
    say(f"{out} holds it all; it needs no network.")


Timeout = Annotated[float | None, typer.Option(min=1, help="Seconds after which no further trial begins.")]


@with_settings
def tune_model(
    settings: Settings,
    model: Annotated[str, typer.Argument(help="A model; `evaluate --help` says how to compare them.")],
    trials: Annotated[int, typer.Option(min=1, help="Trials in all, those of earlier runs included.")] = 40,
    timeout: Timeout = None,
    split: Annotated[
        str, typer.Option(help="What is held out: auto, as `train` holds out; last, time or random, as in `evaluate`.")
    ] = "auto",
    users: Annotated[int, typer.Option(min=20, help="How many questions a trial asks, at most.")] = 2_000,
    seed: Seed = 7,
    out: Out = None,
    json: JsonFlag = False,
) -> None:
    """Chooses a model's settings by trials on events that are held out; `train MODEL` uses them from then on."""
    from es_recsys.training.tune_model import tune_model as run

    with open_workspace(settings) as work, progress("tune") as bar:
        found = run(work, model, split=split, trials=trials, timeout=timeout, users=users, seed=seed, progress=bar)
    if out is not None:
        write_json(out, found.to_dict())
    show_report(found, json)


@with_settings
def tune_weights(
    settings: Settings,
    trials: Annotated[int, typer.Option(min=1, help="Trials a situation, those of earlier runs included.")] = 200,
    timeout: Timeout = None,
    users: Annotated[int, typer.Option(min=50, help="How many questions a situation, at most.")] = 500,
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Event type that makes an item a right answer without a query (purchase), in place of those of the training;"
            " may be repeated."
        ),
    ] = None,
    seed: Seed = 7,
    out: Out = None,
    json: JsonFlag = False,
) -> None:
    """Chooses the weights of the legs on events that are held out, without a query and in searches, and stores them.

    Run again, it goes on where it was.
    """
    from es_recsys.training.tune_weights import tune_weights as run

    with open_workspace(settings) as work, progress("tune") as bar:
        found = run(work, trials=trials, timeout=timeout, users=users, targets=tuple(target or ()), seed=seed, progress=bar)
    if out is not None:
        write_json(out, found.to_dict())
    show_report(found, json)


def write_json(path: Path, value: Any) -> None:
    """A result into a file. Raises InputError where it can't be written."""
    import orjson

    from es_recsys.errors import InputError

    try:
        path.write_bytes(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE))
    except OSError as error:
        raise InputError(
            f"{path} can't be written ({error.strerror}).", "Give a file in a folder that can be written."
        ) from error
