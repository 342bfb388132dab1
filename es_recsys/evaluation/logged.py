"""Estimated rewards of orders that were never served, from the answer log: printed, kept as JSON, and reported."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from es_recsys.errors import InputError
from es_recsys.evaluation.counterfactual import Value

__all__ = ["LEAST_ROWS", "SERVED", "LoggedReport"]

LEAST_ROWS = 30
"""Effective rows below which an estimate says nothing."""

SERVED = "as served"
"""The order that the log has."""


@dataclass(frozen=True, slots=True)
class LoggedReport:
    """Rewards of the logged pages in other orders.

    values: how the pages are put in order -> the reward an answer. examination: the chance that each position is looked at, as
    the log tells it. made: when, ISO 8601.
    """

    store: str
    made: str
    answers: int
    rewarded: int
    examination: tuple[float, ...]
    values: Mapping[str, Value]

    @property
    def reliable(self) -> dict[str, Value]:
        """The orders whose estimates rest on enough rows."""
        return {
            name: value
            for name, value in self.values.items()
            if value.effective >= LEAST_ROWS and not math.isnan(value.snips.mean)
        }

    def lines(self) -> Iterator[str]:
        yield f"{self.answers:,} logged answers, {self.rewarded:,} items of them with a reward."
        if not self.rewarded:
            yield "Nothing can be estimated without rewards: load events with the query_id or recommendation_id of an answer."
            return
        yield "Examination probability by position: " + " ".join(f"{chance:.2f}" for chance in self.examination[:10])
        for name, value in self.values.items():
            yield (f"{name}: IPS {value.ips}, SNIPS {value.snips}")

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": "logged",
            "store": self.store,
            "made": self.made,
            "answers": self.answers,
            "rewarded": self.rewarded,
            "examination": [round(chance, 4) for chance in self.examination],
            "values": {name: value.to_dict() for name, value in self.values.items()},
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> LoggedReport:
        """Read what `to_dict` returned.

        Raises InputError where `found` is something else.
        """
        try:
            values = {name: Value.from_dict(value) for name, value in found["values"].items()}
            plain = {name: found[name] for name in ("store", "made", "answers", "rewarded")}
            return cls(**plain, examination=tuple(found["examination"]), values=values)
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError("This is no result of `es-recsys evaluate --logged`.", "Write one with --out FILE.json.") from error
