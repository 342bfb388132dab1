"""The commands tune search, event-weights, model and weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from es_recsys.cli.options import JsonFlag, Out, Seed, open_workspace, shared_options, with_settings
from es_recsys.cli.printing import show_report, write_json
from es_recsys.cli.progress_bar import progress
from es_recsys.cli.sources import parse_json_object
from es_recsys.errors import InputError

if TYPE_CHECKING:
    from es_recsys.settings import Settings

__all__ = ["tune"]

tune = typer.Typer(no_args_is_help=True, callback=shared_options)

Budget = Annotated[float | None, typer.Option(min=1, help="Seconds of processor time after which no further trial starts.")]


@tune.command("search")
@with_settings
def tune_search(
    settings: Settings,
    judgments: Annotated[Path, typer.Option(help="Judgments: JSONL or TSV of query, item_id, grade.")],
    columns: Annotated[str, typer.Option(help="Rename columns of the judgments: item_id=doc_id.")] = "",
    queries: Annotated[int, typer.Option(min=10, help="Number of queries to tune on, at most.")] = 4_000,
    seed: Seed = 7,
    json: JsonFlag = False,
) -> None:
    """Tune the weights of text fields and text vectors on judged queries, and store them."""
    from es_recsys.sources import parse_columns
    from es_recsys.training.tune_search import tune_search as run

    with open_workspace(settings) as work, progress("tune") as bar:
        report = run(work, judgments, columns=parse_columns(columns), queries=queries, seed=seed, progress=bar)
    show_report(report, json)


@tune.command("event-weights")
@with_settings
def tune_event_weights(
    settings: Settings,
    target: Annotated[str, typer.Option(help="Event type to optimise for.")] = "purchase",
    budget: Annotated[
        float, typer.Option(min=1.0, help="Seconds of processor time after which no further trial starts.")
    ] = 300.0,
    reset: Annotated[bool, typer.Option("--reset", help="Go back to the default weights.")] = False,
    seed: Seed = 7,
    json: JsonFlag = False,
) -> None:
    """Tune the weight of each event type on held-out events, and store it. Resumes where it stopped."""
    from es_recsys.training.event_weights import reset_event_weights
    from es_recsys.training.event_weights import tune_event_weights as run

    if reset:
        with open_workspace(settings) as work:
            show_report(reset_event_weights(work), json)
        return

    with open_workspace(settings) as work, progress("tune") as bar:
        report = run(work, target, budget=budget, seed=seed, progress=bar)
    show_report(report, json)


@tune.command("model")
@with_settings
def tune_model(
    settings: Settings,
    model: Annotated[str, typer.Argument(help="Name of the model, such as als.")],
    trials: Annotated[int, typer.Option(min=1, help="Total number of trials, including earlier runs.")] = 40,
    budget: Budget = None,
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
        found = run(work, model, split=split, trials=trials, budget=budget, users=users, seed=seed, progress=bar)
    if out is not None:
        write_json(out, found.to_dict())
    show_report(found, json)


@tune.command("weights")
@with_settings
def tune_weights(
    settings: Settings,
    trials: Annotated[int, typer.Option(min=1, help="Number of trials per situation (with and without a query).")] = 500,
    budget: Budget = None,
    users: Annotated[int, typer.Option(min=50, help="Number of users per situation, at most.")] = 500,
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Event type that counts as relevant without a query, such as purchase (default: as trained). Repeatable."
        ),
    ] = None,
    source_index: Annotated[
        str | None, typer.Option(help="Adopted index whose searches by a body are weighed, too (default: the one that there is).")
    ] = None,
    body: Annotated[
        str | None, typer.Option(help='The body that your application sends there, as JSON, with "{words}" for the words.')
    ] = None,
    seed: Seed = 7,
    out: Out = None,
    json: JsonFlag = False,
) -> None:
    """Tune the weights of retrievers on held-out events, for recommendations and searches, and store them."""
    from es_recsys.training.tune_weights import tune_weights as run
    from es_recsys.training.weight_questions import BodyTemplate

    template = None
    if body is not None and source_index is None:
        raise InputError("--body is of an index.", "Name it: --source-index products")
    if source_index is not None:
        usual = BodyTemplate.usual(source_index)
        template = usual if body is None else BodyTemplate(source_index, parse_json_object("--body", body))
    with open_workspace(settings) as work, progress("tune") as bar:
        found = run(
            work,
            trials=trials,
            budget=budget,
            users=users,
            targets=tuple(target or ()),
            template=template,
            seed=seed,
            progress=bar,
        )
    if out is not None:
        write_json(out, found.to_dict())
    show_report(found, json)
