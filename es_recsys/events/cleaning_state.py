"""What cleaning counted of all events, so that the next one looks at the actors with new events alone.

All but the times of day are sums over actors: those of the actors that are looked at again are taken off and added anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from es_recsys.event_types import EVENT_TYPES
from es_recsys.events.log_position import LogPosition
from es_recsys.events.machine_timestamps import ClockCounts
from es_recsys.events.quarantine_rules import RuleHits, RuleResult
from es_recsys.events.sessions import sessionize

__all__ = ["ENOUGH_DWELLS", "LONG_DWELL_S", "CleaningState", "first_rows", "hits_of", "in_milliseconds", "tally"]

_FORMAT = 1
_EXAMPLES = 5
_DWELL = list(EVENT_TYPES).index("dwell")
# A visit of an hour is long; where half of them are longer, it is the unit that is wrong.
LONG_DWELL_S = 3_600.0
ENOUGH_DWELLS = 20


@dataclass(frozen=True, slots=True)
class CleaningState:
    """What a cleaning left: no id of a user is in it.

    position: up to where the log was clean; went_by: what the rules depend on beside the events. tallied: as `tally` counts;
    clocks: of the usable times. suspended: bot rule -> row of an event that it hits. examples, unknown_item_ids: as the
    report has them.
    """

    position: LogPosition
    went_by: str
    tallied: Mapping[str, int]
    clocks: ClockCounts = field(default_factory=ClockCounts)
    suspended: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    unknown_item_ids: tuple[str, str] | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "position": list(self.position),
            "went_by": self.went_by,
            "tallied": dict(self.tallied),
            "clocks": self.clocks.to_json(),
            "suspended": dict(self.suspended),
            "examples": {reason: list(rows) for reason, rows in self.examples.items()},
            "unknown_item_ids": None if self.unknown_item_ids is None else list(self.unknown_item_ids),
        }

    @classmethod
    def from_json(cls, value: Any) -> CleaningState | None:
        """Read what `to_json` wrote; None where there is none, or one of another format."""
        if not value or value.get("format") != _FORMAT:
            return None
        unknown = value["unknown_item_ids"]
        return cls(
            LogPosition(*value["position"]),
            value["went_by"],
            value["tallied"],
            ClockCounts.from_json(value["clocks"]),
            value["suspended"],
            {reason: tuple(rows) for reason, rows in value["examples"].items()},
            None if unknown is None else (unknown[0], unknown[1]),
        )


def tally(rows: pl.DataFrame, result: RuleResult, gap: float | None) -> Counter[str]:
    """Return what there is of each kind; all are sums over actors. gap: silence that ends a session, None without times."""
    reasons = result.reasons
    dwells = rows.filter(pl.col("kind") == _DWELL)["value"].drop_nulls()
    counts = Counter(
        {
            "events": len(rows),
            "kept": reasons.null_count(),
            "actors": rows["actor"].n_unique(),
            "clamped": int(rows["clamped"].sum()),
            "usable": len(result.usable),
            "usable_actors": result.usable["actor"].n_unique(),
            "dwells": len(dwells),
            "long_dwells": int((dwells > LONG_DWELL_S).sum()),
        }
    )
    if gap is not None:
        kept = rows.filter(reasons.is_null())
        numbers = sessionize(kept["actor"].to_numpy(), kept["time"].to_numpy(), gap)
        counts["sessions"] = int(numbers[-1]) + 1 if len(numbers) else 0
    pairs = pl.DataFrame({"actor": rows["actor"], "assigned": reasons}).drop_nulls()
    for reason, n, actors in pairs.group_by("assigned").agg(pl.len(), pl.col("actor").n_unique()).iter_rows():
        counts[f"events {reason}"], counts[f"actors {reason}"] = n, actors
    for rule, hits in result.hits.items():
        counts[f"events {rule}"], counts[f"actors {rule}"], counts[f"compared {rule}"] = hits.events, hits.actors, hits.compared
    return counts


def hits_of(rule: str, tallied: Mapping[str, int]) -> RuleHits:
    """Return what a bot rule hits of all events that were tallied."""
    return RuleHits(tallied.get(f"events {rule}", 0), tallied.get(f"actors {rule}", 0), 0, tallied.get(f"compared {rule}", 0))


def in_milliseconds(tallied: Mapping[str, int]) -> bool | None:
    """Return whether the median dwell time is so long that its unit is milliseconds; None where counting doesn't tell."""
    dwells, long = tallied.get("dwells", 0), tallied.get("long_dwells", 0)
    if dwells >= ENOUGH_DWELLS and 2 * long == dwells:
        return None
    return dwells >= ENOUGH_DWELLS and 2 * long > dwells


def first_rows(
    rows: pl.Series, reasons: pl.Series, before: Mapping[str, tuple[int, ...]] | None = None
) -> dict[str, tuple[int, ...]]:
    """Return the first rows of each reason, those of `before` among them."""
    pairs = pl.DataFrame({"row": rows, "assigned": reasons}).drop_nulls()
    firsts = pairs.group_by("assigned").agg(pl.col("row").sort().head(_EXAMPLES)).sort("assigned")
    found = {reason: tuple(some) for reason, some in firsts.iter_rows()}
    for reason, some in (before or {}).items():
        found[reason] = tuple(sorted({*some, *found.get(reason, ())})[:_EXAMPLES])
    return found
