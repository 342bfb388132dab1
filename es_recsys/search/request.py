"""What a ranking is computed from: the request, what is known of the user, and how the store ranks.

All three are complete before the first search is sent. Everything else in `search` is a pure function of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import History, Taste
from es_recsys.features import ItemFeatures
from es_recsys.forward_index import ForwardIndex
from es_recsys.index_metadata import IndexMetadata
from es_recsys.query import MAX_RESULTS
from es_recsys.search.exploration import Exploration
from es_recsys.search.interests import Interests
from es_recsys.search.lexical import TextMatching
from es_recsys.search.query_dsl import Clause
from es_recsys.search.ranker import Ranker
from es_recsys.settings import SearchSettings
from es_recsys.values.times import epoch_seconds

__all__ = [
    "Explainer",
    "ListedRows",
    "RankingPolicy",
    "Request",
    "ScoredIds",
    "Scorer",
    "UserState",
    "ranker_of",
    "retrieval_depth",
    "situation",
]

ScoredIds = Sequence[tuple[str, float]]
"""(item id, raw score), best first."""

Scorer = Callable[[Sequence[str]], NDArray[np.float32]]
"""Item ids -> raw scores (n,) of a model for the user."""

Explainer = Callable[[str], Sequence[str]]
"""Item id -> the user's own items that a model recommends it for."""

ListedRows = tuple[object, NDArray[np.int64], NDArray[np.float64]]
"""Numbering of a forward index, rows (n,) in it, ascending, -1 for what it lacks, and scores (n,) of a list."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Request:
    """What is asked.

    now: epoch seconds. text: query text, "" for none. vectors: vector field -> query vector (d,) float32, from the text, a
    picture or a sound. filters: clauses that every hit meets. exclude: ids of items or products that never appear; demote: of
    products that come after all others, but where the words name one item. muted: authors whose items never appear; those that
    are known are among `exclude`, or left out by `filters`. n, offset: the page.
    max_per_author: items of one author on a page (0: any number). new_authors: share of a page for authors whom the user doesn't
    know.
    facets: whether matches are counted by value. explain: whether hits name the user's items that they are there for.
    by_body: whether a search body of the caller's found the candidates (see `body_window`).
    personalization: 0 (neutral) to 1 (personal). diversity: 0 (by score) to 1 (most varied). popularity_dial: -1 (niche) to 1
    (mainstream). calibration: 0 (by score) to 1 (categories as in the user's history). `Query` has checked their ranges.
    """

    now: float
    text: str = ""
    vectors: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    filters: tuple[Clause, ...] = ()
    exclude: frozenset[str] = frozenset()
    demote: frozenset[str] = frozenset()
    max_per_author: int = 0
    new_authors: float = 0.0
    muted: frozenset[str] = frozenset()
    n: int = 10
    offset: int = 0
    facets: bool = False
    explain: bool = False
    by_body: bool = False
    personalization: float = 1.0
    diversity: float = 0.0
    popularity_dial: float = 0.0
    calibration: float = 0.0

    def may_show(self, source: Mapping[str, Any]) -> bool:
        """Return whether an item with this document has not expired, and is of no muted author."""
        if source.get("author") in self.muted:
            return False
        expires_at = source.get("expires_at")
        return expires_at is None or not epoch_seconds(expires_at) <= self.now

    @property
    def has_text(self) -> bool:
        return bool(self.text.strip())

    @property
    def has_query(self) -> bool:
        """Whether there is a text, a picture, a sound or a body, as in a search; a recommendation has none of them."""
        return self.has_text or bool(self.vectors) or self.by_body

    @property
    def is_reordered(self) -> bool:
        """Whether the best are to be put in another order than that of their scores."""
        return self.diversity > 0.0 or self.calibration > 0.0 or self.popularity_dial != 0.0

    @property
    def orders_by_content(self) -> bool:
        """Whether what the items are has a say in their order."""
        return self.diversity > 0.0 or self.calibration > 0.0 or self.arranges_authors

    @property
    def arranges_authors(self) -> bool:
        """Whether a page depends on who made its items."""
        return self.max_per_author > 0 or self.new_authors > 0.0

    @property
    def end(self) -> int:
        return self.offset + self.n


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UserState:
    """What is known of the user; empty for nobody. Item ids are those of products (see `products`).

    tastes: vector field -> taste. factors: model -> the user's vector (d,) float32 in `<model>_vector`. neighbours: model ->
    its best items; raw scores may be negative. scorers: model -> scores of any items, for neighbours models; without one an
    item outside the model's list scores 0. history: what the user did. affinities: field -> value -> share. price: mean and
    spread of log1p(price). strength: sum of absolute event weights. interests: None for one interest alone.
    followed: names of authors. explainers: model -> the user's items that an item is recommended for. listed: retriever -> its
    list as rows, the only part that changes (see `word_matches`).
    """

    tastes: Mapping[str, Taste] = field(default_factory=dict)
    factors: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    neighbours: Mapping[str, ScoredIds] = field(default_factory=dict)
    scorers: Mapping[str, Scorer] = field(default_factory=dict)
    history: History = field(default_factory=History)
    affinities: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    followed: frozenset[str] = frozenset()
    price: tuple[float, float] | None = None
    strength: float = 0.0
    interests: Interests | None = None
    explainers: Mapping[str, Explainer] = field(default_factory=dict)
    listed: dict[str, ListedRows] = field(default_factory=dict, init=False)

    @property
    def is_known(self) -> bool:
        """Whether a personalised retriever has something to go by."""
        return (
            bool(self.factors)
            or any(self.neighbours.values())
            or bool(self.followed)
            or any(taste.long is not None or taste.short is not None for taste in self.tastes.values())
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RankingPolicy:
    """How the store ranks. A caller that wants another ranking passes another policy.

    metadata: of the index version searched. settings: depth, fusion and the like. retriever_weights: situation -> retriever ->
    weight, as training or tuning chose them; they go before those of the settings. popularity: most popular products first.
    popularity_of: the same score of any products, None where nothing was counted.
    rankers: situation -> learned ranking, None for one that can't be used. item_features: what behaviour says of the items,
    None where it is unknown. exploration: what is left to chance, None for nothing. collapse: whether the best variant of a
    product stands for all. logs_answers, logs_features: whether answers are logged, and with the base features (see `features`).
    forward: the items of the version, so that scores need no request; None where Elasticsearch is asked for all of them.
    """

    metadata: IndexMetadata
    settings: SearchSettings = field(default_factory=SearchSettings)
    retriever_weights: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    popularity: ScoredIds = ()
    popularity_of: Scorer | None = None
    rankers: Mapping[str, Ranker | None] = field(default_factory=dict)
    item_features: ItemFeatures | None = None
    exploration: Exploration | None = None
    collapse: bool = False
    logs_answers: bool = True
    logs_features: bool = True
    forward: ForwardIndex | None = None

    @property
    def has_variants(self) -> bool:
        return self.metadata.variants is not None

    @property
    def text_matching(self) -> TextMatching:
        return TextMatching(self.metadata.text_boosts, self.metadata.mixes_languages)

    def with_weights_alone(self, tables: Mapping[str, Mapping[str, float]]) -> RankingPolicy:
        """Return the policy in which these weights alone decide: nothing learned, nothing fixed for recommendations to users."""
        settings = self.settings
        if settings.fixed_weights:
            settings = settings.model_copy(update={"fixed_weights": {}})
        return replace(self, settings=settings, retriever_weights=tables, rankers={}, item_features=None)


def situation(request: Request, user: UserState) -> str:
    """Return what a ranking is learned for.

    That is "window" where a body of the caller's asks, "query" where words or the like do, "no_query" for a known user who asks
    nothing, else "new_user".
    """
    if request.by_body:
        return "window"
    if request.has_query:
        return "query"
    return "no_query" if user.is_known else "new_user"


def retrieval_depth(request: Request, policy: RankingPolicy) -> int:
    """Return the candidates per retriever: one depth for all ordinary pages, a larger one for a page beyond it."""
    depth = policy.settings.depth
    return depth if request.end <= depth else max(MAX_RESULTS, depth)


def ranker_of(request: Request, user: UserState, policy: RankingPolicy) -> tuple[Ranker | None, bool]:
    """Return the learned ranking of the situation, None for the weighted sum; and whether there is one that can't be used."""
    kind = situation(request, user)
    has_words = request.has_text or request.by_body or not request.has_query
    if kind not in policy.rankers or policy.settings.fusion != "weighted" or not has_words:
        return None, False
    ranker = policy.rankers[kind]
    return ranker, ranker is None
