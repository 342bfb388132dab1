"""The columns of the features. A new feature is a new row here and its formula beside its neighbours'."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FAST_HALF_LIFE", "ITEM_COLUMNS", "PAIR_COLUMNS", "SLOW_HALF_LIFE", "USER_COLUMNS", "Column", "column_names"]

SLOW_HALF_LIFE, FAST_HALF_LIFE = 30.0, 3.0
"""Half-lives in days of the usual and of the recent counts."""


@dataclass(frozen=True, slots=True)
class Column:
    """A feature.

    unit: what it is counted in. description: what it says, and when it is unknown (NaN). skewed: whether a few values are far
    larger than the rest, so that a method that looks at distances should take log1p of it.
    """

    name: str
    unit: str
    description: str
    skewed: bool = False


USER_COLUMNS = (
    Column("recency", "days", "since the last event", skewed=True),
    Column("tenure", "days", "since the first event", skewed=True),
    Column("active_days", "days", "with an event, in spans of 24 hours before now", skewed=True),
    Column("events", "events", "all of them", skewed=True),
    Column("frequency", "events a day", "decayed over 30 days: ln 2 / 30 * sum of 2 ** (-age / 30)", skewed=True),
    Column("trend", "standard deviations", "recent events (3 days) beyond what the frequency explains"),
    Column("items", "items", "different ones with a positive event", skewed=True),
    Column("repeats", "share", "of positive events on an item that had one before; unknown without any"),
    Column("strength", "weight", "sum of the positive weights, decayed over 30 days", skewed=True),
    Column("purchases", "events", "of type purchase; unknown without types", skewed=True),
    Column("value", "money", "price times quantity over the purchases with a known price; unknown without", skewed=True),
    Column("order_value", "money", "value over these purchases", skewed=True),
    Column("conversion", "share", "of the user's items that were purchased, with ten items at the overall share added"),
    Column("cart_rate", "share", "of the user's items that were put into a cart or purchased, likewise"),
    Column("dwell", "seconds", "mean of the dwell events, each up to an hour; unknown without", skewed=True),
    Column("rating", "1 to 5", "mean of the ratings given; unknown without"),
    Column("dislikes", "share", "of the events that are negative; unknown without events"),
    Column("price", "log1p of money", "mean over positive events, by weight; unknown without a price"),
    Column("price_spread", "log1p of money", "standard deviation of the same"),
    Column("price_level", "0 to 1", "mean percentile rank of the prices within their category, by weight"),
    Column("popularity", "0 to 1", "mean percentile rank of the items by popularity, by weight: how much of the mainstream"),
    Column("freshness", "days", "mean age of the items at the events; unknown without dates", skewed=True),
    Column("breadth", "0 to 1", "entropy of the outermost categories over that of all alike; unknown without any"),
    Column("top_category", "share", "of the weight in the category that has most"),
    Column("top_brand", "share", "of the weight in the brand that has most"),
)

ITEM_COLUMNS = (
    Column("events", "events", "positive ones", skewed=True),
    Column("users", "users", "different ones with a positive event", skewed=True),
    Column("popularity", "weight", "sum of the positive weights, decayed over 30 days", skewed=True),
    Column("popularity_level", "0 to 1", "percentile rank by popularity among items with an event, 0 without one"),
    Column("trend", "standard deviations", "recent weight (3 days) beyond what popularity explains"),
    Column("recency", "days", "since the last positive event", skewed=True),
    Column("age", "days", "since it was created; unknown without a date", skewed=True),
    Column("purchases", "events", "of type purchase; unknown without types", skewed=True),
    Column("conversion", "share", "of the item's users who purchased it, with ten users at the overall share added"),
    Column("cart_rate", "share", "of the item's users who put it into a cart or purchased it, likewise"),
    Column("dwell", "seconds", "mean of the dwell events, each up to an hour; unknown without", skewed=True),
    Column("rating", "1 to 5", "mean of the ratings; unknown without"),
    Column("dislikes", "share", "of the events that are negative; unknown without events"),
    Column("loyalty", "events a user", "positive ones; unknown without", skewed=True),
    Column("price", "log1p of money", "unknown without a price"),
    Column("price_level", "0 to 1", "percentile rank of the price within the category"),
    Column("category_level", "0 to 1", "percentile rank by popularity within the category, 0 without an event"),
)

PAIR_COLUMNS = (
    Column("events", "events", "positive ones of the user on the item", skewed=True),
    Column("since", "days", "since the last event of the user on the item; unknown without one", skewed=True),
    Column("weight", "weight", "signed, of the user on the item, decayed over 30 days"),
    Column("department_affinity", "share", "of the user's weight that is in the item's outermost category"),
    Column("category_affinity", "share", "of the user's weight that is in the item's innermost category"),
    Column("brand_affinity", "share", "of the user's weight that is on the item's brand"),
    Column("category_since", "days", "since the user's last positive event in the innermost category", skewed=True),
    Column("price_above", "standard deviations", "of the item's log1p(price) over the user's mean (at least .2 a deviation)"),
    Column("price_distance", "standard deviations", "the same without the sign"),
)


def column_names(columns: tuple[Column, ...]) -> tuple[str, ...]:
    """Return the names, in order."""
    return tuple(column.name for column in columns)
