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
app.add_typer(engine.app, name="engine", help="The embedded Elasticsearch.")
app.command("doctor")(stores.doctor)
app.command("demo")(demo.demo)
app.add_typer(catalogue.items, name="items", help="The catalogue.")
app.add_typer(catalogue.events, name="events", help="What users did.")
app.command("train")(learn.train)
learn.tune.command("model")(evaluate.tune_model)
learn.tune.command("weights")(evaluate.tune_weights)
app.add_typer(learn.tune, name="tune", help="Choose weights and settings.")
app.command("evaluate")(evaluate.evaluate)
app.command("report")(evaluate.report)
app.add_typer(learn.profiles, name="profiles", help="Profiles of all users.")
app.command("search")(answer.search)
app.command("recommend")(answer.recommend)
app.command("similar")(answer.similar)
app.command("rank")(answer.rank)
app.add_typer(answer.batch, name="batch", help="Many answers, file in, file out.")
app.add_typer(stores.profile, name="profile", help="What is known of one user.")
app.command("segments")(segments.segments)
app.command("erase")(stores.erase)
app.add_typer(stores.index, name="index", help="Index versions.")
