"""The report of loading, inserting or deleting items: counts by the index, the rest by the job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from es_recsys.counting import counted
from es_recsys.index.dead_letters import WriteFailure

__all__ = ["ItemsReport"]

_MIN_FOR_RATE = 100
"""Fewer items written say nothing of a rate."""


@dataclass(frozen=True, slots=True)
class ItemsReport:
    """What became of items.

    failed: refused by Elasticsearch, with the first `failures`. regrouped: of the changed ones, those that are variants of
    another product than before. languages: items written by language, where the store mixes them.
    rejected: lines that could not be read. unencoded: contents without a vector. fields: what lines were used without: `field`,
    `reason`, `count`, `examples`. notes: what a person should know.
    """

    version: int
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: int = 0
    failures: tuple[WriteFailure, ...] = ()
    regrouped: int = 0
    languages: Mapping[str, int] = field(default_factory=dict)
    rejected: int = 0
    unencoded: int = 0
    seconds: float = 0.0
    fields: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        written = self.added + self.changed
        rate = f", {written / self.seconds:,.0f} items/s" if written >= _MIN_FOR_RATE and self.seconds > 0 else ""
        yield (
            f"{counted(self.added, 'item', 'items')} added, {self.changed:,} changed, {self.unchanged:,} unchanged,"
            f" {self.removed:,} removed in {self.seconds:.1f} s{rate}"
        )
        yield from self.notes

    def to_dict(self) -> dict[str, Any]:
        names = ("version", "added", "changed", "unchanged", "removed", "failed", "rejected", "unencoded", "seconds")
        found = {name: getattr(self, name) for name in names}
        return {**found, "fields": list(self.fields), "notes": list(self.notes)}
