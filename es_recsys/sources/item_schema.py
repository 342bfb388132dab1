"""Schema inference: what all rows of a catalogue together show, the type of each attribute and which rows are one item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from es_recsys.errors import InputError
from es_recsys.sources.attribute_types import ATTRIBUTE_TYPES, TypeInference
from es_recsys.sources.column_mapping import ColumnMapping, resolve_columns
from es_recsys.sources.field_formats import FieldFormats
from es_recsys.sources.input_files import Paths, as_paths
from es_recsys.sources.item_fields import item_format_inference
from es_recsys.sources.list_cells import LIST_FIELDS, ListFormat, ListFormatInference
from es_recsys.sources.missing_fields import MissingFieldHints
from es_recsys.sources.named_formats import resolve_format
from es_recsys.sources.named_formats.shop_variants import normalize_shop_rows
from es_recsys.sources.read_options import DEFAULT_OPTIONS, ReadOptions
from es_recsys.sources.rejected_rows import RejectedRows
from es_recsys.sources.row_ids import NO_ROWS, IdHashes, LastRows, last_rows_of_groups, last_rows_of_repeated
from es_recsys.sources.row_mapping import ITEM_FIELDS, ItemRowMapping
from es_recsys.sources.tables import Table, open_tables
from es_recsys.values import TimeFormat

__all__ = ["ItemSchema", "infer_item_schema", "item_columns"]


@dataclass(frozen=True)
class ItemSchema:
    """What `infer_item_schema` found, for use in the same process.

    types: attribute -> type (attribute_types.py). dates: attribute -> how its dates are written. formats: how the values of
    fields are. lists: field or attribute -> how its lists are written. rows: how many.
    last_rows: hash of an item_id -> index (from 0, over all files) of its last row, for ids that come more than once; groups: the
    same for every group_id. notes: what was inferred, a line each.
    """

    types: Mapping[str, str] = field(default_factory=dict)
    dates: Mapping[str, TimeFormat] = field(default_factory=dict)
    formats: FieldFormats = field(default_factory=FieldFormats)
    lists: Mapping[str, ListFormat] = field(default_factory=dict)
    rows: int = 0
    last_rows: Mapping[int, int] = field(default_factory=dict)
    groups: LastRows = NO_ROWS
    notes: tuple[str, ...] = ()


def item_columns(options: ReadOptions) -> ColumnMapping:
    """Return the columns of items as the options name them."""
    return ColumnMapping(ITEM_FIELDS, options.columns, options.constants, required=(("item_id",),), free=True)


def infer_item_schema(
    paths: Paths,
    options: ReadOptions = DEFAULT_OPTIONS,
    *,
    known: Mapping[str, str] | None = None,
) -> ItemSchema:
    """Read a catalogue once and return what only all rows together show.

    known: types of attributes that are settled already, by the mapping of the index that the items go to. Memory: 8 bytes a row,
    16 where there are group ids, twice that where ids are written as 17.0, and some thousand cells of lists.

    Raises InputError for a file that can't be read or lacks a column, or an unknown type.
    """
    if wrong := sorted(set((known or {}).values()) - set(ATTRIBUTE_TYPES)):
        raise InputError(f"There is no type of attribute {wrong[0]!r}.", f"Types are {', '.join(ATTRIBUTE_TYPES)}.")
    options = resolve_format(options, "items", paths)
    columns = item_columns(options)
    mapping = ItemRowMapping(columns, options.list_separators)
    inference = _Inference(options)
    for table in open_tables(as_paths(paths), options, RejectedRows(write=False)):
        found, rows = resolve_columns(table, columns)
        mapping.use(found)
        inference.use(table)
        for row in normalize_shop_rows(table, found, rows):
            fields, attributes = mapping.split(row.values, table.typed, _ignore)
            inference.add(fields, attributes, table.typed)
    return inference.schema(mapping, known or {})


class _Inference:
    """All that is inferred of a catalogue, fed with the fields and attributes of each row."""

    def __init__(self, options: ReadOptions) -> None:
        self._options = options
        self._formats = item_format_inference(options.day_first)
        self._lists = {name: ListFormatInference() for name in LIST_FIELDS}
        self._types: dict[str, TypeInference] = {}
        self._hints = MissingFieldHints()
        self._item_ids, self._group_ids = IdHashes(), IdHashes()

    def use(self, table: Table) -> None:
        """Take the rows of another file from now on."""
        if table.separator is not None and table.separator.text == ";":
            self._formats.numbers["price"].assumed = ","

    def add(self, fields: Mapping[str, Any], attributes: Mapping[str, Any], typed: bool) -> None:
        self._formats.add(fields)
        self._formats.add_attributes(attributes)
        self._item_ids.add(fields.get("item_id"))
        if "group_id" in fields:
            self._group_ids.skip_to(len(self._item_ids) - 1)
            self._group_ids.add(fields["group_id"])
        self._hints.add(fields, attributes)
        for name, cells in self._lists.items():
            if name in fields:
                cells.add(fields[name])
        for name, value in attributes.items():
            types = self._types.get(name)
            if types is None:
                types = self._types[name] = TypeInference(self._options.day_first)
            types.add(value, typed)

    def schema(self, mapping: ItemRowMapping, known: Mapping[str, str]) -> ItemSchema:
        types = {name: inference.infer() for name, inference in self._types.items()} | dict(known)
        dated = [name for name, each in types.items() if each == "date" and name in self._types]
        formats = self._formats.infer()
        item_ids = self._item_ids.in_format(formats.ids["item_id"])
        group_ids = self._group_ids.in_format(formats.ids["group_id"])
        lists, notes = self._list_formats()
        notes += self._hints.notes(mapping.column, mapping.columns.dropped)
        notes += (note for name in dated for note in self._types[name].dates.notes(name))
        return ItemSchema(
            types,
            {name: self._types[name].dates.infer() for name in dated},
            formats,
            lists,
            len(item_ids),
            last_rows_of_repeated(item_ids),
            last_rows_of_groups(item_ids, group_ids),
            tuple(notes),
        )

    def _list_formats(self) -> tuple[dict[str, ListFormat], list[str]]:
        given = self._options.list_separators
        found = {name: each for name, each in given.items() if name}
        notes: list[str] = []
        for name, inference in self._lists.items():
            if name in found:
                continue
            found[name] = given[""] if "" in given else inference.infer(name)
            if "" not in given:
                notes += inference.notes(name, found[name])
        return found, notes


def _ignore(field: str, reason: str, value: Any) -> None:
    """Do nothing: reading reports what could not be used, inference doesn't."""
