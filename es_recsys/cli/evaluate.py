"""The commands evaluate and report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from es_recsys.cli.options import JsonFlag, Out, Seed, open_workspace, with_settings
from es_recsys.cli.printing import print_json, say, show_report, write_json
from es_recsys.cli.progress_bar import progress

if TYPE_CHECKING:
    from es_recsys.settings import Settings

__all__ = ["evaluate", "report"]

Number = Annotated[int, typer.Option("--n", min=1, max=1_000, help="Number of hits.")]


@with_settings
def evaluate(
    settings: Settings,
    models: Annotated[list[str] | None, typer.Argument(help="Models to compare (default: all).")] = None,
    split: Annotated[
        str,
        typer.Option(
            help="Hold-out split: last (the last new item of each user), last-two (the same, trained without the item before it,"
            " as in papers), time (all after a moment), user (users not trained on), random (a part of each user's items), search"
            " (what followed each user's last search), impression (rankings of what was shown: AUC, MRR, NDCG@5, NDCG@10)."
        ),
    ] = "last",
    judgments: Annotated[Path | None, typer.Option(help="Evaluate on judgments: JSONL or TSV of query, item_id, grade.")] = None,
    columns: Annotated[str, typer.Option(help="Rename columns of the judgments: item_id=doc_id.")] = "",
    target: Annotated[
        list[str] | None,
        typer.Option(help="Event type that counts as relevant, such as purchase (default: all positive ones). Repeatable."),
    ] = None,
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
    budget: Annotated[float, typer.Option(min=1, help="Seconds of processor time for trainings in memory.")] = 600.0,
    seed: Seed = 7,
    out: Out = None,
    json: JsonFlag = False,
) -> None:
    """Compare models, their ensemble and the served ranking on held-out events."""
    from es_recsys.cli.comparison import show_comparison
    from es_recsys.jobs.evaluate import evaluate as run
    from es_recsys.jobs.evaluate_impressions import evaluate_impressions
    from es_recsys.jobs.evaluate_options import EvaluateOptions
    from es_recsys.sources import parse_columns

    if logged:
        _logged(settings, target or [], out, json)
        return
    options = EvaluateOptions(
        models=tuple(models or ()),
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
    if options.impressions:
        with open_workspace(settings) as work, progress("evaluate") as bar:
            ranked = evaluate_impressions(work, options, progress=bar)
        if out is not None:
            write_json(out, ranked.to_dict())
        show_report(ranked, json)
        return
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
