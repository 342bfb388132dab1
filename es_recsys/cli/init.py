"""The command init: settings for a store of one's own, by the kind of store that it is."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from es_recsys.cli.printing import say
from es_recsys.errors import InputError

__all__ = ["SCENARIOS", "init", "scenario_file", "scenario_text"]

SCENARIOS = ("shop", "social", "news")


def scenario_file(name: str) -> Path:
    """Return the settings file of a scenario. Raises InputError for one that there isn't."""
    if name not in SCENARIOS:
        raise InputError(f"There is no scenario {name!r}.", f"Name one of: {', '.join(SCENARIOS)}.")
    return Path(str(files("es_recsys.cli") / "scenarios" / f"{name}.toml"))


def scenario_text(name: str) -> str:
    """Return the settings of a scenario with their comments."""
    return scenario_file(name).read_text(encoding="utf-8")


def init(
    scenario: Annotated[str, typer.Option(help=f"What the store is like: {', '.join(SCENARIOS)}.")] = "shop",
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("es_recsys.toml"),
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a settings file for a store of your own; commands read es_recsys.toml in the working folder by themselves."""
    text = scenario_text(scenario)
    try:
        with out.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InputError(f"{out} is there already.", "Give another with --out, or write over it with --force.") from None
    except OSError as error:
        raise InputError(f"{out} can't be written ({error.strerror}).", "Give another with --out.") from error
    say(f"Wrote {out}. Next: es-recsys --config {out} items load FILE, events load FILE, train.")
