from __future__ import annotations

import pytest

from es_recsys.cli.output import show_answer
from es_recsys.query import Answer, Hit, Ranking


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


@pytest.mark.parametrize(
    ("kind", "name", "head"),
    [("bought_together", None, "bought together"), ("buy_again", None, "bought again"), ("recommend", "trending", "trending")],
)
def test_an_answer_is_called_by_words_and_not_by_its_kind(
    kind: str, name: str | None, head: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show_answer(Answer("a", kind, Ranking((), 0), 3.0), explain=False, name=name)
    assert capsys.readouterr().out == f"{head}: 0 hits of 0, 3 ms\n"


@pytest.mark.parametrize(("scores", "told"), [((0.2, 0.3), True), ((0.3, 0.2), False)])
def test_scores_that_rise_in_recommendations_are_explained(
    scores: tuple[float, float], told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    hits = tuple(Hit(f"i{rank}", score, rank, {}) for rank, score in enumerate(scores, 1))
    show_answer(Answer("a", "recommend", Ranking(hits, 2), 3.0), explain=False)
    assert ("Scores may rise" in capsys.readouterr().out) == told
