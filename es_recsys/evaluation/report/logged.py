"""Section of the report on what other orders of the logged pages would have brought."""

from __future__ import annotations

import math
from html import escape

from es_recsys.evaluation.counterfactual import Value
from es_recsys.evaluation.logged import LEAST_ROWS, SERVED, LoggedReport
from es_recsys.evaluation.report.parts import facts, figure, moment
from es_recsys.evaluation.report.plots import policies
from es_recsys.evaluation.statistics import Estimate

__all__ = ["logged_section", "logged_title"]

_POSITIONS = 10
_HEADS = {
    "IPS": "reward an answer by inverse propensity, with its 95 % interval",
    "SNIPS": "the same, self-normalised: it varies less, and can be a little off where the log has few rows",
    "shown": "share of the order's positions that the log says something of",
    "effective rows": "how many logged rows the estimate rests on: (sum of weights)² / sum of squared weights",
    "clipped": "share of the rows whose weight was cut, which makes IPS too low",
}


def logged_title(one: LoggedReport) -> str:
    """Return the heading of the section."""
    return f"{one.store}: other orders of the logged pages"


def logged_section(one: LoggedReport, anchor: str) -> str:
    """Return the section as HTML.

    anchor: its id, which also begins the ids inside it.
    """
    words = "Dots are estimates, bars 95 % intervals; the line is what was served, as the log has it."
    if missing := len(one.values) - len(one.reliable):
        words += f" Orders on fewer than {LEAST_ROWS} effective rows, {missing} here, are left out."
    parts = [
        f'<section id="{anchor}" aria-labelledby="{anchor}h"><h2 id="{anchor}h">{escape(logged_title(one))}</h2>',
        f"<p>{_verdict(one)}</p>",
        facts(
            {
                "answers": f"{one.answers:,}",
                "items with a reward": f"{one.rewarded:,}",
                "orders": f"{len(one.values):,}",
                "measured": moment(one.made),
            }
        ),
        _table(one),
        *(["<h3>Reward an answer</h3>", figure(policies(one, f"{anchor}p"), words)] if one.reliable else []),
        f'<p class="muted small">{_looked_at(one)}</p>',
    ]
    return "\n".join(parts) + "\n</section>\n"


def _verdict(one: LoggedReport) -> str:
    known = one.reliable
    if not known:
        return f"No order's estimate rests on {LEAST_ROWS} rows or more, so the log says nothing yet."
    best = max(known, key=lambda name: known[name].snips.mean)
    words = f"By SNIPS <strong>{escape(best)}</strong> brings most, {_interval(known[best].snips)} of reward an answer."
    served = one.values.get(SERVED)
    return words if best == SERVED or served is None else f"{words} {SERVED.capitalize()} it was {_interval(served.logged)}."


def _interval(one: Estimate) -> str:
    return f"{one.mean:.4f}" if math.isnan(one.low) else f"{one.mean:.4f} ({one.low:.4f} to {one.high:.4f})"


def _looked_at(one: LoggedReport) -> str:
    chances = " ".join(f"{chance:.2f}" for chance in one.examination[:_POSITIONS])
    return f"Chance that a position is looked at, from the first on: {chances}. Only the order of what was shown is changed."


def _table(one: LoggedReport) -> str:
    order = sorted(one.values, key=lambda name: (-_known(one.values[name].snips.mean), name))
    known = one.reliable.values()
    best = {
        "IPS": max((value.ips.mean for value in known), default=math.nan),
        "SNIPS": max((value.snips.mean for value in known), default=math.nan),
    }
    heads = "".join(f'<th scope="col"><abbr title="{escape(text)}">{escape(name)}</abbr></th>' for name, text in _HEADS.items())
    rows = "".join(_row(name, one.values[name], best) for name in order)
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Orders and their estimated reward"><table>'
        f'<thead><tr><th scope="col">order</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
        '<p class="muted small">The greatest of a column in bold; where intervals overlap widely it may be chance. Estimates on'
        f" fewer than {LEAST_ROWS} effective rows say nothing: they are never in bold.</p>"
    )


def _row(name: str, value: Value, best: dict[str, float]) -> str:
    reliable = value.effective >= LEAST_ROWS
    cells = "".join(
        _cell(each, reliable and each.mean == best[head]) for each, head in ((value.ips, "IPS"), (value.snips, "SNIPS"))
    )
    cells += f"<td>{value.shown:.0%}</td><td>{value.effective:,.0f}</td><td>{value.clipped:.1%}</td>"
    return f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'


def _cell(one: Estimate, best: bool) -> str:
    if math.isnan(one.mean):
        return "<td></td>"
    interval = "" if math.isnan(one.low) else f" <small>[{one.low:.4f}, {one.high:.4f}]</small>"
    return f"<td{' class=best' if best else ''}>{one.mean:.4f}{interval}</td>"


def _known(mean: float) -> float:
    return -math.inf if math.isnan(mean) else mean
