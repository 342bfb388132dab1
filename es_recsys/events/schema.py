"""The tables of the event store; migrations/ makes them. Several stores share them: `store` begins every key."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql

__all__ = ["ACTORS", "EVENTS", "HEAD", "METADATA", "STORES", "VERSION_TABLE"]

HEAD = "0002"
VERSION_TABLE = "es_recsys_version"
METADATA = sa.MetaData()

# Columns and tables keep the names that stores were made with; where the code has another word, it is the column's `key`.
# Ids compare by bytes everywhere; 514 holds an id of 512 bytes and the two letters of an actor.
_ID = sa.String(514).with_variant(postgresql.VARCHAR(514, collation="C"), "postgresql")
_NAME = sa.String(63).with_variant(postgresql.VARCHAR(63, collation="C"), "postgresql")
_DIGEST = sa.LargeBinary(16).with_variant(mysql.BINARY(16), "mysql", "mariadb")
_MYSQL: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}

EVENTS = sa.Table(
    "es_recsys_event",
    METADATA,
    sa.Column("store", _NAME, primary_key=True),
    sa.Column("row_no", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("digest", _DIGEST, nullable=False),
    sa.Column("subject", _ID, key="actor", nullable=False),
    sa.Column("event_type", sa.String(32), nullable=False),
    sa.Column("time", sa.Double),
    sa.Column("received_at", sa.Double, nullable=False),
    sa.Column("place", sa.BigInteger, key="order"),
    sa.Column("item_id", _ID),
    sa.Column("query", sa.Text),
    sa.Column("value", sa.Double),
    sa.Column("session_id", _ID),
    sa.Column("event_id", _ID),
    sa.Column("position", sa.BigInteger),
    sa.Column("query_id", _ID),
    sa.Column("recommendation_id", _ID),
    sa.Column("quarantine", sa.String(32)),
    sa.Column("clamped", sa.Boolean, nullable=False),
    sa.Index("es_recsys_event_digest", "store", "digest", unique=True),
    sa.Index("es_recsys_event_subject", "store", "actor", "row_no"),
    sqlite_with_rowid=False,
    **_MYSQL,
)

# last_row: highest row given out; whoever appends holds this line, so rows become visible in the order of their numbers.
# timed: unknown until the first event. dwell_ms: the source gives dwell times in milliseconds.
# changes: counts changes of rows that were read before. settings, progress: JSON objects; what a person set, and how far what
# is made of the events has come. key_check: tells another secret (see keys.py). unscoped_row: rows up to it were written when
# an event id was one event, whoever did it.
STORES = sa.Table(
    "es_recsys_store",
    METADATA,
    sa.Column("store", _NAME, primary_key=True),
    sa.Column("last_row", sa.BigInteger, nullable=False),
    sa.Column("timed", sa.Boolean),
    sa.Column("dwell_ms", sa.Boolean, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("changes", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    sa.Column("settings", sa.Text),
    sa.Column("progress", sa.Text),
    sa.Column("key_check", sa.String(32)),
    sa.Column("unscoped_row", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    **_MYSQL,
)

# changed: the store's `changes` when the actor's rows last changed.
# Only actors that cleaning or erasing touched, by key, so that an erased user's id is nowhere.
ACTORS = sa.Table(
    "es_recsys_subject",
    METADATA,
    sa.Column("store", _NAME, primary_key=True),
    sa.Column("user_key", sa.String(40), primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("erased_at", sa.Double),
    sa.Column("changed", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    **_MYSQL,
)
