"""Sources of rows that aren't files: an index of an Elasticsearch, or a table of a database, copied to a spooled table."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from es_recsys import engine
from es_recsys.engine.connect import address_of
from es_recsys.errors import InputError, RecsysError
from es_recsys.index.source_index import SourceIndex, cluster_id
from es_recsys.index_metadata import items_index, profiles_index, users_index
from es_recsys.progress import ProgressReporter
from es_recsys.search.body_window import id_text, item_ids_of_body
from es_recsys.serving.drivers import translate_error
from es_recsys.serving.workspace import Workspace
from es_recsys.sources.column_mapping import DROPPED
from es_recsys.sources.index_columns import ID, row_paths, unknown_path
from es_recsys.sources.input_files import SpooledTable
from es_recsys.sources.spool import Spool, spool_folder
from es_recsys.sources.sql_table import SqlTable

__all__ = ["IndexRows", "Mark", "RowSource", "SourceName", "SqlRows", "open_source", "spooled"]

Mark = float | str
"""The highest value of a field among the rows that were read: epoch milliseconds of dates of an index, else the value itself."""

_DATES = frozenset({"date", "date_nanos"})
_NUMBERS = frozenset({"long", "integer", "short", "unsigned_long", "double", "float", "half_float", "scaled_float"})
_PAGE_BYTES = 4 << 20
_FEW = 20
_MOST_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class SourceName:
    """What a person names a source by.

    index: an index, alias, data stream or pattern; query: of its query DSL, for a part. sql_url, table: a table of a database.
    """

    index: str | None = None
    query: Mapping[str, Any] | None = None
    sql_url: str | None = None
    table: str | None = None

    def __post_init__(self) -> None:
        if self.index is None and (self.sql_url is None or self.table is None):
            raise InputError("No table is named.", "Give --from-sql URL and --table NAME.")
        if self.index is not None and (self.sql_url is not None or self.table is not None):
            raise InputError("An index and a table are named.", "Give --from-index, or --from-sql and --table.")
        if self.query is not None and self.index is None:
            raise InputError("--query is of an index.", "Make a view of the rows that you want, and name it with --table.")


class RowSource(Protocol):
    """A source of rows.

    name: what messages call it. identity: which it is among all sources. fields: names of the columns of its rows. item_columns:
    those of items that are not named.
    """

    name: str
    identity: str

    @property
    def fields(self) -> Collection[str]: ...

    @property
    def item_columns(self) -> Mapping[str, str]: ...

    def resolve(self, columns: Mapping[str, str]) -> dict[str, str]:
        """Return the columns as rows have them. Raises InputError for an unknown one."""
        ...

    def check_since(self, field: str) -> None:
        """Raise InputError where what has changed can't be known by the field."""
        ...

    def highest(self, field: str) -> Mark | None:
        """Return the mark of all rows."""
        ...

    def count(self, after: tuple[str, Mark] | None) -> int | None:
        """Return how many rows will be read, None where that isn't known."""
        ...

    def read(
        self,
        spool: Callable[[list[dict[str, Any]]], None],
        columns: Mapping[str, str],
        *,
        after: tuple[str, Mark] | None = None,
        overlap_s: float = 0.0,
        only: Sequence[str] | None = None,
    ) -> None:
        """Hand the rows to `spool`, in pages. columns: as `resolve` has them. after: field and mark of what was read before."""
        ...


class IndexRows:
    """The documents of an index, each with its id as `_id`. query: of those that are read."""

    def __init__(self, index: SourceIndex, identity: str, query: Mapping[str, Any] | None = None) -> None:
        self.index, self.name, self.identity, self.query = index, index.name, identity, query
        self.sample = index.sample(query)
        every = self.sample if query is None else [*self.sample, *index.sample()]
        self._sampled = {path for row in every for path in row_paths(row)}

    @property
    def fields(self) -> Collection[str]:
        return {*self.index.fields.leaves, *self._sampled}

    @property
    def item_columns(self) -> Mapping[str, str]:
        return {"item_id": ID, ID: DROPPED}

    def resolve(self, columns: Mapping[str, str]) -> dict[str, str]:
        return {name: column if column in (DROPPED, ID) else self._path(column) for name, column in columns.items()}

    def check_since(self, field: str) -> None:
        kind = self.index.fields.types.get(field)
        if kind is None:
            raise unknown_path(self.name, field, self.index.fields.leaves)
        if kind not in _DATES | _NUMBERS:
            fit = [path for path, each in self.index.fields.leaves.items() if each in _DATES]
            dates = f"Of dates there are {', '.join(fit[:10])}." if fit else "Leave --since out: what is unchanged isn't written."
            raise InputError(
                f"--since takes a field of dates or numbers, and {field} of {self.name} is one of type {kind}.", dates
            )

    def highest(self, field: str) -> Mark | None:
        return self.index.highest(field, self.query)

    def count(self, after: tuple[str, Mark] | None) -> int | None:
        return self.index.count(self._query(after, 0.0))

    def read(
        self,
        spool: Callable[[list[dict[str, Any]]], None],
        columns: Mapping[str, str],
        *,
        after: tuple[str, Mark] | None = None,
        overlap_s: float = 0.0,
        only: Sequence[str] | None = None,
    ) -> None:
        read = [column for column in columns.values() if column not in (DROPPED, ID)]
        also = [column for column in read if column in self.index.fields.leaves and column not in self._sampled]
        wanted = None if only is None else [column for column in only if column != ID]
        self.index.read(spool, self._query(after, overlap_s), only=wanted, also=also, page=self._page())

    def id_field(self, column: str) -> str | None:
        """Return the field whose doc values are those of a column: itself, or another way to index it; None where none is."""
        if column == ID:
            return ID
        values = {str(row[ID]): row_paths(row).get(column) for row in self.sample[:_FEW]}
        given = {name: None if value is None else id_text(value) for name, value in values.items()}
        if not given:
            return column
        others = (path for path in self.index.fields.types if self.index.fields.parent_field(path) == column)
        return next((path for path in (column, *others) if self._has_doc_values(path, given)), None)

    def _has_doc_values(self, path: str, given: Mapping[str, Any]) -> bool:
        """Return whether the doc values of a field are those given, by `_id`, or there where no source has them (None)."""
        body = {"size": len(given), "query": {"ids": {"values": list(given)}}, "_source": False, "docvalue_fields": [path]}
        try:
            hits = self.index.find(body)
        except InputError:
            return False  # of a text, or without doc values
        known = [hit for hit in hits if path in hit.get("fields", {})]
        texts = zip(known, item_ids_of_body(known, path), strict=True)
        return bool(known) and all(given[str(hit["_id"])] in (None, text) for hit, text in texts)

    def _page(self) -> int:
        size = max((len(orjson.dumps(row)) for row in self.sample), default=1)
        return max(1, min(_MOST_ROWS, _PAGE_BYTES // size))

    def _path(self, column: str) -> str:
        fields = self.index.fields
        if (parent := fields.parent_field(column)) is not None:  # name.keyword, whose values are those of name
            return parent
        if column not in fields.leaves and column not in self._sampled and not fields.is_unindexed(column):
            inner = any(path.startswith(f"{column}.") for path in fields.types)
            if not inner:
                raise unknown_path(self.name, column, self.fields)
        return column

    def _query(self, after: tuple[str, Mark] | None, overlap_s: float) -> Mapping[str, Any] | None:
        if after is None:
            return self.query
        field, mark = after
        bound: dict[str, Any] = {"gte": mark}
        if self.index.fields.types.get(field) in _DATES:
            bound = {"gte": int(float(mark) - 1_000.0 * overlap_s), "format": "epoch_millis"}
        changed = {"range": {field: bound}}
        return changed if self.query is None else {"bool": {"filter": [changed, self.query]}}


class SqlRows:
    """The rows of a table."""

    def __init__(self, table: SqlTable) -> None:
        self._table, self.name = table, table.name
        self.identity = f"{table.name}@{table.address}"

    @property
    def fields(self) -> Collection[str]:
        return self._table.columns

    @property
    def item_columns(self) -> Mapping[str, str]:
        return {}

    def resolve(self, columns: Mapping[str, str]) -> dict[str, str]:
        for column in columns.values():
            if column != DROPPED and column.split(".")[0] not in self._table.columns:
                raise unknown_path(self.name, column, self._table.columns)
        return dict(columns)

    def check_since(self, field: str) -> None:
        if field not in self._table.columns:
            raise unknown_path(self.name, field, self._table.columns)

    def highest(self, field: str) -> Mark | None:
        return self._table.highest(field)

    def count(self, after: tuple[str, Mark] | None) -> int | None:
        return self._table.count() if after is None else None

    def read(
        self,
        spool: Callable[[list[dict[str, Any]]], None],
        columns: Mapping[str, str],
        *,
        after: tuple[str, Mark] | None = None,
        overlap_s: float = 0.0,
        only: Sequence[str] | None = None,
    ) -> None:
        for part in self._table.rows(after, overlap_s, only):
            spool(part)


@contextmanager
def open_source(work: Workspace, name: SourceName) -> Iterator[RowSource]:
    """Open a source; an index is one of the cluster at `from_url`, of the store's own where that isn't set.

    Raises InputError, also where the index is the store's own, EngineError, SetupError.
    """
    settings = work.settings
    if name.index is None:
        password = settings.from_password.get_secret_value() if settings.from_password else None
        table = SqlTable(str(name.sql_url), str(name.table), settings.from_username, password)
        try:
            yield SqlRows(table)
        finally:
            table.close()
        return
    client = engine.connect(settings.of_source()) if settings.from_url else work.es
    address = address_of(client)
    try:
        index = SourceIndex(client, name.index)
        cluster = cluster_id(client) or address
        _check_other(work, index, not settings.from_url or cluster == cluster_id(work.es))
        yield IndexRows(index, f"{name.index}@{cluster}", name.query)
    except RecsysError:
        raise
    except Exception as error:
        raise translate_error(error, address, source=bool(settings.from_url)) from error
    finally:
        if client is not work.es:
            client.close()


@contextmanager
def spooled(
    work: Workspace,
    source: RowSource,
    columns: Mapping[str, str],
    *,
    after: tuple[str, Mark] | None = None,
    overlap_s: float = 0.0,
    only: Sequence[str] | None = None,
    progress: ProgressReporter | None = None,
) -> Iterator[SpooledTable]:
    """Yield the rows of a source as a table, which is removed afterwards; what it is read with is that of `RowSource.read`."""
    total = source.count(after) if progress is not None else None
    lock = threading.Lock()
    with spool_folder(work.settings.store_home / "incoming") as folder, Spool(folder, _file_name(source.name)) as spool:

        def write(rows: list[dict[str, Any]]) -> None:
            spool.write(rows)
            if progress is not None and total:
                with lock:
                    progress.part(f"read {source.name}", min(spool.count, total), total)

        source.read(write, columns, after=after, overlap_s=overlap_s, only=only)
        yield spool.table()


def _file_name(name: str) -> str:
    """Return the name of a source as that of a file, as which it is shown."""
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name)


def _check_other(work: Workspace, index: SourceIndex, same_cluster: bool) -> None:
    store = work.settings.index
    own = tuple(name(store, 0)[: -len("000000")] for name in (items_index, profiles_index, users_index))
    mine = [each for each in index.fields.indices if each.startswith(own)]
    if same_cluster and mine:
        raise InputError(
            f"{index.name} is {mine[0]}, an index of the store {store!r} itself.",
            "Name the index that your application fills; --index is the store that it is read into.",
        )
