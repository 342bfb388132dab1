"""Counts in words for people."""

from __future__ import annotations

import pytest

from es_recsys.counting import counted
from es_recsys.index.items_report import ItemsReport
from es_recsys.sources import RejectedRows


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 lines were"), (1, "1 line was"), (2, "2 lines were"), (1_234_567, "1,234,567 lines were")]
)
def test_words_agree_with_the_count(count: int, said: str) -> None:
    assert counted(count, "line was", "lines were") == said


def test_a_report_speaks_of_one_line_as_of_one() -> None:
    rejected = RejectedRows(write=False)
    rejected.skip("'impression' says nothing of taste")
    assert list(rejected.skipped_lines()) == ["1 line left out: 'impression' says nothing of taste"]


@pytest.mark.parametrize(("added", "reported"), [(2, False), (2_000, True)])
def test_a_rate_is_reported_of_many_items_only(added: int, reported: bool) -> None:
    (line,) = ItemsReport(1, added=added, seconds=5.0).lines()
    assert line.endswith("items/s") is reported
