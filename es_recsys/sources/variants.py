"""Rows that belong together: those of one item_id are one item, and what the variants of a product share is said once.

Exports of shops (Shopify, WooCommerce) say title, text and pictures in the first row of a product only; the rows of its other
variants have their own cells filled and nothing else. Other files have a row for each property of an item.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from es_recsys.counting import counted
from es_recsys.sources.row_ids import NO_ROWS, LastRows
from es_recsys.types import AttributeValue, Item

__all__ = ["VariantMerger", "fill_from_group", "merge_rows"]

_SHARED_FIELDS = ("title", "description", "categories", "tags", "brand", "currency", "image", "audio", "created_at")
"""What a variant has from the first row of its group that says it. Price, availability and attributes are its own."""

_FIRST_WINS = ("image", "audio")
"""A product's first picture is its main one."""


def merge_rows(earlier: Item, later: Item) -> Item:
    """Return one item of two rows: of two values the later counts, and an empty cell takes nothing away.

    The first picture stays. Where the later row has no title and the earlier has one, it is a variant: its attributes are
    added to those that are there (sizes S, M, L), if they are texts or numbers.
    """
    update = {name: value for name, value in _given_fields(later).items() if not (name in _FIRST_WINS and getattr(earlier, name))}
    attributes = dict(earlier.attributes)
    variant = bool(earlier.title) and not later.title
    for name, value in later.attributes.items():
        attributes[name] = _combined(attributes[name], value) if variant and name in attributes else value
    return earlier.model_copy(update={**update, "attributes": attributes})


def fill_from_group(item: Item, shared: Mapping[str, Any]) -> Item:
    """Return the item with what it lacks of what its group shares."""
    lacking = {name: value for name, value in shared.items() if not getattr(item, name)}
    return item.model_copy(update=lacking) if lacking else item


@dataclass(slots=True, eq=False)
class _Group:
    """What is known of a product while its rows come. waiting: variants that came before any row had a title."""

    shared: dict[str, Any] = field(default_factory=dict)
    waiting: list[Item] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class VariantMerger:
    """Makes whole items of a stream of rows. Holds only items and groups of which rows are still to come.

    last_rows: hash of an item_id -> index of its last row, for those with several rows. groups: the last row of each group_id.
    merged: rows that were added to an earlier one; completed: items that had something from their group; clashing: items that
    were lost to another of the same item_id in another group.
    """

    last_rows: Mapping[int, int] = field(default_factory=dict)
    groups: LastRows = NO_ROWS
    merged: int = 0
    completed: int = 0
    clashing: int = 0
    _items: dict[str, Item] = field(default_factory=dict)
    _groups: dict[str, _Group] = field(default_factory=dict)

    @property
    def needed(self) -> bool:
        """Whether any rows belong together."""
        return bool(self.last_rows) or bool(self.groups)

    def add(self, item: Item, row_idx: int) -> Iterator[Item]:
        """Take the item of the row at `row_idx`, and yield the items that are whole with it."""
        if self.groups:
            item = self._with_group(item)
        last = self.last_rows.get(hash(item.item_id), row_idx) if self.last_rows else row_idx
        earlier = self._items.pop(item.item_id, None)
        if earlier is not None and earlier.group_id not in (None, item.group_id) and item.group_id is not None:
            self.clashing += 1
        elif earlier is not None:
            item = merge_rows(earlier, item)
            self.merged += 1
        if last > row_idx:
            self._items[item.item_id] = item
        else:
            yield from self._complete(item, row_idx)

    def rest(self) -> Iterator[Item]:
        """Yield what still waits for rows that could not be read."""
        for item in list(self._items.values()):
            yield from self._complete(item, -1)
        self._items.clear()
        for group in self._groups.values():
            yield from self._release(group)
        self._groups.clear()

    def notes(self) -> Iterator[str]:
        """Yield what a person should know of what was merged."""
        if self.merged:
            yield (
                f"{counted(self.merged, 'row has', 'rows have')} an item_id that came before:"
                f" {'it is' if self.merged == 1 else 'they are'} merged;"
                " of two values the later counts, and an empty cell takes nothing away."
            )
        if self.clashing:
            yield (
                f"{counted(self.clashing, 'item was left out: its', 'items were left out: their')} item_id comes again in another"
                " group_id, and the later counts; --columns item_id=NAME names a column whose values differ."
            )
        if self.completed:
            have = counted(self.completed, "item has", "items have")
            yield f"{have} title, texts or pictures from the first row of their group_id."

    def _with_group(self, item: Item) -> Item:
        """Return the item with its group, and keep what the row says of all of the group."""
        if item.group_id is None and self.groups.of(item.item_id) is not None:
            item = item.model_copy(update={"group_id": item.item_id})
        if item.group_id is not None:
            group = self._groups.setdefault(item.group_id, _Group())
            for name, value in _given_fields(item).items():
                if name in _SHARED_FIELDS:
                    group.shared.setdefault(name, value)
        return item

    def _complete(self, item: Item, row_idx: int) -> Iterator[Item]:
        if item.group_id is None:
            yield item
            return
        group = self._groups.setdefault(item.group_id, _Group())
        group.waiting.append(item)
        last = self.groups.of(item.group_id)
        if "title" in group.shared or last is None or last <= row_idx:
            yield from self._release(group)
        if last is None or last <= row_idx >= 0:
            del self._groups[item.group_id]

    def _release(self, group: _Group) -> Iterator[Item]:
        for item in group.waiting:
            whole = fill_from_group(item, group.shared)
            self.completed += whole is not item
            yield whole
        group.waiting.clear()


def _given_fields(item: Item) -> dict[str, Any]:
    """Return the fields that the row gave a value."""
    given = item.model_fields_set - {"item_id", "attributes"}
    return {name: value for name in given if (value := getattr(item, name)) not in (None, "", ())}


def _combined(earlier: AttributeValue, later: AttributeValue) -> AttributeValue:
    """Return both as a list without repeats, where they are texts or numbers; else the later."""
    values = [*_as_tuple(earlier), *_as_tuple(later)]
    if all(isinstance(value, str) for value in values):
        found: tuple[Any, ...] = tuple(dict.fromkeys(values))
    elif all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        found = tuple(dict.fromkeys(map(float, values)))
    else:
        return later
    return found if len(found) > 1 else later


def _as_tuple(value: AttributeValue) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
