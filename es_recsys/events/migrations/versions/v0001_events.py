"""Events, stores and subjects."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql, postgresql

revision = "0001"
down_revision = None

_ID = sa.String(514).with_variant(postgresql.VARCHAR(514, collation="C"), "postgresql")
_NAME = sa.String(63).with_variant(postgresql.VARCHAR(63, collation="C"), "postgresql")
_DIGEST = sa.LargeBinary(16).with_variant(mysql.BINARY(16), "mysql", "mariadb")
_MYSQL: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    """Create the tables of events, stores and actors, and their indexes."""
    op.create_table(
        "es_recsys_event",
        sa.Column("store", _NAME, primary_key=True),
        sa.Column("row_no", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("digest", _DIGEST, nullable=False),
        sa.Column("subject", _ID, nullable=False),
        sa.Column("event_type", sa.String(32), nullable=False),
        sa.Column("time", sa.Double),
        sa.Column("received_at", sa.Double, nullable=False),
        sa.Column("place", sa.BigInteger),
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
        sqlite_with_rowid=False,
        **_MYSQL,
    )
    op.create_index("es_recsys_event_digest", "es_recsys_event", ["store", "digest"], unique=True)
    op.create_index("es_recsys_event_subject", "es_recsys_event", ["store", "subject", "row_no"])
    op.create_table(
        "es_recsys_store",
        sa.Column("store", _NAME, primary_key=True),
        sa.Column("last_row", sa.BigInteger, nullable=False),
        sa.Column("timed", sa.Boolean),
        sa.Column("dwell_ms", sa.Boolean, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        **_MYSQL,
    )
    op.create_table(
        "es_recsys_subject",
        sa.Column("store", _NAME, primary_key=True),
        sa.Column("user_key", sa.String(40), primary_key=True),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("erased_at", sa.Double),
        **_MYSQL,
    )
