from __future__ import annotations

import pytest

from es_recsys.cli.output import show_answer
from es_recsys.query import Answer, Ranking


@pytest.mark.parametrize(("suggestion", "said"), [("running shoes", 'Did you mean "running shoes"?'), (None, "Did you mean")])
def test_other_words_are_suggested_where_there_are_any(
    suggestion: str | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = Answer("a", "search", Ranking(total=0, suggestion=suggestion), 1.0)
    show_answer(answer, explain=False)
    assert (said in capsys.readouterr().out) == (suggestion is not None)
    assert answer.to_dict()["suggestion"] == suggestion


def test_an_answer_without_hits_has_no_empty_table(capsys: pytest.CaptureFixture[str]) -> None:
    show_answer(Answer("a", "search", Ranking((), 0, suggestion="shoe"), 24.0), explain=False)
    assert capsys.readouterr().out.splitlines() == ["search: 0 hits of 0, 24 ms", 'Did you mean "shoe"?']
