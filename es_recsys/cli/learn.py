"""Commands that learn: train, tune, profiles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from es_recsys.cli.common import JsonFlag, open_workspace, progress, show_report, with_settings

if TYPE_CHECKING:
    from es_recsys.settings import Settings

__all__ = ["profiles", "train", "tune"]

tune = typer.Typer(no_args_is_help=True)
profiles = typer.Typer(no_args_is_help=True)

Seed = Annotated[int, typer.Option(help="Same seed, same data: same result.")]


@with_settings
def train(
    settings: Settings,
    models: Annotated[
        list[str] | None,
        typer.Argument(help="Models to train: transitions, als. Without names they are chosen on held-out events."),
    ] = None,
    seed: Seed = 7,
    json: JsonFlag = False,
) -> None:
    """Trains the collaborative models on the stored events, and puts them into service in a new index version."""
    from es_recsys.jobs.training import train as run

    with open_workspace(settings) as work, progress("train") as bar:
        report = run(work, models or [], seed=seed, progress=bar)
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
    from es_recsys.data import parse_columns
    from es_recsys.jobs.tuning import tune_search as run

    with open_workspace(settings) as work, progress("tune") as bar:
        report = run(work, judgments, columns=parse_columns(columns), queries=queries, seed=seed, progress=bar)
    show_report(report, json)


@profiles.command("build")
@with_settings
def profiles_build(settings: Settings, json: JsonFlag = False) -> None:
    """Rebuilds every profile from the stored events."""
    from es_recsys.jobs.behaviour import build_profiles

    with open_workspace(settings) as work, progress("profiles") as bar:
        report = build_profiles(work, progress=bar)
    show_report(report, json)
