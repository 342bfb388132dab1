"""Examples from the answer log: what was shown, what the answer could read of it then, and what people did with it.

An event that echoes an answer's id (query_id or recommendation_id) and an item is feedback on having shown it. An item's grade is
the weight of the strongest such event (event_types.py: a click 1, a cart 3, a purchase 5, nothing or a dislike 0). Features come
from the log, as they were when the answer was given, so that nothing of what happened later leaks into them.

People look at the first ranks most, so what they do says less of the items further down. LightGBM learns a bias of each rank
beside the trees; what rankings are compared by are gains over the examination of the rank (inverse propensity; Joachims et al.
2017), with examination estimated from the log itself (`evaluation.examination`), at least 0.05 so that no single click decides.
Trees that could read the rank itself would explain by it what its bias is to explain, and put first what stood first: features
that tell the place (`reveals_rank`) are left out, so is the weighted sum, whose parts the retrievers' own scores are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.evaluation.counterfactual import impressions
from es_recsys.evaluation.examination import examination
from es_recsys.event_types import EVENT_TYPES, event_weight
from es_recsys.events.records import StoredEvent
from es_recsys.search.exploration import InteractionStats
from es_recsys.search.features import reveals_rank
from es_recsys.training.ranking_examples import RankingExample, RankingExamples, gather, ideal

__all__ = ["Record", "Rewards", "count_interaction_stats", "examined", "logged_examples", "rewards", "rewards_for"]

Record = Mapping[str, Any]
Rewards = Mapping[tuple[str, str], float]

_LEAST = 0.05
_RANKS = 50


def rewards(events: Iterable[StoredEvent]) -> dict[tuple[str, str], float]:
    """Return the grades that events give to items of answers: (answer id, item id) -> grade, where it is above 0.

    What is in quarantine counts nothing.
    """
    found: dict[tuple[str, str], float] = {}
    for event in events:
        answer_id = event.query_id or event.recommendation_id
        if answer_id is None or event.item_id is None or event.quarantine is not None or event.event_type not in EVENT_TYPES:
            continue
        weight = event_weight(event.event_type, event.value)
        if weight > 0.0:
            key = (answer_id, event.item_id)
            found[key] = max(found.get(key, 0.0), weight)
    return found


def rewards_for(records: Iterable[Record], events: Iterable[StoredEvent]) -> dict[tuple[str, str], float]:
    """Return the grades that events give to items of these answers alone: (answer id, item id) -> grade above 0."""
    known = {str(record["answer_id"]) for record in records}
    return {key: grade for key, grade in rewards(events).items() if key[0] in known}


def examined(records: Sequence[Record], given: Rewards) -> NDArray[np.float64]:
    """Return how likely people look at each rank, (50,) float64 from 0.05 to 1."""
    done = dict.fromkeys(given, 1.0)
    return np.maximum(examination(impressions(records, done), _RANKS), _LEAST)


def logged_examples(records: Iterable[Record], situation: str, given: Rewards, looked: NDArray[np.float64]) -> RankingExamples:
    """Return examples of the logged answers of a situation that something was done with.

    Only answers that have the features of what they showed are among them.
    """
    return gather([shown for record in records if (shown := _shown(record, situation, given, looked)) is not None])


def count_interaction_stats(records: Iterable[Record], given: Rewards, looked: NDArray[np.float64]) -> InteractionStats:
    """Return the interaction stats of each item: its examinations, and how often something was done with it."""
    seen: dict[str, list[float]] = {}
    for record in records:
        for hit in record.get("hits", ()):
            counts = seen.setdefault(str(hit["item_id"]), [0.0, 0.0])
            counts[0] += float(looked[min(int(hit["position"]), len(looked)) - 1])
            counts[1] += float((str(record["answer_id"]), str(hit["item_id"])) in given)
    examinations, done = (sum(counts[place] for counts in seen.values()) for place in (0, 1))
    rate = done / examinations if done > 0.0 else InteractionStats().rate
    return InteractionStats({item_id: (counts[0], counts[1]) for item_id, counts in seen.items()}, min(rate, 1.0))


def _shown(record: Record, situation: str, given: Rewards, looked: NDArray[np.float64]) -> RankingExample | None:
    hits, features = record.get("hits") or (), record.get("features") or {}
    if record.get("situation") != situation or len(hits) < 2 or not features:
        return None
    answer_id = str(record["answer_id"])
    grades = np.array([given.get((answer_id, str(hit["item_id"])), 0.0) for hit in hits])
    if not grades.any() or any(isinstance(values, list) and len(values) != len(hits) for values in features.values()):
        return None
    positions = np.array([int(hit["position"]) for hit in hits], np.int64)
    gains = grades / looked[np.minimum(positions, len(looked)) - 1]
    columns = {name: _column(values, len(hits)) for name, values in features.items() if not reveals_rank(name)}
    return RankingExample(columns, grades, ideal(gains.tolist()), positions, str(record.get("user_key") or ""), gains)


def _column(values: Any, n: int) -> NDArray[np.float64]:
    """Return a feature as it was logged: each hit's value, or the one that all have; NaN where the log has None, for unknown."""
    each = values if isinstance(values, list) else [values] * n
    return np.array([np.nan if value is None else value for value in each], np.float64)
