"""A database by URL: connections with sane settings, write transactions, and the few statements that differ by kind."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError

from es_recsys.errors import InputError, MissingExtra, SetupError
from es_recsys.events.migrate import current, upgrade
from es_recsys.events.schema import HEAD
from es_recsys.private import make_folder, private_opener, restrict_to_owner
from es_recsys.sqlite import enable_wal

__all__ = ["Database"]

_WRITE, _BULK = "es_recsys_write", "es_recsys_bulk"
_BUSY_TIMEOUT_S = 30.0
_PRAGMAS = (
    "PRAGMA page_size = 16384",  # of a new database, so before all else: fewer and larger pages load faster
    f"PRAGMA busy_timeout = {int(_BUSY_TIMEOUT_S * 1_000)}",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA cache_size = -65536",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA secure_delete = ON",  # what is erased is overwritten
)
# Pages after which those in the journal are copied into the database: 64 MB; 256 in a bulk load, whose batches write most pages.
_CHECKPOINT, _BULK_CHECKPOINT = 4_000, 16_000
_ROWS = 1_000  # of one of SQLite's statements

InsertMany = Callable[[sa.Connection, Sequence[Sequence[Any]]], int]


class Database:
    """An engine on `url`, its tables brought up to date.

    Raises InputError for a URL that SQLAlchemy doesn't read, MissingExtra where its driver isn't installed, SetupError
    where the database can't be reached. None of them shows the URL, which may hold a password.
    """

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self.kind = self.engine.dialect.name
        with self.reading() as connection:
            ready = current(connection) == HEAD
        if not ready:
            with self.writing() as connection:
                upgrade(connection)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Open a connection in a transaction that only reads."""
        with _reachable(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self, *, bulk: bool = False) -> Iterator[sa.Connection]:
        """Open a connection in a transaction that writes: all or nothing. bulk: it is one of many that write much.

        SQLite's writers wait here for each other.
        """
        options = {_WRITE: True, _BULK: bulk}
        with _reachable(), self.engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    def insert_new(self, table: sa.Table, keys: Sequence[str]) -> sa.Insert:
        """Return an INSERT that leaves out rows whose `keys` are there already."""
        if self.kind == "sqlite":
            return sqlite.insert(table).on_conflict_do_nothing(index_elements=list(keys))
        if self.kind == "postgresql":
            return postgresql.insert(table).on_conflict_do_nothing(index_elements=list(keys))
        return mysql.insert(table).prefix_with("IGNORE")

    def insert_many(self, table: sa.Table, keys: Sequence[str]) -> InsertMany:
        """Return a function that writes rows as `insert_new` does, and returns how many are new.

        It takes the rows as columns, in the table's order.
        """
        if self.kind == "postgresql":
            return _insert_arrays(table, keys)
        if self.kind == "sqlite":
            return _insert_values(table, keys)
        names = [column.key for column in table.columns]

        def insert(connection: sa.Connection, columns: Sequence[Sequence[Any]]) -> int:
            rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
            return connection.execute(self.insert_new(table, keys), rows).rowcount

        return insert

    def truncate_journal(self) -> None:
        """Leave no copy of deleted rows in the journal, where the kind of database allows it."""
        if self.kind != "sqlite":
            return
        with self.engine.connect() as connection:
            cursor = connection.connection.cursor()
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            cursor.close()

    def close(self) -> None:
        self.engine.dispose()


def _insert_values(table: sa.Table, keys: Sequence[str]) -> InsertMany:
    """Return `insert_many` for SQLite. It leaves out columns without values, as binding nothing takes as long as a value.

    A statement of many rows takes less time than one a row. OR FAIL keeps SQLite from copying every page that the statement
    changes, so as to undo the statement alone: what fails ends the whole transaction.
    """

    def insert(connection: sa.Connection, columns: Sequence[Sequence[Any]]) -> int:
        filled = [(column.name, values) for column, values in zip(table.columns, columns, strict=True) if _any_value(values)]
        names, width = ", ".join(name for name, _ in filled), len(filled)
        begin = f"INSERT OR FAIL INTO {table.name} ({names}) VALUES "  # noqa: S608
        end = f" ON CONFLICT ({', '.join(keys)}) DO NOTHING"
        row = f"({', '.join('?' * width)})"
        values = tuple(chain.from_iterable(zip(*(values for _, values in filled), strict=True)))
        many = min(_ROWS, _most_values(connection) // width) * width
        whole = len(values) - len(values) % many
        added = 0
        for start, stop, size in ((0, whole, many), (whole, len(values), width)):
            if start < stop:
                statement = begin + ", ".join([row] * (size // width)) + end
                rows = [values[at : at + size] for at in range(start, stop, size)]
                added += connection.exec_driver_sql(statement, rows).rowcount
        return added

    return insert


def _most_values(connection: sa.Connection) -> int:
    """Return how many values a statement of SQLite may have: 32,766 unless it was built otherwise, 999 before 3.32."""
    driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]
    return driver.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)


def _any_value(values: Sequence[Any]) -> bool:
    return values[0] is not None or values[-1] is not None or values.count(None) < len(values)


def _insert_arrays(table: sa.Table, keys: Sequence[str]) -> InsertMany:
    """Return `insert_many` for PostgreSQL.

    It reads a batch as one array a column, several times faster than a statement a row.
    """
    types = {str: "text", int: "int8", float: "float8", bytes: "bytea", bool: "bool"}
    arrays = ", ".join(f"%s::{types[column.type.python_type]}[]" for column in table.columns)
    columns, key = ", ".join(column.name for column in table.columns), ", ".join(keys)
    statement = f"INSERT INTO {table.name} ({columns}) SELECT * FROM unnest({arrays}) ON CONFLICT ({key}) DO NOTHING"  # noqa: S608

    def insert(connection: sa.Connection, columns: Sequence[Sequence[Any]]) -> int:
        return connection.exec_driver_sql(statement, tuple(map(list, columns))).rowcount

    return insert


def _engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.get_backend_name() == "sqlite":
            return _sqlite(parsed)
        if parsed.get_backend_name() == "postgresql":
            # Positional parameters, for rows that are tuples.
            return sa.create_engine(parsed, paramstyle="format", pool_pre_ping=True)
        return sa.create_engine(parsed, pool_pre_ping=True)
    except (ArgumentError, sa.exc.NoSuchModuleError):
        raise InputError(
            "The event store's URL is not one that SQLAlchemy reads.",
            "Write ES_RECSYS_SQL_URL as sqlite:///FILE or postgresql://USER@HOST/DATABASE.",
        ) from None
    except ModuleNotFoundError as error:
        extra = "postgresql" if "psycopg" in str(error.name) else str(error.name)
        raise MissingExtra(str(error.name), extra) from error


def _sqlite(url: sa.URL) -> sa.Engine:
    if url.database and url.database != ":memory:":
        folder = Path(url.database).parent
        try:
            make_folder(folder)
            with open(url.database, "ab", opener=private_opener):
                pass  # made by us, so that nobody else may read it; SQLite's files beside it take its rights
            restrict_to_owner(Path(url.database))
        except OSError as error:
            raise SetupError(
                f"The event store in {folder} can't be made ({error.strerror}).",
                "Make it writable, or set ES_RECSYS_HOME or ES_RECSYS_SQL_URL.",
            ) from error
    engine = sa.create_engine(url)

    @sa.event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        # The driver's own transactions begin too late for a reader that goes on to write.
        connection.isolation_level = None
        for pragma in _PRAGMAS:
            connection.execute(pragma)
        enable_wal(connection, _BUSY_TIMEOUT_S)

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        options = connection.get_execution_options()
        write = options.get(_WRITE)
        if write:
            pages = _BULK_CHECKPOINT if options.get(_BULK) else _CHECKPOINT
            connection.exec_driver_sql(f"PRAGMA wal_autocheckpoint = {pages}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


@contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise SetupError(
            f"The event store can't be reached or written ({_plain(error)}).",
            "Check ES_RECSYS_SQL_URL, that the database runs, and the disk's space and rights.",
        ) from error


def _plain(error: DBAPIError) -> str:
    """Return the driver's own first line, without the statement and its parameters."""
    lines = str(error.orig).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error.orig).__name__
