"""Everything that an answer is computed from, gathered before the first request. The rest of `search` is functions of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import InputError
from es_recsys.index_metadata import IndexMetadata
from es_recsys.search.filters import Clause
from es_recsys.settings import SearchSettings
from es_recsys.types import History, Taste

if TYPE_CHECKING:
    from es_recsys.features import ItemSide
    from es_recsys.search.explore import Exploration
    from es_recsys.search.interests import Interests
    from es_recsys.search.learned import Ranker

__all__ = ["DEEPEST", "Context", "Reasons", "Scorer", "WeightedIds"]

DEEPEST = 1_000

WeightedIds = Sequence[tuple[str, float]]
Reasons = Callable[[str], Sequence[str]]
Scorer = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Context:
    """One question with all that is known for it. Nothing here is fetched later.

    text: the words asked for ("" for none). vectors: field -> query vector (d,) float32, from the text or a picture.
    tastes: field -> the user's tastes. factors: model -> the user's vector (d,) float32 in `<model>_vector`.
    neighbours: model -> (item_id, raw score), best first; raw scores may be negative.
    scorers: model -> function giving the raw scores (n,) float32 of any item ids, for the neighbours models; without
    one, an item outside the model's list counts 0.
    popular: (item_id, score), best first. filters: clauses that every hit meets. exclude: ids that never appear.
    personalization: 0 (neutral) to 1. strength: sum of absolute event weights behind the profile. diversity: 0 to 1.
    now: epoch seconds, for freshness. history: what the user did, for reasons; reasons: model -> function giving the
    user's own items that speak for an item. explain: whether hits get reasons. facets: whether matches are counted.
    interests: the user's, where there are several and places are kept for them.
    affinities: field -> value -> share, and price: mean and spread of log1p(price), both the user's. ranker: puts the best
    candidates in order, None for the weighted sum. exploration: what may be left to chance, None for nothing.
    item_side: what behaviour says of the items, for signals; None where it is not known, or nothing reads or logs them.
    collapse: whether the best of a product's variants stands for all of them. history, neighbours, scorers, reasons, popular
    and item_side know items by their products, and `exclude` leaves out by either (see `products`).
    """

    metadata: IndexMetadata
    now: float
    settings: SearchSettings = field(default_factory=SearchSettings)
    text: str = ""
    vectors: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    tastes: Mapping[str, Taste] = field(default_factory=dict)
    factors: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    neighbours: Mapping[str, WeightedIds] = field(default_factory=dict)
    scorers: Mapping[str, Scorer] = field(default_factory=dict)
    popular: WeightedIds = ()
    filters: tuple[Clause, ...] = ()
    exclude: frozenset[str] = frozenset()
    personalization: float = 1.0
    strength: float = 0.0
    affinities: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    price: tuple[float, float] | None = None
    diversity: float = 0.0
    n: int = 10
    offset: int = 0
    facets: bool = False
    explain: bool = False
    history: History = field(default_factory=History)
    reasons: Mapping[str, Reasons] = field(default_factory=dict)
    ranker: Ranker | None = None
    exploration: Exploration | None = None
    interests: Interests | None = None
    item_side: ItemSide | None = None
    collapse: bool = False

    def __post_init__(self) -> None:
        for name, number, least in (("n", self.n, 1), ("offset", self.offset, 0)):
            if number < least:
                raise InputError(f"{name} is {number}.", f"Give {least} or more.")
        if self.offset + self.n > DEEPEST:
            raise InputError(
                f"offset {self.offset} and n {self.n} ask beyond the first {DEEPEST:,} hits.",
                f"Keep offset + n at most {DEEPEST:,}; narrow the answer with a filter instead.",
            )
        for name, value in (("personalization", self.personalization), ("diversity", self.diversity)):
            if not 0.0 <= value <= 1.0:
                raise InputError(f"{name} is {value}.", "Give a number from 0 to 1.")
        if len(self.text) > 4_096:
            raise InputError(f"The query has {len(self.text):,} characters.", "Give at most 4,096.")

    @property
    def asks(self) -> bool:
        """Whether there is a question (words or a picture), as in a search; a recommendation has none."""
        return bool(self.text.strip()) or bool(self.vectors)

    @property
    def knows(self) -> bool:
        """Whether anything is known of the user that an answer can use."""
        return (
            bool(self.factors)
            or any(self.neighbours.values())
            or any(taste.long is not None or taste.short is not None for taste in self.tastes.values())
        )

    @property
    def grouped(self) -> bool:
        """Whether there are variants of products."""
        return self.metadata.variants is not None

    @property
    def end(self) -> int:
        return self.offset + self.n

    @property
    def depth(self) -> int:
        """Candidates a leg: fixed for all ordinary pages, deeper for a page beyond it (see `fusion`)."""
        return self.settings.depth if self.end <= self.settings.depth else max(DEEPEST, self.settings.depth)
