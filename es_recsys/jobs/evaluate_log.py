"""What the answer log says of rankers that were never served: the same pages, put in order by other legs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from es_recsys.errors import InputError
from es_recsys.evaluation.counterfactual import Impressions, estimate, impressions
from es_recsys.evaluation.examination import examination
from es_recsys.evaluation.logged import SERVED, LoggedReport
from es_recsys.event_types import EVENT_TYPES
from es_recsys.serving.product_groups import events_of, live_products, records_of
from es_recsys.serving.workspace import Workspace

__all__ = ["logged_impressions", "logged_value"]

_POSITIONS = 20


def logged_impressions(work: Workspace, *, kinds: Sequence[str] = (), event_types: Sequence[str] = ()) -> Impressions:
    """The answer log with what was done with each answer: 1 for an item that an event of these types (all that are positive,
    unless named) echoes the answer's query_id or recommendation_id with."""
    wanted = set(event_types) or {name for name, row in EVENT_TYPES.items() if row.sign > 0}
    rewards: dict[tuple[str, str], float] = {}
    groups = live_products(work)
    for event in events_of(work.events.scan(), groups):
        answer_id = event.query_id or event.recommendation_id
        if answer_id and event.item_id and event.event_type in wanted and event.quarantine is None:
            rewards[answer_id, event.item_id] = 1.0
    return impressions(records_of(work.log.read(), groups), rewards, kinds=kinds)


def logged_value(
    work: Workspace, *, kinds: Sequence[str] = (), event_types: Sequence[str] = (), clip: float = 100.0
) -> LoggedReport:
    """IPS and SNIPS of the pages as served, by each leg alone, and without each leg. clip: largest weight.

    The parts that each hit was logged with put its page in order, so nothing that happened later leaks in; what a ranker would
    have shown beside the page is not in the log, and not in the estimate. Raises InputError where nothing is logged.
    """
    log = logged_impressions(work, kinds=kinds, event_types=event_types)
    if not len(log):
        raise InputError("The answer log is empty.", "Serve answers first; events then echo their query_id or recommendation_id.")
    chances = examination(log, _POSITIONS)
    legs = sorted({leg for record in log.asked for hit in record["hits"] for leg in hit.get("parts", {})})
    rankers = {SERVED: _by(lambda hit: -float(hit["position"]))}
    rankers |= {f"{leg} alone": _by(lambda hit, name=leg: hit["parts"].get(name, 0.0)) for leg in legs}  # type: ignore[misc]
    rankers |= {f"without {leg}": _by(lambda hit, name=leg: _rest(hit, name)) for leg in legs}  # type: ignore[misc]
    values = {name: estimate(log, ranker, chances, clip=clip) for name, ranker in rankers.items()}
    made = datetime.now(UTC).isoformat(timespec="seconds")
    rewarded = int((log.rewards > 0).sum())
    return LoggedReport(work.settings.index, made, len(log.asked), rewarded, tuple(chances.tolist()), values)


def _rest(hit: Mapping[str, Any], leg: str) -> float:
    return float(sum(part for name, part in hit["parts"].items() if name != leg))


def _by(score: Callable[[Mapping[str, Any]], float]) -> Callable[[Mapping[str, Any]], list[str]]:
    def ranked(record: Mapping[str, Any]) -> list[str]:
        hits = sorted(record["hits"], key=lambda hit: (-score(hit), hit["position"]))
        return [str(hit["item_id"]) for hit in hits]

    return ranked
