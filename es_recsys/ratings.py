"""Scales of ratings: what a store's ratings go from and to, and how they are read on the one that event weights know."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from es_recsys.errors import InputError

__all__ = ["FIVE_STARS", "RatingScale", "parse_rating_scale"]

_BEST, _WORST = 5.0, 1.0
_FORM = re.compile(r"^\s*([+-]?[\d.]+)\s*(?:\.\.|:|\bto\b|-)\s*([+-]?[\d.]+)\s*$")


@dataclass(frozen=True, slots=True)
class RatingScale:
    """Scale of ratings from the strongest dislike, `low`, to the strongest liking, `high`; the middle is neutral.

    unrated: values that say "not rated" (-1 beside 1 to 10): the event counts as a view. given: a person said so; else the
    scale was found from the data, and wider data widen it.
    """

    low: float = _WORST
    high: float = _BEST
    unrated: tuple[float, ...] = ()
    given: bool = False

    @property
    def neutral(self) -> float:
        return (self.low + self.high) / 2.0

    def holds(self, value: float) -> bool:
        """Return whether a rating is on the scale, or says that there is none."""
        return self.low <= value <= self.high or value in self.unrated

    def normal(self, value: float) -> float:
        """Return a rating as one from 1 to 5, 3 being neutral."""
        return _WORST + (value - self.low) * (_BEST - _WORST) / (self.high - self.low)

    def read(self, event_type: str, value: float | None) -> tuple[str, float | None]:
        """Return type and value of an event as everything reads them.

        Ratings are from 1 to 5, those that say "not rated" are views.
        """
        if event_type != "rating" or value is None:
            return event_type, value
        return ("view", None) if value in self.unrated else ("rating", self.normal(value))

    def to_setting(self) -> dict[str, Any]:
        """Return the scale as the store keeps it."""
        return {"low": self.low, "high": self.high, "unrated": list(self.unrated), "given": self.given}

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> RatingScale:
        """Return the scale of a store's settings; 1 to 5 where none is known."""
        kept = settings.get("rating_scale")
        if not kept:
            return FIVE_STARS
        return cls(float(kept["low"]), float(kept["high"]), tuple(map(float, kept.get("unrated", ()))), bool(kept.get("given")))

    def __str__(self) -> str:
        return f"{self.low:g}..{self.high:g}"


FIVE_STARS = RatingScale()


def parse_rating_scale(text: str) -> RatingScale:
    """Parse `0..10`, `-10..10`, `0.5..5` to the scale, as given.

    Raises InputError.
    """
    found = _FORM.match(text)
    try:
        low, high = (float(part) for part in found.groups()) if found else (math.nan, math.nan)
    except ValueError:
        low, high = math.nan, math.nan
    if not low < high:
        raise InputError(
            f"--rating-scale {text!r} is not LOW..HIGH.", "Write --rating-scale 0..10: the worst rating, then the best."
        )
    return RatingScale(low, high, given=True)
