"""Metrics by impression of several rankings: printed, and kept as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from es_recsys.evaluation.impressions import IMPRESSION_METRICS
from es_recsys.evaluation.statistics import Estimate

__all__ = ["ImpressionReport", "RankedImpressions"]


@dataclass(frozen=True, slots=True)
class RankedImpressions:
    """One ranking of what was shown.

    figures: metric -> mean and interval. p: metric -> corrected p-value of the difference to what is served. ms: p50 and p95 of a
    single ranking, milliseconds.
    """

    name: str
    figures: Mapping[str, Estimate]
    p: Mapping[str, float] = field(default_factory=dict)
    ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImpressionReport:
    """Rankings of the same impressions. made: when, ISO 8601. shown: items of an impression on average."""

    store: str
    made: str
    split: str
    impressions: int
    users: int
    shown: float
    rankings: tuple[RankedImpressions, ...]
    notes: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        yield f"{self.impressions:,} impressions of {self.users:,} users ({self.split}), {self.shown:.1f} items each."
        for one in self.rankings:
            figures = ", ".join(f"{name} {one.figures[name]}" for name in IMPRESSION_METRICS)
            yield f"{one.name}: {figures}{self._chance(one)}"
        yield from self.notes

    def _chance(self, one: RankedImpressions) -> str:
        return f" (AUC differs from served with p = {one.p['AUC']:.3f})" if "AUC" in one.p else ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": "impressions",
            "store": self.store,
            "made": self.made,
            "split": self.split,
            "impressions": self.impressions,
            "users": self.users,
            "shown": round(self.shown, 3),
            "rankings": [
                {
                    "name": one.name,
                    "figures": {name: figure.to_dict() for name, figure in one.figures.items()},
                    "p": {name: round(p, 6) for name, p in one.p.items()},
                    "ms": {name: round(ms, 3) for name, ms in one.ms.items()},
                }
                for one in self.rankings
            ],
            "notes": list(self.notes),
        }
