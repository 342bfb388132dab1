"""Files -> Items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from pydantic import ValidationError

from es_recsys.errors import InputError
from es_recsys.sources.byte_streams import Paths, Progress, as_paths
from es_recsys.sources.columns import settled
from es_recsys.sources.faults import BadValue, Drop, explain, reasons
from es_recsys.sources.folders import Folders
from es_recsys.sources.item_values import attribute_text, settle
from es_recsys.sources.kinds import Misfit, convert
from es_recsys.sources.layout import Layout
from es_recsys.sources.lists import ListSeparators, parse_list_separators
from es_recsys.sources.rejects import Rejects
from es_recsys.sources.shops import plain_rows
from es_recsys.sources.survey import ItemSurvey, item_columns, notations, survey_items
from es_recsys.sources.tables import Dialect, Table, note_left_out, open_tables
from es_recsys.sources.variants import Joined
from es_recsys.types import AttributeValue, Item
from es_recsys.values import TimeForm

__all__ = ["read_items"]

_UTC_TIMES = TimeForm()


def read_items(
    paths: Paths,
    *,
    columns: Mapping[str, str] | None = None,
    constants: Mapping[str, Any] | None = None,
    separator: str | None = None,
    header: bool = True,
    encoding: str | None = None,
    list_separator: ListSeparators = None,
    survey: ItemSurvey | None = None,
    folders: Folders | None = None,
    rejects: Rejects | None = None,
    progress: Progress | None = None,
) -> Iterator[Item]:
    """Items of one or more files, in their order, each item_id once: its lines are merged (see `variants`).

    columns: our field -> column of the file (also a dotted path into objects; also a new name of an attribute).
    constants: field -> value where a line has none. separator, header, encoding: how the files are
    written (`Dialect`). list_separator: between the values of a list (lists.py). survey: what `survey_items` found in the
    same files; made here where it is not given, which reads them once more. folders: is told which file an item is of.
    rejects: gets the bad lines; without it any number of them is passed over and written to FILE.rejected.jsonl.

    Raises InputError for a file that can't be read or lacks a column, TooManyErrors from `rejects`.
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
    survey = survey_items(paths, **options) if survey is None else survey
    given = item_columns(columns or {}, constants or {})
    layout = Layout(given, notations(parse_list_separators(list_separator)))
    own = rejects is None
    rejects = Rejects() if rejects is None else rejects
    for remark in survey.forms.notes:
        rejects.note(remark)
    joined = Joined(survey.last, survey.groups)
    place = -1
    try:
        for table in open_tables(paths, Dialect(separator, header, encoding), rejects, progress):
            found, rows = settled(table, given, rejects)
            layout.use(found)
            _look_at_header(table, layout, rejects)
            for row in plain_rows(table, found, rows, rejects):
                place += 1
                try:
                    item = _item(layout, survey, row.values, table.typed, partial(note_left_out, rejects, row))
                except BadValue as bad:
                    rejects.add(row.file, row.line, bad.field, bad.reason, row.values)
                except ValidationError as error:
                    rejects.add(row.file, row.line, *explain(error), row.values)
                else:
                    if folders is not None:
                        folders.add(item, row.file)
                    if joined.needed:
                        yield from joined.add(item, place)
                    else:
                        yield item
        yield from joined.rest()
        for remark in (*survey.notes, *joined.notes()):
            rejects.note(remark)
    finally:
        if own:
            rejects.close()


def _look_at_header(table: Table, layout: Layout, rejects: Rejects) -> None:
    for name in table.columns or ():
        _plan(layout, name)
        if name in layout.displaced:
            theirs = layout.columns.theirs(name)
            rejects.note(f"{table.path}: the column {name} is left out, because {name} is read from {theirs}.")


def _plan(layout: Layout, name: str) -> None:
    try:
        layout.plan(name)
    except BadValue as bad:
        raise InputError(
            f"The column {name!r} {bad.reason}.", f"Rename it with --columns NEW=OLD, or leave it out: --columns '{name}=-'."
        ) from None


def _item(layout: Layout, survey: ItemSurvey, values: Mapping[str, Any], typed: bool, drop: Drop) -> Item:
    split, raw = layout.split(values, typed, drop)
    fields = settle(split, survey.forms, survey.lists, drop)
    fields["attributes"] = _attributes(raw, survey, typed, drop)
    try:
        return Item.model_validate(fields)
    except ValidationError as error:
        bad = reasons(error)
        if "item_id" in bad:
            raise
    for name, reason in bad.items():
        attribute = name.removeprefix("attributes.")
        drop(attribute, reason, None)
        del (fields if attribute == name else fields["attributes"])[attribute]
    return Item.model_validate(fields)


def _attributes(raw: Mapping[str, Any], survey: ItemSurvey, typed: bool, drop: Drop) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {}
    words = survey.forms.words
    for name, value in raw.items():
        kind = survey.kinds.get(name, "text")
        try:
            converted = convert(value, kind, typed, survey.dates.get(name, _UTC_TIMES))
        except Misfit as misfit:
            drop(name, str(misfit), value)
            continue
        if converted is not None and kind == "text":
            converted = attribute_text(converted, words.get(name, ()))
        if converted is not None:
            attributes[name] = converted
    return attributes
