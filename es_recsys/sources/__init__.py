"""Files -> streams of Item and Event. Importing this loads no polars; only reading a Parquet file does."""

from __future__ import annotations

from es_recsys.sources.actions import parse_actions
from es_recsys.sources.column_mapping import parse_columns, parse_constants
from es_recsys.sources.dry_run import dry_run
from es_recsys.sources.event_schema import EventSchema
from es_recsys.sources.events import infer_event_schema, read_events
from es_recsys.sources.item_fields import strip_markup
from es_recsys.sources.item_schema import ItemSchema, infer_item_schema
from es_recsys.sources.items import read_items
from es_recsys.sources.judgments import read_judgments
from es_recsys.sources.list_cells import ListSeparators
from es_recsys.sources.media_folders import MediaFolders
from es_recsys.sources.rejected_rows import RejectedRow, RejectedRows, rejected_path
from es_recsys.sources.tables import Row, read_rows

__all__ = [
    "EventSchema",
    "ItemSchema",
    "ListSeparators",
    "MediaFolders",
    "RejectedRow",
    "RejectedRows",
    "Row",
    "dry_run",
    "infer_event_schema",
    "infer_item_schema",
    "parse_actions",
    "parse_columns",
    "parse_constants",
    "read_events",
    "read_items",
    "read_judgments",
    "read_rows",
    "rejected_path",
    "strip_markup",
]
