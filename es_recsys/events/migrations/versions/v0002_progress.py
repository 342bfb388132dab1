"""Settings of a store, how far its profiles are, which secret its keys were made with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_STORE, _SUBJECT = "es_recsys_store", "es_recsys_subject"


def upgrade() -> None:
    """Add the columns of settings, progress, changes and the check of the secret.

    Rows that were there before have digests of event ids alone; `unscoped_row` says up to which.
    """
    _add(_STORE, sa.Column("changes", sa.BigInteger, nullable=False, server_default=sa.text("0")))
    _add(_STORE, sa.Column("settings", sa.Text))
    _add(_STORE, sa.Column("progress", sa.Text))
    _add(_STORE, sa.Column("key_check", sa.String(32)))
    _add(_SUBJECT, sa.Column("changed", sa.BigInteger, nullable=False, server_default=sa.text("0")))
    _add(_STORE, sa.Column("unscoped_row", sa.BigInteger, nullable=False, server_default=sa.text("0")))
    op.execute("UPDATE es_recsys_store SET unscoped_row = last_row")


def _add(table: str, column: sa.Column[object]) -> None:
    # MySQL keeps what an interrupted migration has added.
    known = () if op.get_context().as_sql else sa.inspect(op.get_bind()).get_columns(table)
    if column.name not in {it["name"] for it in known}:
        op.add_column(table, column)
