"""Benchmark: whole calls of the client against one plain `_search`, in turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from measuring import percentile_ms, timed

from bench.breakdown import breakdown
from bench.questions import PlainSearch, Questions
from es_recsys import Client
from es_recsys.query import Answer

__all__ = ["BREAKDOWN", "COLUMNS", "answers", "plain_catalogue", "time_of_answers"]

COLUMNS = ["call", "p50, ms", "of (b)", "goal", "p99, ms", "of (b)", "goal"]
BREAKDOWN = 300
"""Calls of each kind of which is seen where the time goes."""

WARMING, BREAKDOWN_WARMING = 500, 100
COLD = 200
WORDS, BOTH = "(a) one _search: words", "(b) one _search: words and kNN"
NEUTRAL, PERSONAL = "search, neutral", "search, personal"
RECOMMEND, SIMILAR = "recommend", "similar"
COLD_SEARCH = "search, neutral, of words never asked for"
FIRST_PERSONAL = "search, personal, the first for its words"

SMALL = 10_000
SMALL_GOALS = {NEUTRAL: 2.0, PERSONAL: 4.0}
GOALS = {NEUTRAL: 1.5, PERSONAL: 2.0, RECOMMEND: 2.0, SIMILAR: 2.0}
PLAIN_GOAL = 1.3

Calls = Mapping[str, Callable[[int], object]]
"""Kind -> what makes call number k."""


def answers(client: Client, questions: Questions, size: int, calls: int) -> list[list[str]]:
    """Rows: all kinds of answers, of a store with events and models."""
    with PlainSearch(client, questions.texts) as plain:
        seconds = in_turns(_kinds(client, plain, questions), calls)
        cold = _cold(client, plain, questions)
    goals = SMALL_GOALS if size < SMALL else GOALS
    return _rows(seconds, goals, {} if size < SMALL else goals) + [row for one in cold for row in _rows(one, {}, {})[1:]]


def plain_catalogue(client: Client, questions: Questions, calls: int) -> list[list[str]]:
    """Rows: neutral searches of a store without events and models."""
    with PlainSearch(client, questions.texts) as plain:
        kinds = _kinds(client, plain, questions)
        seconds = in_turns({name: kinds[name] for name in (WORDS, BOTH, NEUTRAL)}, calls)
    return _rows(seconds, {NEUTRAL: PLAIN_GOAL}, {})


def time_of_answers(client: Client, questions: Questions, calls: int) -> list[list[str]]:
    """Rows: where the time of each kind goes, on average."""
    with PlainSearch(client, questions.texts) as plain:
        kinds = _kinds(client, plain, questions)
        in_turns(kinds, 0, warming=min(BREAKDOWN_WARMING, calls))
        return breakdown(client, plain.es, kinds, min(BREAKDOWN, calls))


def in_turns(calls_of: Calls, calls: int, warming: int | None = None) -> dict[str, list[float]]:
    """Kind -> seconds of each call. Each kind in its turn at every number, and none is always the first."""
    names = list(calls_of)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for k in range(-min(WARMING, calls) if warming is None else -warming, calls):
        first = k % len(names)
        for name in names[first:] + names[:first]:
            took = timed(calls_of[name], k)
            if k >= 0:
                seconds[name].append(took)
    return seconds


def _kinds(client: Client, plain: PlainSearch, questions: Questions) -> dict[str, Callable[[int], object]]:
    return {
        WORDS: lambda k: plain.words(questions.text(k)),
        BOTH: lambda k: plain.words_and_vector(questions.text(k)),
        NEUTRAL: lambda k: _whole(client.search(questions.text(k))),
        PERSONAL: lambda k: _whole(client.search(questions.text(k), user_id=questions.user(k))),
        RECOMMEND: lambda k: _whole(client.recommend(questions.user(k))),
        SIMILAR: lambda k: _whole(client.similar_items(questions.item(k))),
    }


def _whole(answer: Answer) -> Answer:
    assert not answer.ranking.degraded, answer
    return answer


def _cold(client: Client, plain: PlainSearch, questions: Questions) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    kinds: Calls = {
        BOTH: lambda k: plain.words_and_vector(questions.text(k)),
        COLD_SEARCH: lambda k: _whole(client.search(questions.cold[k])),
    }
    calls = min(COLD, len(questions.cold))
    # The words are encoded now, but what matches them is not known.
    personal: Calls = {
        BOTH: lambda k: plain.words_and_vector(questions.text(k)),
        FIRST_PERSONAL: lambda k: _whole(client.search(questions.cold[k], user_id=questions.user(k))),
    }
    return in_turns(kinds, calls, warming=0), in_turns(personal, calls, warming=0)


def _rows(
    seconds: Mapping[str, Sequence[float]], p50_goals: Mapping[str, float], p99_goals: Mapping[str, float]
) -> list[list[str]]:
    return [
        [name, *_against(seconds, name, 50), _goal(p50_goals, name), *_against(seconds, name, 99), _goal(p99_goals, name)]
        for name in seconds
    ]


def _against(seconds: Mapping[str, Sequence[float]], name: str, percent: float) -> tuple[str, str]:
    ours, theirs = (percentile_ms(seconds[one], percent) for one in (name, BOTH))
    return f"{ours:.1f}", f"{ours / theirs:.2f}"


def _goal(goals: Mapping[str, float], name: str) -> str:
    return f"at most {goals[name]:g}" if name in goals else ""
