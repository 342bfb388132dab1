"""Commands that learn: train, tune, profiles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from es_recsys.cli.common import JsonFlag, open_workspace, progress, shared_options, show_report, with_settings

if TYPE_CHECKING:
    from es_recsys.settings import Settings

__all__ = ["profiles", "train", "tune"]

tune = typer.Typer(no_args_is_help=True, callback=shared_options)
profiles = typer.Typer(no_args_is_help=True, callback=shared_options)

Seed = Annotated[int, typer.Option(help="Same seed, same data: same result.")]


@with_settings
def train(
    settings: Settings,
    models: Annotated[
        list[str] | None,
        typer.Argument(
            help="Models to train; --help of `evaluate` lists them. Without names they are chosen on held-out events."
            " By itself, `ranking` learns the order of answers from judgments or from what people did with earlier answers."
        ),
    ] = None,
    add: Annotated[bool, typer.Option(help="Keep the models that are live and train them beside the named ones.")] = False,
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Event type that answers are to lead to (purchase), in place of any by which somebody takes to an item;"
            " may be repeated. --if-needed and --add keep to it."
        ),
    ] = None,
    budget: Annotated[
        float | None, typer.Option(min=0.0, help="Seconds after which no further setting is tried [240, with names 900].")
    ] = None,
    judgments: Annotated[
        Path | None, typer.Option(help="For `ranking`: JSONL or TSV of query, item_id, grade, in place of the answer log.")
    ] = None,
    columns: Annotated[str, typer.Option(help="Our names for that file's columns: item_id=doc_id.")] = "",
    if_needed: Annotated[
        bool,
        typer.Option(
            "--if-needed",
            help="Only where events or items have grown, or answers are worse than promised; what is worse is not served."
            " `ranking`: where answers acted upon, or judgments, have grown."
            " For a scheduler: ends with 0 also where nothing is done.",
        ),
    ] = False,
    growth: Annotated[float, typer.Option(help="With --if-needed: the share by which it must have grown.")] = 0.1,
    seed: Seed = 7,
    json: JsonFlag = False,
) -> None:
    """Trains the collaborative models on the stored events, and puts them into service in a new index version."""
    if models == ["ranking"]:
        from es_recsys.errors import InputError

        unread = [name for name, given in (("--add", add), ("--target", target), ("--budget", budget is not None)) if given]
        if unread:
            raise InputError(f"{unread[0]} says nothing to a training of `ranking`.", "Leave it out.")
        _train_ranking(settings, judgments, columns, growth if if_needed else None, seed, json)
        return
    if if_needed:
        _train_if_needed(settings, models or [], add, target or [], growth, budget, seed, json)
        return
    from es_recsys.training.train import train as run

    with open_workspace(settings) as work, progress("train") as bar:
        report = run(work, models or [], add=add, targets=target or [], budget=budget, seed=seed, progress=bar)
    show_report(report, json, bar.shown)


def _train_if_needed(
    settings: Settings,
    models: list[str],
    add: bool,
    targets: list[str],
    growth: float,
    budget: float | None,
    seed: int,
    json: bool,
) -> None:
    from es_recsys.training.retrain import train_if_needed

    with open_workspace(settings) as work, progress("train") as bar:
        report = train_if_needed(work, models, add=add, targets=targets, growth=growth, budget=budget, seed=seed, progress=bar)
    show_report(report, json, bar.shown)


def _train_ranking(settings: Settings, judgments: Path | None, columns: str, growth: float | None, seed: int, json: bool) -> None:
    """growth: None to train whether or not that is due."""
    from es_recsys.sources import parse_columns
    from es_recsys.training.retrain_ranking import train_ranking_if_needed
    from es_recsys.training.train_ranking import train_ranking

    names = parse_columns(columns)
    with open_workspace(settings) as work, progress("ranking") as bar:
        report = (
            train_ranking(work, judgments, columns=names, seed=seed, progress=bar)
            if growth is None
            else train_ranking_if_needed(work, judgments, columns=names, growth=growth, seed=seed, progress=bar)
        )
    show_report(report, json)


@tune.command("search")
@with_settings
def tune_search(
    settings: Settings,
    judgments: Annotated[Path, typer.Option(help="JSONL or TSV of query, item_id, grade.")],
    columns: Annotated[str, typer.Option(help="Our names for the file's columns: item_id=doc_id.")] = "",
    queries: Annotated[int, typer.Option(min=10, help="How many queries to tune on, at most.")] = 4_000,
    seed: Seed = 7,
    json: JsonFlag = False,
) -> None:
    """Chooses the weights of the text fields and of the text vector on judged queries, and stores them."""
    from es_recsys.sources import parse_columns
    from es_recsys.training.tune_search import tune_search as run

    with open_workspace(settings) as work, progress("tune") as bar:
        report = run(work, judgments, columns=parse_columns(columns), queries=queries, seed=seed, progress=bar)
    show_report(report, json)


@tune.command("behaviours")
@with_settings
def tune_behaviours(
    settings: Settings,
    target: Annotated[str, typer.Option(help="The type of event that answers are to lead to.")] = "purchase",
    budget: Annotated[float, typer.Option(min=1.0, help="Seconds after which no further weight is tried.")] = 300.0,
    reset: Annotated[bool, typer.Option("--reset", help="Take back what was chosen: the usual weights again.")] = False,
    seed: Seed = 7,
    json: JsonFlag = False,
) -> None:
    """Chooses what an event of each type is worth on held-out events of one type, and stores it with the store.

    Run again, it goes on where it was.
    """
    from es_recsys.training.event_weights import reset_behaviours
    from es_recsys.training.event_weights import tune_behaviours as run

    if reset:
        with open_workspace(settings) as work:
            show_report(reset_behaviours(work), json)
        return

    with open_workspace(settings) as work, progress("tune") as bar:
        report = run(work, target, budget=budget, seed=seed, progress=bar)
    show_report(report, json)


@profiles.command("build")
@with_settings
def profiles_build(
    settings: Settings,
    new_key: Annotated[
        bool,
        typer.Option(
            "--new-key",
            help="The secret of the store is lost: keep its users under the one that is set here. Train again afterwards;"
            " events of users who were erased are not refused any more.",
        ),
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Rebuilds every profile from the stored events, and finishes what a load that was cut off has left."""
    from es_recsys.jobs.reset_user_key import reset_user_key
    from es_recsys.serving.behaviour_refresh import mend_profiles

    with open_workspace(settings) as work, progress("profiles") as bar:
        if new_key:
            reset_user_key(work)
        report = mend_profiles(work, progress=bar)
    show_report(report, json)
