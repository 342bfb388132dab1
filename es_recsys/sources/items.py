"""Files -> Items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from pydantic import ValidationError

from es_recsys.errors import InputError
from es_recsys.sources.attribute_types import TypeMismatch, convert
from es_recsys.sources.column_mapping import resolve_columns
from es_recsys.sources.input_files import Paths, Progress, as_paths
from es_recsys.sources.item_fields import clean_attribute, normalize_fields
from es_recsys.sources.item_schema import ItemSchema, infer_item_schema, item_columns, list_formats
from es_recsys.sources.list_cells import ListSeparators, parse_list_separators
from es_recsys.sources.media_folders import MediaFolders
from es_recsys.sources.rejected_rows import RejectedRows
from es_recsys.sources.row_errors import InvalidValue, OnInvalidField, field_errors, first_error
from es_recsys.sources.row_mapping import ItemRowMapping
from es_recsys.sources.shop_exports import normalize_shop_rows
from es_recsys.sources.tables import Dialect, Table, note_dropped_field, open_tables
from es_recsys.sources.variants import VariantMerger
from es_recsys.types import AttributeValue, Item
from es_recsys.values import TimeFormat

__all__ = ["read_items"]

_UTC_TIMES = TimeFormat()


def read_items(
    paths: Paths,
    *,
    columns: Mapping[str, str] | None = None,
    constants: Mapping[str, Any] | None = None,
    separator: str | None = None,
    header: bool = True,
    encoding: str | None = None,
    list_separator: ListSeparators = None,
    schema: ItemSchema | None = None,
    folders: MediaFolders | None = None,
    rejected: RejectedRows | None = None,
    progress: Progress | None = None,
) -> Iterator[Item]:
    """Items of one or more files, in their order, each item_id once: its lines are merged (see `variants`).

    columns: our field -> column of the file (also a dotted path into objects; also a new name of an attribute).
    constants: field -> value where a line has none. separator, header, encoding: how the files are
    written (`Dialect`). list_separator: between the values of a list (lists.py). schema: what `infer_item_schema` found in the
    same files; made here where it is not given, which reads them once more. folders: is told which file an item is of.
    rejected: gets the bad lines; without it any number of them is passed over and written to FILE.rejected.jsonl.

    Raises InputError for a file that can't be read or lacks a column, TooManyErrors from `rejected`.
    """
    paths = as_paths(paths)
    options: dict[str, Any] = {
        "columns": columns,
        "constants": constants,
        "separator": separator,
        "header": header,
        "encoding": encoding,
        "list_separator": list_separator,
    }
    schema = infer_item_schema(paths, **options) if schema is None else schema
    given = item_columns(columns or {}, constants or {})
    layout = ItemRowMapping(given, list_formats(parse_list_separators(list_separator)))
    own = rejected is None
    rejected = RejectedRows() if rejected is None else rejected
    for remark in schema.forms.notes:
        rejected.note(remark)
    joined = VariantMerger(schema.last, schema.groups)
    place = -1
    try:
        for table in open_tables(paths, Dialect(separator, header, encoding), rejected, progress):
            found, rows = resolve_columns(table, given, rejected)
            layout.use(found)
            _map_header(table, layout, rejected)
            for row in normalize_shop_rows(table, found, rows, rejected):
                place += 1
                try:
                    item = _item(layout, schema, row.values, table.typed, partial(note_dropped_field, rejected, row))
                except InvalidValue as bad:
                    rejected.add(row.file, row.line, bad.field, bad.reason, row.values)
                except ValidationError as error:
                    rejected.add(row.file, row.line, *first_error(error), row.values)
                else:
                    if folders is not None:
                        folders.add(item, row.file)
                    if joined.needed:
                        yield from joined.add(item, place)
                    else:
                        yield item
        yield from joined.rest()
        for remark in (*schema.notes, *joined.notes()):
            rejected.note(remark)
    finally:
        if own:
            rejected.close()


def _map_header(table: Table, layout: ItemRowMapping, rejected: RejectedRows) -> None:
    for name in table.columns or ():
        _map_column(layout, name)
        if name in layout.displaced:
            theirs = layout.columns.theirs(name)
            rejected.note(f"{table.path}: the column {name} is left out, because {name} is read from {theirs}.")


def _map_column(layout: ItemRowMapping, name: str) -> None:
    try:
        layout.plan(name)
    except InvalidValue as bad:
        raise InputError(
            f"The column {name!r} {bad.reason}.", f"Rename it with --columns NEW=OLD, or leave it out: --columns '{name}=-'."
        ) from None


def _item(layout: ItemRowMapping, schema: ItemSchema, values: Mapping[str, Any], typed: bool, drop: OnInvalidField) -> Item:
    split, raw = layout.split(values, typed, drop)
    fields = normalize_fields(split, schema.forms, schema.lists, drop)
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
    words = schema.forms.words
    for name, value in raw.items():
        kind = schema.kinds.get(name, "text")
        try:
            converted = convert(value, kind, typed, schema.dates.get(name, _UTC_TIMES))
        except TypeMismatch as misfit:
            drop(name, str(misfit), value)
            continue
        if converted is not None and kind == "text":
            converted = clean_attribute(converted, words.get(name, ()))
        if converted is not None:
            attributes[name] = converted
    return attributes
