"""The commands evaluate, report, tune model and tune weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from es_recsys.cli.common import JsonFlag, open_workspace, print_json, progress, say, show_report, with_settings

if TYPE_CHECKING:
    from es_recsys.settings import Settings

__all__ = ["evaluate", "report", "tune_model", "tune_weights"]

Out = Annotated[Path | None, typer.Option(help="Write the result as JSON, for `report`.")]
Number = Annotated[int, typer.Option("--n", min=1, max=1_000, help="Number of hits.")]
Seed = Annotated[int, typer.Option(help="Random seed; the same seed gives the same result.")]


@with_settings
def evaluate(
    settings: Settings,
    models: Annotated[list[str] | None, typer.Argument(help="Models to compare (default: all).")] = None,
    split: Annotated[
        str,
        typer.Option(
            help="Hold-out split: last (the last new item of each user), last-two (the same, trained without the item before it,"
            " as in papers), time (all after a moment), user (users not trained on), random (a part of each user's items), search"
            " (what followed each user's last search)."
        ),
    ] = "last",
    judgments: Annotated[Path | None, typer.Option(help="Evaluate on judgments: JSONL or TSV of query, item_id, grade.")] = None,
    columns: Annotated[str, typer.Option(help="Rename columns of the judgments: item_id=doc_id.")] = "",
    target: Annotated[list[str] | None, typer.Option(help="Event type that counts as relevant (purchase). Repeatable.")] = None,
    served: Annotated[
        bool,
        typer.Option("--served/--no-served", help="Evaluate also through Elasticsearch, in a temporary store."),
    ] = True,
    retrievers: Annotated[bool, typer.Option("--retrievers", help="Evaluate also each retriever alone.")] = False,
    logged: Annotated[
        bool, typer.Option("--logged", help="Estimate other rankings from the answer log instead (IPS, SNIPS).")
    ] = False,
    users: Annotated[int, typer.Option(min=1, help="Number of users or queries, at most.")] = 1_000,
    n: Number = 10,
    budget: Annotated[float, typer.Option(min=1, help="Seconds for training in memory.")] = 600.0,
    seed: Seed = 7,
    out: Out = None,
    json: JsonFlag = False,
) -> None:
    """Compare models, their ensemble and the served ranking on held-out events."""
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
        retrievers=retrievers,
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
        say(f"Written to {out}; `es-recsys report {out}` makes a page of it.")


def _logged(settings: Settings, target: list[str], out: Path | None, json: bool) -> None:
    from es_recsys.jobs.evaluate_log import evaluate_log

    with open_workspace(settings) as work:
        found = evaluate_log(work, event_types=target)
    if out is not None:
        write_json(out, found.to_dict())
    show_report(found, json)


def report(
    files: Annotated[list[Path], typer.Argument(help="Results of `evaluate`, `tune model` and `tune weights` (--out).")],
    out: Annotated[Path, typer.Option(help="HTML file to write.")] = Path("report.html"),
) -> None:
    """Write results as one self-contained HTML page."""
    from es_recsys.jobs.report import write_report

    write_report(files, out)
    say(f"{out} holds it all; it needs no network.")


Timeout = Annotated[float | None, typer.Option(min=1, help="Seconds after which no further trial starts.")]


@with_settings
def tune_model(
    settings: Settings,
    model: Annotated[str, typer.Argument(help="Model to tune.")],
    trials: Annotated[int, typer.Option(min=1, help="Total number of trials, including earlier runs.")] = 40,
    timeout: Timeout = None,
    split: Annotated[
        str, typer.Option(help="Hold-out split: auto (as in `train`), last, time or random (as in `evaluate`).")
    ] = "auto",
    users: Annotated[int, typer.Option(min=20, help="Number of users per trial, at most.")] = 2_000,
    seed: Seed = 7,
    out: Out = None,
    json: JsonFlag = False,
) -> None:
    """Tune the settings of a model on held-out events; `train MODEL` uses them from then on."""
    from es_recsys.training.tune_model import tune_model as run

    with open_workspace(settings) as work, progress("tune") as bar:
        found = run(work, model, split=split, trials=trials, timeout=timeout, users=users, seed=seed, progress=bar)
    if out is not None:
        write_json(out, found.to_dict())
    show_report(found, json)


@with_settings
def tune_weights(
    settings: Settings,
    trials: Annotated[int, typer.Option(min=1, help="Number of trials per situation, including earlier runs.")] = 200,
    timeout: Timeout = None,
    users: Annotated[int, typer.Option(min=50, help="Number of users per situation, at most.")] = 500,
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Event type that counts as relevant without a query (purchase) (default: those of the training). Repeatable."
        ),
    ] = None,
    seed: Seed = 7,
    out: Out = None,
    json: JsonFlag = False,
) -> None:
    """Tune the weights of retrievers on held-out events, for recommendations and searches, and store them.

    Resumes where it stopped.
    """
    from es_recsys.training.tune_weights import tune_weights as run

    with open_workspace(settings) as work, progress("tune") as bar:
        found = run(work, trials=trials, timeout=timeout, users=users, targets=tuple(target or ()), seed=seed, progress=bar)
    if out is not None:
        write_json(out, found.to_dict())
    show_report(found, json)


def write_json(path: Path, value: Any) -> None:
    """Write a result as JSON. Raises InputError where it can't be written."""
    import orjson

    from es_recsys.errors import InputError

    try:
        path.write_bytes(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE))
    except OSError as error:
        raise InputError(
            f"{path} can't be written ({error.strerror}).", "Give a file in a folder that can be written."
        ) from error
