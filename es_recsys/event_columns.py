"""Many events as one list a field: what files are read into, without an object an event."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

from es_recsys.types import Event

__all__ = ["EventColumns", "rebatched"]


@dataclass(frozen=True, slots=True)
class EventColumns:
    """Events as lists of equal length, which are named like the fields of `Event` and hold what these would."""

    event_type: list[str]
    timestamp: list[datetime | None]
    user_id: list[str | None]
    session_id: list[str | None]
    item_id: list[str | None]
    query: list[str | None]
    value: list[float | None]
    event_id: list[str | None]
    position: list[int | None]
    query_id: list[str | None]
    recommendation_id: list[str | None]
    order: list[int | None]

    @classmethod
    def of(cls, events: Iterable[Event]) -> EventColumns:
        """Return the columns of some events."""
        events = list(events)
        return cls(*([getattr(event, name) for event in events] for name in cls.__slots__))

    @classmethod
    def joined(cls, parts: Sequence[EventColumns]) -> EventColumns:
        """Return the events of all parts, in their order."""
        if len(parts) == 1:
            return parts[0]
        return cls(*(list(chain.from_iterable(getattr(part, name) for part in parts)) for name in cls.__slots__))

    def slice(self, start: int, end: int) -> EventColumns:
        """Return the events from `start` to before `end`."""
        return EventColumns(*(column[start:end] for column in self._columns()))

    def events(self) -> Iterator[Event]:
        """Yield the events one by one. They are not checked again."""
        names = self.__slots__
        for values in zip(*self._columns(), strict=True):
            yield Event.model_construct(**dict(zip(names, values, strict=True)))

    def __len__(self) -> int:
        return len(self.event_type)

    def _columns(self) -> list[list[Any]]:
        return [getattr(self, name) for name in self.__slots__]


def rebatched(parts: Iterable[EventColumns], size: int) -> Iterator[EventColumns]:
    """Yield the same events, in their order, `size` at a time; the last part may be shorter."""
    waiting: list[EventColumns] = []
    count = 0
    for part in parts:
        waiting.append(part)
        count += len(part)
        if count >= size:
            whole = EventColumns.joined(waiting)
            full = count - count % size
            yield from (whole.slice(start, start + size) for start in range(0, full, size))
            waiting, count = ([whole.slice(full, count)], count - full) if count > full else ([], 0)
    if count:
        yield EventColumns.joined(waiting)
