"""Files -> streams of Item and Event. Importing this loads no polars; only reading a Parquet file does."""

from __future__ import annotations

from es_recsys.sources.actions import parse_actions
from es_recsys.sources.checking import check
from es_recsys.sources.columns import parse_columns, parse_constants
from es_recsys.sources.event_survey import EventSurvey
from es_recsys.sources.events import read_events, survey_events
from es_recsys.sources.folders import Folders
from es_recsys.sources.item_values import without_markup
from es_recsys.sources.items import read_items
from es_recsys.sources.judgments import read_judgments
from es_recsys.sources.lists import ListSeparators
from es_recsys.sources.rejects import Reject, Rejects, rejected_path
from es_recsys.sources.survey import ItemSurvey, survey_items
from es_recsys.sources.tables import Row, read_rows

__all__ = [
    "EventSurvey",
    "Folders",
    "ItemSurvey",
    "ListSeparators",
    "Reject",
    "Rejects",
    "Row",
    "check",
    "parse_actions",
    "parse_columns",
    "parse_constants",
    "read_events",
    "read_items",
    "read_judgments",
    "read_rows",
    "rejected_path",
    "survey_events",
    "survey_items",
    "without_markup",
]
