"""Rows from files to items and events: JSON, CSV or Parquet in, `Item` and `Event` out.

`ReadOptions` says how files are read; a first pass infers what only all rows together show (`infer_item_schema`,
`infer_event_formats`), `dry_run` counts the bad rows before anything is written, and `read_items`, `read_events` stream.
A row that can't be used goes to `RejectedRows` with its reason, and the rest is read. Nothing here knows an encoder or a store.
Importing this loads no polars; only reading a Parquet file does.
"""

from __future__ import annotations

from es_recsys.sources.actions import parse_actions
from es_recsys.sources.events import event_format_inference, infer_event_formats, read_event_columns, read_events
from es_recsys.sources.field_formats import FieldFormats
from es_recsys.sources.item_fields import strip_markup
from es_recsys.sources.item_schema import ItemSchema, infer_item_schema
from es_recsys.sources.items import read_items
from es_recsys.sources.judgments import read_judgments
from es_recsys.sources.list_cells import parse_list_separators
from es_recsys.sources.media_folders import MediaFolders
from es_recsys.sources.read_options import ReadOptions, parse_columns, parse_constants
from es_recsys.sources.rejected_rows import RejectedRow, RejectedRows, dry_run, rejected_path
from es_recsys.sources.tables import Row, read_rows

__all__ = [
    "FieldFormats",
    "ItemSchema",
    "MediaFolders",
    "ReadOptions",
    "RejectedRow",
    "RejectedRows",
    "Row",
    "dry_run",
    "event_format_inference",
    "infer_event_formats",
    "infer_item_schema",
    "parse_actions",
    "parse_columns",
    "parse_constants",
    "parse_list_separators",
    "read_event_columns",
    "read_events",
    "read_items",
    "read_judgments",
    "read_rows",
    "rejected_path",
    "strip_markup",
]
