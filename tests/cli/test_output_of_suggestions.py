from __future__ import annotations

import pytest

from es_recsys.cli.output import show_answer
from es_recsys.types import Answer, Ranking


@pytest.mark.parametrize(("suggestion", "said"), [("running shoes", 'Did you mean "running shoes"?'), (None, "Did you mean")])
def test_other_words_are_suggested_where_there_are_any(
    suggestion: str | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = Answer("a", "search", Ranking(total=0, suggestion=suggestion), 1.0)
    show_answer(answer, explain=False)
    assert (said in capsys.readouterr().out) == (suggestion is not None)
    assert answer.to_dict()["suggestion"] == suggestion
