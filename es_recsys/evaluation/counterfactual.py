"""Off-policy evaluation: the reward that another ranker would have brought, from the log of the one that served.

No new answer is shown to anybody. Each item i that one of n logged answers showed at position k has a reward r (say, 1 for a
click). A new ranker would show it at position k', or not at all. Two models say what its showing tells of that:

item-position    a reward depends on item and position, and only the same pair tells of it (Li et al. 2018). With p the logged
                 propensity, the chance that the item got this position:  w = [k' = k] / p,  v = w
position-based   a reward is the item's relevance where the position is looked at, with chance e[k] (Joachims, Swaminathan and
                 Schnabel 2017). With s the chance that the item was shown at all:  w = e[k'] / (e[k] * s),  v = e[k'] / s

    IPS    = 1/n * sum of w * r                            (Horvitz and Thompson 1952)
    SNIPS  = N * sum of w * r / sum of v                   (Swaminathan and Joachims 2015)

N is what the v of one answer would sum to if all that the new ranker shows had been logged: the number of its positions, or their
summed examination. IPS is unbiased where everything that the new ranker shows had a chance to be logged and no weight is
clipped; clipping at c (weights min(w, c)) trades variance for a bias downwards. SNIPS varies less, and doesn't move with a
constant that is added to all rewards of the item-position model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import InputError
from es_recsys.evaluation.statistics import Estimate

__all__ = ["Impressions", "Value", "estimate", "impressions"]


@dataclass(frozen=True, slots=True, eq=False)
class Impressions:
    """Logged impressions, a row an item shown.

    answers (m,) int64: number of the answer, ascending. positions (m,) int64: from 1. propensities (m,) float64 in (0, 1]: the
    chance of this item at this position; shown (m,) float64 in (0, 1]: of the item at any. rewards (m,) float64. item_ids and
    contexts (m,): what was shown for which kind of query (the words of a search, the user of a recommendation). asked: the
    logged answers, as many as `answers` counts.
    """

    answers: NDArray[np.int64]
    positions: NDArray[np.int64]
    propensities: NDArray[np.float64]
    shown: NDArray[np.float64]
    rewards: NDArray[np.float64]
    item_ids: tuple[str, ...]
    contexts: tuple[str, ...]
    asked: tuple[Mapping[str, Any], ...]

    def __len__(self) -> int:
        return len(self.answers)


@dataclass(frozen=True, slots=True)
class Value:
    """Reward an answer of the logged ranker and of a new one.

    logged: of what was shown. ips, snips: of the new ranker, with 95 % intervals. shown: the part of the new ranker's positions
    that the log tells something of. effective: sum(w)^2 / sum(w^2), how many rows the estimate rests on. clipped: the share of
    rows whose weight was cut.
    """

    logged: Estimate
    ips: Estimate
    snips: Estimate
    shown: float
    effective: float
    clipped: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "logged": self.logged.to_dict(),
            "ips": self.ips.to_dict(),
            "snips": self.snips.to_dict(),
            "shown": round(self.shown, 6),
            "effective": round(self.effective, 2),
            "clipped": round(self.clipped, 6),
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Value:
        """Read what `to_dict` returned.

        Raises KeyError, TypeError where `found` is something else.
        """
        logged, ips, snips = (Estimate.from_dict(found[name]) for name in ("logged", "ips", "snips"))
        return cls(logged, ips, snips, *(float(found[name]) for name in ("shown", "effective", "clipped")))


def impressions(
    records: Iterable[Mapping[str, Any]], rewards: Mapping[tuple[str, str], float], *, kinds: Sequence[str] = ()
) -> Impressions:
    """Return the impressions of the answer log's records (serving/answer_log.py) with their rewards.

    rewards: (answer id, item id) -> reward, 0 where it lacks one. kinds: "search", "recommend", ... (all unless named). A hit's
    "propensity" is that of its position, its "inclusion_probability" that of any; both are 1 where they are not logged. Raises
    InputError for one that is not in (0, 1].
    """
    answers, positions, propensities, shown, gains, items, contexts = [], [], [], [], [], [], []
    asked: list[Mapping[str, Any]] = []
    for record in records:
        hits = record.get("hits") or []
        if not hits or (kinds and record.get("kind") not in kinds):
            continue
        context = _context(record)
        for hit in hits:
            answers.append(len(asked))
            positions.append(int(hit["position"]))
            propensities.append(float(hit.get("propensity", 1.0)))
            shown.append(float(hit.get("inclusion_probability", 1.0)))
            gains.append(rewards.get((str(record["answer_id"]), str(hit["item_id"])), 0.0))
            items.append(str(hit["item_id"]))
            contexts.append(context)
        asked.append(record)
    chances = np.array([propensities, shown], np.float64)
    if not ((chances > 0) & (chances <= 1)).all():
        raise InputError("A logged propensity is not in (0, 1].", "Leave such answers out; they can't be weighted.")
    return Impressions(
        np.array(answers, np.int64),
        np.array(positions, np.int64),
        chances[0],
        chances[1],
        np.array(gains, np.float64),
        tuple(items),
        tuple(contexts),
        tuple(asked),
    )


def _context(record: Mapping[str, Any]) -> str:
    """Return the kind of query that an answer was to: the words of a search, or the user of a recommendation.

    A recommendation puts first what its user likes, so each user is a context of their own.
    """
    kind, words = record.get("kind"), (record.get("query") or "").strip().lower()
    return f"{kind}\0{words}" if words else f"{kind}\0\0{record.get('user_key') or ''}"


def estimate(
    log: Impressions,
    ranked: Callable[[Mapping[str, Any]], Sequence[str]],
    examination: NDArray[np.float64] | None = None,
    *,
    clip: float = float("inf"),
) -> Value:
    """Estimate the reward an answer of a ranker on the logged queries.

    ranked: record -> the item ids that it would show, best first, on the page that was requested: after the record's "offset", 0
    unless given. examination (k,) float64: the chance that each position is looked at, from the first on (positions beyond are
    as the last); then the position-based model is used, without it the item-position model. clip: largest weight. Raises
    InputError for an empty log.
    """
    if not len(log):
        raise InputError("The answer log has no answer to weigh.", "Serve answers first, and record what came of them.")
    begins = [int(record.get("offset") or 0) for record in log.asked]
    new_ranks = [
        {item: rank for rank, item in enumerate(ranked(record), begin + 1)}
        for record, begin in zip(log.asked, begins, strict=True)
    ]
    pairs = zip(log.answers.tolist(), log.item_ids, strict=True)
    ranks = np.array([new_ranks[answer].get(item, 0) for answer, item in pairs], np.int64)
    lengths = np.array([len(own) for own in new_ranks], np.int64)
    if examination is None:
        raw = (ranks == log.positions) / log.propensities
        covers, whole = raw, float(lengths.mean())
    else:
        seen = _Examination(examination)
        covers = np.where(ranks > 0, seen.at(np.maximum(ranks, 1)), 0.0) / log.shown
        raw = covers / seen.at(log.positions)
        pages = zip(begins, lengths.tolist(), strict=True)
        whole = float(np.mean([seen.at(np.arange(begin + 1, begin + length + 1)).sum() for begin, length in pages]))
    weights = np.minimum(raw, clip)
    logged = _by_answer(log, log.rewards)
    rewarded = _by_answer(log, weights * log.rewards)
    covered = _by_answer(log, covers * (weights / np.where(raw > 0, raw, 1.0)))
    return Value(
        _mean(logged),
        _mean(rewarded),
        _ratio(rewarded, covered, whole),
        float((raw > 0).sum() / max(int(lengths.sum()), 1)),
        float(weights.sum() ** 2 / max(float((weights**2).sum()), 1e-300)),
        float((raw > clip).mean()),
    )


def _by_answer(log: Impressions, values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.bincount(log.answers, values, minlength=len(log.asked)).astype(np.float64)


class _Examination:
    def __init__(self, chances: NDArray[np.float64]) -> None:
        self._chances = np.asarray(chances, np.float64)
        if not len(chances) or (self._chances <= 0).any() or not np.isfinite(self._chances).all():
            raise InputError("A position's examination is not above 0.", "Give the chance that each position is looked at.")

    def at(self, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = self._chances[np.minimum(positions, len(self._chances)) - 1]
        return found


def _mean(values: NDArray[np.float64]) -> Estimate:
    mean = float(values.mean())
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
    return Estimate.normal(mean, error, len(values))


def _ratio(rewarded: NDArray[np.float64], covered: NDArray[np.float64], whole: float) -> Estimate:
    """Return whole * sum(rewarded) / sum(covered), with the interval of the delta method."""
    n, total = len(covered), float(covered.sum())
    if total <= 0:
        return Estimate(float("nan"), float("nan"), float("nan"), n)
    rate = float(rewarded.sum()) / total
    residual = (rewarded - rate * covered) / (total / n)
    error = float(residual.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return Estimate.normal(whole * rate, whole * error, n)
