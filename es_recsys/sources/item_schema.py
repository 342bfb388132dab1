"""A first look at a whole catalogue: the kind of each attribute, and which lines have an item_id that comes again."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from es_recsys.errors import InputError
from es_recsys.sources.attribute_types import ATTRIBUTE_TYPES, TypeInference
from es_recsys.sources.column_mapping import ColumnMapping, resolve_columns
from es_recsys.sources.input_files import Paths, Progress, as_paths
from es_recsys.sources.item_fields import ItemFormatInference, ItemFormats
from es_recsys.sources.list_cells import (
    LIST_FIELDS,
    ListFormat,
    ListFormatInference,
    ListSeparators,
    list_format_of,
    parse_list_separators,
)
from es_recsys.sources.missing_fields import MissingFieldHints
from es_recsys.sources.rejected_rows import RejectedRows
from es_recsys.sources.row_mapping import ITEM_FIELDS, ItemRowMapping
from es_recsys.sources.shop_exports import normalize_shop_rows
from es_recsys.sources.tables import Dialect, open_tables
from es_recsys.sources.variants import NO_ROWS, LastRows, last_rows_of_groups
from es_recsys.values import IdFormat, TimeFormat, parse_id

__all__ = ["ItemSchema", "infer_item_schema", "item_columns", "list_formats"]

_AS_NUMBER = IdFormat(numbers=True)


@dataclass(frozen=True)
class ItemSchema:
    """What `infer_item_schema` found, for use in the same process.

    kinds: attribute -> kind (kinds.py). last: item_id -> place (from 0, over all files) of the last row with it, as a hash,
    for ids that come more than once. groups: the same for every group_id. rows: how many. lists: how categories and tags are
    written (lists.py). notes: what was decided. forms: how the values of other fields are. dates: the same for attributes of
    dates.
    """

    kinds: Mapping[str, str] = field(default_factory=dict)
    last: Mapping[int, int] = field(default_factory=dict)
    groups: LastRows = NO_ROWS
    rows: int = 0
    lists: Mapping[str, ListFormat] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    forms: ItemFormats = field(default_factory=ItemFormats)
    dates: Mapping[str, TimeFormat] = field(default_factory=dict)


def item_columns(columns: Mapping[str, str], constants: Mapping[str, Any]) -> ColumnMapping:
    return ColumnMapping(ITEM_FIELDS, columns, constants, required=(("item_id",),), free=True)


def infer_item_schema(
    paths: Paths,
    *,
    columns: Mapping[str, str] | None = None,
    constants: Mapping[str, Any] | None = None,
    separator: str | None = None,
    header: bool = True,
    encoding: str | None = None,
    list_separator: ListSeparators = None,
    day_first: bool | None = None,
    known: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> ItemSchema:
    """Read a catalogue once, to know what `read_items` needs.

    list_separator: `,` or `none` for categories and tags, `directors=;` for one column (lists.py); without it what the column
    shows. day_first: whether 01/02/2021 is in February, None for what the column shows. known: kinds that are settled
    already, by the mapping of the index that the items go to. Memory: 8 bytes a row, 16 where there are group ids, twice
    that where ids are written as 17.0, and some thousand cells of lists.
    """
    if wrong := sorted(set((known or {}).values()) - set(ATTRIBUTE_TYPES)):
        raise InputError(f"There is no kind of attribute {wrong[0]!r}.", f"Kinds are {', '.join(ATTRIBUTE_TYPES)}.")
    columns_given = item_columns(columns or {}, constants or {})
    given = parse_list_separators(list_separator)
    layout = ItemRowMapping(columns_given, list_formats(given))
    lists = {name: ListFormatInference() for name in LIST_FIELDS}
    looks = MissingFieldHints()
    unread = RejectedRows(write=False)
    tallies: dict[str, TypeInference] = {}
    values, ids, group_ids = ItemFormatInference(day_first), _IdHashes(), _IdHashes()
    for table in open_tables(as_paths(paths), Dialect(separator, header, encoding), unread, progress):
        found, rows = resolve_columns(table, columns_given)
        layout.use(found)
        if table.separator is not None and table.separator.text == ";":
            values.price.likely = ","
        for row in normalize_shop_rows(table, found, rows):
            fields, attributes = layout.split(row.values, table.typed, _ignore)
            values.add(fields, attributes)
            ids.add(fields.get("item_id"))
            if "group_id" in fields:
                group_ids.skip_to(len(ids) - 1)
                group_ids.add(fields["group_id"])
            looks.add(fields, attributes)
            for name, listed in lists.items():
                if name in fields:
                    listed.add(fields[name])
            for name, value in attributes.items():
                tally = tallies.get(name)
                if tally is None:
                    tally = tallies[name] = TypeInference(day_first)
                tally.add(value, table.typed)
    kinds = {name: tally.decide() for name, tally in tallies.items()} | dict(known or {})
    dates = {name: tallies[name].dates.decide() for name, kind in kinds.items() if kind == "date" and name in tallies}
    forms = values.decide()
    hashes = ids.of(forms.ids["item_id"])
    groups = group_ids.of(forms.ids["group_id"])
    groups.extend([0] * (len(hashes) - len(groups) if groups else 0))
    fields_of_lists, notes = _list_formats(lists, given)
    about_dates = (note for name in dates for note in tallies[name].dates.notes(name))
    notes = (*notes, *looks.remarks(layout.column, columns_given.dropped), *about_dates)
    return ItemSchema(kinds, _last_rows(hashes), _groups(hashes, groups), len(hashes), fields_of_lists, notes, forms, dates)


def list_formats(given: Mapping[str, str]) -> dict[str, ListFormat]:
    """The notations of columns that were named with `list_separator`."""
    return {name: list_format_of(separator) for name, separator in given.items() if name}


def _list_formats(
    lists: Mapping[str, ListFormatInference], given: Mapping[str, str]
) -> tuple[dict[str, ListFormat], tuple[str, ...]]:
    found, notes = list_formats(given), list[str]()
    for name, tally in lists.items():
        if name in found:
            continue
        if "" in given:
            found[name] = list_format_of(given[""])
            continue
        found[name] = tally.decide(name)
        notes.extend(filter(None, [tally.remark(name, found[name])]))
    return found, tuple(notes)


class _IdHashes:
    """A hash of each row's id, as its text and as the number that it may be: which it is, is known at the end.

    A hash of 0 stands for a row that is certainly rejected; no id is likely to have it.
    """

    def __init__(self) -> None:
        self._texts = array("q")
        self._numbers: array[int] | None = None  # only from the first id on that has two readings

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, value: Any) -> None:
        try:
            text = parse_id(value)
        except ValueError:
            text = None
        # Only 17.0 and 1.7E+1 have another reading.
        several = text is not None and text[0].isdigit() and not text.isdigit() and _AS_NUMBER.read(text) != text
        if self._numbers is None and several:
            self._numbers = array("q", self._texts)
        if self._numbers is not None:
            self._numbers.append(0 if text is None else hash(_AS_NUMBER.read(text)))
        self._texts.append(0 if text is None else hash(text))

    def skip_to(self, length: int) -> None:
        """Rows without such an id came before."""
        for hashes in (self._texts, self._numbers):
            if hashes is not None:
                hashes.extend([0] * (length - len(hashes)))

    def of(self, form: IdFormat) -> array[int]:
        return self._numbers if form.numbers and self._numbers is not None else self._texts


def _ignore(field: str, reason: str, value: Any) -> None:
    """Reading tells what could not be used; a survey doesn't."""


def _groups(hashes: array[int], groups: array[int]) -> LastRows:
    return last_rows_of_groups(np.frombuffer(hashes, np.int64), np.frombuffer(groups, np.int64)) if groups else NO_ROWS


def _last_rows(hashes: array[int]) -> dict[int, int]:
    if not hashes:
        return {}
    values = np.frombuffer(hashes, dtype=np.int64)
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    same = ranked[1:] == ranked[:-1]
    ends = np.append(~same, True)
    repeated = ends & np.insert(same, 0, False)
    return {int(value): int(place) for value, place in zip(ranked[repeated], order[repeated], strict=True) if value != 0}
