"""The first request of an answer: one body a leg, and where nothing was asked one that counts what may be shown."""

from __future__ import annotations

from dataclasses import dataclass

from es_recsys.search.context import Context
from es_recsys.search.facets import counted
from es_recsys.search.legs import NEW, Body, Leg, active, ask, brings, matches_body
from es_recsys.search.weights import weigh

__all__ = ["Plan", "plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked. `legs` can speak and weigh something, or bring what exploration tries; `asked` of them have a body, in
    order, and where nothing was asked, after these comes the body that counts what may be shown. What answers a question is
    counted by the second request, which knows what the first brought in."""

    legs: tuple[Leg, ...]
    asked: tuple[Leg, ...]
    bodies: tuple[Body, ...]


def plan(context: Context) -> Plan:
    """The searches that find an answer's candidates; `fusion.gather` reads their responses."""
    able = tuple(leg for leg in active(context) if leg.signal(context) is not None)
    weights = weigh(context, able)
    legs = tuple(leg for leg in able if leg.name in weights or _tries(leg, context))
    bodies = [(leg, body) for leg in legs if (body := ask(leg, context)) is not None]
    counting = () if context.asks else (counted(context, matches_body(context)),)
    return Plan(legs, tuple(leg for leg, _ in bodies), (*(body for _, body in bodies), *counting))


def _tries(leg: Leg, context: Context) -> bool:
    return leg.name == NEW and context.exploration is not None and context.exploration.newest > 0 and brings(leg, context)
