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
