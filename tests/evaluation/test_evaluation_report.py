"""The page and what it is made from: whole, self-contained, and safe whatever names hold."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from es_recsys.errors import InputError
from es_recsys.evaluation.cost import Cost
from es_recsys.evaluation.harness import Answers, Scores
from es_recsys.evaluation.report import page
from es_recsys.evaluation.results import METRICS, Comparison, Measured, compared
from es_recsys.jobs.reporting import write_report

VOID = {"meta", "link", "path", "use", "br"}
NASTY = '<script>alert("1")</script> & "co"'


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
    about = {"users": 10, "items": 20, "events": 30, "right_answers": 1.0, "targets": ["purchase"]}
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


def test_the_page_is_whole_and_needs_nothing_else(comparison: Comparison) -> None:
    text = page([comparison, comparison], [HISTORY])
    checker = _Checker()
    checker.feed(text)
    assert not checker.open
    assert len(checker.ids) == len(set(checker.ids))
    assert all(link.startswith(("#", "data:")) for link in checker.links)
    assert all(link[1:] in checker.ids for link in checker.links if link.startswith("#"))
    assert not re.search(r"url\((?!#)|@import|https?://", re.sub(r'xmlns(:\w+)?="[^"]*"', "", text))
    assert "script" not in checker.tags
    assert checker.tags.count("svg") == 7
    assert text.count('role="img"') == 7
    assert "prefers-color-scheme: dark" in text
    assert "#0a0" not in text, "a colour that stands for a variable was left"


def test_figures_are_the_same_each_time(comparison: Comparison) -> None:
    assert page([comparison]) == page([comparison])


def test_files_become_a_page(comparison: Comparison, tmp_path: Path) -> None:
    one, tuning, out = tmp_path / "one.json", tmp_path / "tuning.json", tmp_path / "out.html"
    one.write_text(json.dumps(comparison.to_dict()))
    tuning.write_text(json.dumps(HISTORY))
    write_report([one, tuning], out)
    assert "Best of 3 trials: 0.3000" in out.read_text()
    write_report([tuning], out)
    (tmp_path / "bad.json").write_text("[1")
    (tmp_path / "list.json").write_text("[1]")
    for name in ("bad.json", "list.json", "gone.json"):
        with pytest.raises(InputError) as caught:
            write_report([tmp_path / name], out)
        assert caught.value.remedy
    with pytest.raises(InputError):
        write_report([one], tmp_path / "no" / "folder.html")
