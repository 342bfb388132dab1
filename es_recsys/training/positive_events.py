"""Check that there are positive events to learn from."""

from __future__ import annotations

from es_recsys.dataset import Interactions
from es_recsys.errors import ModelError
from es_recsys.events.bot_rules import BOT_RULES, BotRules
from es_recsys.events.quarantine_reasons import QUARANTINE_REASONS
from es_recsys.events.store import EventStore

__all__ = ["need_positive"]

_NONE = "There are no positive events to train on"


def need_positive(store: EventStore, data: Interactions) -> None:
    """Raise ModelError, with the reason, where no event says what somebody likes."""
    if (data.weights > 0).any():
        return
    kept, counts = store.count_by_reason()
    if kept:
        scale = store.rating_scale
        raise ModelError(
            f"{_NONE}: the {kept:,} events of the store that count are dislikes, ratings of no more than {scale.neutral:g}"
            f" (on the scale {scale}), or searches.",
            "Load what people liked too (views, purchases, likes, better ratings): es-recsys events load FILE."
            " If these are likes, say so with --actions, or give the scale with --rating-scale.",
        )
    if counts:
        reason, count = next(iter(counts.items()))
        bots = BotRules.of(store.settings)
        config_words = {"scale": store.rating_scale, **{rule.name: bots.bound(rule) or rule.bound for rule in BOT_RULES}}
        raise ModelError(
            f"{_NONE}: all {sum(counts.values()):,} events of the store are set aside, {count:,} of them as {reason}"
            f" ({QUARANTINE_REASONS[reason].meaning.format(**config_words)}).",
            f"To mend it: {QUARANTINE_REASONS[reason].remedy}.",
        )
    raise ModelError(f"{_NONE}.", "Load events first: `es-recsys events load FILE`.")
