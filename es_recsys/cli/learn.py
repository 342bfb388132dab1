"""The commands train, tune search, tune event-weights and profiles."""

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

Seed = Annotated[int, typer.Option(help="Random seed; the same seed gives the same result.")]


@with_settings
def train(
    settings: Settings,
    models: Annotated[
        list[str] | None,
        typer.Argument(
            help="Models to train (default: chosen on held-out events). `ranking` alone: learning to rank from judgments"
            " or the answer log."
        ),
    ] = None,
    add: Annotated[bool, typer.Option(help="Keep the live models, trained again beside the named ones.")] = False,
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Optimise for this event type (purchase) instead of all positive ones. --if-needed and --add keep to it."
            " Repeatable."
        ),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(min=0.0, help="Seconds to try settings (default: 240, or 900 with models named)."),
    ] = None,
    judgments: Annotated[
        Path | None,
        typer.Option(help="For `ranking`: JSONL or TSV of query, item_id, grade, instead of the log."),
    ] = None,
    columns: Annotated[str, typer.Option(help="Rename columns of the judgments: item_id=doc_id.")] = "",
    if_needed: Annotated[
        bool,
        typer.Option(
            "--if-needed",
            help="Train only if events or items have grown or quality has fallen; never serve what is worse. For schedulers:"
            " exits with 0 also if nothing is done.",
        ),
    ] = False,
    growth: Annotated[float, typer.Option(help="With --if-needed: by which share data must have grown.")] = 0.1,
    seed: Seed = 7,
    json: JsonFlag = False,
) -> None:
    """Train models on the stored events and serve them from a new index version."""
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
@tune.command("behaviours", hidden=True, deprecated=True)
@with_settings
def tune_behaviours(
    settings: Settings,
    target: Annotated[str, typer.Option(help="Event type that answers are to lead to.")] = "purchase",
    budget: Annotated[float, typer.Option(min=1.0, help="Seconds after which no further weight is tried.")] = 300.0,
    reset: Annotated[bool, typer.Option("--reset", help="Go back to the default weights.")] = False,
    seed: Seed = 7,
    json: JsonFlag = False,
) -> None:
    """Tune the weight of each event type on held-out events, and store it. Resumes where it stopped."""
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
            help="Adopt the secret that is set here, where that of the store is lost. Train again afterwards; events of erased"
            " users are no longer refused.",
        ),
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Rebuild all user profiles from the stored events, and finish an interrupted load."""
    from es_recsys.jobs.reset_user_key import reset_user_key
    from es_recsys.serving.behaviour_refresh import mend_profiles

    with open_workspace(settings) as work, progress("profiles") as bar:
        if new_key:
            reset_user_key(work)
        report = mend_profiles(work, progress=bar)
    show_report(report, json)
