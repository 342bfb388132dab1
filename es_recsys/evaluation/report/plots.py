"""The figures of a report."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from es_recsys.evaluation.counterfactual import Value
from es_recsys.evaluation.logged import SERVED, LoggedReport
from es_recsys.evaluation.report.labels import place_labels
from es_recsys.evaluation.report.svg import INK, MUTED, SERIES, drawing, to_svg
from es_recsys.evaluation.results import Comparison, Technique
from es_recsys.evaluation.statistics import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["against_cost", "by_subgroup", "learning_curves", "policies", "trials"]

_PATHS = {"memory": (SERIES[0], "o", "in memory"), "served": (SERIES[1], "D", "through Elasticsearch")}
_METRIC = "NDCG"


def against_cost(found: Comparison, name: str) -> str:
    """Plot NDCG against the time of an answer, and against the time of training."""
    with drawing(name):
        figure, axes = _panels(2, height=4.4, width=6.0)
        _scatter(axes[0], found, lambda one: one.ms.get("p50"), "milliseconds an answer (median), logarithmic")
        _scatter(axes[1], found, lambda one: one.training_s, "seconds of training, logarithmic")
        axes[0].set_title(f"{_METRIC}@{found.n} against the time of an answer")
        axes[1].set_title(f"{_METRIC}@{found.n} against the time of training")
        handles, words = axes[0].get_legend_handles_labels()
        figure.legend(handles, words, frameon=False, loc="outside lower left", ncols=2, fontsize=9, labelcolor=MUTED)
        label = (
            "Quality against cost: each technique's NDCG with its interval, by milliseconds an answer and by seconds of training."
        )
        return to_svg(figure, name, label)


def by_subgroup(found: Comparison, name: str) -> str:
    """Plot NDCG with its interval, over all queries and by subgroup, the best technique on top."""
    order = sorted(found.techniques, key=lambda one: (_of(one, "")[0], one.name))
    panels = ["", *found.subgroups]
    with drawing(name):
        figure, axes = _panels(len(panels), height=1.0 + 0.27 * len(order), share=True, width=3.3)
        for axis, part in zip(axes, panels, strict=True):
            shown = [(row, one, _of(one, part)) for row, one in enumerate(order)]
            for row, one, (mean, low, high, _) in shown:
                if not math.isnan(mean):
                    colour, marker, _ = _PATHS[one.path]
                    if not math.isnan(low):
                        axis.plot([low, high], [row, row], color=colour, linewidth=2.0, alpha=0.55, solid_capstyle="round")
                    axis.plot([mean], [row], marker, color=colour, markersize=5.5)
            size = max((count for _, _, (_, _, _, count) in shown), default=0)
            axis.set_title(f"{part or 'all queries'} ({size:,})")
            axis.set_xlim(left=0)
            axis.grid(visible=False, axis="y")
        axes[0].set_yticks(range(len(order)), [one.name for one in order])
        axes[0].set_ylim(-0.7, len(order) - 0.3)
        label = f"{_METRIC}@{found.n} of each technique with its 95 % interval, by subgroup."
        return to_svg(figure, name, label)


def policies(found: LoggedReport, name: str) -> str:
    """Plot IPS and SNIPS of other orders of the logged pages with their intervals, the best by SNIPS on top.

    Orders that too few rows tell of are left out; a line stands for what was served.
    """
    estimates: dict[str, Callable[[Value], Estimate]] = {"IPS": lambda value: value.ips, "SNIPS": lambda value: value.snips}
    order = sorted(found.reliable, key=lambda one: (found.values[one].snips.mean, one))
    with drawing(name):
        figure, axes = _panels(len(estimates), height=1.0 + 0.27 * len(order), share=True, width=4.6)
        figure.get_layout_engine().set(wspace=0.06)
        for axis, (label, of), colour in zip(axes, estimates.items(), SERIES, strict=False):
            served = found.values.get(SERVED)
            if served is not None:
                axis.axvline(served.logged.mean, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
            for row, one in enumerate(order):
                estimate = of(found.values[one])
                if not math.isnan(estimate.low):
                    ends = [max(estimate.low, 0.0), estimate.high]
                    axis.plot(ends, [row, row], color=colour, linewidth=2.0, alpha=0.55, solid_capstyle="round")
                axis.plot([estimate.mean], [row], "o", color=colour, markersize=5.5)
            axis.set_title(label)
            axis.set_xlim(left=0)
            axis.set_xlabel("reward an answer")
            axis.grid(visible=False, axis="y")
        axes[0].set_yticks(range(len(order)), order)
        axes[0].set_ylim(-0.7, len(order) - 0.3)
        return to_svg(figure, name, f"IPS and SNIPS of {len(order)} orders of the logged pages, with 95 % intervals.")


def learning_curves(found: Comparison, name: str) -> str | None:
    """Plot the metrics of trainings after each epoch, a panel a metric; None without any."""
    curves = {one.name: one.curve for one in found.techniques if len(one.curve) > 1}
    metrics = sorted({key for rows in curves.values() for row in rows for key in row} - {"epoch", "of"})
    if not metrics:
        return None
    with drawing(name):
        figure, axes = _panels(len(metrics), height=3.2)
        for axis, key in zip(axes, metrics, strict=True):
            for number, (technique, rows) in enumerate(curves.items()):
                points = [(row.get("epoch", place), row[key]) for place, row in enumerate(rows, 1) if key in row]
                if points:
                    _line(axis, points, technique, SERIES[number % len(SERIES)])
            axis.set_title(key)
            axis.set_xlabel("epoch")
            axis.margins(x=0.02)
        return to_svg(figure, name, f"Learning curves: {', '.join(metrics)} by epoch of {', '.join(curves)}.")


def trials(history: Mapping[str, Any], name: str) -> str:
    """Plot the scores of a tuning's trials in their order, with the best until then."""
    rows = [row for row in history["trials"] if row["value"] is not None]
    with drawing(name):
        figure, axes = _panels(1, height=3.0, width=6.4)
        axis = axes[0]
        numbers, values = [row["number"] + 1 for row in rows], [row["value"] for row in rows]
        best = [max(values[: end + 1]) for end in range(len(values))]
        axis.plot(numbers, values, "o", color=SERIES[0], markersize=4.5, alpha=0.7, label="a trial")
        axis.step(numbers, best, where="post", color=SERIES[1], linewidth=2.0, label="best so far")
        axis.set_xlabel("trial")
        axis.set_title(f"{history['model']}: {history['metric']} on validation")
        axis.legend(frameon=False, loc="lower right", fontsize=9, labelcolor=MUTED)
        return to_svg(figure, name, f"{len(rows)} trials of {history['model']}; the best reached {max(values, default=0.0):.4f}.")


def _panels(count: int, *, height: float, width: float = 5.2, share: bool = False) -> tuple[Any, Sequence[Axes]]:
    # Without pyplot, which would keep every figure in memory.
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * count, height), layout="constrained")
    FigureCanvasSVG(figure)
    return figure, figure.subplots(1, count, squeeze=False, sharey=share)[0].tolist()


def _scatter(axis: Axes, found: Comparison, cost: Any, title: str) -> None:
    points = [(cost(one), _of(one, ""), one) for one in found.techniques]
    shown = [(max(x, 0.01), figure, one) for x, figure, one in points if x is not None and not math.isnan(figure[0])]
    for path, (colour, marker, words) in _PATHS.items():
        own = [(x, figure) for x, figure, one in shown if one.path == path]
        if own:
            for x, (_, low, high, _) in own:
                axis.plot([x, x], [low, high], color=colour, linewidth=1.5, alpha=0.35)
            axis.plot([x for x, _ in own], [figure[0] for _, figure in own], marker, color=colour, markersize=7, label=words)
    axis.set_xscale("log")
    axis.set_xlabel(title)
    axis.margins(x=0.18)
    top = max((mean if math.isnan(high) else high for _, (mean, _, high, _), _ in shown), default=1.0)
    axis.set_ylim(-0.06 * top, 1.06 * top)
    for ticks in (axis.xaxis.set_major_formatter, axis.xaxis.set_minor_formatter):
        ticks(lambda value, _: f"{value:g}" if f"{value:e}"[0] in "125" else "")
    place_labels(axis, [(x, figure[0], one.name) for x, figure, one in shown], INK)


def _line(axis: Axes, points: Sequence[tuple[float, float]], name: str, colour: str) -> None:
    axis.plot([x for x, _ in points], [y for _, y in points], color=colour, linewidth=2.0, marker="o", markersize=3.0)
    axis.annotate(name, points[-1], xytext=(5, 0), textcoords="offset points", va="center", fontsize=9, color=INK)


def _of(one: Technique, part: str) -> tuple[float, float, float, int]:
    figure = one.subgroups.get(part, {}).get(_METRIC) if part else one.figures.get(_METRIC)
    if figure is None:
        return math.nan, math.nan, math.nan, 0
    return figure.mean, figure.low, figure.high, figure.n
