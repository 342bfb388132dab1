"""Methods that answer queries, of both clients: they take the same arguments, and those of one client are awaited."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from es_recsys import arguments
from es_recsys.query import Query
from es_recsys.renamed import accepts_old_arguments, warn_renamed

__all__ = ["AnswerMethods", "Filter", "Id", "Ids", "make_query"]

A = TypeVar("A")
B = TypeVar("B")

Filter = Sequence[str] | Mapping[str, Any]
"""Expressions ("price:10..50"), or a mapping of fields to a value, a list of values, or (low, high)."""
Id = str | int
"""A text or a whole number."""
Ids = Iterable[str | int] | str | int
"""Ids, of which one may stand alone."""


class AnswerMethods(abc.ABC, Generic[A, B]):
    """The methods search, recommend, similar_items, bought_together and rank of a client.

    A: an answer, or what is awaited for one; B: an iterator of answers.

    filter: expressions or a mapping, as docs/guide.md lists. personalization: 0 (neutral) to 1 (personal). diversity: 0 (by
    score) to 1 (most varied). popularity: -1 (niche) to 1 (mainstream), 0 by score. calibration: 0 (by score) to 1 (a page's
    categories as in the user's history). explore: 0 (nothing is left to chance) to 1. seen: whether items that the user has seen
    stay ("keep"), come after all others ("demote") or are left out ("exclude"). offset + n: up to 1,000.
    """

    @abc.abstractmethod
    def execute(self, query: Query) -> A: ...

    @abc.abstractmethod
    def execute_many(self, queries: Iterable[Query]) -> B: ...

    @abc.abstractmethod
    def _answer(self, **given: Any) -> A: ...

    @accepts_old_arguments
    def search(
        self,
        query: str = "",
        *,
        image: bytes | Path | str | None = None,
        audio: bytes | Path | str | None = None,
        body: Mapping[str, Any] | None = None,
        source_index: str | None = None,
        user_id: Id | None = None,
        session_id: Id | None = None,
        n: int = 10,
        offset: int = 0,
        filter: Filter = (),
        exclude: Ids = (),
        personalization: float | None = None,
        diversity: float | None = None,
        popularity: float | None = None,
        calibration: float | None = None,
        explore: float | None = None,
        seen: str | None = None,
        explain: bool = False,
        facets: bool = False,
    ) -> A:
        """Search by words, a picture, a sound (bytes or a path), or several of these; personally for a user or a session.

        body: a search body of your own in place of these, which runs as it is on `source_index`, an index that the store has
        adopted; its first 200 hits are ordered again for the user. Without a user, or with personalization 0, the answer is
        Elasticsearch's own. `answer.response` is the whole response. Beside a picture or a sound it narrows and shows the
        500 items that are nearest to it, the nearest first.
        """
        return self._answer(
            text=query,
            image=image,
            audio=audio,
            body=body,
            source_index=source_index,
            user_id=user_id,
            session_id=session_id,
            n=n,
            offset=offset,
            filter=filter,
            exclude=exclude,
            personalization=personalization,
            diversity=diversity,
            popularity=popularity,
            calibration=calibration,
            explore=explore,
            seen=seen,
            explain=explain,
            facets=facets,
        )

    @accepts_old_arguments
    def recommend(
        self,
        user_id: Id | None = None,
        *,
        session_id: Id | None = None,
        history: Ids | None = None,
        n: int = 10,
        offset: int = 0,
        filter: Filter = (),
        exclude: Ids = (),
        personalization: float | None = None,
        diversity: float | None = None,
        popularity: float | None = None,
        calibration: float | None = None,
        explore: float | None = None,
        repeat: bool = False,
        explain: bool = False,
    ) -> A:
        """Recommend items to a user, to a session, or for a history (item ids, oldest first).

        repeat: instead what the user has bought and buys again, what is due most first. Each hit's `rule` tells the share of
        its buyers who buy it again (repeat_rate), after how many days (interval_days), how long ago the user did (days_since),
        and when it is due (due_in_days, below 0 for long ago). `train` counts it.
        """
        return self._answer(
            repeat=repeat,
            user_id=user_id,
            session_id=session_id,
            history=history,
            n=n,
            offset=offset,
            filter=filter,
            exclude=exclude,
            personalization=personalization,
            diversity=diversity,
            popularity=popularity,
            calibration=calibration,
            explore=explore,
            explain=explain,
        )

    def similar_items(
        self,
        item_id: Id,
        *,
        user_id: Id | None = None,
        n: int = 10,
        filter: Filter = (),
        exclude: Ids = (),
        diversity: float | None = None,
        popularity: float | None = None,
        seen: str | None = None,
        explain: bool = False,
    ) -> A:
        """Find items like one item, by content and by what people did.

        What a given user dislikes is left out.
        """
        return self._answer(
            like=item_id,
            user_id=user_id,
            n=n,
            filter=filter,
            exclude=exclude,
            diversity=diversity,
            popularity=popularity,
            seen=seen,
            explain=explain,
        )

    def bought_together(
        self,
        item_ids: Ids,
        *,
        relaxed: bool = False,
        user_id: Id | None = None,
        n: int = 10,
        offset: int = 0,
        filter: Filter = (),
        exclude: Ids = (),
        seen: str | None = None,
        explain: bool = False,
    ) -> A:
        """Find what is bought together with an item, or with any of several, such as those of a cart.

        Bought together is what stands in one order; relaxed, what one user bought within 30 days. Each hit has the `rule` that
        brought it: how many orders have both (count), their share of all orders (support) and of those with the item
        (confidence), and how many times more often that is than by chance (lift). `train` counts them. What a given user
        dislikes is left out.
        """
        return self._answer(
            bought_with=item_ids,
            relaxed=relaxed,
            user_id=user_id,
            n=n,
            offset=offset,
            filter=filter,
            exclude=exclude,
            seen=seen,
            explain=explain,
        )

    @accepts_old_arguments
    def rank(
        self,
        user_id: Id | None,
        item_ids: Ids,
        *,
        session_id: Id | None = None,
        exclude: Ids = (),
        personalization: float | None = None,
        seen: str | None = None,
        explain: bool = False,
    ) -> A:
        """Rank the given items (1 to 1,000) for a user; ids that the store lacks are in `unknown`."""
        return self._answer(
            user_id=user_id,
            ids=item_ids,
            session_id=session_id,
            exclude=exclude,
            personalization=personalization,
            seen=seen,
            explain=explain,
        )

    def ask(self, query: Query) -> A:
        """Execute a query, under the name that goes away with 0.3."""
        warn_renamed("ask", "execute")
        return self.execute(query)

    def ask_all(self, queries: Iterable[Query]) -> B:
        """Execute many queries, under the name that goes away with 0.3."""
        warn_renamed("ask_all", "execute_many")
        return self.execute_many(queries)


_OPTIONAL = frozenset(name for name, field in Query.model_fields.items() if field.default is None)


def make_query(**given: Any) -> Query:
    """Return the query for the arguments of one of the methods; a ranking has all of its ids on one page."""
    if "like" in given:
        given["like"] = arguments.one_id("item_id", given["like"])
    if "bought_with" in given:
        given["bought_with"] = tuple(dict.fromkeys(arguments.ids("item_ids", given["bought_with"])))
    if "ids" in given:
        ids = tuple(dict.fromkeys(arguments.ids("item_ids", given["ids"])))
        given |= {"ids": ids, "n": max(len(ids), 1)}
    # What is not given need not be checked.
    return Query(**{name: value for name, value in given.items() if value is not None or name not in _OPTIONAL})
