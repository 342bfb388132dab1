"""Items and events of a source that a program names: files, `index:products`, or `table:orders` of a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from es_recsys.counting import counted
from es_recsys.errors import InputError, WriteError
from es_recsys.index.items_report import ItemsReport
from es_recsys.jobs.load_events import EventsReport, load_events
from es_recsys.jobs.load_items import load_items
from es_recsys.jobs.row_sources import SourceName
from es_recsys.jobs.sync_events import EventSource, load_source_events
from es_recsys.jobs.sync_items import ItemSource, sync_items
from es_recsys.serving.workspace import Workspace
from es_recsys.sources import ReadOptions, parse_columns

__all__ = ["Columns", "Source", "load_named_events", "load_named_items"]

Source = str | Path | Sequence[str | Path]
Columns = Mapping[str, str] | str | None

_INDEX, _TABLE = "index:", "table:"


def load_named_items(
    work: Workspace,
    source: Source,
    columns: Columns,
    *,
    format: str | None,
    whole: bool,
    query: Mapping[str, Any] | None,
    since: str | None,
    from_sql: str | None,
    max_errors: int | None,
) -> ItemsReport:
    """Load items as `Client.load_items` and (whole) `Client.sync_items` do.

    Raises InputError for what is no source, WriteError, which has the report, where items were refused; the others are stored.
    """
    name, files = _parse(source, query, from_sql)
    options = ReadOptions(columns=_columns(columns), format=_format(format))
    if name is not None:
        report = sync_items(work, ItemSource(name, options, whole, since, max_errors))
    elif since is not None:
        raise InputError("since is of an index or a table.", 'Name one: source="index:products".')
    else:
        report = load_items(work, files, options, whole=whole, max_errors=max_errors)
    if report.failed:
        raise WriteError(
            f"{counted(report.failed, 'item was', 'items were')} not stored, all others are.", " ".join(report.notes), report
        )
    return report


def load_named_events(
    work: Workspace,
    source: Source,
    columns: Columns,
    *,
    format: str | None,
    constants: Mapping[str, Any] | None,
    query: Mapping[str, Any] | None,
    since: str | None,
    queries: str | None,
    from_sql: str | None,
    max_errors: int | None,
) -> EventsReport:
    """Load events as `Client.load_events` does. Raises InputError for what is no source."""
    if since not in (None, "last"):
        raise InputError(f"since is {since!r}.", 'Give "last", or a query for any other part of an index.')
    name, files = _parse(source, query, from_sql)
    options = ReadOptions(columns=_columns(columns), format=_format(format), constants=dict(constants or {}))
    if name is not None:
        return load_source_events(work, EventSource(name, options, queries, since is not None, max_errors=max_errors))
    if since or queries is not None:
        raise InputError("since and queries are of an index or a table.", 'Name one: source="index:ubi_events".')
    return load_events(work, files, options, max_errors=max_errors)


def _parse(source: Source, query: Mapping[str, Any] | None, from_sql: str | None) -> tuple[SourceName | None, list[Path]]:
    if isinstance(source, str) and source.startswith(_INDEX):
        return SourceName(index=source.removeprefix(_INDEX), query=query, sql_url=from_sql), []
    if isinstance(source, str) and source.startswith(_TABLE):
        return SourceName(sql_url=from_sql, table=source.removeprefix(_TABLE), query=query), []
    if query is not None or from_sql is not None:
        raise InputError("query and from_sql are of an index or a table.", 'Name one: "index:products", or "table:orders".')
    paths = [source] if isinstance(source, str | Path) else list(source) if isinstance(source, Sequence) else [None]
    if not all(isinstance(path, str | Path) for path in paths):
        raise InputError("source is no source.", 'Give a file, a list of files, "index:NAME" or "table:NAME".')
    return None, [Path(path) for path in paths if path is not None]


def _columns(columns: Columns) -> dict[str, str]:
    if isinstance(columns, str):
        return parse_columns(columns)
    if columns is None:
        return {}
    if not isinstance(columns, Mapping):
        raise InputError("columns is no mapping.", 'Give {"item_id": "_id", "title": "name"}.')
    return dict(columns)


def _format(name: str | None) -> str | None:
    if name is not None and not isinstance(name, str):
        raise InputError("format is no name.", 'Give one such as "movielens"; docs/data.md lists them.')
    return name
