"""The line of one store: what is kept of it as a whole. Whoever writes events or changes them holds it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from es_recsys.events.database import Database
from es_recsys.events.schema import STORES

__all__ = ["Position", "StoreLine", "merged"]


class Position(NamedTuple):
    """How far a store is. row: the highest that is visible. change: how often rows that were read before have changed.
    revision: how often all of them are to be read anew."""

    row: int
    change: int
    revision: int


class StoreLine:
    """Reads and changes the line of one store; made at first use."""

    def __init__(self, database: Database, store: str) -> None:
        self._database = database
        self._mine = STORES.c.store == store
        with database.reading() as connection:
            if connection.execute(sa.select(STORES.c.store).where(self._mine)).first():
                return
        with database.writing() as connection:
            line = {"store": store, "last_row": 0, "timed": None, "dwell_ms": False, "revision": 0}
            connection.execute(database.insert_new(STORES, ["store"]).values(line))

    def value(self, column: sa.Column[Any]) -> Any:
        with self._database.reading() as connection:
            return connection.execute(sa.select(column).where(self._mine)).scalar_one()

    def position(self) -> Position:
        columns = sa.select(STORES.c.last_row, STORES.c.changes, STORES.c.revision)
        with self._database.reading() as connection:
            return Position(*connection.execute(columns.where(self._mine)).one())

    def lock(self, connection: sa.Connection) -> None:
        """Have others wait until the transaction ends."""
        connection.execute(sa.select(STORES.c.store).where(self._mine).with_for_update())

    def change(self, connection: sa.Connection, **values: Any) -> None:
        connection.execute(sa.update(STORES).where(self._mine).values(values))

    def count_change(self, connection: sa.Connection) -> int:
        """One more change of rows that were read before; -> its number. The caller holds the line."""
        self.change(connection, changes=STORES.c.changes + 1)
        return int(connection.execute(sa.select(STORES.c.changes).where(self._mine)).scalar_one())

    def mapping(self, column: sa.Column[Any]) -> dict[str, Any]:
        """A column that holds a JSON object."""
        return _object(self.value(column))

    def merge(self, column: sa.Column[Any], changes: Mapping[str, Any], **values: Any) -> None:
        """Put `changes` into a column that holds a JSON object (None removes), and set other columns, whoever changes other
        keys at the same time."""
        with self._database.writing() as connection:
            self.lock(connection)
            text = connection.execute(sa.select(column).where(self._mine)).scalar_one()
            self.change(connection, **{column.key: merged(text, changes)}, **values)


def merged(text: str | None, changes: Mapping[str, Any]) -> str:
    """A JSON object as text with `changes` in it; None removes."""
    both = {**_object(text), **changes}
    return json.dumps({name: value for name, value in both.items() if value is not None}, sort_keys=True)


def _object(text: str | None) -> dict[str, Any]:
    return dict(json.loads(text)) if text else {}
