"""The page and what it is made from: whole, self-contained, and safe whatever names hold."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from es_recsys.errors import InputError
from es_recsys.evaluation.cost import Cost
from es_recsys.evaluation.counterfactual import Value
from es_recsys.evaluation.harness import Answers, Scores
from es_recsys.evaluation.logged import LoggedReport
from es_recsys.evaluation.report import page
from es_recsys.evaluation.report.labels import place_labels
from es_recsys.evaluation.results import METRICS, Comparison, Measured, compared
from es_recsys.evaluation.statistics import Estimate
from es_recsys.evaluation.tuner import Trial
from es_recsys.jobs.report import write_report
from es_recsys.training.tune_weights import WeightsTuneReport
from es_recsys.training.weight_choice import TunedSituation

VOID = {"meta", "link", "path", "use", "br"}
NASTY = '<script>alert("1")</script> & "co"'


TRIALS = (Trial(0, {"als": 0.1}, 0.2, 0.01), Trial(1, {"als": 0.5}, 0.4, 0.01))


def _measured(name: str, mean: float, path: str = "memory", curve: bool = False) -> Measured:
    rng = np.random.default_rng(len(name))
    values = {m: np.clip(rng.normal(mean, 0.05, 80), 0, 1) for m in METRICS[:5]}
    values |= {"novelty": rng.random(80), "diversity": np.full(80, np.nan), "popularity": rng.random(80) + mean}
    who = tuple(f"u{n}" for n in range(80))
    rare = {m: values[m][:12] for m in METRICS[:5]}
    scores = Scores(values, {"coverage": mean, "gini": 1 - mean}, who, {"cold items": rare}, {"cold items": who[:12]})
    rows = tuple({"epoch": float(e), "of": 9.0, "loss": 1.0 / (e + 1)} for e in range(9)) if curve else ()
    return Measured(name, path, Answers(((),) * 80, rng.random(40) + 0.1), scores, Cost(mean, 10.0), rows)


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    measured = [_measured("low", 0.2), _measured(NASTY, 0.6, curve=True), _measured("served", 0.61, "served")]
    techniques, best = compared(measured, np.random.default_rng(0))
    about = {"users": 10, "items": 20, "events": 30, "relevant_items": 1.0, "targets": ["purchase"]}
    return Comparison("shop", "2026-01-01T00:00:00+00:00", "the last & best", 80, 10, techniques, best, about, (NASTY,))


HISTORY = {
    "kind": "tuning",
    "model": NASTY,
    "metric": "NDCG@20",
    "trials": [
        {"number": n, "value": value, "seconds": 0.5, "settings": {"half_life": "inf", "b": 0.5 + n}}
        for n, value in enumerate([0.1, 0.3, None, 0.2])
    ],
}


def _value(mean: float, seen: bool = True) -> Value:
    ips, none = Estimate(mean, mean - 0.02, mean + 0.02, 40), Estimate(float("nan"), float("nan"), float("nan"), 40)
    return Value(
        Estimate(0.1, 0.09, 0.11, 40), ips, Estimate(mean, mean - 0.01, mean + 0.01, 40) if seen else none, 0.5, 1234.0, 0.25
    )


@pytest.fixture(scope="module")
def logged() -> LoggedReport:
    values = {"as served": _value(0.1), NASTY: _value(0.3), "als alone": _value(0.01), "without als": _value(0.0, seen=False)}
    return LoggedReport("shop", "2026-01-01T00:00:00+00:00", 40, 7, (1.0, 0.5, 0.25), values)


def test_best_and_significance(comparison: Comparison) -> None:
    assert [one.name for one in comparison.techniques] == sorted(
        (one.name for one in comparison.techniques),
        key=lambda name: -next(t for t in comparison.techniques if t.name == name).figures["NDCG"].mean,
    )
    low = next(one for one in comparison.techniques if one.name == "low")
    assert low.p["NDCG"] < 0.01
    winner = comparison.best["NDCG"]
    assert "NDCG" not in next(one for one in comparison.techniques if one.name == winner).p
    assert comparison.best["gini"] != "low"
    assert "diversity" not in comparison.best


def test_a_comparison_goes_through_json(comparison: Comparison) -> None:
    text = json.dumps(comparison.to_dict(), allow_nan=False)
    assert Comparison.from_dict(json.loads(text)).to_dict() == comparison.to_dict()
    for wrong in ({}, {"kind": "tuning"}, {**comparison.to_dict(), "form": 99}, {**comparison.to_dict(), "techniques": [{}]}):
        with pytest.raises(InputError):
            Comparison.from_dict(wrong)


class _Checker(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        self.ids += [str(given["id"])] if given.get("id") else []
        self.links += [str(given[name]) for name in ("href", "src") if given.get(name)]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else(comparison: Comparison, logged: LoggedReport) -> None:
    text = page([comparison, comparison], [HISTORY], [logged, logged])
    checker = _Checker()
    checker.feed(text)
    assert not checker.open
    assert len(checker.ids) == len(set(checker.ids))
    assert all(link.startswith(("#", "data:")) for link in checker.links)
    assert all(link[1:] in checker.ids for link in checker.links if link.startswith("#"))
    assert not re.search(r"url\((?!#)|@import|https?://", re.sub(r'xmlns(:\w+)?="[^"]*"', "", text))
    assert "script" not in checker.tags
    assert checker.tags.count("svg") == 9
    assert text.count('role="img"') == 9
    assert "prefers-color-scheme: dark" in text
    assert "#0a0" not in text, "a colour that stands for a variable was left"


def test_orders_of_the_log_come_best_first_with_all_that_is_known_of_them(logged: LoggedReport) -> None:
    text = page([], (), [logged])
    section = text[text.index('<section id="l1"') :]
    body = section[section.index("<tbody>") : section.index("</tbody>")]
    names = re.findall(r'<th scope="row">(.*?)</th>', body)
    assert names == [html.escape(NASTY), "as served", "als alone", "without als"]
    best, served, *_, unknown = body.split("</tr>")[:-1]
    assert "0.3000 <small>[0.2800, 0.3200]</small>" in best
    assert "0.3000 <small>[0.2900, 0.3100]</small>" in best
    assert "<td>50%</td><td>1,234</td><td>25.0%</td>" in best
    assert best.count("class=best") == 2
    assert "class=best" not in served + unknown
    assert "<td></td>" in unknown
    assert "As served it was 0.1000 (0.0900 to 0.1100)." in section
    assert "1.00 0.50 0.25" in section
    assert text.count("<svg") == 1
    assert "1 here, are left out" in section


def test_estimates_on_few_rows_are_told_but_not_praised(logged: LoggedReport) -> None:
    few = replace(logged, values={**logged.values, NASTY: replace(logged.values[NASTY], effective=29.0)})
    text = page([], (), [few])
    assert "By SNIPS <strong>as served</strong> brings most" in text
    assert "2 here, are left out" in text
    row = next(row for row in text.split("</tr>") if html.escape(NASTY) in row)
    assert "0.3000" in row and "class=best" not in row
    none = page([], (), [replace(logged, values={name: replace(one, effective=1.0) for name, one in logged.values.items()})])
    assert "says nothing yet" in none and "<svg" not in none


def test_an_estimate_of_the_log_goes_through_json(logged: LoggedReport) -> None:
    told = json.loads(json.dumps(logged.to_dict(), allow_nan=False))
    assert LoggedReport.from_dict(told).to_dict() == logged.to_dict()
    for wrong in ({}, {**told, "values": {"a": {}}}, {**told, "values": []}, {**told, "examination": None}):
        with pytest.raises(InputError):
            LoggedReport.from_dict(wrong)


def test_a_log_without_rewards_says_what_is_missing(logged: LoggedReport) -> None:
    assert any(": IPS " in line for line in logged.lines())
    lines = list(replace(logged, rewarded=0).lines())
    assert len(lines) == 2 and "query_id" in lines[1]


def test_names_of_points_stay_below_the_title() -> None:
    drawn = Figure(figsize=(6.0, 4.4))
    FigureCanvasSVG(drawn)
    axis = drawn.subplots()
    points = [(1.0 + place / 100, 0.6 + place / 200, "a technique with a name " + "x" * place) for place in range(6)]
    axis.plot([x for x, _, _ in points], [y for _, y, _ in points], "o")
    axis.set_xlim(0.5, 1.5)
    axis.set_ylim(0.0, 0.65)
    place_labels(axis, points, "black")
    scale = 72.0 / drawn.dpi
    top = axis.get_window_extent().y1 * scale
    placed = {text.get_text(): text.xyann[1] for text in axis.texts if isinstance(text, Annotation)}
    assert len(placed) == 6
    for x, y, name in points:
        assert axis.transData.transform((x, y))[1] * scale + placed[name] < top


def test_figures_are_the_same_each_time(comparison: Comparison) -> None:
    assert page([comparison]) == page([comparison])


def test_files_become_a_page(comparison: Comparison, logged: LoggedReport, tmp_path: Path) -> None:
    one, tuning, out = tmp_path / "one.json", tmp_path / "tuning.json", tmp_path / "out.html"
    log, weights = tmp_path / "log.json", tmp_path / "weights.json"
    one.write_text(json.dumps(comparison.to_dict()))
    tuning.write_text(json.dumps(HISTORY))
    write_report([one, tuning], out)
    assert "Best of 3 trials: 0.3000" in out.read_text()
    write_report([tuning], out)
    log.write_text(json.dumps(logged.to_dict()))
    found = [TunedSituation(name, 60, {"als": 1.0}, 0.1, 0.2, 0.01, True, TRIALS) for name in ("no_query", "query_kind")]
    weights.write_text(json.dumps(WeightsTuneReport(tuple(found), (), 9.0).to_dict()))
    write_report([log, weights, one], out)
    text = out.read_text()
    assert text.index('href="#e1"') < text.index('href="#l1"') < text.index('href="#tuning"')
    assert (
        "<h3>weights of the retrievers, without a query</h3>" in text
        and "<h3>weights of the retrievers, in searches that name a kind of items</h3>" in text
    )
    assert text.count("Best of 2 trials: 0.4000 with als 0.5.") == 2
    (tmp_path / "old.json").write_text(json.dumps({"kind": "weights", "situations": {"query": {"trials": 3}}}))
    (tmp_path / "bad.json").write_text("[1")
    (tmp_path / "list.json").write_text("[1]")
    for name in ("bad.json", "list.json", "gone.json", "old.json"):
        with pytest.raises(InputError) as caught:
            write_report([tmp_path / name], out)
        assert caught.value.remedy
    with pytest.raises(InputError):
        write_report([one], tmp_path / "no" / "folder.html")
