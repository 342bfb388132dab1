"""The command train."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from es_recsys.cli.options import JsonFlag, Seed, open_workspace, with_settings
from es_recsys.cli.printing import show_report
from es_recsys.cli.progress_bar import progress

if TYPE_CHECKING:
    from es_recsys.settings import Settings

__all__ = ["train"]


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
            help="Optimise for this event type, such as purchase, instead of all positive ones. --if-needed and --add keep it."
            " Repeatable."
        ),
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Seconds of processor time for tuning (default: 480, up to 800 for a million events in order, 900 with models"
            " named).",
        ),
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
    growth: Annotated[
        float, typer.Option(help="With --if-needed: minimum growth of the data, as a share: 0.1 is a tenth.")
    ] = 0.1,
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
    """Train the learned rankings and show what came of it.

    growth: None to train whether or not that is due.
    """
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
