"""What a user buys again, and when it is due: the candidates are what they have bought."""

from __future__ import annotations

from es_recsys.dataset import Profile
from es_recsys.errors import InputError
from es_recsys.query import Query
from es_recsys.serving.listed_items import ListedItems
from es_recsys.serving.snapshot import ServingSnapshot

__all__ = ["buy_again"]

_NAME = "buy_again"
_DAY_S = 86_400.0


def buy_again(snapshot: ServingSnapshot, query: Query, profile: Profile | None, now: float) -> ListedItems:
    """Return what the user of a query buys again, what is due most first; nothing where their purchases aren't known.

    Raises InputError where nobody is named, where no training has counted repeat purchases, and for a history, of which it isn't
    known what was bought when.
    """
    if query.user_id is None or query.history is not None:
        raise InputError("What is bought again is of a user.", "Name one with --user (user_id), and give no history.")
    if snapshot.repeat_purchases is None:
        raise InputError(
            f"It is not counted yet what is bought again in {snapshot.metadata.store}.",
            "Load purchases with times, then run: es-recsys train.",
        )
    due = snapshot.repeat_purchases.due({} if profile is None else _last_bought(profile, now))
    return ListedItems(
        _NAME,
        {one.item_id: one.score for one in due},
        {
            one.item_id: {
                "repeat_rate": one.rate,
                "interval_days": one.interval_days,
                "days_since": one.days_since,
                "due_in_days": one.interval_days - one.days_since,
            }
            for one in due
        },
    )


def _last_bought(profile: Profile, now: float) -> dict[str, float]:
    """Return product -> days since the user bought it last."""
    history = profile.history
    since_newest = (now - history.newest) / _DAY_S
    last: dict[str, float] = {}
    for item_id, event_type, age in zip(history.item_ids, history.event_types, history.ages.tolist(), strict=False):
        if event_type == "purchase":
            last[item_id] = age + since_newest
    return last if since_newest == since_newest else {}  # no times: nothing is due
