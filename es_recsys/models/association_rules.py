"""Association rules: what is bought together, with support, confidence and lift."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from es_recsys import artefact
from es_recsys.item_ids import ItemIds

__all__ = ["MAX_BASKET", "MODES", "AssociationRule", "AssociationRules", "Transactions"]

MODES = ("strict", "relaxed")

MAX_BASKET = 100
"""Items of a basket at most; a larger one is a reseller's, and its pairs would be most of all pairs."""

_NAME = "association_rules"
_MIN_COUNT = 2
_PRIOR = 5.0
_MOST = 200
_BLOCK = 4_000_000


@dataclass(frozen=True, slots=True)
class AssociationRule:
    """Who has `antecedent` in the basket has `item_id` there, too.

    count: baskets with both. support: their share of all baskets. confidence: their share of the baskets with the antecedent.
    lift: confidence over the share of all baskets with the item, 1 where the two have nothing to do with each other. score: the
    lift as far as the counts bear it out, less 1.
    """

    antecedent: str
    item_id: str
    count: int
    support: float
    confidence: float
    lift: float
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class Transactions:
    """Baskets. baskets, items: (n,) of each pair of a basket and an item that is in it, once each, numbered from 0."""

    item_ids: ItemIds
    baskets: NDArray[np.int64]
    items: NDArray[np.int64]
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class _Mode:
    """Counts of one kind of baskets: of pairs as sparse rows, of items, and of all baskets."""

    starts: NDArray[np.int64]
    items: NDArray[np.int32]
    pairs: NDArray[np.int32]
    item_counts: NDArray[np.int64]
    baskets: int


@dataclass(frozen=True, slots=True, eq=False)
class AssociationRules:
    """Rules X -> Y of one item each, of Agrawal, Imielinski and Swami 1993, "Mining association rules between sets of items".

    With N baskets, n_X and n_Y of them with each item and n_XY with both:

        support = n_XY / N,   confidence = n_XY / n_X,   lift = n_XY / E,   E = n_X n_Y / N

    Lift (Brin, Motwani, Ullman and Tsur 1997) is greatest for two rare items that met once. So rules have a count of 2 at least,
    and their order is that of the lift shrunk towards 1, as the gamma-Poisson shrinker does (DuMouchel 1999, "Bayesian data
    mining in large frequency tables"), with a = 5 baskets of prior:

        score = (n_XY + a) / (E + a) - 1

    Rules with a lift of 1 at most are left out, and of each item the 200 best stay. `item_ids` are those of products.
    """

    item_ids: ItemIds
    modes: dict[str, _Mode] = field(default_factory=dict)

    @classmethod
    def count(cls, item_ids: ItemIds, transactions: dict[str, Transactions]) -> Self:
        """Count the pairs. transactions: mode -> baskets, whose items are numbered as `item_ids`."""
        return cls(item_ids, {mode: _counted(len(item_ids), found) for mode, found in transactions.items()})

    def rules(self, antecedents: Sequence[str], *, relaxed: bool = False) -> list[AssociationRule]:
        """Return the rules from any of the items, best first, each item once, by its best rule; none of the items themselves."""
        mode = self.modes["relaxed" if relaxed else "strict"]
        own = [idx for idx in self.item_ids.find(antecedents).tolist() if idx >= 0]
        best: dict[int, AssociationRule] = {}
        for idx in own:
            for rule, other in zip(self._of(mode, idx), self._others(mode, idx), strict=True):
                if other not in own and (other not in best or rule.score > best[other].score):
                    best[other] = rule
        return sorted(best.values(), key=lambda rule: (-rule.score, rule.item_id))

    def _others(self, mode: _Mode, idx: int) -> list[int]:
        return [int(other) for other in mode.items[mode.starts[idx] : mode.starts[idx + 1]].tolist()]

    def _of(self, mode: _Mode, idx: int) -> Iterator[AssociationRule]:
        row = slice(int(mode.starts[idx]), int(mode.starts[idx + 1]))
        n, n_x = mode.baskets, int(mode.item_counts[idx])
        name = self.item_ids[idx]
        others = self._others(mode, idx)
        for other, item_id, pair in zip(
            others, self.item_ids.take(np.array(others, np.int64)), mode.pairs[row].tolist(), strict=True
        ):
            expected = n_x * int(mode.item_counts[other]) / n
            score = (pair + _PRIOR) / (expected + _PRIOR) - 1.0
            yield AssociationRule(name, item_id, int(pair), pair / n, pair / n_x, pair / expected, score)

    def save(self, folder: Path) -> None:
        """Write the counts. Raises ModelError."""
        arrays: dict[str, NDArray[Any]] = dict(self.item_ids.arrays())
        for name, mode in self.modes.items():
            arrays |= {f"{name}_{part}": getattr(mode, part) for part in ("starts", "items", "pairs", "item_counts")}
        artefact.save(folder, _NAME, {f"{name}_baskets": mode.baskets for name, mode in self.modes.items()}, arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the counts, memory-mapped. Raises ModelError."""
        found = artefact.load(folder, _NAME)
        with artefact.described(folder):
            arrays = found.arrays
            modes = {
                name: _Mode(
                    arrays[f"{name}_starts"],
                    arrays[f"{name}_items"],
                    arrays[f"{name}_pairs"],
                    arrays[f"{name}_item_counts"],
                    int(found.params[f"{name}_baskets"]),
                )
                for name in MODES
            }
            return cls(ItemIds.from_arrays(arrays), modes)


def _counted(n_items: int, found: Transactions) -> _Mode:
    """Return the counts of pairs of at least _MIN_COUNT baskets and a lift above 1, the _MOST with the highest score a row."""
    from scipy import sparse

    item_counts = np.bincount(found.items, minlength=n_items).astype(np.int64)
    x = sparse.csr_matrix((np.ones(len(found.items), np.int32), (found.baskets, found.items)), shape=(found.count, n_items))
    by_item = x.T.tocsr()
    sizes = np.diff(x.indptr)
    work = np.bincount(found.items, weights=sizes[found.baskets], minlength=n_items)
    starts, items, pairs = [0], [], []
    for begin, end in _blocks(work):
        block = (by_item[begin:end] @ x).tocsr()
        for row in range(end - begin):
            chosen, counts = _best(block, row, begin + row, item_counts, found.count)
            items.append(chosen)
            pairs.append(counts)
            starts.append(starts[-1] + len(chosen))
    starts += [starts[-1]] * (n_items + 1 - len(starts))
    empty = np.zeros(0, np.int32)
    return _Mode(
        np.array(starts, np.int64),
        np.concatenate([empty, *items]),
        np.concatenate([empty, *pairs]),
        item_counts,
        found.count,
    )


def _best(
    block: Any, row: int, idx: int, item_counts: NDArray[np.int64], baskets: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    part = slice(int(block.indptr[row]), int(block.indptr[row + 1]))
    others, counts = block.indices[part], block.data[part]
    expected = item_counts[idx] * item_counts[others] / max(baskets, 1)
    kept = np.flatnonzero((counts >= _MIN_COUNT) & (counts > expected) & (others != idx))
    score = (counts[kept] + _PRIOR) / (expected[kept] + _PRIOR)
    best = kept[np.lexsort((others[kept], -score))[:_MOST]]
    return others[best].astype(np.int32), counts[best].astype(np.int32)


def _blocks(work: NDArray[Any]) -> Iterator[tuple[int, int]]:
    """Yield ranges of rows with about _BLOCK units of work each."""
    total = np.cumsum(work)
    begin = 0
    while begin < len(work):
        done = total[begin - 1] if begin else 0.0
        end = max(int(np.searchsorted(total, done + _BLOCK, side="right")), begin + 1)
        yield begin, min(end, len(work))
        begin = min(end, len(work))
