"""A comparison on a terminal: techniques down, metrics across."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

from es_recsys.cli.printing import say

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from es_recsys.evaluation.results import Comparison, Technique
    from es_recsys.evaluation.statistics import Estimate

__all__ = ["show_comparison"]

_SHORT = {"popularity": "popular"}
# What fits into a narrow terminal; the JSON and the page have all.
_WIDE = 165
_FEW = ("NDCG", "Recall", "coverage")


def show_comparison(found: Comparison) -> None:
    """Print the compared techniques as a table.

    The best of each column is bold (* where there is no terminal); ≈ marks what can't be told from it.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from es_recsys.evaluation.accuracy import ACCURACY
    from es_recsys.evaluation.results import METRICS

    console = Console() if sys.stdout.isatty() else Console(width=200)
    wanted = METRICS if console.width >= _WIDE else _FEW
    shown = [name for name in wanted if any(not math.isnan(one.figures[name].mean) for one in found.techniques)]
    title = f"{found.queries:,} queries: {found.split}. {found.n} items each"
    grid = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    grid.add_column("technique", overflow="fold")
    grid.add_column("path")
    for name in shown:
        head = f"{name}@{found.n}" if name in ACCURACY else _SHORT.get(name, name)
        grid.add_column(head, justify="right", no_wrap=True)
    for head in ("train s", "MiB", "ms p50", "p95"):
        grid.add_column(head, justify="right", no_wrap=True)
    for one in found.techniques:
        cells = [_cell(one, name, found, plain=not console.is_terminal) for name in shown]
        grid.add_row(one.name, one.path, *cells, *_costs(one))
    console.print(grid)
    say(
        f"{'Bold' if console.is_terminal else '*'}: best. ≈: not significantly different from it (paired randomisation, Holm,"
        " 0.05). ±: half of the 95 % interval. popular: best near 1; gini: best near 0."
    )
    if found.subgroups:
        console.print(_subgroups(found))
    for note in found.notes:
        say(note)


def _subgroups(found: Comparison) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    sizes = {name: max(one.subgroups[name]["NDCG"].n for one in found.techniques) for name in found.subgroups}
    best = {name: max(one.subgroups[name]["NDCG"].mean for one in found.techniques) for name in found.subgroups}
    title = f"NDCG@{found.n} by subgroup (queries)"
    grid = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    grid.add_column("technique", overflow="fold")
    for name, size in sizes.items():
        grid.add_column(f"{name} ({size:,})", justify="right", no_wrap=True)
    for one in found.techniques:
        figures = [(one.subgroups[name]["NDCG"], best[name]) for name in found.subgroups]
        grid.add_row(one.name, *(_figure(f, "bold" if f.mean == most > 0 else "") for f, most in figures))
    return grid


def _figure(figure: Estimate, style: str) -> Text:
    from rich.text import Text

    return Text(f"{figure.mean:.4f} ±{(figure.high - figure.low) / 2:.3f}", style=style)


def _cell(one: Technique, metric: str, found: Comparison, *, plain: bool) -> Text:
    from rich.text import Text

    from es_recsys.evaluation.results import ALPHA

    figure = one.figures[metric]
    if math.isnan(figure.mean):
        return Text("")
    digits = 2 if metric in ("novelty", "popularity") else 3 if metric in ("coverage", "diversity", "gini") else 4
    text = f"{figure.mean:.{digits}f}"
    if metric == "NDCG" and not math.isnan(figure.low):
        text += f" ±{(figure.high - figure.low) / 2:.3f}"
    best = found.best.get(metric) == one.name
    mark = "*" if best and plain else "≈" if not best and one.p.get(metric, 0.0) >= ALPHA else ""
    return Text(mark + text, style="bold" if best else "")


def _costs(one: Technique) -> list[str]:
    training = "" if one.training_s is None else f"{one.training_s:.1f}"
    memory = "" if one.peak_mib is None else f"{one.peak_mib:,.0f}"
    return [training, memory, *(f"{one.ms[name]:.2f}" if name in one.ms else "" for name in ("p50", "p95"))]
