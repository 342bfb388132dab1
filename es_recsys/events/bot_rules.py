"""The bot rules of a store: on, off or with another bound; a rule that nobody set applies unless it hits too many."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from es_recsys.errors import InputError

__all__ = ["BOT_RULES", "MAX_EVENT_SHARE", "MAX_USER_SHARE", "BotRule", "BotRules", "parse_bots"]

MAX_USER_SHARE = 0.05
MAX_EVENT_SHARE = 0.10
"""Above these shares a rule that nobody has confirmed is suspended: it is about the data, not about bots."""


@dataclass(frozen=True, slots=True)
class BotRule:
    """name: in `--bots NAME=BOUND`; reason: what its events are set aside for; bound: unless set. means: in words, of a bound."""

    name: str
    reason: str
    bound: float
    means: str


BOT_RULES = (
    BotRule("minute_rate", "bot_minute_rate", 60, "more than {bound:,.0f} actions within a minute"),
    BotRule("day_rate", "bot_day_rate", 1_500, "more than {bound:,.0f} actions within a day"),
    BotRule("regular", "bot_regular", 100, "{bound:,.0f} pauses or more that are all alike"),
)
_BY_NAME = {rule.name: rule for rule in BOT_RULES}
_ALL = "all"


@dataclass(frozen=True, slots=True)
class BotRules:
    """What a store says of the rules: setting is "on", "off" or a bound, by rule's name, and for "all"."""

    setting: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> BotRules:
        """Return the rules as a store's settings have them."""
        return cls(dict(settings.get("bots") or {}))

    def bound(self, rule: BotRule) -> float | None:
        """Return the bound of a rule; None where it is off."""
        value = self._setting_of(rule)
        if value == "off":
            return None
        return float(value) if isinstance(value, int | float) else rule.bound

    def confirmed(self, rule: BotRule) -> bool:
        """Return whether somebody wants the rule, however many it hits."""
        return self._setting_of(rule) is not None

    def _setting_of(self, rule: BotRule) -> Any:
        return self.setting.get(rule.name, self.setting.get(_ALL))

    def with_changes(self, changes: Iterable[tuple[str, Any]]) -> BotRules:
        """Return the rules with what `parse_bots` read.

        on, off and auto are of all rules and forget what was value of each.
        """
        setting = dict(self.setting)
        for name, value in changes:
            if name == _ALL:
                setting = {}
            if value == "auto":
                setting.pop(name, None)
            else:
                setting[name] = value
        return BotRules(setting)


def parse_bots(texts: str | Iterable[str]) -> list[tuple[str, Any]]:
    """Parse what `--bots` was given: (rule or "all", "on", "off", "auto" or a bound), in their order.

    `on`, `off`, `auto`, `minute_rate=120,day_rate=off`.

    Raises InputError.
    """
    found: list[tuple[str, Any]] = []
    for part in (part.strip() for text in ((texts,) if isinstance(texts, str) else texts) for part in text.split(",")):
        if not part:
            continue
        name, equals, value = (piece.strip().lower() for piece in part.partition("="))
        name = name.removeprefix("bot_").replace("-", "_") if equals else name
        if not equals and name in ("on", "off", "auto"):
            found.append((_ALL, name))
        elif name in _BY_NAME and value in ("on", "off", "auto"):
            found.append((name, value))
        else:
            found.append((name, _bound(part, name, value)))
    return found


def _bound(part: str, name: str, value: str) -> float:
    try:
        bound = float(value)
    except ValueError:
        bound = math.nan
    if name not in _BY_NAME or not 1.0 <= bound < math.inf:
        raise InputError(
            f"--bots {part!r} is not known.",
            f"Write --bots on, off, auto, RULE=BOUND, RULE=on or RULE=off; rules are {', '.join(_BY_NAME)}, bounds at least 1.",
        )
    return bound
