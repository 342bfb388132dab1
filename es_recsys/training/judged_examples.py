"""Examples from judgments: each judged query is asked as it is served, and its candidates take their grades."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from es_recsys.errors import EngineError
from es_recsys.search.answer import complete, read, settle
from es_recsys.search.gather import gather as heard
from es_recsys.search.learned import WINDOW
from es_recsys.search.plan import plan
from es_recsys.search.signals import Reading
from es_recsys.serving.answering import context_of, question_vectors
from es_recsys.serving.operations import Flow, MultiSearch
from es_recsys.serving.snapshot import ServingSnapshot
from es_recsys.serving.workspace import Workspace
from es_recsys.training.ranking_examples import Examples, Shown, gather, ideal
from es_recsys.types import Query

__all__ = ["judged_examples"]

_TOGETHER = 24


def judged_examples(
    work: Workspace,
    grades: Mapping[str, Mapping[str, float]],
    *,
    window: int = WINDOW,
    progress: Callable[[float, float | None], None] | None = None,
) -> Examples:
    """The windows of all queries that have a positive grade; what nobody judged counts 0, as do items not found.

    grades: query -> item id (of variants the group_id) -> grade >= 0. Nothing personal is in them. Raises EngineError where
    a part of an answer fails, StoreNotFound.
    """
    names = [query for query, own in grades.items() if ideal(list(own.values())) > 0.0]
    found: list[Shown] = []
    for start in range(0, len(names), _TOGETHER):
        some = names[start : start + _TOGETHER]
        for shown in work.run_all(partial(_flows, queries=some, grades=grades, window=window, now=work.now())):
            if isinstance(shown, Exception):
                raise shown
            found.append(shown)
        if progress is not None:
            progress(start + len(some), len(names))
    return gather(found)


def _flows(
    snapshot: ServingSnapshot, queries: Sequence[str], grades: Mapping[str, Mapping[str, float]], window: int, now: float
) -> list[Flow[Shown]]:
    return [_shown(snapshot, query, grades[query], window, now) for query in queries]


def _shown(snapshot: ServingSnapshot, text: str, grades: Mapping[str, float], window: int, now: float) -> Flow[Shown]:
    query = Query(text=text)
    vectors, mute = yield from question_vectors(snapshot, query)
    context = yield from context_of(snapshot, query, None, vectors, [], now)
    first = plan(context)
    responses = yield MultiSearch(snapshot.metadata.index, first.bodies)
    reading = Reading(window)
    gathered = heard(context, first, responses)
    second = complete(context, gathered, reading)
    responses = (yield MultiSearch(snapshot.metadata.index, second.bodies)) if second.bodies else []
    settled = settle(second, responses)
    failed = dict.fromkeys((*mute, *gathered.degraded, *settled.failed))
    if failed:
        raise EngineError(
            f"The answer to {text!r} lacks {', '.join(failed)}, so its candidates can't be learned from.",
            "See what fails (es-recsys doctor), and train again.",
        )
    rows, signals = read(context, reading, settled)
    own = np.array([max(grades.get(settled.table.products[row], 0.0), 0.0) for row in rows], np.float64)
    return Shown(signals, own, ideal(list(grades.values())))
