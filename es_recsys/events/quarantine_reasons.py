"""Why events are quarantined, in words, and what to do where that is wrong. A new reason is a new row."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from es_recsys.events.bot_rules import BOT_RULES

__all__ = ["QUARANTINE_REASONS", "QuarantineReason"]


class QuarantineReason(NamedTuple):
    """What a reason says.

    meaning: what holds of such an event; remedy: what to do where it should count.
    """

    meaning: str
    remedy: str


_BOTS = "one of them a person? --bots {rule}=off, or a higher bound: --bots {rule}=BOUND"

QUARANTINE_REASONS: Mapping[str, QuarantineReason] = MappingProxyType(
    {
        "impossible_time": QuarantineReason(
            "a time before 1990", "check the unit and the zone of the times; without times: --no-timestamps into a new store"
        ),
        "negative_quantity": QuarantineReason(
            "a negative amount", "load what was sent back as no event, or give the amount without its sign"
        ),
        "negative_dwell": QuarantineReason("a negative dwell time", "give seconds, or leave the value out"),
        "rating_out_of_range": QuarantineReason("a rating off the scale {scale}", "give the scale: --rating-scale LOW..HIGH"),
        "future_time": QuarantineReason("a time in the future", "they count when their time comes; local times need --timezone"),
        **{
            rule.reason: QuarantineReason(rule.means.replace("bound", rule.name), _BOTS.format(rule=rule.name))
            for rule in BOT_RULES
        },
        "double": QuarantineReason("the same again within two seconds", "give each event an own time, or tell amounts by value"),
        "unknown_item": QuarantineReason(
            "items that are not in the catalogue", "load these items (they count from then on), or map the ids"
        ),
    }
)
"""Reason -> what it means. Fields in braces are the store's bounds and scale."""
