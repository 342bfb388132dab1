"""The tree of commands."""

from __future__ import annotations

import typer

from es_recsys.cli import answer, catalogue, demo, engine, evaluate, learn, segments, stores
from es_recsys.cli.common import shared_options
from es_recsys.renamed import ARGUMENTS, warn_renamed

__all__ = ["app"]


def _present_option(name: str) -> str:
    if name not in ARGUMENTS:
        return name
    warn_renamed(f"--{name}", f"--{ARGUMENTS[name]}")
    return ARGUMENTS[name]


app = typer.Typer(
    name="es-recsys",
    help="Personalised search and recommendations for any catalogue, on Elasticsearch.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"token_normalize_func": _present_option},
    callback=shared_options,
)
app.add_typer(engine.app, name="engine", help="Start, stop or check the embedded Elasticsearch.", rich_help_panel="Set-up")
app.command("doctor", rich_help_panel="Set-up")(stores.doctor)
app.command("demo", rich_help_panel="Set-up")(demo.demo)
app.add_typer(catalogue.items, name="items", help="Load, sync or delete items.", rich_help_panel="Data")
app.add_typer(catalogue.events, name="events", help="Load events.", rich_help_panel="Data")
app.command("train", rich_help_panel="Learning")(learn.train)
learn.tune.command("model")(evaluate.tune_model)
learn.tune.command("weights")(evaluate.tune_weights)
app.add_typer(learn.tune, name="tune", help="Tune models and weights.", rich_help_panel="Learning")
app.command("evaluate", rich_help_panel="Learning")(evaluate.evaluate)
app.command("report", rich_help_panel="Learning")(evaluate.report)
app.add_typer(learn.profiles, name="profiles", help="Rebuild user profiles.", rich_help_panel="Users")
app.command("search", rich_help_panel="Answers")(answer.search)
app.command("recommend", rich_help_panel="Answers")(answer.recommend)
app.command("similar", rich_help_panel="Answers")(answer.similar)
app.command("rank", rich_help_panel="Answers")(answer.rank)
app.add_typer(answer.batch, name="batch", help="Recommend or search for a file of requests.", rich_help_panel="Answers")
app.add_typer(stores.profile, name="profile", help="Show the profile of a user.", rich_help_panel="Users")
app.command("segments", rich_help_panel="Users")(segments.segments)
app.command("erase", rich_help_panel="Users")(stores.erase)
app.add_typer(stores.index, name="index", help="List, swap, rebuild or drop index versions.", rich_help_panel="Data")
