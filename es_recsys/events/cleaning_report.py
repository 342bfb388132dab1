"""What cleaning found, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from es_recsys.counting import counted
from es_recsys.events.quarantine_reasons import QUARANTINE_REASONS

__all__ = ["CleaningReport", "SuspendedRule"]


@dataclass(frozen=True, slots=True)
class SuspendedRule:
    """A rule about bots that would set too much aside, so nobody's events.

    rule: its name in `--bots`; means: what it says; events, actors: what it would set aside. example: one such event, in
    words, without its user.
    """

    rule: str
    reason: str
    means: str
    events: int
    actors: int
    example: str

    def line(self, events: int, actors: int) -> str:
        """Return what a person should know of the rule.

        events, actors: how many there are.
        """
        return (
            f"WARNING: the rule {self.rule} ({self.means}) is suspended: it would set aside {self.events:,} of {events:,} events"
            f" ({self.events / max(events, 1):.0%}), of {self.actors:,} of {actors:,} users and visitors, more than bots are"
            f" likely to be. These events count. For example {self.example}. If they are bots: --bots on (all rules), --bots"
            f" {self.rule}=on, or --bots {self.rule}=BOUND; if they are people: --bots {self.rule}=off, and this is said no more"
        )

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "remedy": f"--bots on|off, --bots {self.rule}=on|off|BOUND"}


@dataclass(frozen=True, slots=True)
class CleaningReport:
    """What cleaning found.

    by_reason: reason -> events set aside; actors_by_reason: of how many users and anonymous visitors; examples: reason ->
    rows of a few of them. suspended: rules that would set too much aside, so don't. flagged, lifted: events that this run set
    aside (or gave another reason), and took back. clamped: events whose time lay in the future and was set to their receipt.
    sessions: by half an hour of silence; None where the store has no time. dwell_in_ms: dwell times are read as milliseconds.
    unknown_item_ids: an id of an event that the catalogue lacks, and the catalogue's that is most like it. bounds: what the
    rules went by, in words by name.
    """

    events: int
    kept: int
    actors: int
    by_reason: dict[str, int] = field(default_factory=dict)
    examples: dict[str, tuple[int, ...]] = field(default_factory=dict)
    flagged: int = 0
    lifted: int = 0
    clamped: int = 0
    sessions: int | None = None
    dwell_in_ms: bool = False
    actors_by_reason: dict[str, int] = field(default_factory=dict)
    suspended: tuple[SuspendedRule, ...] = ()
    unknown_item_ids: tuple[str, str] | None = None
    bounds: dict[str, Any] = field(default_factory=dict, compare=False)

    def lines(self) -> Iterator[str]:
        """Yield what counts, each reason with its remedy, and the rules that are suspended."""
        aside = ", ".join(f"{count:,} {reason}" for reason, count in self.by_reason.items()) or "none"
        sessions = "" if self.sessions is None else f", {counted(self.sessions, 'session', 'sessions')}"
        actors = counted(self.actors, "user or anonymous visitor", "users and anonymous visitors")
        yield f"{self.kept:,} of {counted(self.events, 'event', 'events')} count, of {actors}{sessions}; set aside: {aside}"
        for reason, count in self.by_reason.items():
            yield self._why(reason, count)
        for rule in self.suspended:
            yield rule.line(self.events, self.actors)

    def _why(self, reason: str, count: int) -> str:
        explained = QUARANTINE_REASONS[reason]
        users = self.actors_by_reason.get(reason, 0)
        like = ""
        if reason == "unknown_item" and self.unknown_item_ids is not None:
            like = " (an event has {!r}, the catalogue {!r})".format(*self.unknown_item_ids)
        share = count / max(self.events, 1)
        return (
            f"  {reason}: {counted(count, 'event', 'events')} ({share:.1%}) of {counted(users, 'user', 'users')}:"
            f" {explained.meaning.format(**self.bounds)}{like};"
            f" {explained.remedy}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values; rows stand for events, no id of a user is in it."""
        return {
            "events": self.events,
            "kept": self.kept,
            "actors": self.actors,
            "set_aside": dict(self.by_reason),
            "actors_set_aside": dict(self.actors_by_reason),
            "examples": {reason: list(rows) for reason, rows in self.examples.items()},
            "remedies": {reason: QUARANTINE_REASONS[reason].remedy for reason in self.by_reason},
            "suspended": [rule.to_dict() for rule in self.suspended],
            "unknown_item_ids": None
            if self.unknown_item_ids is None
            else dict(zip(("event", "catalogue"), self.unknown_item_ids, strict=True)),
            "flagged": self.flagged,
            "lifted": self.lifted,
            "clamped": self.clamped,
            "sessions": self.sessions,
            "dwell_in_ms": self.dwell_in_ms,
        }
