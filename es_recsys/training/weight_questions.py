"""The questions that retriever weights are chosen on: what came next, and searches that led somewhere or are rebuilt."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import Interactions
from es_recsys.errors import InputError
from es_recsys.evaluation.holdout import leave_last_out, temporal_split
from es_recsys.evaluation.queries import EvalQuery, EvalSplit, query_of
from es_recsys.evaluation.rebuilt_searches import rebuilt_searches, title_searches
from es_recsys.evaluation.searches import search_outcomes
from es_recsys.evaluation.splits import as_queries
from es_recsys.evaluation.weights import RetrieverScores
from es_recsys.events.actors import actor_of
from es_recsys.events.records import StoredEvent
from es_recsys.index_metadata import IndexMetadata
from es_recsys.models.types import sample_users
from es_recsys.search.body_window import WINDOW, page_of_body
from es_recsys.search.retriever_weights import SEARCH_KINDS, WINDOW_TABLES, breadth, search_kind
from es_recsys.search.retrievers import LEXICAL
from es_recsys.serving.workspace import Workspace
from es_recsys.training.item_table import item_table

__all__ = [
    "FEWEST_QUERIES",
    "BodyTemplate",
    "events_for_profiles",
    "interactions_to_learn_from",
    "next_items",
    "parts_of",
    "questions_of",
    "words_of",
]

WORDS = "{words}"
"""Stands in a template for the words of a search."""

FEWEST_QUERIES = 50
"""Queries that a choice takes."""

# From so many on a split in time is asked; with fewer the last item of each user asks more.
_ENOUGH_QUERIES = 200
# Of all events, those that come after the moment. On the sample store a tenth were too few purchases: what was chosen on
# them was worse by cross-validation than the usual weights, on a fifth better.
_NEWEST = 0.2
_TITLES = 400
# Actors who searched that are looked at for a query, as not every search leads somewhere.
_SEARCHERS = 5
_MOST_EVENTS = 2_000_000
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class BodyTemplate:
    """The search body that words become, on an index that the store has adopted.

    body: each text in it that holds WORDS gets the words in their place.
    """

    source_index: str
    body: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not _holds_words(self.body):
            raise InputError(f"The body says nowhere where the words go: {WORDS}.", f'As in {{"match": {{"name": "{WORDS}"}}}}.')
        page = page_of_body(self.body)
        if page.unranked:
            raise InputError(f"No hit of the body is ordered again: {page.unranked}.", "Give one whose order is the score's.")

    @classmethod
    def usual(cls, source_index: str) -> BodyTemplate:
        """Return the template that looks for the words in all fields that the index searches by default."""
        return cls(source_index, {"query": {"multi_match": {"query": WORDS, "lenient": True}}})

    def query(self, one: EvalQuery) -> EvalQuery:
        """Return a search for words as one by this body, for the whole window."""
        body = {**_with_words(self.body, one.query.text), "from": 0, "size": WINDOW}
        return replace(one, query=one.query.model_copy(update={"body": body, "source_index": self.source_index}))


def _holds_words(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_words, value.values()))
    return any(map(_holds_words, value)) if isinstance(value, list) else isinstance(value, str) and WORDS in value


def _with_words(value: Any, words: str) -> Any:
    if isinstance(value, Mapping):
        return {name: _with_words(each, words) for name, each in value.items()}
    if isinstance(value, list):
        return [_with_words(each, words) for each in value]
    return value.replace(WORDS, words) if isinstance(value, str) else value


def questions_of(
    work: Workspace,
    live: IndexMetadata,
    name: str,
    data: Interactions,
    rng: np.random.Generator,
    users: int,
    targets: Collection[str],
    template: BodyTemplate | None = None,
) -> tuple[EvalSplit, tuple[EvalQuery, ...]]:
    """Return the queries of a situation, and searches for whole titles, of which none may be lost.

    Where too few searches led somewhere, they are rebuilt from what people took. template: what they are asked by in a window.
    """
    if name == "window" and template is not None:
        split, titles = questions_of(work, live, "query", data, rng, users, targets)
        queries = tuple(map(template.query, split.queries))
        return replace(split, kind=f"{split.kind}, by a body", queries=queries), tuple(map(template.query, titles))
    if name == "no_query":
        return next_items(data, rng, users, targets), ()
    split = search_outcomes(data, _events_of(work, _searchers(work, rng, _SEARCHERS * users)), rng, users)
    if live.notes.get("bare"):
        return split, ()
    items = item_table(work, live)
    if len(split) < _ENOUGH_QUERIES:
        rebuilt = rebuilt_searches(next_items(data, rng, users, targets), items, rng)
        split = max(rebuilt, split, key=len)
    return split, title_searches(split, items, rng, _TITLES) if len(split) else ()


def interactions_to_learn_from(split: EvalSplit, rng: np.random.Generator) -> Interactions:
    """Return what models may learn from; where that is very much, what who asks and others, drawn by `rng`, did."""
    return sample_users(split.train, _MOST_EVENTS, rng, always={one.actor for one in split.queries})


def events_for_profiles(work: Workspace, split: EvalSplit, others: Interactions | None) -> Iterator[StoredEvent]:
    """Yield the stored events of who asks, and of the users with interactions among `others`."""
    names = {one.actor for one in split.queries}
    if others is not None:
        names.update(others.user_ids[np.unique(others.users)].tolist())
    return _events_of(work, sorted(actor_of(query.user_id, query.session_id) for query in map(query_of, names)))


def _searchers(work: Workspace, rng: np.random.Generator, most: int) -> list[str]:
    """Return the actors who searched, drawn by `rng` where there are more."""
    found = work.events.actors_with("search")
    return [found[i] for i in np.sort(rng.permutation(len(found))[:most]).tolist()]


def _events_of(work: Workspace, actors: Sequence[str]) -> Iterator[StoredEvent]:
    for begin in range(0, len(actors), _AT_ONCE):
        for own in work.events.rows_of(actors[begin : begin + _AT_ONCE]).values():
            yield from own


def next_items(data: Interactions, rng: np.random.Generator, users: int, targets: Collection[str]) -> EvalSplit:
    """Return an evaluation split of what came after a moment, where enough did, else of the last item of each user.

    As when the store answers, nothing that others did later is known after a moment; it would speak for signals of what goes
    together.
    """
    if data.timed:
        split = temporal_split(data, rng, users, share=_NEWEST, targets=targets)
        if len(split) >= _ENOUGH_QUERIES:
            return as_queries(split)
    return as_queries(leave_last_out(data, rng, users, targets=targets))


def parts_of(name: str, scores: RetrieverScores, depth: int) -> dict[str, NDArray[np.int64]]:
    """Return what is chosen by itself: the situation, or the kinds of its searches; each with its rows.

    depth: hits of words that tell the kind of a search, as in an answer.
    """
    if name == "no_query":
        return {name: np.arange(len(scores))}
    names = WINDOW_TABLES if name == "window" else {kind: kind for kind in SEARCH_KINDS}
    kinds = np.array([search_kind(breadth(own, depth)) for own in words_of(scores)])
    return {own: np.flatnonzero(kinds == kind) for kind, own in names.items()}


def words_of(scores: RetrieverScores) -> list[list[float]]:
    """Return what the words score the candidates of each query, best first."""
    found: list[list[float]] = (-np.sort(-scores.scores[:, :, scores.retrievers.index(LEXICAL)], axis=1)).tolist()
    return found
