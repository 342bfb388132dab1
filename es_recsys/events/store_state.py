"""The row of a store in the table of stores: its settings and progress, and the lock under which its events change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from es_recsys.events.database import Database
from es_recsys.events.log_position import LogPosition
from es_recsys.events.schema import STORES

__all__ = ["StoreState", "merge_json"]


class StoreState:
    """Reads, changes and locks the row of one store; created at first use."""

    def __init__(self, database: Database, store: str) -> None:
        self._database = database
        self._is_store = STORES.c.store == store
        with database.reading() as connection:
            if connection.execute(sa.select(STORES.c.store).where(self._is_store)).first():
                return
        with database.writing() as connection:
            row = {"store": store, "last_row": 0, "timed": None, "dwell_ms": False, "revision": 0}
            connection.execute(database.insert_new(STORES, ["store"]).values(row))

    def value(self, column: sa.Column[Any]) -> Any:
        with self._database.reading() as connection:
            return connection.execute(sa.select(column).where(self._is_store)).scalar_one()

    def log_position(self) -> LogPosition:
        columns = sa.select(STORES.c.last_row, STORES.c.changes, STORES.c.revision)
        with self._database.reading() as connection:
            return LogPosition(*connection.execute(columns.where(self._is_store)).one())

    def lock(self, connection: sa.Connection) -> None:
        """Have others wait until the transaction ends."""
        connection.execute(sa.select(STORES.c.store).where(self._is_store).with_for_update())

    def change(self, connection: sa.Connection, **values: Any) -> None:
        connection.execute(sa.update(STORES).where(self._is_store).values(values))

    def count_change(self, connection: sa.Connection) -> int:
        """Count one more change of rows that were read before; -> its number. The caller holds the lock."""
        self.change(connection, changes=STORES.c.changes + 1)
        return int(connection.execute(sa.select(STORES.c.changes).where(self._is_store)).scalar_one())

    def mapping(self, column: sa.Column[Any]) -> dict[str, Any]:
        """Return a column that holds a JSON object."""
        return _object(self.value(column))

    def merge(self, column: sa.Column[Any], changes: Mapping[str, Any], **values: Any) -> None:
        """Put `changes` into a column that holds a JSON object (None removes), and set other columns.

        Others may change other keys at the same time.
        """
        with self._database.writing() as connection:
            self.lock(connection)
            text = connection.execute(sa.select(column).where(self._is_store)).scalar_one()
            self.change(connection, **{column.key: merge_json(text, changes)}, **values)


def merge_json(text: str | None, changes: Mapping[str, Any]) -> str:
    """Return a JSON object as text with `changes` made; None removes."""
    both = {**_object(text), **changes}
    return json.dumps({name: value for name, value in both.items() if value is not None}, sort_keys=True)


def _object(text: str | None) -> dict[str, Any]:
    return dict(json.loads(text)) if text else {}
