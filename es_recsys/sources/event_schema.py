"""A first look at whole files of events, for what a single line leaves open: how ids and times are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any

from es_recsys.values import IdFormat, IdFormatInference, TimeFormat, TimeFormatInference

__all__ = ["EventSchema", "EventSchemaInference"]

_IDS = ("user_id", "session_id", "item_id")


@dataclass(frozen=True)
class EventSchema:
    """What was found in all lines together.

    ids: field -> how its ids are written. time: how the times are. notes: what was guessed, a line each.
    """

    ids: Mapping[str, IdFormat] = field(default_factory=dict)
    time: TimeFormat = field(default_factory=TimeFormat)
    notes: tuple[str, ...] = ()


class EventSchemaInference:
    """Looks at the events of all files, before any is read. Memory is flat.

    day_first: what dates such as 01/02/2021 are, None for what the files show. `add` takes the fields of one event as the file
    has them (field -> value, nothing missing among them).
    """

    def __init__(self, day_first: bool | None = None) -> None:
        self._ids = {name: IdFormatInference() for name in _IDS}
        self._open: tuple[str, ...] = _IDS
        self._time = TimeFormatInference(day_first)

    def add(self, given: Mapping[str, Any]) -> None:
        for name in self._open:
            if name in given:
                tally = self._ids[name]
                tally.add(given[name])
                if tally.settled:
                    self._open = tuple(other for other in self._open if other != name)
        if "timestamp" in given:
            self._time.add(given["timestamp"])

    def decide(self, zone: tzinfo = UTC) -> EventSchema:
        """zone: of times that name none."""
        told = [*(tally.note(name) for name, tally in self._ids.items()), *self._time.notes("timestamp")]
        return EventSchema(
            {name: tally.decide() for name, tally in self._ids.items()},
            self._time.decide(zone),
            tuple(note for note in told if note is not None),
        )
