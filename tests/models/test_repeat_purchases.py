"""Repeat purchases: rates and intervals as they were bought, and what is due first."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from es_recsys.models.repeat_purchases import RepeatPurchases


def monthly_coffee(users: int = 50) -> list[tuple[str, str, float]]:
    """Coffee every 30 days by all, a filter every 90 days by a half, a grinder once by all."""
    rows = [(f"u{n}", "coffee", 30.0 * k) for n in range(users) for k in range(6)]
    rows += [(f"u{n}", "filter", 90.0 * k) for n in range(0, users, 2) for k in range(3)]
    rows += [(f"u{n}", "filter", 0.0) for n in range(1, users, 2)]
    return rows + [(f"u{n}", "grinder", 0.0) for n in range(users)]


def test_rates_and_intervals_are_those_of_the_purchases() -> None:
    found = RepeatPurchases.count(monthly_coffee())
    due = {one.item_id: one for one in found.due({"coffee": 30.0, "filter": 30.0, "grinder": 30.0})}
    assert set(due) == {"coffee", "filter"}
    overall = (50 + 25) / 150
    assert due["coffee"].rate == pytest.approx((50 + 5 * overall) / 55)
    assert due["filter"].rate == pytest.approx((25 + 5 * overall) / 55)
    assert due["coffee"].interval_days == pytest.approx(30, rel=0.1)
    assert due["filter"].interval_days == pytest.approx(90, rel=0.2)
    assert due["coffee"].days_since == 30.0


def test_the_score_is_the_rate_times_the_density_and_highest_about_when_it_is_due() -> None:
    found = RepeatPurchases.count(monthly_coffee())
    (one,) = found.due({"coffee": 20.0})
    mean, spread = math.log(one.interval_days), found.spread
    density = math.exp(-(((math.log(20) - mean) / spread) ** 2) / 2) / (20 * spread * math.sqrt(2 * math.pi))
    assert one.score == pytest.approx(one.rate * density)
    at = {days: found.due({"coffee": days})[0].score for days in (1.0, 25.0, 300.0)}
    assert at[25.0] > at[1.0] and at[25.0] > at[300.0]


def test_what_is_due_comes_before_what_was_bought_lately() -> None:
    found = RepeatPurchases.count(monthly_coffee())
    assert [one.item_id for one in found.due({"coffee": 2.0, "filter": 85.0})] == ["filter", "coffee"]
    assert [one.item_id for one in found.due({"coffee": 28.0, "filter": 5.0})] == ["coffee", "filter"]


def test_two_on_one_day_are_one_purchase_and_what_is_hardly_ever_bought_again_is_left_out() -> None:
    rows = [("u", "lamp", 1.1), ("u", "lamp", 1.9), *((f"v{n}", "desk", 1.0) for n in range(200)), ("v0", "desk", 400.0)]
    assert RepeatPurchases.count(rows).due({"lamp": 10.0, "desk": 399.0}) == []


def test_it_comes_back_from_its_folder_and_nothing_bought_is_nothing_due(tmp_path: Path) -> None:
    found = RepeatPurchases.count(monthly_coffee())
    found.save(tmp_path / "some")
    assert RepeatPurchases.load(tmp_path / "some").due({"coffee": 9.0}) == found.due({"coffee": 9.0})
    RepeatPurchases.count([]).save(tmp_path / "none")
    assert RepeatPurchases.load(tmp_path / "none").due({"coffee": 9.0}) == []
