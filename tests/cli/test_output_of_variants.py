from __future__ import annotations

import pytest

from es_recsys.cli.output import show_answer
from es_recsys.query import Answer, Hit, Ranking


@pytest.mark.parametrize("grouped", [True, False])
def test_a_table_shows_groups_where_there_are_any(grouped: bool, capsys: pytest.CaptureFixture[str]) -> None:
    source = {"group_id": "red-shirt"} if grouped else {}
    hits = (Hit("RS-M", 0.5, 1, title="Shirt", source=source), Hit("CAP", 0.4, 2, title="Cap"))
    show_answer(Answer("a", "search", Ranking(hits, 2), 1.0), explain=False)
    lines = capsys.readouterr().out.splitlines()
    assert ("red-shirt" in "\n".join(lines), any("group" in line for line in lines)) == (grouped, grouped)
    assert next(line.split() for line in lines if "CAP" in line) == ["2", "CAP", "Cap", "0.400"]


def test_parts_that_round_to_nothing_are_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    hit = Hit("RS-M", 0.5001, 1, {"lexical": 0.6, "als": 0.0001, "popularity": -0.1}, title="Shirt")
    show_answer(Answer("a", "search", Ranking((hit,), 1), 1.0), explain=True)
    line = next(line for line in capsys.readouterr().out.splitlines() if "RS-M" in line)
    assert "lexical 0.600  popularity -0.100" in line and "als" not in line
