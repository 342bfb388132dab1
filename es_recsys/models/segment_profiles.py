"""Profiles of segments: a label of the categories and words that each has more than others, and its typical figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.dataset import ItemTable
from es_recsys.features import USER_COLUMNS, FeatureTable
from es_recsys.models.vocabulary import Vocabulary, tokens

__all__ = ["FEW", "SegmentProfile", "segment_profiles"]

FEW = 5
"""What fewer of a segment's users share is left out of its profile."""

_TOP = 5
_PRIOR = 0.01
# Standard deviations from which on a difference is not chance.
_SURE = 2.0
_TYPICAL = ("recency", "frequency", "events", "purchases", "value", "order_value", "price_level")


@dataclass(frozen=True, slots=True)
class SegmentProfile:
    """Profile of one segment.

    share: of all users that are in a segment. categories, words: those that mark it, the most telling
    first. popular: its most popular items. typical: medians of features over its users, without those that are unknown."""

    segment: int
    label: str
    users: int
    share: float
    categories: tuple[str, ...]
    words: tuple[str, ...]
    popular: tuple[str, ...]
    typical: dict[str, float]


def segment_profiles(
    groups: NDArray[np.int64],
    user_item_pairs: Any,
    items: ItemTable | None,
    item_idx: NDArray[np.int64],
    popular: Sequence[Sequence[str]],
    table: FeatureTable,
    users: NDArray[np.int64],
) -> tuple[SegmentProfile, ...]:
    """Return the profile of each segment.

    groups (n,): the segment of each of n users; user_item_pairs: sparse (n, n_items), 1 where the user liked the item;
    item_idx (m,): of the rows of `items`; popular: the most popular items of each segment; users (n,): rows of `table`.
    """
    categories = _distinctive(groups, user_item_pairs, _categories(items), item_idx) if items is not None else {}
    words = _distinctive(groups, user_item_pairs, _words(items), item_idx) if items is not None else {}
    sizes = np.bincount(groups)
    found = []
    for number, size in enumerate(sizes.tolist()):
        top = categories.get(number, ())
        others = tuple(word for word in words.get(number, ()) if not any(word in name.casefold() for name in top))
        found.append(
            SegmentProfile(
                number,
                _label(number, top, others),
                size,
                size / len(groups),
                top,
                others,
                tuple(popular[number]),
                _typical(table, users[groups == number]),
            )
        )
    return tuple(found)


def _label(number: int, categories: Sequence[str], words: Sequence[str]) -> str:
    parts = [", ".join(names) for names in (categories[:2], words[:2]) if names]
    return ": ".join(parts) if parts else f"Segment {number}"


def _typical(table: FeatureTable, users: NDArray[np.int64]) -> dict[str, float]:
    names = [column.name for column in USER_COLUMNS]
    found: dict[str, float] = {}
    for name in _TYPICAL:
        values = table.users[users, names.index(name)]
        values = values[~np.isnan(values)]
        if len(values) >= FEW:
            found[name] = float(np.median(values))
    return found


def _categories(items: ItemTable) -> list[list[str]]:
    """Return the innermost category of each item."""
    return [[path[-1]] if path else [] for path in items.categories]


def _words(items: ItemTable) -> list[list[str]]:
    """Return the words of the titles, without those that are in half of them and numbers."""
    titles = [tokens(title) for title in items.titles]
    known = set(Vocabulary.of(titles, min_df=2, max_df=0.5).words)
    return [sorted({word for word in words if word in known and not word.isdigit()}) for words in titles]


def _distinctive(
    groups: NDArray[np.int64], user_item_pairs: Any, values: Sequence[Iterable[str]], item_idx: NDArray[np.int64]
) -> dict[int, tuple[str, ...]]:
    """Return segment -> the values that more of its users liked than of the others, the most significant first.

    Users are counted, not events, so that one of them can't mark a segment. A value's log odds within and without are
    compared in standard deviations, with a prior in proportion to how frequent it is (Monroe, Colaresi and Quinn 2008,
    "Fightin' Words", equations 15, 16, 20 and 22).
    """
    from scipy import sparse

    names = sorted({value for own in values for value in own})
    if not names:
        return {}
    codes = {name: code for code, name in enumerate(names)}
    pairs = [(item, codes[value]) for item, own in zip(item_idx.tolist(), values, strict=True) for value in own]
    rows, columns = np.array(pairs, np.int64).T
    has = sparse.csr_matrix((np.ones(len(pairs)), (rows, columns)), shape=(user_item_pairs.shape[1], len(names)))
    seen = (user_item_pairs @ has).tocsr()
    seen.data[:] = 1.0
    members = sparse.csr_matrix((np.ones(len(groups)), (groups, np.arange(len(groups)))))
    counts = np.asarray((members @ seen).todense())
    z = _log_odds(counts)
    found: dict[int, tuple[str, ...]] = {}
    for number, (row, count) in enumerate(zip(z, counts, strict=True)):
        order = np.lexsort((np.arange(len(names)), -row))[:_TOP]
        found[number] = tuple(names[code] for code in order if row[code] > _SURE and count[code] >= FEW)
    return found


def _log_odds(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return z-scores (k, v) of the counts (k, v) of each segment against all others."""
    prior = _PRIOR * counts.sum(axis=0) + 1e-9
    others = counts.sum(axis=0) - counts
    odds = []
    for one in (counts, others):
        whole = one.sum(axis=1, keepdims=True) + prior.sum()
        odds.append(np.log(one + prior) - np.log(np.maximum(whole - one - prior, 1e-9)))
    result: NDArray[np.float64] = (odds[0] - odds[1]) / np.sqrt(1.0 / (counts + prior) + 1.0 / (others + prior))
    return result
