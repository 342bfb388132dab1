"""The page: plain HTML with its style and figures inside, so that it opens anywhere, also without a network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

from es_recsys.evaluation.accuracy import ACCURACY
from es_recsys.evaluation.logged import LoggedReport
from es_recsys.evaluation.report.logged import logged_section, logged_title
from es_recsys.evaluation.report.parts import facts, figure, moment
from es_recsys.evaluation.report.plots import against_cost, by_subgroup, learning_curves, trials
from es_recsys.evaluation.results import ALPHA, METRICS, Comparison, Technique

__all__ = ["page"]

_EXPLAINED = {
    "NDCG": "gain of the relevant items, discounted by rank, over the best possible",
    "Recall": "share of the relevant items that are in the list",
    "HR": "share of the queries with a relevant item in the list",
    "MAP": "precision at the relevant items' ranks, averaged",
    "MRR": "1 / rank of the first relevant item",
    "coverage": "share of the catalogue that anybody is shown",
    "novelty": "self-information of the items shown, bits",
    "diversity": "unlikeness of the items of one list",
    "popularity": "how popular the items shown are, over those that the user knows; 1 is neither more nor less",
    "gini": "how unevenly ranks are spread over the catalogue; 0 is evenly",
}
_DIGITS = {"coverage": 3, "novelty": 2, "diversity": 3, "popularity": 2, "gini": 3}


def page(
    comparisons: Sequence[Comparison], tunings: Sequence[Mapping[str, Any]] = (), logged: Sequence[LoggedReport] = ()
) -> str:
    """Return the whole page as HTML.

    tunings: histories as tuning keeps them. Raises MissingExtra without matplotlib.
    """
    histories = {**{h["model"]: h for one in comparisons for h in one.tuning.values()}, **{h["model"]: h for h in tunings}}
    body = "".join(_comparison(one, f"e{number}") for number, one in enumerate(comparisons, 1))
    body += "".join(logged_section(one, f"l{number}") for number, one in enumerate(logged, 1))
    if histories:
        body += _tuning(list(histories.values()))
    heads = [(f"e{number}", _title(one)) for number, one in enumerate(comparisons, 1)]
    heads += [(f"l{number}", logged_title(one)) for number, one in enumerate(logged, 1)]
    heads += [("tuning", "Tuning")] if histories else []
    links = "".join(f'<li><a href="#{anchor}">{escape(text)}</a></li>' for anchor, text in heads)
    nav = f'<nav aria-label="Sections"><ul>{links}</ul></nav>' if len(heads) > 1 else ""
    stores = ", ".join(dict.fromkeys([*(one.store for one in comparisons), *(one.store for one in logged)])) or "es-recsys"
    style = resources.files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>Evaluation of {escape(stores)}</title>\n<link rel="icon" href="data:,">\n<style>\n{style}</style>\n</head>\n'
        f"<body>\n<main>\n<header><h1>Evaluation of {escape(stores)}</h1>{nav}</header>\n{body}</main>\n</body>\n</html>\n"
    )


def _title(one: Comparison) -> str:
    return f"{one.store}: {one.split}"


def _comparison(one: Comparison, anchor: str) -> str:
    curves = learning_curves(one, f"{anchor}c")
    parts = [
        f'<section id="{anchor}" aria-labelledby="{anchor}h"><h2 id="{anchor}h">{escape(_title(one))}</h2>',
        f"<p>{_verdict(one)}</p>",
        _facts(one),
        _table(one),
        _notes(one),
        "<h3>Quality against cost</h3>",
        figure(against_cost(one, f"{anchor}a"), "Lines are 95 % intervals. Up and to the left is better."),
        "<h3>Subgroups</h3>",
        figure(by_subgroup(one, f"{anchor}b"), _subgroup_words(one)),
    ]
    if curves:
        parts += ["<h3>Learning curves</h3>", figure(curves, "Metrics of the trainings after each epoch.")]
    return "\n".join(parts) + "\n</section>\n"


def _verdict(one: Comparison) -> str:
    winner = next(technique for technique in one.techniques if technique.name == one.best["NDCG"])
    figure = winner.figures["NDCG"]
    alike = [other.name for other in one.techniques if other.name != winner.name and other.p.get("NDCG", 0.0) >= ALPHA]
    words = f"<strong>{escape(winner.name)}</strong> is best, with an NDCG@{one.n} of {figure.mean:.4f}"
    words += f" ({figure.low:.4f} to {figure.high:.4f})."
    if alike:
        words += f" It can't be told from {escape(', '.join(alike))} on {one.queries:,} queries."
    return words


def _facts(one: Comparison) -> str:
    known = one.about
    shown = {
        "queries": f"{one.queries:,}",
        "trained on": f"{known.get('events', 0):,} events",
        "users": f"{known.get('users', 0):,}",
        "items": f"{known.get('items', 0):,}",
        "relevant items a query": f"{known.get('relevant_items', 0.0):.2f}",
        "measured": moment(one.made),
    }
    if known.get("targets"):
        shown["relevant items have"] = ", ".join(known["targets"])
    return facts(shown)


def _table(one: Comparison) -> str:
    shown = [name for name in METRICS if any(not math.isnan(each.figures[name].mean) for each in one.techniques)]
    heads = "".join(f'<th scope="col"><abbr title="{escape(_EXPLAINED[m])}">{_head(m, one.n)}</abbr></th>' for m in shown)
    costs = "".join(f'<th scope="col">{text}</th>' for text in ("training, s", "memory, MiB", "ms, median", "ms, 95 %"))
    rows = "".join(_row(each, shown, one) for each in one.techniques)
    caption = (
        "Best of each column in bold. ≈: not significantly different from it (paired randomisation test, Holm-corrected,"
        f" {ALPHA:g}). ± is half of the 95 % interval. Memory is what training took over what the process held before."
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="Techniques and metrics"><table>'
        f'<thead><tr><th scope="col">technique</th><th scope="col" class="left">path</th>{heads}{costs}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
        f'<p class="muted small">{caption}</p>'
    )


def _head(metric: str, n: int) -> str:
    return f"{metric}@{n}" if metric in ACCURACY else metric


def _row(each: Technique, shown: Sequence[str], one: Comparison) -> str:
    note = f' title="{escape(each.note, quote=True)}"' if each.note else ""
    cells = "".join(_cell(each, metric, one) for metric in shown)
    costs = [
        "" if each.training_s is None else f"{each.training_s:,.1f}",
        "" if each.peak_mib is None else f"{each.peak_mib:,.0f}",
        *(f"{each.ms[name]:.2f}" if name in each.ms else "" for name in ("p50", "p95")),
    ]
    plain = "".join(f"<td>{text}</td>" for text in costs)
    path = f'<td class="left"><span class="path {escape(each.path)}">{escape(each.path)}</span></td>'
    return f'<tr><th scope="row"{note}>{escape(each.name)}</th>{path}{cells}{plain}</tr>'


def _cell(each: Technique, metric: str, one: Comparison) -> str:
    figure = each.figures[metric]
    if math.isnan(figure.mean):
        return "<td></td>"
    best = one.best.get(metric) == each.name
    text = f"{figure.mean:.{_DIGITS.get(metric, 4)}f}"
    if not best and each.p.get(metric, 0.0) >= ALPHA:
        text = f"≈&#8202;{text}"
    if metric == "NDCG" and not math.isnan(figure.low):
        text += f" <small>±{(figure.high - figure.low) / 2:.4f}</small>"
    return f"<td{' class=best' if best else ''}>{text}</td>"


def _notes(one: Comparison) -> str:
    notes = [*one.notes, *(f"{each.name}: {each.failed} queries failed." for each in one.techniques if each.failed)]
    return '<ul class="notes">' + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul>" if notes else ""


def _subgroup_words(one: Comparison) -> str:
    words = {
        "new users": "New users have 3 events at most.",
        "cold items": "Cold items are relevant items that 3 users at most have an event on.",
    }
    return " ".join(["Dots are means, bars 95 % intervals.", *(text for name, text in words.items() if name in one.subgroups)])


def _tuning(histories: Sequence[Mapping[str, Any]]) -> str:
    return (
        '<section id="tuning"><h2>Tuning</h2>' + "".join(_history(h, f"t{i}") for i, h in enumerate(histories)) + "</section>\n"
    )


def _history(history: Mapping[str, Any], name: str) -> str:
    done = [row for row in history["trials"] if row["value"] is not None]
    if not done:
        return ""
    best = max(done, key=lambda row: row["value"])
    settings = ", ".join(f"{key} {value}" for key, value in best["settings"].items())
    words = f"Best of {len(done):,} trials: {best['value']:.4f} with {settings or 'the usual settings'}."
    drawn = figure(trials(history, name), words, "narrow")
    return f"<h3>{escape(history['model'])}</h3>{drawn}<details><summary>All trials</summary>{_trials_table(done)}</details>"


def _trials_table(rows: Sequence[Mapping[str, Any]]) -> str:
    keys = list(dict.fromkeys(key for row in rows for key in row["settings"]))
    head = "".join(f'<th scope="col">{escape(key)}</th>' for key in ("trial", "score", "s", *keys))
    body = "".join(f"<tr>{''.join(_trial_cells(row, keys))}</tr>" for row in rows)
    return f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _trial_cells(row: Mapping[str, Any], keys: Sequence[str]) -> Iterator[str]:
    yield f'<th scope="row">{row["number"] + 1}</th><td>{row["value"]:.4f}</td><td>{row["seconds"]:.1f}</td>'
    for key in keys:
        yield f"<td>{escape(str(row['settings'].get(key, '')))}</td>"
