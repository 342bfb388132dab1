"""Which scale the ratings of some files are on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from es_recsys.counting import counted
from es_recsys.errors import InputError
from es_recsys.ratings import RatingScale

__all__ = ["RatingCounts", "infer_rating_scale"]

_MAX_DISTINCT = 10_000
_OUTLIER_SHARE = 0.002
"""Of many ratings, so few at either end are slips of the pen, and don't make a scale."""
_ZERO_SHARE = 0.4
_MIN_RATINGS = 20
_SYMMETRIC_BOUNDS = (1.0, 2.0, 3.0, 5.0, 10.0, 100.0)
_USUAL_MAXIMA = (1.0, 5.0, 10.0, 20.0, 100.0)
_UNRATED = -1.0


class RatingCounts:
    """Counts the values of ratings. Memory is flat: of very many different ones, whole numbers are counted."""

    def __init__(self) -> None:
        self.counts: Counter[float] = Counter()

    def add(self, value: float) -> None:
        if value not in self.counts and len(self.counts) >= _MAX_DISTINCT:
            value = float(round(value))
        self.counts[value] += 1

    @property
    def total(self) -> int:
        return self.counts.total()

    def outside(self, scale: RatingScale) -> int:
        """Return how many ratings are not on a scale."""
        return sum(count for value, count in self.counts.items() if not scale.holds(value))

    def range(self, without: tuple[float, ...] = ()) -> tuple[float, float]:
        """Return the least and the greatest value, without the few outliers of many."""
        values = sorted(value for value in self.counts if value not in without)
        spare = int(self.total * _OUTLIER_SHARE)
        return _trimmed(values, self.counts, spare), _trimmed(values[::-1], self.counts, spare)


def _trimmed(values: list[float], counts: Counter[float], spare: int) -> float:
    """Return the first value that leaves more than `spare` ratings behind or on it."""
    passed = 0
    for value in values:
        passed += counts[value]
        if passed > spare:
            return value
    return values[-1]


def infer_rating_scale(
    ratings: RatingCounts, stored: RatingScale | None, given: RatingScale | None = None
) -> tuple[RatingScale | None, list[str]]:
    """Infer the scale that a store has with these ratings, None where they say nothing new; and what a person should know of it.

    stored: the store's, None where it has none yet; given: what was asked for, which stands. A scale that was found before is
    widened to hold what comes; one that was given stays, and what lies outside is told.
    Raises InputError for values that are no ratings on any scale.
    """
    notes: list[str] = []
    if given is not None:
        known = () if stored is None else (value for value in stored.unrated if not given.low <= value <= given.high)
        scale = replace(given, unrated=tuple(sorted({*known, *_unrated(ratings, given)})))
        notes += _notes(ratings, scale)
        return (scale if scale != stored else None), notes
    if not ratings.counts:
        return None, notes
    if stored is not None and (stored.given or not _exceeds(ratings, stored)):
        # "Not rated" is no matter of taste, so it is found even where the scale was given.
        scale = replace(stored, unrated=tuple(sorted({*stored.unrated, *_unrated(ratings, stored)})))
        notes += _notes(ratings, scale)
        return (scale if scale != stored else None), notes
    scale = _usual_scale(ratings)
    if stored is not None:
        scale = replace(
            scale,
            low=min(scale.low, stored.low),
            high=max(scale.high, stored.high),
            unrated=tuple({*scale.unrated, *stored.unrated}),
        )
        notes.append(
            f"These ratings are on another scale than those before: all ratings of this store are read as {scale} from now on,"
            f" no longer as {stored}; --rating-scale {stored} takes that back"
        )
    return scale, [*notes, *_notes(ratings, scale)]


def _exceeds(ratings: RatingCounts, scale: RatingScale) -> bool:
    low, high = ratings.range((*scale.unrated, *_unrated(ratings, scale))) if ratings.counts else (scale.low, scale.high)
    return low < scale.low or high > scale.high


def _usual_scale(ratings: RatingCounts) -> RatingScale:
    """Return the usual scale that holds the values."""
    low, high = ratings.range()
    unrated: tuple[float, ...] = ()
    if low == _UNRATED and high > 1.0 and not any(_UNRATED < value < 0.0 for value in ratings.counts):
        unrated = (_UNRATED,)
        low, high = ratings.range(unrated)
    elif low < 0.0:
        bound = max(-low, high)
        bound = next((usual for usual in _SYMMETRIC_BOUNDS if bound <= usual), bound)
        return RatingScale(-bound, bound)
    if low == 0.0 and high > 1.0 and ratings.counts[0.0] >= max(_MIN_RATINGS, _ZERO_SHARE * ratings.total):
        unrated = (*unrated, 0.0)
        low, high = ratings.range(unrated)
    if high > _USUAL_MAXIMA[-1]:
        raise InputError(
            f"The values of ratings go up to {high:g}, which is no usual scale.",
            "Say which it is with --rating-scale LOW..HIGH; where they are amounts, load them as views or purchases"
            " (--constant event_type=view, or --actions rating=view).",
        )
    top = next(usual for usual in _USUAL_MAXIMA if high <= usual)
    if top == 1.0 and not any(0.0 <= value < 1.0 for value in ratings.counts) and ratings.total < _MIN_RATINGS:
        top = 5.0  # a few ones are bad ratings rather than thumbs up
    return RatingScale(_minimum(low, top), top, unrated)


def _minimum(low: float, top: float) -> float:
    if top == 1.0 or low == 0.0 or top >= 20.0:
        return 0.0
    if low >= 1.0:
        return 1.0
    return 0.5 if low == 0.5 and top == 5.0 else 0.0


def _unrated(ratings: RatingCounts, scale: RatingScale) -> tuple[float, ...]:
    """Return the values of the scale's column that mean that there is no rating.

    -1 beside a scale that begins at 0 or above; 0 where it is below the scale and a large part of all.
    """
    found: list[float] = []
    if scale.low >= 0.0 and scale.high > 1.0 and _UNRATED in ratings.counts:
        found.append(_UNRATED)
    if scale.low > 0.0 and ratings.counts[0.0] >= max(_MIN_RATINGS, _ZERO_SHARE * ratings.total):
        found.append(0.0)
    return tuple(found)


def _notes(ratings: RatingCounts, scale: RatingScale) -> Iterator[str]:
    if not ratings.counts:
        return
    low, high = min(ratings.counts), max(ratings.counts)
    said = "as --rating-scale says" if scale.given else "--rating-scale LOW..HIGH changes it"
    yield f"Ratings go from {low:g} to {high:g}; read as the scale {scale}, {scale.neutral:g} is neutral ({said})"
    for value in scale.unrated:
        if count := ratings.counts[value]:
            they = counted(count, f"rating of {value:g} counts as a view", f"ratings of {value:g} count as views")
            yield f"{they}: that is no rating on this scale"
    if outside := ratings.outside(scale):
        yield (
            f"{outside:,} of {ratings.total:,} ratings are not on the scale {scale}, and don't count; if they are right, say"
            f" --rating-scale {min(low, scale.low):g}..{max(high, scale.high):g}"
        )
