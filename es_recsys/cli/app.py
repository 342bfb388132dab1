"""The tree of commands."""

from __future__ import annotations

import typer

from es_recsys.cli.answer import batch, bought_together, rank, recommend, search, similar
from es_recsys.cli.catalogue import events, items
from es_recsys.cli.demo import demo
from es_recsys.cli.doctor import doctor
from es_recsys.cli.engine import engine
from es_recsys.cli.evaluate import evaluate, report
from es_recsys.cli.index import index
from es_recsys.cli.init import init
from es_recsys.cli.options import shared_options
from es_recsys.cli.serve import keys, serve
from es_recsys.cli.train import train
from es_recsys.cli.trending import authors, trending
from es_recsys.cli.tune import tune
from es_recsys.cli.users import erase, profile, profiles, segments
from es_recsys.renamed import ARGUMENTS, COMMANDS, warn_renamed

__all__ = ["app"]


def _present_name(name: str) -> str:
    """Return the present name of an option or a command that is unknown under this one."""
    if name in COMMANDS:
        warn_renamed(name, COMMANDS[name])
        return COMMANDS[name]
    if name in ARGUMENTS:
        warn_renamed(f"--{name}", f"--{ARGUMENTS[name]}")
        return ARGUMENTS[name]
    return name


app = typer.Typer(
    name="es-recsys",
    help="Personalised search and recommendations for any catalogue, on Elasticsearch.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"token_normalize_func": _present_name},
    callback=shared_options,
)
app.add_typer(engine, name="engine", help="Start, stop or check the embedded Elasticsearch.", rich_help_panel="Set-up")
app.command("doctor", rich_help_panel="Set-up")(doctor)
app.command("init", rich_help_panel="Set-up")(init)
app.command("demo", rich_help_panel="Set-up")(demo)
app.add_typer(items, name="items", help="Load, sync or delete items.", rich_help_panel="Data")
app.add_typer(events, name="events", help="Load events.", rich_help_panel="Data")
app.command("train", rich_help_panel="Learning")(train)
app.add_typer(tune, name="tune", help="Tune models and weights.", rich_help_panel="Learning")
app.command("evaluate", rich_help_panel="Learning")(evaluate)
app.command("report", rich_help_panel="Learning")(report)
app.add_typer(profiles, name="profiles", help="Rebuild user profiles.", rich_help_panel="Users")
app.command("search", rich_help_panel="Answers")(search)
app.command("recommend", rich_help_panel="Answers")(recommend)
app.command("similar", rich_help_panel="Answers")(similar)
app.command("bought-together", rich_help_panel="Answers")(bought_together)
app.command("rank", rich_help_panel="Answers")(rank)
app.command("trending", rich_help_panel="Answers")(trending)
app.command("authors", rich_help_panel="Answers")(authors)
app.add_typer(batch, name="batch", help="Recommend or search for a file of requests.", rich_help_panel="Answers")
app.add_typer(profile, name="profile", help="Show the profile of a user.", rich_help_panel="Users")
app.command("segments", rich_help_panel="Users")(segments)
app.command("erase", rich_help_panel="Users")(erase)
app.add_typer(index, name="index", help="List, swap, rebuild or drop index versions.", rich_help_panel="Data")
app.command("serve", rich_help_panel="Service")(serve)
app.add_typer(keys, name="keys", help="Create, list or revoke keys of the service.", rich_help_panel="Service")
