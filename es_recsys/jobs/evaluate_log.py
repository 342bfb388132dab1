"""Estimates from the answer log what other orders of the served pages would have been worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from es_recsys.errors import InputError
from es_recsys.evaluation.counterfactual import Impressions, estimate, impressions
from es_recsys.evaluation.examination import examination
from es_recsys.evaluation.logged import SERVED, LoggedReport
from es_recsys.event_types import EVENT_TYPES
from es_recsys.serving.product_groups import fetch_live_item_groups, group_events, group_records
from es_recsys.serving.workspace import Workspace

__all__ = ["evaluate_log", "read_impressions"]

_POSITIONS = 20


def read_impressions(work: Workspace, *, kinds: Sequence[str] = (), event_types: Sequence[str] = ()) -> Impressions:
    """Return the answer log with a reward for each item shown.

    The reward is 1 where an event on the item echoes the answer's query_id or recommendation_id, else 0. kinds: of answers, all
    unless named. event_types: those that count, all positive ones unless named.
    """
    wanted = set(event_types) or {name for name, row in EVENT_TYPES.items() if row.is_opinion and row.sign > 0}
    rewards: dict[tuple[str, str], float] = {}
    groups = fetch_live_item_groups(work)
    for event in group_events(work.events.scan(), groups):
        answer_id = event.query_id or event.recommendation_id
        if answer_id and event.item_id and event.event_type in wanted and event.quarantine is None:
            rewards[answer_id, event.item_id] = 1.0
    return impressions(group_records(work.log.read(), groups), rewards, kinds=kinds)


def evaluate_log(
    work: Workspace, *, kinds: Sequence[str] = (), event_types: Sequence[str] = (), clip: float = 100.0
) -> LoggedReport:
    """Return IPS and SNIPS of the pages as served, ordered by each retriever alone, and without each retriever.

    clip: largest inverse propensity. Pages are ordered by the parts that each hit was logged with, so nothing that happened
    later leaks in; items that were not on the page are not in the estimate. Raises InputError where nothing is logged.
    """
    log = read_impressions(work, kinds=kinds, event_types=event_types)
    if not len(log):
        raise InputError("The answer log is empty.", "Serve answers first; events then echo their query_id or recommendation_id.")
    propensities = examination(log, _POSITIONS)
    retrievers = sorted({name for record in log.asked for hit in record["hits"] for name in hit.get("parts", {})})
    rankers = {SERVED: _ranker(lambda hit: -float(hit["position"]))}
    rankers |= {f"{name} alone": _ranker(partial(_part, name)) for name in retrievers}
    rankers |= {f"without {name}": _ranker(partial(_score_without, name)) for name in retrievers}
    values = {name: estimate(log, ranker, propensities, clip=clip) for name, ranker in rankers.items()}
    made = datetime.now(UTC).isoformat(timespec="seconds")
    rewarded = int((log.rewards > 0).sum())
    return LoggedReport(work.settings.index, made, len(log.asked), rewarded, tuple(propensities.tolist()), values)


def _part(retriever: str, hit: Mapping[str, Any]) -> float:
    return float(hit["parts"].get(retriever, 0.0))


def _score_without(retriever: str, hit: Mapping[str, Any]) -> float:
    return float(sum(part for name, part in hit["parts"].items() if name != retriever))


def _ranker(score: Callable[[Mapping[str, Any]], float]) -> Callable[[Mapping[str, Any]], list[str]]:
    """Return a function that orders the items of a logged answer by this score, ties by their position."""

    def rank(record: Mapping[str, Any]) -> list[str]:
        hits = sorted(record["hits"], key=lambda hit: (-score(hit), hit["position"]))
        return [str(hit["item_id"]) for hit in hits]

    return rank
