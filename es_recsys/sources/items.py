"""Files -> Items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

from pydantic import ValidationError

from es_recsys.errors import InputError
from es_recsys.sources.attribute_types import TypeMismatch, convert
from es_recsys.sources.column_mapping import resolve_columns
from es_recsys.sources.input_files import Paths, Progress, as_paths
from es_recsys.sources.item_fields import clean_attribute, normalize_fields
from es_recsys.sources.item_schema import ItemSchema, infer_item_schema, item_columns
from es_recsys.sources.media_folders import MediaFolders
from es_recsys.sources.named_formats import resolve_format
from es_recsys.sources.named_formats.shop_variants import normalize_shop_rows
from es_recsys.sources.read_options import DEFAULT_OPTIONS, ReadOptions
from es_recsys.sources.rejected_rows import RejectedRows
from es_recsys.sources.row_errors import InvalidValue, OnInvalidField, field_errors
from es_recsys.sources.row_mapping import ItemRowMapping
from es_recsys.sources.tables import Table, note_dropped_field, open_tables, reject
from es_recsys.sources.variants import VariantMerger
from es_recsys.types import AttributeValue, Item
from es_recsys.values import TimeFormat

__all__ = ["read_items"]

_UTC_TIMES = TimeFormat()


def read_items(
    paths: Paths,
    options: ReadOptions = DEFAULT_OPTIONS,
    *,
    schema: ItemSchema | None = None,
    folders: MediaFolders | None = None,
    rejected: RejectedRows | None = None,
    progress: Progress | None = None,
) -> Iterator[Item]:
    """Yield the items of one or more files, in their order, each item_id once: its rows are merged (variants.py).

    schema: what `infer_item_schema` found in the same files; inferred here where it is not given, which reads them once more.
    folders: is told which file an item is of.
    rejected: gets the bad rows; without it any number of them is passed over and written to FILE.rejected.jsonl.

    Raises InputError for a file that can't be read or lacks a column, TooManyErrors from `rejected`.
    """
    options = resolve_format(options, "items", paths)
    if schema is None:
        schema = infer_item_schema(paths, options)
    columns = item_columns(options)
    mapping = ItemRowMapping(columns, options.list_separators)
    merger = VariantMerger(schema.last_rows, schema.groups)
    row_idx = -1
    with nullcontext(rejected) if rejected is not None else RejectedRows() as rejected:
        for note in (*options.notes, *schema.formats.notes):
            rejected.note(note)
        for table in open_tables(as_paths(paths), options, rejected, progress):
            found, rows = resolve_columns(table, columns, rejected)
            mapping.use(found)
            _map_header(table, mapping, rejected)
            for row in normalize_shop_rows(table, found, rows, rejected):
                row_idx += 1
                try:
                    item = _item(mapping, schema, row.values, table.typed, partial(note_dropped_field, rejected, row))
                except (InvalidValue, ValidationError) as bad:
                    reject(rejected, row, bad)
                    continue
                if folders is not None:
                    folders.add(item, row.file)
                if merger.needed:
                    yield from merger.add(item, row_idx)
                else:
                    yield item
        yield from merger.rest()
        for note in (*schema.notes, *merger.notes()):
            rejected.note(note)


def _map_header(table: Table, mapping: ItemRowMapping, rejected: RejectedRows) -> None:
    for name in table.columns or ():
        _map_column(mapping, name)
        if name in mapping.displaced:
            column = mapping.columns.column_of(name)
            rejected.note(f"{table.path}: the column {name} is left out, because {name} is read from {column}.")


def _map_column(mapping: ItemRowMapping, name: str) -> None:
    try:
        mapping.plan(name)
    except InvalidValue as bad:
        raise InputError(
            f"The column {name!r} {bad.reason}.", f"Rename it with --columns NEW=OLD, or leave it out: --columns '{name}=-'."
        ) from None


def _item(mapping: ItemRowMapping, schema: ItemSchema, values: Mapping[str, Any], typed: bool, drop: OnInvalidField) -> Item:
    split, raw = mapping.split(values, typed, drop)
    fields = normalize_fields(split, schema.formats, schema.lists, drop)
    fields["attributes"] = _attributes(raw, schema, typed, drop)
    try:
        return Item.model_validate(fields)
    except ValidationError as error:
        bad = field_errors(error)
        if "item_id" in bad:
            raise
    for name, reason in bad.items():
        attribute = name.removeprefix("attributes.")
        drop(attribute, reason, None)
        del (fields if attribute == name else fields["attributes"])[attribute]
    return Item.model_validate(fields)


def _attributes(raw: Mapping[str, Any], schema: ItemSchema, typed: bool, drop: OnInvalidField) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {}
    null_words = schema.formats.null_words
    for name, value in raw.items():
        attribute_type = schema.types.get(name, "text")
        try:
            converted = convert(value, attribute_type, typed, schema.dates.get(name, _UTC_TIMES))
        except TypeMismatch as mismatch:
            drop(name, str(mismatch), value)
            continue
        if converted is not None and attribute_type == "text":
            converted = clean_attribute(converted, null_words.get(name, ()))
        if converted is not None:
            attributes[name] = converted
    return attributes
