"""The sample store as a whole: made in memory, or written as files that the command line loads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from es_recsys.errors import InputError
from es_recsys.sample.items import make_items
from es_recsys.sample.noise import noise as make_noise
from es_recsys.sample.pictures import picture
from es_recsys.sample.shop import Shop
from es_recsys.sample.shoppers import make_shoppers
from es_recsys.sample.sounds import sound
from es_recsys.sample.tastes import Shopper
from es_recsys.sample.visits import visits
from es_recsys.types import Event, Item

__all__ = ["DEFAULT_END", "SampleStore", "sample_store"]

DEFAULT_END = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, eq=False)
class SampleStore:
    """A sample store in memory.

    items: in order of id; events: oldest first; shoppers: with their hidden tastes, the two opposites first.
    planted: reason -> event_ids of the noise, empty unless it was asked for; the truth that cleaning can be held against.
    """

    items: tuple[Item, ...]
    events: tuple[Event, ...]
    shoppers: tuple[Shopper, ...]
    end: datetime
    planted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def opposites(self) -> tuple[Shopper, Shopper]:
        """Two shoppers who want opposite things for the same query."""
        return self.shoppers[0], self.shoppers[1]

    def write(self, folder: Path) -> None:
        """Write `items.jsonl`, `events.jsonl`, `images/` and `sounds/` in `folder`, which is made where it isn't there.

        Raises InputError where a file can't be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write_lines(folder / "items.jsonl", (_item_row(item) for item in self.items))
            _write_lines(folder / "events.jsonl", (event.model_dump(mode="json", exclude_none=True) for event in self.events))
            self.write_pictures(folder)
            self.write_sounds(folder)
        except OSError as error:
            raise InputError(
                f"The sample store can't be written to {folder} ({error.strerror}).", "Give a folder that can be written."
            ) from error

    def write_pictures(self, folder: Path) -> None:
        """Write the items' pictures alone, at `folder / item.image`."""
        for item in self.items:
            if item.image is not None:
                _write_file(folder / item.image, picture(item))

    def write_sounds(self, folder: Path) -> None:
        """Write the items' sounds alone, at `folder / item.audio`."""
        for item in self.items:
            if item.audio is not None:
                _write_file(folder / item.audio, sound(item))


def sample_store(
    seed: int = 7, items: int = 2000, users: int = 500, days: int = 60, end: datetime | None = None, *, noise: bool = False
) -> SampleStore:
    """Make a small shop with its shoppers' behaviour over the `days` before `end` (UTC where it has no zone).

    The same arguments give the same items, events and shoppers on every machine. `noise` adds what cleaning has to find.
    Raises InputError where a number is too small: an item, two users (the opposites), a day.
    """
    for name, value, least in (("items", items, 1), ("users", users, 2), ("days", days, 1)):
        if value < least:
            raise InputError(f"A sample store of {value} {name} is too small.", f"Ask for at least {least}.")
    until = end or DEFAULT_END
    until = until.replace(tzinfo=UTC) if until.tzinfo is None else until.astimezone(UTC)
    catalogue = make_items(seed, items, until)
    shop = Shop.of(seed, catalogue)
    shoppers = make_shoppers(seed, users, days, until)
    events = [event for shopper in shoppers for event in visits(seed, shopper, shop)]
    planted = make_noise(seed, events, shop.item_ids, until) if noise else {}
    everything = events + [event for added in planted.values() for event in added]
    return SampleStore(
        items=catalogue,
        events=tuple(sorted(everything, key=_when)),
        shoppers=shoppers,
        end=until,
        planted={reason: tuple(str(event.event_id) for event in added) for reason, added in planted.items()},
    )


def _when(event: Event) -> tuple[datetime, str]:
    return event.timestamp or DEFAULT_END, event.event_id or ""


def _item_row(item: Item) -> dict[str, Any]:
    """Return a row of the file: attributes are columns of their own, as any other column becomes an attribute."""
    row = item.model_dump(mode="json", exclude_none=True)
    attributes: dict[str, Any] = row.pop("attributes")
    return row | attributes


def _write_file(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with path.open("wb") as file:
        file.writelines(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
